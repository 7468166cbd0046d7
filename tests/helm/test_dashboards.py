"""Dashboards: the public rules of Grafana's dashboard linter, written as tests, and metrics that exist, both ways."""

import json
import re
import subprocess
import sys
import unittest

import promql_parser
from chart import FOLDER, ROOT, objects, report, set_at, values
from test_alerts import wrong
from test_alerts import metrics as documented

FILES = sorted(FOLDER.glob("dashboards/*.json"))
KINDS = {line.split("|")[1].strip().strip("`"): line.split("|")[2].strip() for line in (ROOT / "docs/metrics.md").read_text().splitlines() if line.startswith("| `trunkline_")}
# Panels that break a rule of the linter, and why they have to.
EXCUSED = {("overview", "Events without a verdict"): "a sum that must be exactly 0, and a rate is extrapolated"}


def dashboards() -> dict[str, dict]:
    return {file.stem: json.loads(file.read_text()) for file in FILES}


def plain(expr: str) -> str:
    """The expression as Prometheus sees it: the parser knows no variables of Grafana."""
    return re.sub(r"\$__(rate_interval|range)", "5m", expr).replace("$", "")


def bare_counters(expr: str) -> list[str]:
    """Counters that stand under no rate or increase."""
    under = re.sub(r"\b(rate|increase)\(trunkline_[a-z_]+(\{[^}]*\})?\[", "", expr)
    return [name for name in re.findall(r"\btrunkline_[a-z_]+", under) if KINDS.get(name) == "counter"]


def panel_findings(name: str, panel: dict) -> list[str]:
    found = []
    if panel["datasource"].get("uid") != "${datasource}":
        found.append("panel-datasource-rule")
    if not panel["title"] or not panel["description"]:
        found.append("panel-title-description-rule")
    if not panel["fieldConfig"]["defaults"].get("unit"):
        found.append("panel-units-rule")
    if not panel["targets"]:
        found.append("panel-no-targets-rule")
    for target in panel["targets"]:
        found += target_findings(target["expr"], (name, panel["title"]) in EXCUSED)
    return found


def target_findings(expr: str, excused: bool) -> list[str]:
    found = []
    try:
        promql_parser.parse(plain(expr))
    except ValueError as error:
        return [f"target-promql-rule: {error}"]
    if re.search(r"\[(?!\$__rate_interval\]|\$__range\])", expr):
        found.append("target-rate-interval-rule")
    selectors = re.findall(r"\btrunkline_[a-z_]+(\{[^}]*\})?", expr)
    if not all('job=~"$job"' in selector for selector in selectors):
        found.append("target-job-rule")
    if not all('instance=~"$instance"' in selector for selector in selectors):
        found.append("target-instance-rule")
    if bare_counters(expr) and not excused:
        found.append("target-counter-agg-rule")
    return found


def findings(name: str, board: dict) -> list[str]:
    found = [] if board["editable"] is False else ["uneditable-dashboard-rule"]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    source = variables.get("datasource", {})
    if (source.get("type"), source.get("query"), source.get("label")) != ("datasource", "prometheus", "Data source"):
        found.append("template-datasource-rule")
    for needed in ("job", "instance"):
        variable = variables.get(needed, {})
        said = (variable.get("type"), variable.get("label"), variable.get("multi"), variable.get("allValue"), variable.get("datasource", {}).get("uid"))
        if said != ("query", needed.title(), True, ".+", "${datasource}"):
            found.append(f"template-{needed}-rule")
    for variable in variables.values():
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"])
            if not query or wrong(plain(query[1])):
                found.append("template-label-promql-rule")
            if variable["refresh"] != 2:
                found.append("template-on-time-change-reload-rule")
    for panel in board["panels"]:
        found += [f"{panel['title']}: {finding}" for finding in panel_findings(name, panel)]
    return found


class Dashboards(unittest.TestCase):
    def test_the_files_are_what_the_script_writes(self):
        done = subprocess.run([sys.executable, ROOT / "scripts/dashboards.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_linter_has_no_finding(self):
        for name, board in dashboards().items():
            self.assertEqual(findings(name, board), [], name)
        panels = sum(len(board["panels"]) for board in dashboards().values())
        report["dashboards"] = f"{len(FILES)}, {panels} panels, {len(EXCUSED)} excused"

    def test_the_linter_sees_what_it_watches_for(self):
        good = 'sum(rate(trunkline_ws_connects_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))'
        self.assertEqual(target_findings(good, False), [])
        planted = {
            "target-promql-rule": good + ")",
            "target-rate-interval-rule": good.replace("$__rate_interval", "5m"),
            "target-job-rule": good.replace('job=~"$job", ', ""),
            "target-instance-rule": good.replace(', instance=~"$instance"', ""),
            "target-counter-agg-rule": good.replace("rate(", "max(").replace("[$__rate_interval]", ""),
        }
        for rule, expr in planted.items():
            self.assertIn(rule, " ".join(target_findings(expr, False)))
        board = dashboards()["overview"]
        for path, value in (("editable", True), ("templating.list.3.allValue", ".*"), ("panels.0.description", ""), ("panels.0.targets", [])):
            self.assertNotEqual(findings("overview", set_at(board, path, value)), [], path)

    def test_every_metric_shown_exists_and_every_metric_that_exists_is_shown(self):
        shown = set()
        for board in dashboards().values():
            for panel in board["panels"]:
                for target in panel["targets"]:
                    names = re.findall(r"\btrunkline_[a-z_]+", target["expr"])
                    shown |= {re.sub("_bucket$", "", name) for name in names}
                    self.assertEqual(wrong(re.sub(r"_bucket\b", "", plain(target["expr"])).replace(" (le)", " (job)")), [], panel["title"])
                    self.assertTrue(all(KINDS[name.removesuffix("_bucket")] == "histogram" for name in names if name.endswith("_bucket")))
        self.assertEqual(shown, set(documented()))

    def test_no_two_panels_lie_on_each_other_and_no_two_dashboards_share_an_id(self):
        boards = dashboards()
        self.assertEqual(len({board["uid"] for board in boards.values()}), len(boards))
        for name, board in boards.items():
            cells = [(x, y) for panel in board["panels"] for at in [panel["gridPos"]] for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
            self.assertEqual(len(cells), len(set(cells)), name)
            self.assertLess(max(x for x, _ in cells), 24)

    def test_the_chart_gives_them_to_grafana_unharmed(self):
        maps = [item for item in objects(values("monitoring")) if item["kind"] == "ConfigMap" and "grafana_dashboard" in item["metadata"]["labels"]]
        given = {name.removesuffix(".json"): json.loads(text) for item in maps for name, text in item["data"].items()}
        self.assertEqual(given, dashboards())
