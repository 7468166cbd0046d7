"""What one sends to somebody who helps: complete enough, and nobody's secret in it."""

import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
import unittest

from harness import BINARY, Sim, Stand, Trunkline, config, proven, wait_for

SECRETS = {
    "genesys__clients": [{"id": "sim-client", "secret": "sim-secret"}],
    "genesys__proxy": {"url": None, "password": "planted-proxy-password"},
    "kafka__sasl_password": "planted-sasl-password",
    "kafka__security": {"ssl.key.password": "planted-key-password"},
    "kafka__overrides": {"sasl.oauthbearer.client.secret": "planted-bearer-secret"},
    "schema_registry__password": "planted-registry-password",
    "admin__token": "planted-admin-token-of-some-length",
}
PLANTED = (b"planted", b"sim-secret")


class SupportBundle(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def collect(self, tree: dict, *words) -> tuple[dict[str, bytes], subprocess.CompletedProcess]:
        path, archive = self.folder / "trunkline.yaml", self.folder / "bundle.tar.gz"
        path.write_text(json.dumps(tree))
        command = [BINARY, "support-bundle", "--config", path, "--to", archive, *words]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(os.stat(archive).st_mode & 0o777, 0o600)
        return self.read(archive.read_bytes()), ended

    def read(self, archive: bytes) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            files = {member.name.removeprefix("trunkline-support/"): tar.extractfile(member).read() for member in tar.getmembers()}
        for name, content in files.items():
            for planted in PLANTED:
                self.assertNotIn(planted, content, f"{name}: {planted}")
        return files

    def test_a_running_connector_gives_everything_and_no_secret(self):
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                log = self.folder / "trunkline.log"
                # as if an error of some library had quoted one
                log.write_text("".join(app.log) + "refused: planted-admin-token-of-some-length\n")
                tree = {**config(stand, sim.url, **SECRETS), "spool": {"dir": str(self.folder / "spool")}}
                files, ended = self.collect(tree, "--address", app.admin.removeprefix("http://"), "--log", log)
                self.assertEqual(app.stop()[0], 0)
        self.assertIn(b"***admin.token***", files["log-0.jsonl"])
        self.assertIn(b'"code":"started"', files["log-0.jsonl"])
        self.assertIn(b"trunkline_events_received_total", files["metrics.txt"])
        self.assertTrue(json.loads(files["ready.json"])["ready"])
        self.assertTrue(json.loads(files["status.json"])["channels"])
        self.assertIn("findings", json.loads(files["doctor.json"]))
        self.assertIn(b"***", files["config.yaml"])
        self.assertIn("complete", json.loads(files["coverage.jsonl"].splitlines()[-1]))
        about = json.loads(files["about.json"])
        self.assertEqual([one["file"] for one in about["files"] if one["fault"]], [], about)
        self.assertIn("look before you send it", ended.stdout)

    def test_what_cannot_be_had_is_said_and_the_rest_is_there(self):
        tree = {
            "genesys": {"login_url": "http://127.0.0.1:1", "api_url": "http://127.0.0.1:1", "clients": [{"id": "a", "secret": "planted-a"}]},
            "kafka": {"bootstrap_servers": "127.0.0.1:1", "start_timeout_secs": 1},
            "schema_registry": {"url": "http://127.0.0.1:1", "timeout_secs": 1},
            "privacy": {"preset": "none"},
            "spool": {"dir": str(self.folder / "spool")},
        }
        files, ended = self.collect(tree, "--address", "127.0.0.1:1", "--log", self.folder / "none.log")
        about = {one["file"]: one["fault"] for one in json.loads(files["about.json"])["files"]}
        self.assertIsNone(about["config.yaml"])
        self.assertIsNone(about["doctor.json"])
        self.assertIn("127.0.0.1:1 does not answer", about["status.json"])
        self.assertIn("none.log", about["log-0.jsonl"])
        self.assertIn("no broker of 127.0.0.1:1 answers", about["gaps.jsonl"])
        self.assertIn("not collected", ended.stdout)

    def test_an_archive_that_is_there_is_not_written_over(self):
        tree = {"genesys": {"region": "mypurecloud.ie", "clients": [{"id": "a", "secret": "planted-a"}]},
                "kafka": {"bootstrap_servers": "127.0.0.1:1"}, "schema_registry": {"url": "http://127.0.0.1:1"}, "privacy": {"preset": "none"}}
        path, archive = self.folder / "trunkline.yaml", self.folder / "bundle.tar.gz"
        path.write_text(json.dumps(tree))
        archive.write_text("mine")
        ended = subprocess.run([BINARY, "support-bundle", "--config", path, "--to", archive], capture_output=True, text=True, timeout=30)
        self.assertEqual(ended.returncode, 64, ended.stderr)
        self.assertIn(f"--to {archive} cannot be written", ended.stderr)
        self.assertEqual(archive.read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
