"""Every alert has a page and every page an alert, and a page names nothing that does not exist."""

import re
import sys
import unittest

from chart import ROOT, report, values, find

sys.path.insert(0, str(ROOT / "tests/alerts"))

from pages import SECTIONS, block, commands, pages, sections  # noqa: E402
from test_alerts import alerts, rules, wrong  # noqa: E402

CODES = set(re.findall(r"^\| `([a-z_]+)`", (ROOT / "docs/logs.md").read_text(), re.M))
OPTIONS = set(re.findall(r"^\| `([a-z_.\[\]]+)`", (ROOT / "docs/configuration.md").read_text(), re.M))
PATHS = set(re.findall(r'\.route\("([^"]+)"', (ROOT / "src/admin/mod.rs").read_text()))
# words of the field with an underscore: whatever another document or the lists of reasons and causes have
KNOWN = set(re.findall(r"[a-z]+(?:_[a-z0-9]+)+", "".join(
    file.read_text() for file in [*(ROOT / "docs").glob("*.md"), *(ROOT / "crates/protocol/src/domain").glob("*.rs")])))
STATUS = set(re.findall(r"^    pub ([a-z_]+):", (ROOT / "src/observe/status.rs").read_text(), re.M))


def query(line: str) -> list[str]:
    """What is wrong with a line of PromQL; `le` and `_bucket` are those of histograms."""
    return wrong(re.sub(r"_bucket\b", "", line).replace(" (le)", " (job)"))


def strangers(text: str) -> list[str]:
    """Names on a page that nothing has."""
    found = [f"promql: {finding}" for line in block(text, "promql") for finding in query(line)]
    found += [f"no path {path}" for path in re.findall(r"localhost:9464(/[a-z0-9_/]+)", text) if path not in PATHS]
    found += [f"status has no {key}" for key in re.findall(r"/api/v1/status \| jq \.(\w+)", text) if key not in STATUS]
    for word in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", text):
        section = word.split(".")[0]
        if section in {option.split(".")[0] for option in OPTIONS} and word not in OPTIONS:
            found.append(f"no option {word}")
    found += [f"nobody knows {word}" for word in re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", text) if word not in KNOWN | STATUS | CODES]
    for code in re.findall(r"`([a-z_]+)`[^.:;`]*? in the log\b", text) + re.findall(r"[Tt]he log line `([a-z_]+)`", text):
        if code not in CODES:
            found.append(f"no log code {code}")
    return found


class Runbooks(unittest.TestCase):
    def test_every_alert_has_a_page_and_every_page_an_alert(self):
        self.assertEqual(set(pages()), {rule["alert"] for rule in rules()})
        index = (ROOT / "docs/runbooks/README.md").read_text()
        listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", index, re.M)
        self.assertEqual(listed, [(rule["alert"], rule["labels"]["severity"]) for rule in rules()])

    def test_every_page_has_its_five_sections_and_fits_a_screen(self):
        for name, text in pages().items():
            with self.subTest(name):
                self.assertEqual(text.splitlines()[0], f"# {name}")
                self.assertEqual(list(sections(text)), SECTIONS)
                self.assertTrue(all(sections(text).values()))
                self.assertLessEqual(len(text.splitlines()), 40)
                self.assertTrue(block(text, "sh") and block(text, "promql"), "checks to paste")
                self.assertGreaterEqual(sections(text)["What to do"].count("- "), 3)
        report["runbooks"] = f"{len(pages())}, one for each alert; {sum(len(commands(text)) for text in pages().values())} commands"

    def test_pages_name_what_exists(self):
        for name, text in pages().items():
            with self.subTest(name):
                self.assertEqual(strangers(text), [])

    def test_the_watch_sees_what_it_watches_for(self):
        planted = {
            "```promql\ntrunkline_gone_total\n```": "promql: no metric trunkline_gone_total",
            "curl -s localhost:9464/api/v2/gaps": "no path /api/v2/gaps",
            "curl -s localhost:9464/api/v1/status | jq .mood": "status has no mood",
            "set `kafka.durabilty`": "no option kafka.durabilty",
            "`lost_declared` in the log says": "no log code lost_declared",
            "The log line `lost_declared` says": "no log code lost_declared",
            "it says `no_such_word`": "nobody knows no_such_word",
        }
        for text, finding in planted.items():
            self.assertEqual(strangers(text + "\n"), [finding])

    def test_the_chart_leads_to_the_pages(self):
        shown = alerts(find(values("production"), "PrometheusRule")["spec"]["groups"])
        self.assertEqual(len(shown), len(rules()))
        for rule in shown:
            page = rule["annotations"]["runbook_url"].split("/blob/main/")[1]
            self.assertTrue((ROOT / page).is_file(), page)
