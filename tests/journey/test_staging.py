"""Whether what was written arrives: lag from Kafka, states from Kafka Connect, and connectors set up from files."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from connect_harness import Connect
from harness import BINARY, EVENTS, Sim, Stand, Trunkline, ask, config, total, wait_for
from test_doctor import examined

NAME = "trunkline-events"
SINK = {"connector.class": "S3", "topics": EVENTS, "tasks.max": "1", "errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead"}


def tree(stand: Stand, url: str, connect: Connect, **changes) -> dict:
    own = {"staging__connect_url": connect.url, "staging__connectors": [NAME], "staging__timeout_secs": 5, **changes}
    return config(stand, url, **own)


def ends(stand: Stand) -> dict[int, int]:
    found = {}
    for record in stand.obey(f"read {EVENTS}"):
        found[record["partition"]] = max(found.get(record["partition"], 0), record["offset"] + 1)
    return found


def commit(stand: Stand, to: dict[int, int], group=f"connect-{NAME}"):
    for partition, offset in to.items():
        assert stand.obey(f"commit {group} {EVENTS} {partition} {offset}") == []


def facts(said: dict) -> dict[str, dict]:
    return {fact["about"]: fact for fact in said["facts"]}


class World:
    """Some events in Kafka, and a worker of Kafka Connect that says it carries them."""

    def __enter__(self):
        self.stand, self.sim, self.connect = Stand(), Sim("--rate", "50", "--events", "60"), Connect()
        self.connect.configs[NAME] = dict(SINK)
        self.tree = tree(self.stand, self.sim.url, self.connect)
        return self

    def write(self, check=lambda app: None):
        with Trunkline(self.tree).wait_ready() as app:
            assert wait_for(lambda: total(app, "trunkline_events_published_total") >= 50, 30), app.log[-5:]
            check(app)
            app.stop()

    def __exit__(self, *_):
        for part in (self.connect, self.sim, self.stand):
            part.__exit__()


class Looking(unittest.TestCase):
    def test_lag_is_what_the_group_has_not_committed_whatever_the_task_says(self):
        with World() as world:
            world.write()
            upto = ends(world.stand)
            self.assertGreaterEqual(sum(upto.values()), 50)

            code, (said,), _ = ask(world.tree, "staging")
            found = facts(said)
            self.assertEqual((code, said["ok"]), (0, True), said)
            (sink,) = said["connectors"]
            (lag,) = sink["topics"]
            self.assertEqual((sink["state"], [task["state"] for task in sink["tasks"]]), ("RUNNING", ["RUNNING"]))
            self.assertEqual((lag["lag_records"], lag["lost_records"]), (sum(upto.values()), 0))
            self.assertTrue(0 < lag["lag_seconds"] < 600, lag)
            # the mock broker tells no settings of topics
            self.assertEqual((found["retention"]["verdict"], lag["retention_headroom_seconds"]), ("unknown", None))
            self.assertEqual(found["letters"]["found"], f"{NAME}: no dead letter in dead")

            # nobody joins the group to ask, so it commits nothing by itself
            most = max(upto, key=upto.get)
            commit(world.stand, {**upto, most: upto[most] - 1})
            _, (said,), _ = ask(world.tree, "staging")
            self.assertEqual(said["connectors"][0]["topics"][0]["lag_records"], 1)
            commit(world.stand, upto)
            _, (said,), _ = ask(world.tree, "staging")
            self.assertEqual(facts(said)["lag"]["found"], f"{NAME}: everything of {EVENTS} is committed")

            world.connect.states[NAME], world.connect.traces[NAME] = ("RUNNING", "FAILED"), "java.io.IOException: no bucket\n\tat A.b(C.java:1)"
            code, (said,), _ = ask(world.tree, "staging")
            fact = facts(said)["connector"]
            self.assertEqual((code, fact["verdict"], fact["found"]), (1, "act", f"{NAME}: task 0 is FAILED: java.io.IOException: no bucket"))
            self.assertIn(f"curl -X POST '{world.connect.url}/connectors/{NAME}/restart?includeTasks=true&onlyFailed=true'", fact["remedy"])

            # a connector that goes by another group, and one that is ahead of a topic that was made anew
            world.connect.configs[NAME]["consumer.override.group.id"] = "own"
            commit(world.stand, {0: 10_000}, "own")
            _, (said,), _ = ask(world.tree, "staging")
            self.assertEqual(said["connectors"][0]["group"], "own")
            self.assertIn(f"beyond the end of {EVENTS}", facts(said)["lag"]["found"])

    def test_without_kafka_connect_the_lag_is_told_and_without_kafka_that_it_is_not(self):
        with World() as world:
            world.write()
            commit(world.stand, {partition: 0 for partition in ends(world.stand)})
            world.connect.__exit__()
            code, (said,), _ = ask(world.tree, "staging")
            found = facts(said)
            self.assertEqual((code, found["connect"]["verdict"]), (1, "act"))
            self.assertIn("does not answer: cannot connect", found["connect"]["found"])
            self.assertGreaterEqual(said["connectors"][0]["topics"][0]["lag_records"], 50)
            with Connect() as connect:
                connect.configs[NAME] = dict(SINK)
                gone = tree(world.stand, world.sim.url, connect, kafka__bootstrap_servers="127.0.0.1:1")
                code, (said,), _ = ask(gone, "staging")
            self.assertEqual((code, facts(said)["lag"]["verdict"]), (1, "act"))
            self.assertIn("is not known", facts(said)["lag"]["found"])

    def test_what_people_see_is_a_line_for_each_fact_and_a_sum(self):
        with World() as world, tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "trunkline.yaml"
            world.tree["staging"]["connectors"] = [NAME, "nowhere"]
            path.write_text(json.dumps(world.tree))
            run = subprocess.run([BINARY, "staging", "--config", path], capture_output=True, text=True, timeout=60)
            *lines, last = run.stdout.splitlines()
            self.assertEqual((run.returncode, last), (1, f"{len(lines)} facts: 1 to act on, 0 to look at, 1 not known"), run.stdout)
            for line in lines:
                self.assertRegex(line, r"^(ok  |ACT |look|-   )  (connect|connector|lag|retention|letters) +[^ ]")
            self.assertIn("ACT   connector  nowhere does not exist; trunkline staging apply --dir deploy/connect/s3, or mend staging.connectors", lines)

    def test_the_configuration_says_where_it_is_and_whether_it_lets_us_in(self):
        with Stand() as stand, Connect(user="me:pass") as connect:
            none = config(stand, "http://127.0.0.1:1")
            code, _, complaint = ask(none, "staging")
            self.assertEqual((code, complaint), (65, "trunkline: staging.connect_url: is required, e.g. http://connect:8083\n"))
            wrong = tree(stand, "http://127.0.0.1:1", connect)
            _, (said,), _ = ask(wrong, "staging")
            self.assertIn("answers 401: staging.username or password is refused", facts(said)["connect"]["found"])
            connect.configs[NAME] = dict(SINK)
            right = tree(stand, "http://127.0.0.1:1", connect, staging__username="me", staging__password="pass")
            code, (said,), _ = ask(right, "staging")
            self.assertEqual((code, facts(said)["connect"]["verdict"]), (0, "ok"), said)

    def test_the_service_looks_beside_its_work_and_goes_on_without_kafka_connect(self):
        with World() as world:
            world.tree["staging"]["poll_secs"] = 10

            def watched(app):
                up = f'trunkline_staging_connector_up{{connector="{NAME}"}}'
                lag = f'trunkline_staging_lag_records{{connector="{NAME}",topic="{EVENTS}"}}'
                self.assertTrue(wait_for(lambda: app.metrics().get(up) == 1 and app.metrics().get(lag, 0) > 0, 30, 0.5), app.metrics())
                world.connect.__exit__()
                self.assertTrue(wait_for(lambda: app.metrics().get(up) == 0, 40, 0.5), app.metrics())
                self.assertGreaterEqual(app.metrics()[lag], 50, "Kafka still tells")
                self.assertIn("staging_down", app.codes())

            world.write(watched)

    def test_doctor_says_the_same_and_lets_the_service_run(self):
        with World() as world:
            code, said = examined(world.tree, "--no-channel")
            found = {f["check"]: f for f in said["findings"]}
            self.assertEqual(code, 0, said)
            self.assertEqual([found[check]["verdict"] for check in ("connect", "connector", "lag", "retention", "letters")], ["ok", "ok", "ok", "skip", "ok"])
            world.connect.states[NAME] = ("PAUSED", "PAUSED")
            code, said = examined(world.tree, "--no-channel")
            found = {f["check"]: f for f in said["findings"]}
            self.assertEqual((code, found["connector"]["verdict"], found["connector"]["found"]), (0, "warn", f"{NAME} is PAUSED"))


class Applying(unittest.TestCase):
    def setUp(self):
        self.stand = self.enterContext(Stand())
        self.connect = self.enterContext(Connect())
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = {"connector.class": "S3", "topics": EVENTS, "flush.size": "50000", "store.key": "hush-new"}
        self.tree = tree(self.stand, "http://127.0.0.1:1", self.connect)

    def apply(self, *flags) -> tuple[int, list[str], str]:
        (self.folder / "events.json").write_text(json.dumps(self.file))
        path = self.folder / "trunkline.yaml"
        path.write_text(json.dumps(self.tree))
        command = [BINARY, "staging", "apply", "--dir", self.folder, "--config", path, *flags]
        run = subprocess.run(command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
        self.assertNotIn("hush", run.stdout + run.stderr)
        return run.returncode, run.stdout.splitlines(), run.stderr

    def put(self) -> list[str]:
        return [path for method, path in self.connect.asked if method == "PUT" and path.endswith("/config")]

    def test_what_differs_is_shown_first_and_put_once_it_is_agreed(self):
        code, lines, _ = self.apply("--dry-run")
        self.assertEqual((code, lines[0], lines[-1]), (1, f"{NAME}: to be created, 4 keys", "1 would be applied; nothing was changed"))
        self.assertIn("  + store.key: ***", lines)
        code, _, complaint = self.apply()
        self.assertEqual((code, complaint), (64, "trunkline: 1 connectors differ and there is nobody to ask: --yes applies, --dry-run only shows\n"))
        self.assertEqual(self.put(), [])

        self.connect.busy = 1  # workers that share out tasks answer 409
        code, lines, _ = self.apply("--yes")
        self.assertEqual((code, lines[-1]), (0, "1 applied; trunkline staging says whether records arrive"))
        self.assertEqual(self.connect.configs[NAME], {"name": NAME, **self.file})
        self.assertEqual(len(self.put()), 2)
        code, lines, _ = self.apply()
        self.assertEqual((code, lines), (0, [f"{NAME}: nothing differs", "nothing differs"]))

        self.connect.configs[NAME] |= {"store.url": "http://s3", "flush.size": "400", "store.key": "hush-old"}
        code, lines, _ = self.apply("--dry-run")
        expected = [f"{NAME}: 3 keys differ", "  ~ flush.size: 400 -> 50000", "  ~ store.key: *** -> ***", "  - store.url: http://s3"]
        self.assertEqual((code, lines[:4]), (1, expected))

    def test_what_a_plugin_refuses_is_named_by_key_and_nothing_is_put(self):
        self.file |= {"flush.size": "many"}
        code, _, complaint = self.apply("--yes")
        self.assertEqual(code, 65)
        self.assertIn(f"{NAME}: flush.size: Invalid value many for configuration flush.size: Not a number of type INT", complaint)
        self.file |= {"connector.class": "S4"}
        code, _, complaint = self.apply("--yes")
        self.assertEqual((code, complaint.splitlines()[0]), (65, f"trunkline: {NAME}: connector.class: Failed to find any class that implements Connector and which name matches S4"))
        self.file = {"flush.size": 7}
        code, _, complaint = self.apply("--yes")
        self.assertEqual(code, 65)
        self.assertIn('events.json: flush.size: is no text; allowed: "…"', complaint)
        self.assertIn("events.json: connector.class: is required", complaint)
        self.assertEqual((self.put(), self.connect.configs), ([], {}))

    def test_keys_the_plugin_does_not_declare_and_connectors_nobody_looks_at_are_named(self):
        self.file |= {"flush.sise": "1", "value.converter.x": "1"}
        self.tree["staging"]["connectors"] = ["other"]
        _, lines, _ = self.apply("--dry-run")
        self.assertEqual([line for line in lines if line.startswith("  !")], [
            "  ! flush.sise: the plugin does not declare it, and may pass over it",
            f"  ! nobody looks at it: add {NAME} to staging.connectors",
        ])

    def test_a_worker_that_is_away_is_said(self):
        self.connect.__exit__()
        code, lines, complaint = self.apply("--yes")
        self.assertEqual((code, lines), (69, []))
        self.assertIn("does not answer: cannot connect", complaint)


if __name__ == "__main__":
    unittest.main()
