"""Values, schema, templates and the product's own options say the same."""

import json
import re
import unittest

import yaml
from chart import CI, FOLDER, ROOT, container, find, name_of, objects, report, set_at, values

# Options the chart sets itself, or that hold what belongs into a Secret.
OURS = {
    "replica", "replicas", "admin.listen", "genesys.clients", "genesys.proxy.password", "genesys.eventbridge.secret_access_key",
    "kafka.sasl_password", "kafka.sasl_password_file",
    "privacy.hash_key", "privacy.hash_key_file", "schema_registry.password", "schema_registry.password_file",
    "schema_registry.token", "schema_registry.token_file", "spool.enabled", "spool.dir", "spool.max_bytes",
    "admin.token", "admin.token_file", "staging.password", "staging.password_file",
}


def leaves(tree: dict, path: str = "") -> dict:
    found = {}
    for key, value in tree.items():
        at = f"{path}.{key}" if path else key
        found |= leaves(value, at) if isinstance(value, dict) and value else {at: value}
    return found


def known() -> dict:
    """Every option of the product and its default; a test of the product compares that file with the code."""
    return leaves(yaml.safe_load((ROOT / "config/example.yaml").read_text()))


def schema() -> dict:
    return json.loads((FOLDER / "values.schema.json").read_text())


def admitted(node: dict, path: str = "") -> dict:
    found = {}
    for key, value in node["properties"].items():
        at = f"{path}.{key}" if path else key
        closed = value.get("additionalProperties") is False and "properties" in value
        found |= admitted(value, at) if closed else {at: value}
    return found


