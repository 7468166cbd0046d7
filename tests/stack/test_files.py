"""Dockerfiles and compose file, without a Docker engine: their schemas, and what we promise of them."""

import pathlib
import re
import subprocess
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(sys.executable).parent
PROFILES = {
    None: {"kafka", "registry", "simulator", "trunkline-0", "trunkline-1", "hello"},
    "connect": {"s3", "bucket", "connect", "connectors"},
    "observability": {"prometheus", "alertmanager", "grafana"},
    "chaos": {"chaos"},
    "real": {"trunkline-real"},
}
# what ends by itself
JOBS = {"hello", "bucket", "connectors", "chaos"}


def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def leaves(tree: dict, path: str = "") -> set[str]:
    found = set()
    for key, value in tree.items():
        at = f"{path}.{key}" if path else key
        found |= leaves(value, at) if isinstance(value, dict) and value else {at}
    return found


class Files(unittest.TestCase):
    def test_the_compose_file_is_valid(self):
        check = [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
        done = subprocess.run(check, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_dockerfile_has_no_finding(self):
        for name in ("Dockerfile", "deploy/connect/Dockerfile"):
            done = subprocess.run([TOOLS / "hadolint", ROOT / name], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, ""), name)

    def test_each_profile_adds_its_services_and_waits_for_none_that_it_does_not_start(self):
        services = compose()["services"]
        for profile, names in PROFILES.items():
            self.assertEqual({name for name, service in services.items() if service.get("profiles", [None]) == [profile]}, names)
            for name in names:
                waits = services[name].get("depends_on", {})
                self.assertLessEqual(set(waits), names | PROFILES[None], name)
                for other, how in waits.items():
                    wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
                    self.assertEqual(how["condition"], wanted, f"{name} waits for {other}")

    def test_the_worker_can_unpack_the_native_library_of_its_codec(self):
        # a tmpfs is noexec by default: the sink then does not know snappy, and its task fails
        self.assertIn("/tmp:exec", compose()["services"]["connect"]["tmpfs"])

    def test_compose_of_old_understands_every_profile(self):
        for profile, names in PROFILES.items():
            command = ["docker-compose", "--file", ROOT / "docker-compose.yml", *(["--profile", profile] if profile else []), "config"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertLessEqual(names, set(yaml.safe_load(done.stdout)["services"]))

    def test_what_is_mounted_is_there_and_cannot_be_written(self):
        seen = 0
        for service in compose()["services"].values():
            for volume in service.get("volumes", []):
                if volume.startswith("./"):
                    source, _, mode = volume.split(":")
                    self.assertTrue((ROOT / source).exists() and mode == "ro", volume)
                    seen += 1
        self.assertGreater(seen, 10)
        for secret in compose()["secrets"].values():
            self.assertTrue((ROOT / re.sub(r"\$\{\w+:-(.*)}", r"\1", secret["file"])).exists(), secret)

    def test_nothing_is_published_beyond_loopback(self):
        ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]
        self.assertGreater(len(ports), 2)
        self.assertEqual([port for port in ports if not port.startswith("127.0.0.1:")], [])

    def test_every_service_is_hardened_bounded_and_asked_for_its_health(self):
        for name, service in compose()["services"].items():
            with self.subTest(name):
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertIn("no-new-privileges:true", service["security_opt"])
                self.assertIn("mem_limit", service)
                self.assertEqual(set(service["logging"]["options"]), {"max-size", "max-file"})
                self.assertEqual("healthcheck" in service, name not in JOBS)
                self.assertEqual(service.get("read_only", False), name not in ("kafka", "registry"), "their images write beside their volumes")

    def test_every_image_can_be_replaced_and_none_is_latest(self):
        for name, service in compose()["services"].items():
            image = re.fullmatch(r"\$\{([A-Z0-9_]+_IMAGE):-([^@]+:[^@]+)}", service["image"])
            self.assertTrue(image and not image[2].endswith(":latest"), name)

    def test_the_configuration_names_options_that_exist(self):
        known = leaves(yaml.safe_load((ROOT / "config/example.yaml").read_text()))
        for name in ("trunkline.yaml", "real.yaml"):
            said = leaves(yaml.safe_load((ROOT / "deploy/compose" / name).read_text()))
            self.assertEqual(said - known, set())
            self.assertGreater(len(said), 8)

    def test_an_organisation_of_ones_own_shares_no_topic_with_the_simulated_one(self):
        topics = {key: value for key, value in yaml.safe_load((ROOT / "config/example.yaml").read_text())["kafka"].items() if key.endswith("_topic")}
        real = yaml.safe_load((ROOT / "deploy/compose/real.yaml").read_text())["kafka"]
        self.assertEqual(set(topics) - set(real), set())
        self.assertEqual(set(topics.values()) & set(real.values()), set())
        asked = set(re.findall(r"\$\{(GENESYS_\w+|PRIVACY_PRESET):-", (ROOT / "docker-compose.yml").read_text()))
        named = set(re.findall(r"^(\w+)=", (ROOT / "deploy/compose/real.env.example").read_text(), re.MULTILINE))
        self.assertEqual(named, asked)

    def test_each_replica_has_a_name_a_client_a_port_and_a_spool_of_its_own(self):
        replicas = [service for name, service in compose()["services"].items() if re.fullmatch(r"trunkline-\d", name)]
        given = [{*service["environment"].values(), *(volume for volume in service["volumes"] if "spool" in volume)} for service in replicas]
        self.assertEqual([len(one) for one in given], [4, 4])
        self.assertEqual(given[0] & given[1], set())
        roster = yaml.safe_load((ROOT / "deploy/compose/trunkline.yaml").read_text())["replicas"]
        self.assertEqual([service["environment"]["TRUNKLINE__REPLICA"] for service in replicas], roster)

    def test_a_stop_has_time_to_drain(self):
        flush = yaml.safe_load((ROOT / "config/example.yaml").read_text())["kafka"]["flush_timeout_secs"]
        for name in ("trunkline-0", "trunkline-1", "trunkline-real"):
            grace = int(compose()["services"][name]["stop_grace_period"].removesuffix("s"))
            self.assertGreater(grace, flush + 10)

    def test_the_image_is_built_by_the_compiler_of_the_project_and_runs_as_nobody(self):
        text = (ROOT / "Dockerfile").read_text()
        channel = re.search(r'channel = "(.*)"', (ROOT / "rust-toolchain.toml").read_text())[1]
        self.assertIn(f"ARG BUILDER=rust:{channel}-", text)
        self.assertIn(f"ENV RUSTUP_TOOLCHAIN={channel}", text)
        self.assertIn("USER 65532:65532", text)
        self.assertNotIn("cargo build", text, "scripts/static_binary.sh builds it, here as everywhere")
        self.assertIn("scripts/static_binary.sh /out", text)
        self.assertIn("--locked", (ROOT / "scripts/static_binary.sh").read_text())

    def test_the_tool_that_lists_the_crates_has_one_version(self):
        found = [re.findall(r"cargo-auditable@([\d.]+)", (ROOT / name).read_text()) for name in ("Dockerfile", "scripts/static_binary.sh")]
        self.assertEqual(len({version for one in found for version in one}), 1, found)

    def test_what_the_build_needs_is_not_kept_from_it(self):
        ignored = set((ROOT / ".dockerignore").read_text().split())
        needed = {"Cargo.toml", "Cargo.lock", "src", "crates", "schemas", "benches", "examples", "config", "scripts"}
        self.assertEqual(ignored & needed, set())
        self.assertLessEqual({"target/*", "!target/image", ".git", ".venv"}, ignored)


if __name__ == "__main__":
    unittest.main()
