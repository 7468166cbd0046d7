"""The status page and its actions; and what strangers send to the admin port stops nothing."""

import http.client
import json
import os
import random
import socket
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import EVENTS, Sim, Stand, Trunkline, config, get, proven, total, wait_for

TOKEN = "an-admin-token-of-the-journey"


def post(app: Trunkline, body, token=TOKEN, kind="application/json", **headers) -> tuple[int, dict]:
    """Status and answer of an order to rotate."""
    head = {"Content-Type": kind, **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(app.admin + "/api/v1/actions/rotate", data, head), timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        text = refused.read()
        return refused.code, json.loads(text) if text.startswith(b"{") else {}


def channels(app: Trunkline) -> dict:
    lines = json.loads(get(app.admin + "/api/v1/status"))["channels"]
    return {f"{line['shard']}/{line['leg']}": line for line in lines}


class Page(unittest.TestCase):
    def test_the_page_answers_with_a_policy_that_admits_its_own_files_alone(self):
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url, instance="<east>")).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                with urllib.request.urlopen(app.admin + "/", timeout=10) as answer:
                    head, page = answer.headers, answer.read().decode()
                policy = head["Content-Security-Policy"]
                self.assertTrue(policy.startswith("default-src 'none'"), policy)
                self.assertNotIn("unsafe", policy)
                self.assertIn("&lt;east&gt;", page)
                self.assertNotIn("<east>", page)
                self.assertIn("Complete until", page)
                self.assertRegex(page, '<li class="(single|dual)" title="[0-9:]+ LIVE_')
                for part in ("/page/main", "/page/style.css", "/page/script.js", "/page/icon.svg"):
                    self.assertTrue(get(app.admin + part), part)
                # nobody configured a token
                self.assertIn("Actions are off", page)
                self.assertEqual(post(app, {"channel": "0/0", "confirm": "0/0"})[0], 403)
                self.assertEqual(app.stop()[0], 0)

    def test_an_order_needs_the_token_and_a_confirmation_and_rotates_before_it_breaks(self):
        with Stand() as stand, Sim("--rate", "100", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url, admin__token=TOKEN)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                order = {"channel": "0/0", "confirm": "0/0"}
                before = channels(app)
                for expected, answer in (
                    (401, post(app, order, token=None)),
                    (401, post(app, order, token=TOKEN + "x")),
                    (403, post(app, order, Origin="http://elsewhere.example")),
                    (415, post(app, order, kind="text/plain")),
                    (400, post(app, {"channel": "0/0"})),
                    (400, post(app, {"channel": "0/0", "confirm": "0/1"})),
                    (400, post(app, {**order, "force": True})),
                    (400, post(app, b"\xff{")),
                    (404, post(app, {"channel": "7/0", "confirm": "7/0"})),
                    (413, post(app, b" " * 10_000)),
                ):
                    self.assertEqual(answer[0], expected, answer)
                self.assertIn('confirm: is "0/1"; allowed: "0/0"', post(app, {"channel": "0/0", "confirm": "0/1"})[1]["error"])
                self.assertEqual({name: line["epoch"] for name, line in channels(app).items()}, {name: line["epoch"] for name, line in before.items()})
                connects = total(app, "trunkline_ws_connects_total")
                self.assertEqual(post(app, order)[0], 202)
                self.assertTrue(wait_for(lambda: total(app, "trunkline_ws_connects_total") == connects + 1, 20), app.log)
                # the successor is live before the old socket ends, a minute later
                self.assertTrue(wait_for(lambda: channels(app)["0/0"]["epoch"] != before["0/0"]["epoch"], 20))
                self.assertEqual(channels(app)["0/0"]["ends"], 0)
                self.assertTrue(wait_for(lambda: channels(app)["0/0"]["last_end"] == "rotation", 90, 1), app.log[-5:])
                self.assertEqual(channels(app)["0/1"]["epoch"], before["0/1"]["epoch"])
                self.assertEqual(app.metrics()['trunkline_admin_actions_total{action="rotate",outcome="ordered"}'], 1)
                self.assertGreaterEqual(app.metrics()['trunkline_admin_actions_total{action="rotate",outcome="refused"}'], 10)
                self.assertEqual(json.loads(get(app.admin + "/api/v1/gaps"))["open"], [])
                self.assertEqual(app.stop()[0], 0)
                codes = app.codes()
                self.assertIn("action_ordered", codes)
                self.assertLess(codes.count("action_refused"), 5)
                self.assertNotIn(TOKEN, "".join(app.log))

    def test_a_token_that_is_too_short_is_refused_by_name_and_not_shown(self):
        with Stand() as stand, Sim("--rate", "1") as sim:
            with Trunkline(config(stand, sim.url, admin__token="short-secret")) as app:
                self.assertEqual(app.child.wait(20), 65)
                app.reader.join(5)
                text = "".join(app.log)
                self.assertIn("admin.token", text)
                self.assertIn("16", text)
                self.assertNotIn("short-secret", text)


def strangers(seed: int):
    """Bytes no client sends."""
    dice = random.Random(seed)
    for _ in range(100):
        yield dice.randbytes(dice.randrange(1, 2000))
    yield b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 500) for n in range(5000))
    yield b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\n\r\n"
    yield b"POST /api/v1/actions/rotate HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"
    yield b"POST /api/v1/actions/rotate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(range(256))
    for path in (b"/%00", b"/../../etc/passwd", b"/page/%2e%2e/mod.rs", b"/api/v1/status?" + b"&" * 5000):
        yield b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"


class Strangers(unittest.TestCase):
    def test_strangers_bytes_and_a_crowd_of_slow_clients_stop_neither_the_stream_nor_a_probe(self):
        with Stand() as stand, Sim("--rate", "200", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                address = urllib.parse.urlsplit(app.admin)
                where = (address.hostname, address.port)
                before = len(os.listdir(f"/proc/{app.child.pid}/fd"))
                slow = []
                try:
                    for _ in range(300):
                        one = socket.create_connection(where, timeout=5)
                        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
                        slow.append(one)
                    files = lambda: len(os.listdir(f"/proc/{app.child.pid}/fd"))
                    self.assertTrue(wait_for(lambda: files() < before + 200, 20), f"{files()} files, {before} before: connections are bounded")
                    for nth, piece in enumerate(strangers(7)):
                        try:
                            with socket.create_connection(where, timeout=5) as one:
                                one.settimeout(0.05)
                                one.sendall(piece)
                                one.recv(4096)
                        except OSError:
                            pass  # it may hang up on us
                        if nth % 20 == 0:
                            self.assertEqual(get(app.admin + "/healthz"), "ok\n")
                    self.assertTrue(json.loads(get(app.admin + "/readyz"))["ready"])
                finally:
                    [one.close() for one in slow]
                heard = total(app, "trunkline_events_published_total")
                self.assertTrue(wait_for(lambda: total(app, "trunkline_events_published_total") > heard + 100, 20))
                for path in ("/../../etc/passwd", "/page/../mod.rs", "/nothing"):
                    link = http.client.HTTPConnection(*where, timeout=5)
                    link.putrequest("GET", path, skip_host=False)
                    link.endheaders()
                    self.assertEqual(link.getresponse().status, 404, path)
                    link.close()
                self.assertEqual(total(app, "trunkline_ws_disconnects_total"), 0)
                self.assertEqual(json.loads(get(app.admin + "/api/v1/gaps"))["open"], [])
                self.assertEqual(app.stop()[0], 0)
                self.assertNotIn("task_ended", app.codes())
            self.assertTrue(next(iter(stand.records(EVENTS))))


if __name__ == "__main__":
    unittest.main()
