"""Whoever looks a schema up by its text, as Confluent's converter does, finds ours in a real registry."""

import json
import pathlib
import subprocess
import unittest
import urllib.error
import urllib.request

from cluster import CACHE, HERE, Cluster
from harness import CERTIFICATES, EVENTS, GAPS, Stand, ask, config

SCHEMAS = HERE.parents[1] / "schemas"
SUBJECTS = {"conversation_event": EVENTS, "gap_record": GAPS, "coverage_certificate": CERTIFICATES}


def as_java_writes(names: list[str]) -> list[str]:
    """The text of schemas as Avro for Java writes it."""
    jars = CACHE / "avro"
    if not jars.exists():
        subprocess.run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"], cwd=HERE / "avro", check=True)
    files = [str(SCHEMAS / f"{name}.avsc") for name in names]
    run = subprocess.run(["java", "-cp", f"{jars}/*", str(HERE / "avro" / "SchemaText.java"), *files], check=True, capture_output=True, text=True)
    return run.stdout.splitlines()


def post(url: str, text: str) -> tuple[int, dict]:
    """Asks for a schema by its text: the status, and what was answered."""
    request = urllib.request.Request(url, json.dumps({"schema": text}).encode(), {"Content-Type": "application/vnd.schemaregistry.v1+json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, {}


class Spelling(unittest.TestCase):
    def test_a_schema_is_found_by_the_text_that_java_makes_of_it(self):
        texts = dict(zip(SUBJECTS, as_java_writes(list(SUBJECTS))))
        with Cluster(brokers=1) as cluster, Stand() as stand:
            tree = config(stand, "http://127.0.0.1:1", schema_registry__url=cluster.registry)
            for name, topic in SUBJECTS.items():  # somebody was first, and spelled it as the file does
                status, _ = post(f"{cluster.registry}/subjects/{topic}-value/versions", (SCHEMAS / f"{name}.avsc").read_text())
                self.assertEqual(status, 200)
            before = {name: post(f"{cluster.registry}/subjects/{topic}-value", texts[name])[0] for name, topic in SUBJECTS.items()}
            self.assertEqual(set(before.values()), {404}, "a registry that finds every spelling proves nothing")
            code, checked, _ = ask(tree, "schema", "check")
            self.assertEqual((code, [line["is_spelled_ours"] for line in checked]), (0, [False] * 3))
            code, registered, _ = ask(tree, "schema", "register")
            self.assertEqual(code, 0)
            for name, topic in SUBJECTS.items():
                status, found = post(f"{cluster.registry}/subjects/{topic}-value", texts[name])
                self.assertEqual((status, found.get("schema")), (200, texts[name]))
                self.assertIn({"subject": f"{topic}-value", "id": found["id"], "is_spelled_ours": True}, registered)
            self.assertEqual(ask(tree, "schema", "check")[1], registered)


if __name__ == "__main__":
    unittest.main()
