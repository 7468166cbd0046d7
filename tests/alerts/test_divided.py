"""The rules of the end-to-end test are the shipped ones: waits and windows divided, everything else the same."""

import re
import unittest

from scale import UNITS, divided, expression, rules, scaled


def milliseconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(ms|[smhdw])", duration).groups()
    return int(number) * UNITS[unit]


def windows(expr: str) -> list[int]:
    return [milliseconds(found) for found in re.findall(r"(?:\[|offset )(\d+[a-z]+)", expr)]


def without_windows(expr: str) -> str:
    return re.sub(r"(\[|offset )\d+[a-z]+", r"\1", expr)


class Scale(unittest.TestCase):
    def test_waits_and_windows_are_divided_and_nothing_else_changes(self):
        shipped, ours = rules(), [rule for group in scaled(60)["groups"] for rule in group["rules"]]
        self.assertEqual(len(shipped), len(ours))
        count = 0
        for was, is_ in zip(shipped, ours):
            with self.subTest(was["alert"]):
                self.assertEqual(without_windows(is_["expr"]), without_windows(was["expr"]))
                self.assertEqual([60 * window for window in windows(is_["expr"])], windows(was["expr"]))
                self.assertEqual("for" in is_, "for" in was)
                if "for" in was:
                    self.assertEqual(60 * milliseconds(is_["for"]), milliseconds(was["for"]))
                same = lambda rule: {key: value for key, value in rule.items() if key not in ("expr", "for")}
                self.assertEqual(same(is_), same(was))
                count += len(windows(was["expr"]))
        self.assertGreater(count, 12, "windows were looked for in vain")

    def test_ages_of_an_hour_and_more_are_divided_where_it_is_asked_for(self):
        changed = {rule["alert"] for rule in rules() if expression(rule["expr"], 60, 3600) != expression(rule["expr"], 60)}
        self.assertEqual(changed, {"TrunklineGapUnrecovered", "TrunklineAuditBehind"})
        self.assertEqual(expression("(time() - x > 29 * 3600) and x > 0", 60, 3600), "(time() - x > 29) and x > 0")
        self.assertEqual(expression("time() - x > 300", 60, 3600), "time() - x > 300")

    def test_a_wait_that_cannot_be_divided_is_refused(self):
        self.assertEqual(divided("1h", 60), "60000ms")
        with self.assertRaisesRegex(ValueError, "1s cannot be divided by 60"):
            divided("1s", 60)


if __name__ == "__main__":
    unittest.main()
