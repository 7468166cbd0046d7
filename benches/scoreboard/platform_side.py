"""A simulated Genesys Cloud for one system, and a socket URL that is subscribed already, as peers need it."""

import base64
import json
import pathlib
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journey"))
from harness import Sim, get  # noqa: E402

# history is complete two seconds after the fact and says the same ever after: its hours are not what is compared here
HISTORY = {"query_lag_ms": 100, "availability_lag_ms": 2_000, "availability_step_ms": 500, "job_takes_ms": 200,
           "total_hits_off": 0, "rewrite_share": 0}
WITNESS = "witness"


class Platform(Sim):
    """`clients` are those of the system. The witness wants every topic and never listens: so the ledger has every body,
    whoever listens."""

    def __init__(self, rate: int, sockets: int, clients: list[str], scale: int):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as settings:
            json.dump(HISTORY, settings)
            settings.flush()
            named = [word for client in (*clients, WITNESS) for word in ("--client", f"{client}:secret")]
            flags = ("--rate", str(rate), "--wait-for-channels", str(sockets), "--time-scale", str(scale), "--settings", settings.name)
            super().__init__(*flags, *named)
        org = json.loads(get(self.url + "/sim/org"))
        self.origin_ms = org["origin_ms"]
        self.topics = [f"v2.routing.queues.{q}.conversations" for q in org["queues"]] + [f"v2.users.{u}.conversations" for u in org["users"]]
        self.own_calls, self.witness = 0, None
        self.renew()

    def call(self, method: str, path: str, head: dict, body: bytes = b"") -> dict:
        self.own_calls += 1
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, head, method=method), timeout=10) as answer:
            return json.load(answer)

    def token(self, client: str) -> dict:
        basic = base64.b64encode(f"{client}:secret".encode()).decode()
        head = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        token = self.call("POST", "/oauth/token", head, b"grant_type=client_credentials")["access_token"]
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def channel(self, client: str) -> dict:
        head = self.token(client)
        made = self.call("POST", "/api/v2/notifications/channels", head)
        self.subscribe(made["id"], head)
        return made

    def subscribe(self, channel: str, head: dict):
        body = json.dumps([{"id": topic} for topic in self.topics]).encode()
        self.call("PUT", f"/api/v2/notifications/channels/{channel}/subscriptions", head, body)

    def renew(self):
        """The witness's channel lives on; a new token, for the clock may be fast."""
        if self.witness:
            self.subscribe(self.witness, self.token(WITNESS))
        else:
            self.witness = self.channel(WITNESS)["id"]

    def now(self) -> dict:
        """Where the platform is: its clock, and how many requests others than this harness have made."""
        own, counters = self.own_calls, self.counters()
        return {"ms": counters["now_ms"], "calls": counters["requests"] - own, "connected": len(counters["connected"])}

    def dials(self, since: int, until: int) -> int:
        return sum(since <= dial["at_ms"] <= until for dial in json.loads(get(self.url + "/sim/dials")))

    def events(self, since: int, until: int) -> list[dict]:
        wanted = set(self.topics)
        return [e for e in self.ledger() if since <= e["at_ms"] < until and e["topic"] in wanted and e["body"] is not None]
