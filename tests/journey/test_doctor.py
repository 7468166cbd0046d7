"""What stands in the way is named before the service runs, in one line with what to do."""

import base64
import json
import pathlib
import subprocess
import tempfile
import unittest
import urllib.request

from harness import BINARY, EVENTS, Sim, Stand, ask, config
from test_clock import shifted


def examined(tree: dict, *flags) -> tuple[int, dict]:
    """Exit code, and verdict, finding and remedy of every check."""
    with tempfile.TemporaryDirectory() as folder:
        tree = {**tree, "spool": {"dir": folder + "/spool", **tree["spool"]}}
        code, lines, complaint = ask(tree, "doctor", *flags)
    assert len(lines) == 1, complaint
    return code, lines[0]


def settings(folder: str, text: str) -> tuple[str, str]:
    path = folder + "/settings.json"
    with open(path, "w") as out:
        out.write(text)
    return "--settings", path


def register(stand: Stand, subject: str, schema: dict):
    body = json.dumps({"schema": json.dumps(schema)}).encode()
    headers = {"content-type": "application/vnd.schemaregistry.v1+json"}
    url = f"{stand.registry}/subjects/{subject}/versions"
    urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST", headers=headers), timeout=5).read()


def make_channel(sim: Sim):
    basic = base64.b64encode(b"sim-client:sim-secret").decode()
    login = urllib.request.Request(f"{sim.url}/oauth/token", data=b"grant_type=client_credentials", method="POST", headers={
        "authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"})
    token = json.loads(urllib.request.urlopen(login, timeout=5).read())["access_token"]
    make = urllib.request.Request(f"{sim.url}/api/v2/notifications/channels", data=b"", method="POST",
                                  headers={"authorization": f"Bearer {token}"})
    urllib.request.urlopen(make, timeout=5).read()


