"""What stands in the way is named before the service runs, in one line with what to do."""

import base64
import json
import pathlib
import subprocess
import tempfile
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from harness import BINARY, CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Stand, ask, config
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
            for check in ("login", "organization", "clock", "limits", "topics", "channels", "permissions", "history", "schema", "spool"):
                self.assertIn((check, "ok"), verdicts)
            self.assertIn(("topic", "warn"), verdicts)  # the mock broker holds one replica
            self.assertIn(("acl", "skip"), verdicts)  # and tells no settings
            for topic in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE):
                self.assertEqual(stand.obey(f"read {topic}"), [], topic)
            self.assertNotIn("sim-secret", str(said))
            code, said = examined(config(stand, sim.url), "--no-channel")
            self.assertEqual([f["verdict"] for f in said["findings"] if f["check"] == "permissions"], ["skip"])
            used = [f["found"] for f in said["findings"] if f["check"] == "channels"]
            self.assertIn("has 1 of 20 channels", used[0])

    def test_each_thing_that_is_wrong_is_named_with_what_to_do(self):
        wrong = [{"id": "sim-client", "secret": "wrong"}]
        with Stand() as stand, Sim("--rate", "10") as sim, ThreadPoolExecutor() as pool:
            ask_one = lambda url, check, *words, **changes: pool.submit(self.failed, config(stand, url, **changes), check, *words)
            jobs = [
                ask_one(sim.url, "login", "genesys.clients[0]", "401", "Client Credentials", genesys__clients=wrong),
                ask_one("http://127.0.0.1:1", "login", "cannot connect", "genesys.region"),
                ask_one(sim.url, "schema", "127.0.0.1:1", "Connection refused", "schema_registry.url", schema_registry__url="http://127.0.0.1:1"),
                ask_one(sim.url, "brokers", "no broker of 127.0.0.1:1", "kafka.bootstrap_servers", kafka__bootstrap_servers="127.0.0.1:1"),
                ask_one(sim.url, "topic", "nowhere does not exist", kafka__gaps_topic="nowhere"),
                ask_one(sim.url, "topic", "replication factor is 1, needed 3", kafka__durability="required"),
                ask_one(sim.url, "spool", "/proc/nowhere", "may write to", spool__dir="/proc/nowhere"),
            ]
            self.done(jobs)

    def test_an_unknown_authority_is_told_from_a_host_that_is_away(self):
        with Stand() as stand, tempfile.TemporaryDirectory() as folder:
            with Sim("--tls-ca-out", folder + "/ca.pem", "--rate", "10") as sim:
                self.failed(config(stand, sim.url), "login", "its certificate is not accepted", "genesys.ca_file")
                code, said = examined(config(stand, sim.url, genesys__ca_file=folder + "/ca.pem"), "--no-channel")
                self.assertEqual(code, 0, said)

    def test_a_machine_without_certificate_authorities_is_told_what_to_do_about_it(self):
        bare = {"SSL_CERT_FILE": "/nowhere", "SSL_CERT_DIR": "/nowhere"}
        told = ("this machine has no certificate authorities", "install its ca-certificates", "SSL_CERT_FILE", "ca_file")
        with Stand() as stand, tempfile.TemporaryDirectory() as folder:
            with Sim("--tls-ca-out", folder + "/ca.pem", "--rate", "10") as sim:
                code, findings = self.lines(config(stand, sim.url), "--no-channel", env=bare)
                wrong = {line.split()[1]: line for line in findings if line.startswith("FAIL")}
                self.assertEqual((code, set(wrong)), (1, {"login", "schema"}), findings)
                for line in wrong.values():
                    for word in told:
                        self.assertIn(word, line)
                    for noise in ("builder error", "retriable", "cached"):
                        self.assertNotIn(noise, line)
                path = pathlib.Path(folder) / "trunkline.yaml"
                path.write_text(json.dumps({**config(stand, sim.url), "spool": {"dir": folder + "/spool"}}))
                for command in ("run", "schema register"):
                    run = subprocess.run([BINARY, *command.split(), "--config", path], capture_output=True, text=True, timeout=60, env=bare)
                    self.assertEqual(run.returncode, 65, run.stderr)
                    for word in told:
                        self.assertIn(word, run.stderr)
                # one that is named is enough
                own = {"schema_registry__ca_file": folder + "/ca.pem", "genesys__ca_file": folder + "/ca.pem"}
                code, findings = self.lines(config(stand, sim.url, **own), "--no-channel", env=bare)
                self.assertEqual(code, 0, findings)

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

    def test_a_budget_above_the_organisations_limit_is_named_and_limits_that_are_hidden_are_not_guessed(self):
        with Stand() as stand, tempfile.TemporaryDirectory() as folder:
            for text, verdict, *words in [
                ('{"requests_per_minute": 180}', "warn", "180 requests a minute", "is 300", "set genesys.requests_per_minute to 180"),
                ('{"missing_permissions": ["limits:organization:view"]}', "skip", "limits:organization:view", "is 300"),
            ]:
                with Sim("--rate", "10", *settings(folder, text)) as sim:
                    code, said = examined(config(stand, sim.url), "--no-channel")
                self.assertEqual(code, 0, said)
                (finding,) = [f for f in said["findings"] if f["check"] == "limits"]
                self.assertEqual(finding["verdict"], verdict)
                for word in words:
                    self.assertIn(word, f"{finding['found']}; {finding['remedy']}")

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
        with Stand() as stand, tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
            jobs = []
            ask_one = lambda *args, **kwargs: jobs.append(pool.submit(self.one, *args, **kwargs))
            with Sim("--rate", "10") as sim:
                right = config(stand, sim.url)
                wrong_secret = config(stand, sim.url, genesys__clients=[{"id": "sim-client", "secret": "wrong"}])
                ask_one(wrong_secret, "FAIL  login", "genesys.clients[0]", "401", "; check the client's id and secret")
                weak = config(stand, sim.url, kafka__durability="required")
                ask_one(weak, "FAIL  topic", "replication factor is 1, needed 3", "; repair the topic", count=5)
                dead = config(stand, sim.url, schema_registry__url="http://127.0.0.1:1")
                ask_one(dead, "FAIL  schema", "127.0.0.1:1", "; check schema_registry.url")
                for seconds, side in ((3_600, "ahead of"), (-3_600, "behind")):
                    ask_one(right, "warn  clock", "the local clock is 3", f" s {side} the platform's; let NTP set it", env=shifted(folder, seconds))
                ask_one(right, "ok    clock", "the local clock is 0.")
                self.done(jobs)
                for _ in range(20):
                    make_channel(sim)
                ask_one(right, "FAIL  channels", "20 of 20", "2 are needed", "; a channel ends a day after", flags=())
                self.done(jobs)
            missing = settings(folder, '{"missing_permissions": ["conversation:communication:view"]}')
            ca = lambda name: folder + f"/{name}.pem"
            with Sim("--rate", "10", *missing) as lacking, Sim("--tls-ca-out", ca("right")) as sim, Sim("--tls-ca-out", ca("wrong")):
                words = ("v2.users.{id}.conversations is refused", "missing: conversation:communication:view", "; add what is missing to a role")
                ask_one(config(stand, lacking.url), "FAIL  permissions", *words, flags=())
                words = ("its certificate is not accepted", "; the authority that signed it belongs into genesys.ca_file")
                ask_one(config(stand, sim.url, genesys__ca_file=ca("wrong")), "FAIL  login", *words)
                ask_one(config(stand, sim.url, genesys__ca_file=ca("right")), "ok    login")
                self.done(jobs)

    @staticmethod
    def done(jobs: list):
        while jobs:
            jobs.pop().result()

    def test_a_schema_that_does_not_fit_is_a_line_too(self):
        with Stand() as stand, Sim("--rate", "10") as sim:
            register(stand, f"{EVENTS}-value", {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]})
            self.one(config(stand, sim.url), "FAIL  schema", f"{EVENTS}-value", "; somebody else registered it")


if __name__ == "__main__":
    unittest.main()