class Options(unittest.TestCase):
    def test_every_option_of_the_product_is_admitted_or_set_by_the_chart(self):
        self.assertEqual(set(admitted(schema()["properties"]["config"])) | OURS, set(known()))
        report["options"] = f"{len(known())} of the product, {len(OURS)} of them set by the chart"

    def test_the_environment_the_chart_gives_names_options_that_exist(self):
        names = {entry["name"] for path in CI for entry in container(values(name_of(path)))["env"]}
        keys = {name.removeprefix("TRUNKLINE__").lower().replace("__", ".") for name in names if name.startswith("TRUNKLINE__")}
        keys = {re.sub(r"^replicas\.\d$", "replicas", key) for key in keys}
        client = re.compile(r"genesys\.clients\.\d\.(id|secret)_file")
        self.assertTrue(any(client.fullmatch(key) for key in keys))
        self.assertEqual({key for key in keys if not client.fullmatch(key)} - set(known()), set())

    def test_the_regions_are_those_of_the_product(self):
        source = (ROOT / "src/genesys/regions.rs").read_text().split("#[must_use]")[0]
        pairs = re.findall(r'\("([a-z0-9_]+)", "([a-z0-9.-]+)"\)', source)
        self.assertGreater(len(pairs), 10)
        region = schema()["properties"]["config"]["properties"]["genesys"]["properties"]["region"]["enum"]
        self.assertEqual(set(region), {name for pair in pairs for name in pair} | {""})

    def test_what_is_written_to_the_file_is_what_was_said(self):
        for path in CI:
            said = values(name_of(path))
            if "existingConfigMap" in said:
                continue
            text = find(said, "ConfigMap")["data"]["trunkline.yaml"]
            self.assertEqual(leaves(yaml.safe_load(text)), leaves(said["config"]), path.name)
            self.assertNotRegex(text, r"[0-9]e[+]", path.name)

    def test_each_pod_finds_its_own_client_and_no_other(self):
        tree = values("many-clients")
        secret = next(volume for volume in find(tree, "StatefulSet")["spec"]["template"]["spec"]["volumes"] if volume["name"] == "genesys")
        files = {item["path"]: item["key"] for item in secret["secret"]["items"]}
        env = {entry["name"]: entry.get("value") for entry in container(tree)["env"]}
        seen = []
        for pod in range(tree["replicaCount"]):
            for client in range(2):
                for what, key in (("ID", "id"), ("SECRET", "secret")):
                    path = env[f"TRUNKLINE__GENESYS__CLIENTS__{client}__{what}_FILE"].replace("$(TRUNKLINE__REPLICA)", str(pod))
                    seen.append(files[path.removeprefix("/run/trunkline/genesys/")])
                    self.assertTrue(seen[-1].endswith(key))
        self.assertEqual(len(seen), len(set(seen)))

    def test_each_secret_is_a_file_where_its_option_looks(self):
        tree = values("production")
        pod = find(tree, "StatefulSet")["spec"]["template"]["spec"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container(tree)["volumeMounts"]}
        secrets = {mounts[volume["name"]]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
        files = {f"{folder}/{item['path']}": (one["secretName"], item["key"]) for folder, one in secrets.items() for item in one.get("items", [])}
        env = {entry["name"]: entry.get("value") for entry in container(tree)["env"]}
        wanted = {
            "TRUNKLINE__KAFKA__SASL_PASSWORD_FILE": ("kafka-user", "password"),
            "TRUNKLINE__SCHEMA_REGISTRY__PASSWORD_FILE": ("registry-user", "pass"),
            "TRUNKLINE__PRIVACY__HASH_KEY_FILE": ("hash-key", "hash-key"),
            "TRUNKLINE__ADMIN__TOKEN_FILE": ("page-token", "token"),
        }
        self.assertEqual({name: files.get(env.get(name)) for name in wanted}, wanted)
        self.assertEqual({name for name in wanted if name in {entry["name"] for entry in container(values())["env"]}}, set())

    def test_a_changed_secret_reaches_a_pod_that_runs(self):
        for path in CI:
            parts = [mount["name"] for mount in container(values(name_of(path)))["volumeMounts"] if "subPath" in mount]
            self.assertEqual(parts, [], "Kubernetes never exchanges a file that is mounted by subPath")

    def test_the_name_of_the_pod_is_known_before_it_is_used(self):
        names = [entry["name"] for entry in container(values())["env"]]
        self.assertEqual(names[0], "TRUNKLINE__REPLICA", "Kubernetes expands only what stands above")

    def test_several_pods_know_each_other_and_one_is_alone(self):
        def roster(tree):
            return [entry["value"] for entry in container(tree)["env"] if entry["name"].startswith("TRUNKLINE__REPLICAS__")]

        self.assertEqual((roster(values()), roster(values("production"))), ([], ["0", "1"]))

    def test_a_queue_takes_neither_clients_nor_a_disk(self):
        tree = values("eventbridge")
        spec = find(tree, "StatefulSet")["spec"]
        env = {entry["name"]: entry.get("value") for entry in container(tree)["env"]}
        self.assertEqual([name for name in env if name.startswith(("TRUNKLINE__GENESYS", "TRUNKLINE__REPLICAS"))], [])
        self.assertEqual(env["TRUNKLINE__SPOOL__ENABLED"], "false")
        self.assertEqual([volume["name"] for volume in spec["template"]["spec"]["volumes"]], ["config"])
        self.assertNotIn("volumeClaimTemplates", spec)

    def test_a_change_of_an_option_rolls_the_pods(self):
        def annotations(tree):
            return find(tree, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]

        self.assertNotEqual(annotations(values()), annotations(set_at(values(), "config.kafka.linger_ms", 20)))

    def test_every_value_is_in_the_schema_and_read_by_a_template(self):
        defaults = yaml.safe_load((FOLDER / "values.yaml").read_text())
        templates = "".join(path.read_text() for path in FOLDER.rglob("templates/**/*") if path.is_file())
        for key in defaults:
            self.assertIn(key, schema()["properties"])
            if key != "global":
                self.assertRegex(templates, rf"(\.Values|\$v)\.{key}\b")
        wanted = {path for path in admitted(schema()) if not path.startswith("config.")}
        stated = {path for path in leaves(defaults) if not path.startswith("config.")}
        missing = {path for path in wanted if not any(leaf == path or leaf.startswith(path + ".") for leaf in stated)}
        # admitted for those who need them; Kubernetes documents them
        self.assertEqual(missing, {"resources.claims", "updateStrategy.rollingUpdate"})

    def test_one_pod_has_no_budget_that_would_block_a_drain(self):
        self.assertNotIn("PodDisruptionBudget", {item["kind"] for item in objects(values())})
        self.assertEqual(find(values("production"), "PodDisruptionBudget")["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow")

    def test_liveness_asks_what_no_outage_elsewhere_can_change(self):
        main = container(values())
        paths = {probe: main[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
        self.assertEqual(paths, {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"})
        known_paths = (ROOT / "src/admin/mod.rs").read_text()
        self.assertTrue(all(f'.route("{path}"' in known_paths for path in paths.values()))