class Doctor(unittest.TestCase):
    def failed(self, tree: dict, check: str, *words: str, flags=("--no-channel",)):
        code, said = examined(tree, *flags)
        bad = [f for f in said["findings"] if f["verdict"] == "fail"]
        self.assertEqual((code, said["ok"], {f["check"] for f in bad}), (1, False, {check}), said)
        for word in words:
            self.assertIn(word, f"{bad[0]['found']}; {bad[0]['remedy']}")

    def test_where_everything_is_right_nothing_fails_and_the_channels_are_left_alone(self):
        with Stand() as stand, Sim("--rate", "10") as sim:
            code, said = examined(config(stand, sim.url))
            self.assertEqual((code, said["ok"]), (0, True), said)
            verdicts = {(f["check"], f["verdict"]) for f in said["findings"]}
            for check in ("login", "organization", "clock", "topics", "channels", "permissions", "history", "schema", "spool"):
                self.assertIn((check, "ok"), verdicts)
            self.assertIn(("topic", "warn"), verdicts)  # the mock broker holds one replica
            self.assertNotIn("sim-secret", str(said))
            code, said = examined(config(stand, sim.url), "--no-channel")
            self.assertEqual([f["verdict"] for f in said["findings"] if f["check"] == "permissions"], ["skip"])
            used = [f["found"] for f in said["findings"] if f["check"] == "channels"]
            self.assertIn("has 1 of 20 channels", used[0])

    def test_each_thing_that_is_wrong_is_named_with_what_to_do(self):
        with Stand() as stand, Sim("--rate", "10") as sim:
            wrong = [{"id": "sim-client", "secret": "wrong"}]
            self.failed(config(stand, sim.url, genesys__clients=wrong), "login", "genesys.clients[0]", "401", "Client Credentials")
            self.failed(config(stand, "http://127.0.0.1:1"), "login", "cannot connect", "genesys.region")
            self.failed(config(stand, sim.url, schema_registry__url="http://127.0.0.1:1"), "schema", "127.0.0.1:1", "schema_registry.url")
            self.failed(config(stand, sim.url, kafka__bootstrap_servers="127.0.0.1:1"), "brokers", "no broker of 127.0.0.1:1", "kafka.bootstrap_servers")
            self.failed(config(stand, sim.url, kafka__gaps_topic="nowhere"), "topic", "nowhere does not exist")
            self.failed(config(stand, sim.url, kafka__durability="required"), "topic", "replication factor is 1, needed 3")
            self.failed(config(stand, sim.url, spool__dir="/proc/nowhere"), "spool", "/proc/nowhere", "may write to")

    def test_an_unknown_authority_is_told_from_a_host_that_is_away(self):
        with Stand() as stand, tempfile.TemporaryDirectory() as folder:
            with Sim("--tls-ca-out", folder + "/ca.pem", "--rate", "10") as sim:
                self.failed(config(stand, sim.url), "login", "its certificate is not accepted", "genesys.ca_file")
                code, said = examined(config(stand, sim.url, genesys__ca_file=folder + "/ca.pem"), "--no-channel")
                self.assertEqual(code, 0, said)

    def test_a_missing_permission_is_named_by_topic_and_for_history(self):
        with Stand() as stand, tempfile.TemporaryDirectory() as folder:
            missing = settings(folder, '{"missing_permissions": ["conversation:communication:view", "analytics:conversationDetail:view"]}')
            with Sim("--rate", "10", *missing) as sim:
                tree = config(stand, sim.url)
                self.failed(tree, "permissions", "v2.users.{id}.conversations", "conversation:communication:view", "role", flags=())
                _, said = examined(tree, "--no-channel")
                history = next(f for f in said["findings"] if f["check"] == "history")
                self.assertEqual(history["verdict"], "warn")
                self.assertIn("analytics:conversationDetail:view", history["found"] + history["remedy"])

    def test_a_client_whose_channels_are_used_up_is_named(self):
        with Stand() as stand, Sim("--rate", "10") as sim:
            for _ in range(20):
                make_channel(sim)
            self.failed(config(stand, sim.url), "channels", "20 of 20", "2 are needed", "one of its own", flags=())

    def lines(self, tree: dict, *flags, **kwargs) -> tuple[int, list[str]]:
        """Exit code, and what people see."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "trunkline.yaml"
            path.write_text(json.dumps({**tree, "spool": {"dir": folder + "/spool"}}))
            command = [BINARY, "doctor", "--config", path, *flags]
            run = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, **kwargs)
        *findings, last = run.stdout.splitlines()
        self.assertRegex(last, r"^\d+ things asked: \d+ failed, \d+ to look at, \d+ not asked$")
        for line in findings:
            self.assertRegex(line, r"^(ok  |warn|FAIL|-   )  [a-z]+ +[^ ]", run.stdout)
        return run.returncode, findings

    def one(self, tree: dict, begins: str, *words: str, flags=("--no-channel",), count=1, **kwargs):
        """What is wrong is one line, with what was found and what to do."""
        code, findings = self.lines(tree, *flags, **kwargs)
        self.assertEqual(code, int(begins.startswith("FAIL")), findings)
        wrong = [line for line in findings if line.startswith(begins)]
        fails = [line for line in findings if line.startswith("FAIL")]
        self.assertEqual((len(wrong), len(fails)), (count, count if code else 0), findings)
        for word in words:
            self.assertIn(word, wrong[0])

    def test_seven_things_that_go_wrong_are_a_line_each_with_the_remedy(self):
        with Stand() as stand, tempfile.TemporaryDirectory() as folder:
            with Sim("--rate", "10") as sim:
                right = config(stand, sim.url)
                wrong_secret = config(stand, sim.url, genesys__clients=[{"id": "sim-client", "secret": "wrong"}])
                self.one(wrong_secret, "FAIL  login", "genesys.clients[0]", "401", "; check the client's id and secret")
                weak = config(stand, sim.url, kafka__durability="required")
                self.one(weak, "FAIL  topic", "replication factor is 1, needed 3", "; repair the topic", count=5)
                dead = config(stand, sim.url, schema_registry__url="http://127.0.0.1:1")
                self.one(dead, "FAIL  schema", "127.0.0.1:1", "; check schema_registry.url")
                for seconds, words in ((3_600, "ahead of"), (-3_600, "behind")):
                    at = r"the local clock is 3[56]\d\d\.\d s " + words
                    _, findings = self.lines(right, "--no-channel", env=shifted(folder, seconds))
                    self.assertRegex(next(f for f in findings if "clock" in f), at)
                    self.one(right, "warn  clock", words, "; let NTP set it", env=shifted(folder, seconds))
                self.one(right, "ok    clock", "the local clock is")
                for _ in range(20):
                    make_channel(sim)
                self.one(right, "FAIL  channels", "20 of 20", "2 are needed", "; a channel ends a day after", flags=())
            missing = settings(folder, '{"missing_permissions": ["conversation:communication:view"]}')
            with Sim("--rate", "10", *missing) as sim:
                words = ("v2.users.{id}.conversations is refused", "missing: conversation:communication:view", "; add what is missing to a role")
                self.one(config(stand, sim.url), "FAIL  permissions", *words, flags=())
            with Sim("--tls-ca-out", folder + "/right.pem", "--rate", "10") as sim, Sim("--tls-ca-out", folder + "/wrong.pem"):
                words = ("its certificate is not accepted", "; the authority that signed it belongs into genesys.ca_file")
                self.one(config(stand, sim.url, genesys__ca_file=folder + "/wrong.pem"), "FAIL  login", *words)
                self.one(config(stand, sim.url, genesys__ca_file=folder + "/right.pem"), "ok    login")

    def test_a_schema_that_does_not_fit_is_a_line_too(self):
        with Stand() as stand, Sim("--rate", "10") as sim:
            register(stand, f"{EVENTS}-value", {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]})
            self.one(config(stand, sim.url), "FAIL  schema", f"{EVENTS}-value", "; somebody else registered it")


if __name__ == "__main__":
    unittest.main()
