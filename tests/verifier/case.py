"""What all tests of the verifier need."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "scripts"
sys.path[:0] = [str(HERE), str(SCRIPTS)]

import verify_certificates  # noqa: E402
from builder import BASE, HOUR, TOPICS  # noqa: E402
from verifier.dump import Dump  # noqa: E402
from world import build  # noqa: E402


class WorldCase(unittest.TestCase):
    """Each test gets a world without a lie."""

    def setUp(self):
        self.world = build()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def said(self, hour: int, revision: int = 1):
        """The certificate of an hour."""
        mine = (r for r in self.world.topics["certificates"] if (r.value["from_time"] - BASE) // HOUR == hour)
        return next(r for r in mine if r.value["revision"] == revision)

    def facts(self, kind: str) -> list:
        return [r for r in self.world.topics["state"] if r.value["kind"] == kind]

    def verify(self):
        self.world.write(self.folder)
        return self.verify_files()

    def verify_files(self):
        return verify_certificates.verify(Dump(str(self.folder)))

    def assert_agrees(self):
        report = self.verify()
        self.assertEqual([str(found) for found in report.contradictions], [])
        return report

    def assert_named(self, record, field: str, found: str = "", about: str = ""):
        """The first contradiction is about this record and field, and says what was found."""
        report = self.verify()
        self.assertTrue(report.contradictions, "the lie was not seen")
        first = report.contradictions[0]
        if record is not None:
            role = next(r for r, records in self.world.topics.items() if any(one is record for one in records))
            self.assertEqual(first.place, f"{TOPICS[role]} {record.partition}/{record.offset}", str(first))
        self.assertIn(field, first.field, str(first))
        self.assertIn(found, str(first.found), str(first))
        self.assertIn(about, first.about, str(first))
        return report
