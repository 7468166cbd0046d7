"""What the compose file gives Prometheus and Alertmanager, as their own tools read it."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy" / "compose"


class Observability(unittest.TestCase):
    def test_prometheus_takes_its_configuration_with_the_shipped_rules(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "prometheus.yml"
            # where the compose file mounts them
            file.write_text((COMPOSE / "prometheus.yml").read_text().replace("/etc/prometheus/rules", str(ROOT / "helm/trunkline/rules")))
            done = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rules = yaml.safe_load((ROOT / "helm/trunkline/rules/trunkline.yaml").read_text())
        self.assertIn(f"{sum(len(group['rules']) for group in rules['groups'])} rules found", done.stdout)

    def test_alertmanager_takes_its_configuration(self):
        done = subprocess.run(["amtool", "check-config", COMPOSE / "alertmanager.yml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_series_have_the_labels_that_rules_and_dashboards_choose_by(self):
        scraped = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())["scrape_configs"]
        dashboards = (ROOT / "scripts/dashboards.py").read_text()
        chosen = set(re.findall(r'(\w+)=~"\$\w+"', re.search(r"^CHOSEN = '(.*)'", dashboards, re.MULTILINE)[1]))
        for target in scraped[0]["static_configs"]:
            self.assertEqual(set(target["labels"]) | {"job"}, chosen)
        published = [port.split(":") for port in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["simulator"]["ports"]]
        # the simulator's own page has no metrics
        ports = {port[-1] for port in published if "SIM_PORT" not in port[1]}
        self.assertEqual({target["targets"][0] for target in scraped[0]["static_configs"]}, {f"simulator:{port}" for port in ports})


if __name__ == "__main__":
    unittest.main()
