"""What containers of the compose file run before anything of ours: on this machine, with the program that they call put in its place."""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE, CONNECT = ROOT / "deploy" / "compose", ROOT / "deploy" / "connect"


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def program(self, name: str, text: str):
        """One of that name, found before any other."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def run_script(self, script: pathlib.Path | str, *arguments, **env) -> subprocess.CompletedProcess:
        env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "TMPDIR": str(self.folder), **env}
        return subprocess.run(["sh", script, *arguments], capture_output=True, text=True, env=env, cwd=self.folder)

    def test_connectors_are_as_shipped_but_for_what_the_stack_is_smaller_in(self):
        self.program("curl", 'for last in "$@"; do :; done; cat >"$TMPDIR/$(basename "$(dirname "$last")").json"\n')
        text = (COMPOSE / "connectors.sh").read_text().replace("/connectors/*.json", f"{CONNECT}/s3/*.json")
        (self.folder / "connectors.sh").write_text(text)
        done = self.run_script(self.folder / "connectors.sh")
        self.assertEqual(done.returncode, 0, done.stderr)
        for file in (CONNECT / "s3").glob("*.json"):
            shipped, sent = json.loads(file.read_text()), json.loads((self.folder / f"trunkline-{file.stem}.json").read_text())
            changed = {key: sent[key] for key in sent if shipped.get(key) != sent[key]}
            self.assertEqual(changed, {"store.url": "http://s3:8333", "errors.deadletterqueue.topic.replication.factor": "1",
                                       "rotate.interval.ms": "60000", "rotate.schedule.interval.ms": "60000"})
            self.assertEqual(set(shipped) - set(sent), set())

    def test_the_worker_takes_what_the_environment_says_over_what_is_shipped(self):
        self.program("connect-distributed.sh", 'cat "$1"\n')
        done = self.run_script(CONNECT / "start.sh", KAFKA_HOME=str(self.folder), CONNECT_BOOTSTRAP_SERVERS="kafka:9092", CONNECT_LISTENERS="http://:1?a=b")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = dict(line.split("=", 1) for line in done.stdout.splitlines() if line and not line.startswith("#"))
        shipped = dict(line.split("=", 1) for line in (CONNECT / "worker.properties").read_text().splitlines() if line and not line.startswith("#"))
        self.assertEqual({key: told[key] for key in told if shipped.get(key) != told[key]}, {"bootstrap.servers": "kafka:9092", "listeners": "http://:1?a=b"})

    def test_a_plugin_without_a_checksum_or_with_another_is_refused_by_name(self):
        plugin, target = self.folder / "plugin.zip", self.folder / "plugins"
        plugin.write_bytes(b"PK\5\6" + bytes(18))
        found = hashlib.sha256(plugin.read_bytes()).hexdigest()
        self.program("unzip", 'echo "$@" >"$TMPDIR/unzipped"\n')
        for digest, said in (("unknown", f"sink has no checksum yet. What file://{plugin} gave has {found}"), ("0" * 64, f"sink: SHA-256 is {found}")):
            (self.folder / "list").write_text(f"# of the list\n\nsink {digest} file://{plugin}\n")
            done = self.run_script(CONNECT / "fetch.sh", self.folder / "list", target)
            self.assertEqual((done.returncode, (self.folder / "unzipped").exists()), (1, False))
            self.assertIn(said, done.stderr)
        (self.folder / "list").write_text(f"sink {found} file://{plugin}\n")
        done = self.run_script(CONNECT / "fetch.sh", self.folder / "list", target)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "unzipped").read_text().endswith(f" -d {target}/sink\n"))

    def test_the_worker_has_the_plugins_that_its_page_names(self):
        lines = [line.split() for line in (CONNECT / "plugins.txt").read_text().splitlines() if not line.startswith("#")]
        page = (CONNECT / "README.md").read_text()
        for name, digest, address in lines:
            version = address.rpartition("-")[2].removesuffix(".zip")
            self.assertIn(version, page, name)
            self.assertTrue(address.startswith("https://"), address)
            self.assertRegex(digest, "^(unknown|[0-9a-f]{64})$")

    def test_chaos_says_what_it_wants(self):
        for words in (["none"], ["0"]):
            done = self.run_script(COMPOSE / "chaos.sh", *words)
            self.assertEqual((done.returncode, done.stderr), (64, f"chaos: rounds are {words[0]}; allowed is a number from 1\n"))
        self.program("docker", "exit 0\n")
        done = self.run_script(COMPOSE / "chaos.sh")
        self.assertEqual((done.returncode, "start the stack first: docker compose up" in done.stderr), (69, True))

    def test_hello_says_where_to_look_once_there_are_events_and_gives_up_without(self):
        tools = self.folder / "kafka-get-offsets.sh"
        (self.folder / "hello.sh").write_text((COMPOSE / "hello.sh").read_text().replace("/opt/kafka/bin/kafka-get-offsets.sh", f"sh {tools}"))
        ports = {"ADMIN_PORT": "1", "SECOND_ADMIN_PORT": "2", "KAFKA_PORT": "3", "REGISTRY_PORT": "4", "SIM_PORT": "5"}
        tools.write_text('printf "topic:0:40\\ntopic:1:2\\n"\n')
        done = self.run_script(self.folder / "hello.sh", **ports)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("42 events are in genesys.conversation.events", done.stdout)
        self.assertIn("http://127.0.0.1:1/", done.stdout)
        self.assertIn("http://127.0.0.1:5/sim/", done.stdout)
        self.program("sleep", "exit 0\n")
        tools.write_text("exit 1\n")
        done = self.run_script(self.folder / "hello.sh", **ports)
        self.assertEqual((done.returncode, "no event in genesys.conversation.events" in done.stderr), (1, True))


if __name__ == "__main__":
    unittest.main()
