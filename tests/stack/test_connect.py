"""Kafka Connect's connectors: what they promise each other, their page, and whoever reads what they write."""

import json
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONNECT = ROOT / "deploy" / "connect"
ROLES = ("events", "certificates", "gaps")
sys.path[:0] = [str(ROOT / "downstream" / "redshift"), str(ROOT / "tests" / "stack")]
from connectors import connector as here  # noqa: E402
from manifests import KEY, TOPICS  # noqa: E402


def connector(role: str) -> dict:
    return json.loads((CONNECT / "s3" / f"{role}.json").read_text())


def properties() -> dict:
    lines = (CONNECT / "worker.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Connectors(unittest.TestCase):
    def test_there_is_one_for_each_topic_and_they_differ_in_it_alone(self):
        self.assertEqual({path.stem for path in (CONNECT / "s3").glob("*.json")}, set(ROLES))
        first = json.dumps(connector("events"))
        for role in ROLES:
            with self.subTest(role):
                self.assertEqual(connector(role)["topics"], TOPICS[role])
                self.assertEqual(json.dumps(connector(role)).replace(TOPICS[role], TOPICS["events"]), first)

    def test_every_key_is_on_the_page_with_its_value_and_none_else(self):
        rows = re.findall(r"^\| (`[a-z].*?`) \| .*? \| (.*?) \|", (CONNECT / "README.md").read_text(), re.MULTILINE)
        said = {}
        for keys, values in rows:
            said.update(zip(re.findall(r"`(.+?)`", keys), re.findall(r"`(.+?)`", values) or values.split()))
        events = connector("events")
        self.assertEqual(set(said), set(events))
        loose = {"topics": "one", "errors.deadletterqueue.topic.name": ".s3-dlq"}
        for key, value in events.items():
            with self.subTest(key):
                inside = re.sub(r"\$\{env:(\w+)}", r"\1", value)
                self.assertEqual(said[key], loose.get(key, inside))

    def test_every_value_is_text_as_connect_wants_it(self):
        for role in ROLES:
            self.assertEqual([key for key, value in connector(role).items() if not isinstance(value, str)], [])

    def test_the_traps_that_were_paid_for_are_avoided(self):
        for role in ROLES:
            said = connector(role)
            with self.subTest(role):
                self.assertGreater(int(said["rotate.schedule.interval.ms"]), 0, "or a quiet tail never arrives")
                self.assertEqual(said["enable.conditional.writes"], "false", "or a crash writes files twice")
                self.assertIn(said["schema.compatibility"], ("BACKWARD", "FULL"), "anything else is silently NONE, or drops fields")
                self.assertEqual(said["timestamp.extractor"], "Record", "or a replay goes elsewhere")
                self.assertEqual((said["behavior.on.null.values"], said["report.null.values.to.dlq"]), ("ignore", "false"))
                self.assertEqual(said["connect.meta.data"], "false")
                self.assertEqual((said["partition.duration.ms"], said["path.format"], said["timezone"]), ("3600000", "'dt'=YYYY-MM-dd/'hr'=HH", "UTC"))

    def test_what_it_names_is_what_the_warehouse_reads(self):
        for role in ROLES:
            said = connector(role)
            # as the sink names an object: topic, partition, first offset in ten digits
            key = f"{said['topics.dir']}/{said['topics']}/dt=2026-11-28/hr=02/" + said["file.delim"].join([said["topics"], "7", "0000000400"]) + ".avro"
            found = KEY.fullmatch(key)
            self.assertTrue(found, key)
            self.assertEqual((found["topic"], found["partition"], int(found["offset"])), (TOPICS[role], "7", 400))
            table = (ROOT / "downstream" / "redshift" / "staging.sql").read_text()
            staged = re.search(rf"staged_{role} \((.*?)^\)", table, re.DOTALL | re.MULTILINE)[1]
            for name in (said["transforms.place.partition.field"], said["transforms.place.offset.field"]):
                self.assertRegex(staged, rf"\b{name} ")

    def test_the_worker_gives_out_what_connectors_ask_for_and_nothing_else(self):
        asked = {name for role in ROLES for name in re.findall(r"\$\{env:(\w+)}", json.dumps(connector(role)))}
        said = properties()
        self.assertEqual(set(said["config.providers.env.param.allowlist.pattern"].split("|")), asked)
        self.assertEqual(said["connector.client.config.override.policy"], "All", "connectors set consumer.override")
        self.assertNotEqual(said["plugin.discovery"], "service_load", "the sink has no manifest")

    def test_where_they_run_without_confluents_sink_only_what_the_page_names_is_replaced(self):
        page = (CONNECT / "README.md").read_text().partition("## What was run")[2]
        said = set(re.findall(r"`([a-z0-9_.-]+)`", re.search(r"Replaced there: (.*?)\.\n", page, re.DOTALL)[1]))
        for role in ROLES:
            shipped, run = connector(role), here(role, "http://store", "http://registry", 1)
            changed = {key for key in run if shipped.get(key) != run[key]}
            self.assertEqual({re.sub(r"^value\.converter\.apicurio\..*", "value.converter.apicurio.registry.url", key) for key in changed}, said)
            self.assertEqual(set(shipped) - set(run), set())

    def test_the_stand_in_takes_no_other_value_than_those_shipped_or_measured(self):
        text = (ROOT / "tests" / "stack" / "sink" / "io" / "trunkline" / "stack" / "AvroObjects.java").read_text()
        only = {key: set(re.findall(r'"(.*?)"', values)) for key, values in re.findall(r'Map\.entry\("(.*?)", Set\.of\((.*?)\)\)', text)}
        self.assertGreater(len(only), 10)
        for role in ROLES:
            for key, allowed in only.items():
                self.assertIn(connector(role)[key], allowed)


if __name__ == "__main__":
    unittest.main()
