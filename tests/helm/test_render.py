"""Every values file under ci/ renders to what was looked at, and to what Kubernetes knows."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import helm_python
import kubernetes_validate
from chart import CI, FOLDER, GOLDEN, find, name_of, objects, render, report, set_at, values

# The oldest the chart admits, and the newest that has a schema here.
KUBERNETES = ["1.28", "1.37"]
OPERATOR = "monitoring.coreos.com/v1"


def golden(name: str) -> str:
    """What the values file renders to; a dashboard is cut short, another test compares it with its file."""
    whole = "".join(f"# {path}\n{text.strip()}\n" for path, text in sorted(render(values(name)).items()))
    return "".join(line if len(line) < 1000 else f"{line[:80]}…\n" for line in whole.splitlines(keepends=True))


def refused_by_kubernetes(item: dict, version: str) -> str | None:
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{item['kind']} {version}: {error.message}"
    return None


def refused_by_operator(items: list[dict]) -> list[str | None]:
    node = ["node", str(pathlib.Path(__file__).parent / "custom.mjs")]
    done = subprocess.run(node, input=json.dumps(items), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Render(unittest.TestCase):
    def test_every_values_file_passes_the_strict_linter(self):
        for path in CI:
            with self.subTest(path.name):
                found = helm_python.lint(str(FOLDER), values(name_of(path)), strict=True)
                said = [message for message in found["messages"] if "icon is recommended" not in message["error"]]
                self.assertEqual((found["errors"], said), ([], []))
        report["lint, strict"] = f"{len(CI)} values files"

    def test_every_values_file_renders_what_was_looked_at(self):
        accept = os.environ.get("ACCEPT") == "1"
        for path in CI:
            name = name_of(path)
            with self.subTest(name):
                file, text = GOLDEN / f"{name}.yaml", golden(name)
                if accept:
                    file.write_text(text)
                self.assertEqual(text, file.read_text(), "make chart ACCEPT=1 takes it over; look at the difference")
        self.assertEqual({file.stem for file in GOLDEN.glob("*.yaml")}, {name_of(path) for path in CI})
        report["golden renders"] = f"{len(CI)} files equal"

    def test_every_object_is_valid_for_the_oldest_and_the_newest_kubernetes(self):
        checked = 0
        for path in CI:
            for item in objects(values(name_of(path))):
                if item["apiVersion"] == OPERATOR:
                    continue
                for version in KUBERNETES:
                    self.assertIsNone(refused_by_kubernetes(item, version), path.name)
                    checked += 1
        self.assertGreater(checked, 100)
        report["Kubernetes schemas, strict"] = f"{checked} checks, {' and '.join(KUBERNETES)}"

    def test_a_misspelt_field_is_seen(self):
        wrong = find(values(), "StatefulSet")
        wrong["spec"]["podManagmentPolicy"] = wrong["spec"].pop("podManagementPolicy")
        self.assertIsNotNone(refused_by_kubernetes(wrong, KUBERNETES[0]))

    def test_every_object_of_the_prometheus_operator_is_valid(self):
        items = [item for path in CI for item in objects(values(name_of(path))) if item["apiVersion"] == OPERATOR]
        self.assertEqual({item["kind"] for item in items}, {"ServiceMonitor", "PodMonitor", "PrometheusRule"})
        self.assertEqual(refused_by_operator(items), [None] * len(items))
        wrong = set_at(find(values("production"), "ServiceMonitor"), "spec.endpoints.0.interval", "15parsecs")
        self.assertIn("interval", refused_by_operator([wrong])[0] or "")
        report["operator schemas"] = f"{len(items)} objects; types, not misspelt fields"

    def test_no_name_is_given_twice_and_none_is_too_long(self):
        for path in CI:
            long = set_at(values(name_of(path)), "fullnameOverride", "n" * 80)
            for tree in (values(name_of(path)), long):
                names = [(item["kind"], item["metadata"]["name"]) for item in objects(tree)]
                self.assertEqual(len(names), len(set(names)), path.name)
                self.assertEqual([name for _, name in names if len(name) > 63], [])

    def test_what_never_may_change_carries_no_version(self):
        for path in CI:
            spec = find(values(name_of(path)), "StatefulSet")["spec"]
            for labels in [spec["selector"]["matchLabels"], *(claim["metadata"]["labels"] for claim in spec.get("volumeClaimTemplates", []))]:
                self.assertEqual(set(labels), {"app.kubernetes.io/name", "app.kubernetes.io/instance"})

    def test_the_packaged_chart_stays_far_below_what_a_release_may_hold(self):
        with tempfile.TemporaryDirectory() as folder:
            size = pathlib.Path(helm_python.package(str(FOLDER), destination=folder)).stat().st_size
        self.assertLess(size, 200_000)
        report["package"] = f"{size} bytes"
