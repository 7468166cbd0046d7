"""What the page makes of results."""

import unittest
import xml.dom.minidom

from page import COLUMNS, NEVER, better, cell, merged, page, shares, table
from picture import picture

ZERO = {**dict.fromkeys(COLUMNS, 0), "events": 1000}


def results(*systems: dict) -> list[dict]:
    return [{"fault": "reset", "pass": n, "load": 1.0, "systems": each} for n, each in enumerate(systems, 1)]


class Page(unittest.TestCase):
    def test_a_peer_is_bold_where_any_row_of_trunkline_is_worse_and_nowhere_else(self):
        both = results({
            "trunkline-one": {**ZERO, "dials": 1, "recovery": None}, "trunkline-static": {**ZERO, "dials": 3, "recovery": 2.0},
            "python": {**ZERO, "dials": 2, "recovery": 1.5, "silent": 7},
        })
        wins = {column for column in COLUMNS if better(both, "reset", "python", column)}
        self.assertEqual(wins, {"dials", "recovery"})
        self.assertFalse(any(better(both, "reset", "trunkline-one", column) for column in COLUMNS))
        row = next(line for line in table(both, "reset", ["python"]) if line.startswith("| Python"))
        self.assertIn("| 7 |", row)
        self.assertIn("| **1.5** | **2** |", row)

    def test_passes_that_differ_are_told_from_least_to_most_and_never_is_the_worst(self):
        self.assertEqual(cell([3, 3, 3], "dials"), "3")
        self.assertEqual(cell([9, 3, 5], "dials"), "5 (3–9)")
        self.assertEqual(cell([1.25, NEVER], "recovery"), "1.2 (1.2–never)")
        self.assertEqual(cell([], "dials"), "–")

    def test_what_did_not_run_is_said_with_its_reason(self):
        from about import about
        found = results({"python": ZERO, "trunkline-one": {"not_run": "it ended"}})
        run = {"about": about(), "not_run": {"benthos": "x\ngo: command not found"}, "results": found}
        text = page(run)
        self.assertIn("- Python: websockets, confluent-kafka: 0 of 1,000", text)
        for said in ("Not run: benthos 4.27.0: `go: command not found`", "; 429 storm.", "trunkline, one replica did not take part: it ended"):
            self.assertIn(said, text)

    def test_a_later_run_replaces_its_faults_and_both_commits_are_named(self):
        old = results({"python": ZERO}) + [{"fault": "close", "pass": 1, "load": 1.0, "systems": {"python": ZERO}}]
        new = results({"python": {**ZERO, "silent": 5}})
        run = merged([{"about": {"commit": "a"}, "results": old}, {"about": {"commit": "b"}, "results": new}])
        self.assertEqual([(r["fault"], r["systems"]["python"]["silent"]) for r in run["results"]], [("close", 0), ("reset", 5)])
        self.assertEqual(run["about"]["commit"], "a`, `b")

    def test_the_picture_is_xml_and_holds_every_share(self):
        run = {"results": results({"trunkline-one": ZERO, "python": {**ZERO, "silent": 123}}, {"python": {**ZERO, "silent": 123}})}
        faults, names, found = shares(run)
        self.assertEqual((faults, found), (["reset"], {("reset", "trunkline-one"): 0.0, ("reset", "python"): 12.3}))
        drawn = picture(faults, names, [[found[fault, name] for name in names] for fault in faults])
        xml.dom.minidom.parseString(drawn)
        self.assertIn("12.3 %", drawn)
        small = picture(["a & b"], ["x < y"], [[0.01, None]])
        texts = [node.firstChild.data for node in xml.dom.minidom.parseString(small).getElementsByTagName("text")]
        self.assertEqual(texts, ["x < y", "a & b", "< 0.1 %", "–"])


if __name__ == "__main__":
    unittest.main()
