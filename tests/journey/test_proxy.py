"""Requests and sockets go out through an HTTP proxy that asks for a password and cuts idle tunnels."""

import base64
import json
import pathlib
import select
import socket
import ssl
import tempfile
import time
import unittest
import urllib.request

from harness import Server, Sim, Stand, Trunkline, config, wait_for


class Proxy(Server):
    """Speaks CONNECT; counts the tunnels it opened and what it refused."""

    def __init__(self, credentials: str, idle: float):
        self.wanted = b"Basic " + base64.b64encode(credentials.encode())
        self.idle, self.tunnels, self.refused, self.open = idle, [], 0, set()
        super().__init__()
        self.url = f"http://{self.address}"

    def one(self, client: socket.socket):
        head = b""
        while b"\r\n\r\n" not in head:
            read = client.recv(4096)
            if not read:
                return
            head += read
        first, *headers = head.split(b"\r\n")
        given = {name.lower(): value.strip() for name, _, value in (header.partition(b":") for header in headers)}
        if given.get(b"proxy-authorization") != self.wanted:
            self.refused += 1
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        host, port = first.split()[1].decode().rsplit(":", 1)
        with socket.create_connection((host, int(port))) as server, client:
            self.tunnels.append(host)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.open |= {client, server}
            while ready := select.select([client, server], [], [], self.idle)[0]:
                for side in ready:
                    try:
                        data = side.recv(65536)
                        (server if side is client else client).sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        return

    def cut(self):
        """Ends every tunnel."""
        for side in list(self.open):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = set()


class Proxies(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "password").write_text("p@ss:word\n")
        self.proxy = Proxy("me:p@ss:word", idle=13)
        self.addCleanup(self.proxy.close)

    def test_everything_goes_through_it_and_quiet_tunnels_are_kept_open(self):
        authority = self.folder / "ca.pem"
        way = {"url": self.proxy.url, "username": "me", "password_file": str(self.folder / "password")}
        with Stand() as stand, Sim("--tls-ca-out", authority, "--events", "2000", "--rate", "200", "--wait-for-channels", "2") as sim:
            tree = config(stand, sim.url, genesys__ca_file=str(authority), genesys__proxy=way)
            trust = ssl.create_default_context(cafile=authority)
            ask = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)).open
            counters = lambda: json.loads(ask(f"{sim.url}/sim/counters", timeout=5).read())
            with Trunkline(tree).wait_ready() as app:
                self.assertTrue(wait_for(lambda: counters()["done"], 60), counters())
                time.sleep(16)  # nothing is said any more, but for pings
                self.assertEqual(counters()["dials"], 2, "quiet tunnels live")
                self.proxy.cut()
                self.assertTrue(wait_for(lambda: counters()["dials"] >= 4, 30), "every socket ran through it")
                self.assertTrue(wait_for(lambda: len(counters()["connected"]) == 2, 30))
                self.assertEqual(app.stop()[0], 0)
            self.assertGreaterEqual(len(self.proxy.tunnels), 5, "sockets and requests")
            self.assertNotIn("p@ss", "".join(app.log))
            self.assertEqual(self.proxy.refused, 0)

    def test_a_proxy_that_refuses_is_named_and_hosts_that_are_left_out_are_reached_without_it(self):
        (self.folder / "password").write_text("wrong")
        way = {"url": self.proxy.url, "username": "me", "password_file": str(self.folder / "password")}
        with Stand() as stand, Sim("--rate", "50") as sim:
            # the socket alone has to pass it: requests of plain HTTP need no tunnel
            with Trunkline(config(stand, sim.url, genesys__proxy={**way, "except": ["127.0.0.1"]})).wait_ready() as app:
                self.assertEqual((self.proxy.refused, self.proxy.tunnels), (0, []))
            authority = self.folder / "ca.pem"
            with Sim("--tls-ca-out", authority) as secure:
                direct = {"url": secure.direct_url}
                tree = config(stand, sim.url, genesys__ca_file=str(authority), genesys__mode="direct", genesys__direct=direct)
                tree["genesys"]["proxy"] = way
                with Trunkline(tree) as app:
                    self.assertTrue(wait_for(lambda: self.proxy.refused > 0, 30), app.log)


if __name__ == "__main__":
    unittest.main()
