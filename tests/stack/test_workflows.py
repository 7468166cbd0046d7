"""Workflows of CI and release: linted twice, pinned, and in step with what `make` does here."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# this actionlint is older than these
NEWER = ('label "ubuntu-24.04" is unknown', 'label "ubuntu-24.04-arm" is unknown', 'unknown permission scope "attestations"')


def findings(*files) -> list[dict]:
    done = subprocess.run(["node", "lint.mjs", *files], cwd=HERE, capture_output=True, text=True, check=True)
    return [found for line in done.stdout.splitlines() if not (found := json.loads(line))["message"].startswith(NEWER)]


def runs() -> str:
    steps = [step for file in FILES for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]]
    return "\n".join(step.get("run", "") for step in steps)


class Workflows(unittest.TestCase):
    def test_actionlint_has_no_finding_and_would_have_one(self):
        self.assertEqual([path.name for path in FILES], ["ci.yml", "release.yml"])
        self.assertEqual(findings(*FILES), [])
        wrong = FILES[0].read_text().replace("matrix.runner", "matrix.ruler")
        planted = ROOT / "target" / "planted.yml"
        planted.parent.mkdir(exist_ok=True)
        planted.write_text(wrong)
        self.addCleanup(planted.unlink)
        self.assertIn('property "ruler" is not defined', "".join(found["message"] for found in findings(planted)))

    def test_zizmor_has_no_finding_however_strict(self):
        zizmor = pathlib.Path(sys.executable).parent / "zizmor"
        done = subprocess.run([zizmor, "--offline", "--persona", "pedantic", "--quiet", *FILES], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_action_is_pinned_by_commit_with_its_version_beside_and_each_once(self):
        used = re.findall(r"uses: (\S+)@(\S+)(.*)", "".join(file.read_text() for file in FILES))
        self.assertGreater(len(used), 5)
        for action, commit, comment in used:
            self.assertRegex(commit, "^[0-9a-f]{40}$", action)
            self.assertRegex(comment, r"^ # v\d+\.\d+\.\d+$", action)
        self.assertEqual(len({(action, commit) for action, commit, _ in used}), len({action for action, *_ in used}))

    def test_what_they_make_is_in_the_makefile(self):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        asked = set(re.findall(r"\bmake ([a-z-]+)", runs()))
        self.assertLessEqual({"check", "test", "image", "release-dry-run"}, asked)
        self.assertEqual(asked - targets, set())

    def test_both_architectures_are_built_where_they_are_at_home_and_started(self):
        for file in FILES:
            found = re.findall(r"- arch: (\w+)\n\s+runner: (\S+)", file.read_text())
            self.assertEqual(found, [("amd64", "ubuntu-24.04"), ("arm64", "ubuntu-24.04-arm")], file.name)
        self.assertIn("--platform linux/amd64,linux/arm64", runs())
        self.assertIn('--platform "$platform" "$IMAGE@$DIGEST" --version', runs())

    def test_crates_are_judged_alike_here_and_there(self):
        mine = (ROOT / "tests" / "licences.rs").read_text()
        deny = (ROOT / "deny.toml").read_text()
        for here, there in (("ALLOWED", "allow"), ("BANNED", "deny")):
            listed = re.search(rf"const {here}: .*?= &\[(.*?)\n\];", mine, re.DOTALL)[1]
            wanted = re.findall(r'^    \(?"(.*?)"', listed, re.MULTILINE)
            found = re.search(rf"^{there} = \[(.*?)\]", deny, re.DOTALL | re.MULTILINE)[1]
            self.assertEqual(set(re.findall(r'"(.*?)"', found)), set(wanted), here)
        self.assertIn("cargo deny --locked --all-features check", runs())


if __name__ == "__main__":
    unittest.main()
