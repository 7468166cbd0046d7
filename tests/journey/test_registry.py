"""A registry that wants a bearer token."""

import http.server
import pathlib
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from harness import BINARY, Sim, Stand, Trunkline, ask, config, get, wait_for

FIRST, SECOND = "first.bearer-token", "second.bearer-token"


class Door(http.server.ThreadingHTTPServer):
    """Lets whoever bears the right token through to a registry."""

    def __init__(self, behind: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.right, self.seen = behind, FIRST, []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = self.headers.get("Authorization")
        self.server.seen.append(said)
        if said != f"Bearer {self.server.right}":
            return self.reply(401, b'{"error_code":401,"message":"Unauthorized"}')
        kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        request = urllib.request.Request(self.server.behind + self.path, data=body or None, method=self.command, headers=kind)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                self.reply(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self.reply(error.code, error.read())

    do_GET = do_POST = handle_one

    def reply(self, status: int, body: bytes):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Registry(unittest.TestCase):
    def setUp(self):
        self.stand = self.enterContext(Stand())
        self.door = Door(self.stand.registry)
        self.addCleanup(self.door.server_close)
        self.addCleanup(self.door.shutdown)
        self.token = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "token"
        self.token.write_text(FIRST + "\n")

    def tree(self, url: str, **changes) -> dict:
        way = {"url": self.door.url, "token_file": str(self.token), "start_timeout_secs": 20}
        return config(self.stand, url, schema_registry=way, **changes)

    def untold(self, text: str):
        for token in (FIRST, SECOND):
            self.assertNotIn(token, text)

    def test_the_token_is_sent_and_told_nobody_and_a_newer_one_waits_for_nothing(self):
        sim = self.enterContext(Sim("--rate", "20"))
        app = self.enterContext(Trunkline(self.tree(sim.url, log__level="debug")))
        app.wait_ready(30)
        self.assertEqual(set(self.door.seen), {f"Bearer {FIRST}"})
        self.token.write_text(SECOND)
        self.assertTrue(wait_for(lambda: "config_taken_up" in app.codes(), 20), app.log[-5:])
        self.assertNotIn("config_waits", app.codes())
        status = get(app.admin + "/api/v1/status")
        self.assertEqual(app.stop()[0], 0)
        self.untold("".join(app.log) + status)
        shown = subprocess.run([BINARY, "print-config", "--config", app.path], capture_output=True, text=True, timeout=30)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.untold(shown.stdout + shown.stderr)

    def test_a_token_that_is_renewed_while_it_is_refused_is_read_again(self):
        self.door.right = SECOND
        found = []
        asking = threading.Thread(target=lambda: found.append(ask(self.tree("http://127.0.0.1:9"), "schema", "register")))
        asking.start()
        self.assertTrue(wait_for(lambda: f"Bearer {FIRST}" in self.door.seen, 20))
        self.token.write_text(SECOND)
        asking.join(40)
        ((code, lines, complaint),) = found
        self.assertEqual(code, 0, complaint)
        self.assertIn(f"Bearer {SECOND}", self.door.seen)
        self.untold(str(lines) + complaint)

    def test_two_ways_at_once_are_refused_by_name(self):
        tree = self.tree("http://127.0.0.1:9", schema_registry__username="me")
        code, lines, complaint = ask(tree, "check")
        self.assertEqual(code, 65)
        (mistake,) = lines[0]["mistakes"]
        self.assertEqual(mistake["field"], "schema_registry.token_file")
        self.assertIn("and username are both there; allowed: one way", mistake["problem"])
        self.untold(complaint + str(lines))


if __name__ == "__main__":
    unittest.main()
