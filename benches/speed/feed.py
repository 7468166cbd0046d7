"""A simulated Genesys Cloud that begins when it is told to, and makes so many events at such a pace."""

import base64
import json
import os
import socket
import sys
import tempfile
from urllib.parse import urlsplit

import lay  # noqa: F401
from harness import Sim, get
from platform_side import Platform

STARTER = "starter"
# a backlog stays on the simulator's side and no socket is cut for it: what is compared is the pace
SETTINGS = {"unread_cap_bytes": 4 << 30}


class Feed(Platform):
    def __init__(self, rate: int, events: int, clients: list[str], ledger: bool):
        flags = ["--rate", rate, "--events", events, "--wait-for-channels", 2, *([] if ledger else ["--no-ledger"])]
        flags += [word for client in (*clients, STARTER) for word in ("--client", f"{client}:secret")]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as settings:
            json.dump(SETTINGS, settings)
            settings.flush()
            Sim.__init__(self, *flags, "--settings", settings.name)
        org = json.loads(get(self.url + "/sim/org"))
        self.origin_ms, self.own_calls, self.starter = org["origin_ms"], 0, None
        self.topics = [f"v2.routing.queues.{q}.conversations" for q in org["queues"]] + [f"v2.users.{u}.conversations" for u in org["users"]]

    def begin(self):
        """Traffic waits for two channels: the second one is ours, hears nothing and is not subscribed."""
        made = self.call("POST", "/api/v2/notifications/channels", self.token(STARTER))
        uri = urlsplit(made["connectUri"])
        self.starter = socket.create_connection((uri.hostname, uri.port), 10)
        key = base64.b64encode(os.urandom(16)).decode()
        path = uri.path + ("?" + uri.query if uri.query else "")
        head = [f"GET {path} HTTP/1.1", f"Host: {uri.netloc}", "Upgrade: websocket", "Connection: Upgrade",
                f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self.starter.sendall("\r\n".join(head).encode())
        answer = self.starter.recv(1024)
        if b" 101 " not in answer.split(b"\r\n")[0]:
            raise RuntimeError(f"the simulator refused the starting socket: {answer[:80]!r}")

    def done(self) -> bool:
        return self.counters()["done"]

    def __exit__(self, *rest):
        if self.starter:
            self.starter.close()
        super().__exit__(*rest)
