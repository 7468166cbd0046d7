"""Alerts parse, name metrics and labels that exist, and can be changed one by one."""

import re
import unittest

import promql_parser
import yaml
from chart import FOLDER, ROOT, find, report, set_at, values

# What a scrape by the Prometheus operator puts beside a metric's own labels.
TARGET = {"namespace", "job", "instance", "pod", "service", "container", "endpoint", "cluster"}


def rules() -> list[dict]:
    groups = yaml.safe_load((FOLDER / "rules/trunkline.yaml").read_text())["groups"]
    return alerts(groups)


def alerts(groups: list[dict]) -> list[dict]:
    """Rules that fire; the others record what those hold side by side."""
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def metrics() -> dict[str, set[str]]:
    """Metrics of docs/metrics.md with their labels; a test of the product compares that page with the code."""
    found = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and cells[0].startswith("`trunkline_"):
            found[cells[0].strip("`")] = {label.strip() for label in cells[2].split(",") if label.strip()}
    return found


def wrong(expr: str) -> list[str]:
    """Names and labels in an expression that no scrape gives."""
    promql_parser.parse(expr)
    known, found = metrics(), []
    for name in sorted(set(re.findall(r"\btrunkline_[a-z_]+", expr))):
        if name not in known:
            found.append(f"no metric {name}")
    for name, matchers in re.findall(r"\b(trunkline_[a-z_]+)\{([^}]*)\}", expr):
        for label in re.findall(r"([a-z_]+)\s*[=!]", matchers):
            if label not in known.get(name, set()) | TARGET:
                found.append(f"{name} has no label {label}")
    labels = set().union(*(known.get(name, set()) for name in re.findall(r"\btrunkline_[a-z_]+", expr))) | TARGET
    for grouping in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expr):
        found += [f"no label {label.strip()}" for label in grouping.split(",") if label.strip() not in labels]
    return found


class Alerts(unittest.TestCase):
    def test_every_expression_parses_and_names_what_exists(self):
        for rule in rules():
            with self.subTest(rule["alert"]):
                self.assertEqual(wrong(rule["expr"]), [])
        report["alerts"] = f"{len(rules())}, each of metrics that exist"

    def test_recorded_series_are_of_metrics_that_exist_and_alerts_use_no_other(self):
        groups = yaml.safe_load((FOLDER / "rules/trunkline.yaml").read_text())["groups"]
        recorded = {rule["record"]: rule["expr"] for group in groups for rule in group["rules"] if "record" in rule}
        for name, expr in recorded.items():
            with self.subTest(name):
                self.assertEqual(wrong(expr), [])
        used = set(re.findall(r"\btrunkline:[a-z_]+:[a-z_0-9]+", " ".join(rule["expr"] for rule in rules())))
        self.assertEqual(used, set(recorded))

    def test_the_watch_sees_what_it_watches_for(self):
        self.assertEqual(wrong("trunkline_gone_total > 0"), ["no metric trunkline_gone_total"])
        self.assertEqual(wrong('trunkline_subscriptions{stat="x"} > 0'), ["trunkline_subscriptions has no label stat"])
        self.assertEqual(wrong("sum by (shrad) (trunkline_gaps_open) > 0"), ["no label shrad"])
        self.assertRaises(ValueError, wrong, "sum(trunkline_gaps_open")

    def test_every_alert_says_what_and_how_bad_it_is(self):
        names = [rule["alert"] for rule in rules()]
        self.assertEqual(len(names), len(set(names)))
        for rule in rules():
            with self.subTest(rule["alert"]):
                self.assertRegex(rule["alert"], "^Trunkline[A-Z]")
                self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
                self.assertEqual(set(rule["annotations"]), {"summary", "description"})
                self.assertIn("$labels", rule["annotations"]["description"])

    def test_labels_in_texts_survive_the_expression(self):
        for rule in rules():
            grouped = re.match(r"^(?:max|sum|group) by \(([^)]*)\)", rule["expr"])
            if not grouped:
                continue
            kept = {label.strip() for label in grouped[1].split(",")}
            used = set(re.findall(r"\$labels\.([a-z_]+)", str(rule["annotations"])))
            self.assertLessEqual(used, kept, rule["alert"])

    def test_alerts_are_changed_one_by_one(self):
        groups = find(values("monitoring"), "PrometheusRule")["spec"]["groups"]
        shown = {rule["alert"]: rule for rule in alerts(groups)}
        self.assertEqual(set(shown), {rule["alert"] for rule in rules()} - {"TrunklineShardSingle"})
        storm = shown["TrunklineReconnectStorm"]
        self.assertEqual((storm["for"], storm["labels"]), ("30m", {"severity": "page", "team": "streaming"}))
        self.assertIn("> 50", shown["TrunklineRateLimited"]["expr"])
        self.assertEqual(storm["annotations"]["runbook_url"], "https://runbooks.example.com/trunkline/TrunklineReconnectStorm.md")

    def test_templates_of_prometheus_pass_through_helm_unharmed(self):
        tree = set_at(values("production"), "alerts.runbookUrl", "")
        groups = find(tree, "PrometheusRule")["spec"]["groups"]
        self.assertEqual(groups, yaml.safe_load((FOLDER / "rules/trunkline.yaml").read_text())["groups"])

    def test_an_override_may_not_name_an_alert_by_half(self):
        tree = set_at(values("monitoring"), "alerts.overrides", {})
        groups = find(tree, "PrometheusRule")["spec"]["groups"]
        self.assertEqual(len(alerts(groups)), len(rules()))
