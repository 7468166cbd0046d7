"""The program from outside: exit codes, --json, files without a ledger, and its own reading of Avro."""

import json
import pathlib
import subprocess
import sys
import unittest

from case import SCRIPTS, WorldCase
from builder import TOPICS, encode
from verifier.avro import Malformed, Schemas


class Usage(WorldCase):
    def run_it(self, *arguments):
        command = [sys.executable, str(SCRIPTS / "verify_certificates.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def test_it_ends_with_0_and_pass(self):
        self.world.write(self.folder)
        ended = self.run_it(self.folder)
        self.assertEqual((ended.returncode, ended.stdout.splitlines()[-1]), (0, "pass"), ended.stderr)

    def test_it_ends_with_1_and_names_the_place(self):
        said = self.said(103)
        said.value["count_live"] += 1
        self.world.write(self.folder)
        ended = self.run_it(self.folder)
        self.assertEqual((ended.returncode, ended.stdout.splitlines()[-1]), (1, "fail"))
        place = f"genesys.conversation.certificates 0/{said.offset}"
        self.assertIn(f"contradiction: {place}: certificate 0/v2.routing", ended.stdout)
        self.assertIn("count_live says 4, found 3 in its partitions", ended.stdout)

    def test_json_lists_everything(self):
        self.said(103).value["count_live"] += 1
        self.world.write(self.folder)
        ended = self.run_it("--json", self.folder)
        said = json.loads(ended.stdout)
        self.assertEqual((ended.returncode, said["verdict"], said["contradictions_total"]), (1, "fail", 1))
        self.assertEqual(said["contradictions"][0]["says"], 4)

    def test_wrong_usage_and_unreadable_input_end_with_2(self):
        self.world.write(self.folder)
        (self.folder / "proof.jsonl").write_text("no json\n")
        for arguments in ((), ("--nonsense", "x"), (self.folder / "missing",), (self.folder,)):
            with self.subTest(arguments):
                self.assertEqual(self.run_it(*arguments).returncode, 2)

    def test_without_any_certificate_nothing_is_said_to_pass(self):
        self.world.topics["certificates"].clear()
        self.world.write(self.folder)
        self.assertEqual(self.run_it(self.folder).returncode, 2)

    def exported(self, drop: int, names=None):
        """What somebody exported: no ledger, no meta, the first records of partition 0 already deleted."""
        self.world.write(self.folder)
        for name in ("ledger.jsonl", "meta.json"):
            (self.folder / name).unlink()
        for path in self.folder.glob("*.jsonl"):
            kept = [json.loads(line) for line in path.read_text().splitlines()]
            gone = lambda r: r["topic"] == TOPICS["events"] and r["partition"] == 0 and r["offset"] < drop  # noqa: E731
            kept = [{**r, "topic": (names or {}).get(r["topic"], r["topic"])} for r in kept if not gone(r)]
            path.write_text("".join(json.dumps(r) + "\n" for r in kept))

    def test_an_export_is_enough(self):
        self.exported(drop=0)
        ended = self.run_it("--json", self.folder)
        self.assertEqual((ended.returncode, json.loads(ended.stdout)["figures"]["revisions_recomputed"]), (0, 8), ended.stdout)

    def test_what_is_no_longer_kept_is_left_out_and_said_so(self):
        self.exported(drop=2)
        ended = self.run_it("--json", self.folder)
        figures = json.loads(ended.stdout)["figures"]
        self.assertEqual(ended.returncode, 0, ended.stdout)
        self.assertEqual((figures["revisions_recomputed"], figures["revisions_beyond_retention"]), (5, 3))

    def test_topics_may_have_other_names(self):
        self.exported(drop=0, names={TOPICS["certificates"]: "mine"})
        self.assertEqual(self.run_it(self.folder).returncode, 2)
        self.assertEqual(self.run_it("--certificates-topic", "mine", self.folder).returncode, 0)

    def test_it_imports_nothing_but_the_standard_library_and_an_optional_hash(self):
        allowed = set(sys.stdlib_module_names) | {"verifier", "blake3"}
        for path in [SCRIPTS / "verify_certificates.py", *pathlib.Path(SCRIPTS / "verifier").glob("*.py")]:
            for line in path.read_text().splitlines():
                words = line.split()
                if words[:1] in (["import"], ["from"]) and not words[1].startswith("."):
                    self.assertIn(words[1].split(".")[0], allowed, f"{path.name}: {line}")


class Avro(unittest.TestCase):
    SCHEMA = {
        "type": "record", "name": "R", "namespace": "n", "fields": [
            {"name": "number", "type": "long"},
            {"name": "text", "type": ["null", "string"]},
            {"name": "map", "type": {"type": "map", "values": "int"}},
            {"name": "more", "type": {"type": "array", "items": "n.R"}},
        ],
    }

    def test_what_was_written_is_read(self):
        for number in (0, -1, 1, 63, 64, -65, 2**62, -(2**62)):
            inner = {"number": number, "text": None, "map": {}, "more": []}
            datum = encode("long", 5) + encode(["null", "string"], "ä") + encode({"type": "map", "values": "int"}, {"k": -3})
            inner_bytes = encode("long", number) + encode(["null", "string"], None) + b"\0\0"
            value = b"\0\0\0\0\7" + datum + encode("long", 1) + inner_bytes + b"\0"
            expected = {"number": 5, "text": "ä", "map": {"k": -3}, "more": [inner]}
            self.assertEqual(Schemas({"7": self.SCHEMA}).read(value), expected)

    def test_a_block_may_name_its_size(self):
        schema = {"type": "record", "name": "A", "fields": [{"name": "a", "type": {"type": "array", "items": "int"}}]}
        block = encode("long", -2) + encode("long", 2) + encode("int", 1) + encode("int", 2) + b"\0"
        self.assertEqual(Schemas({"1": schema}).read(b"\0\0\0\0\1" + block), {"a": [1, 2]})

    def test_what_is_no_datum_is_refused(self):
        schemas = Schemas({"7": self.SCHEMA})
        whole = b"\0\0\0\0\7" + encode("long", 5) + b"\0\0\0"
        self.assertEqual(schemas.read(whole)["number"], 5)
        for value in (b"", b"\1" + whole[1:], b"\0\0\0\0\6" + whole[5:], whole[:-1], whole + b"\0", whole[:6] + b"\4" + whole[7:]):
            with self.subTest(value), self.assertRaises(Malformed):
                schemas.read(value)


if __name__ == "__main__":
    unittest.main()
