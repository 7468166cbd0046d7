"""What the privacy policy withholds is found nowhere: not in a topic, on the disk, in a log or on a page."""

import base64
import hashlib
import hmac
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from harness import (
    CERTIFICATES, EVENTS, GAPS, QUARANTINE, ROOT, STATE, FrameServer, Sim, Stand, Trunkline, ask, config, get, total, wait_for,
)
from history_harness import command, iso, rows, simulator
from test_spool import broker_away, status

sys.path.insert(0, str(ROOT / "scripts"))
from verifier.bodies import blake3, canonical, digest, identity  # noqa: E402

KEY = bytes(range(7, 39))
# in every planted value, and nowhere else
MARK = "Zq7Plant"
TOPICS = (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE)
RULES = [
    {"group": "addresses", "action": "hash"},
    {"path": "$.participants[*].attributes.plan", "action": "keep"},
    {"path": "$.participants.ssn[*].digits", "action": "mask"},
]


def hashed(value: str) -> str:
    """The 32 digits that whoever has the key computes without trunkline."""
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32]


def digits(text: str) -> str:
    mark, label, found = text.split(":")
    assert (mark, len(label)) == ("hash", 4), text
    return found


def caller(n: int) -> str:
    return f"tel:+4930{MARK}{n % 40}"


def body(n: int) -> dict:
    """A conversation with something planted wherever people leave traces. Forty customers call again and again."""
    name = f"Ada {MARK} Lovelace {n}"
    return {
        "id": f"c-{n}",
        "externalTag": f"tag {MARK}",
        "participants": [
            {
                "id": f"p-{n}", "purpose": "customer", "name": name, "address": caller(n), "ani": caller(n), "dnis": f"tel:{MARK}",
                "ssn": [[{"digits": f"{MARK} 1"}], {"digits": [f"{MARK} 2"], "kind": "personal"}],
                "attributes": {"plan": f"gold-{n % 3}", f"key {n}": f"value {MARK}", "nested": {"deep": [f"{MARK}"]}},
                "wrapup": {"code": "done", "notes": f"said {MARK} \"twice\"\n", "endTime": "2026-01-01T00:00:00.000Z"},
                "calls": [{"id": f"l-{n}", "state": "connected", "self": {"addressRaw": f"sip:{MARK}@example.invalid"},
                           "other": {"name": name, "addressNormalized": f"+49{MARK}"}, "uuiData": f"{MARK}"}],
                "emails": [{"id": "e", "subject": f"Re: {MARK}", "state": "connected"}],
                "messages": [{"id": "m", "fromAddress": f"{MARK}", "messages": [{"messageURI": f"mailto:{MARK}@example.invalid"}]}],
                "holograms": [{"id": "h", "projector": {"displayName": f"{MARK}", "line": f"TEL:{MARK}",
                                                        "card": f"{MARK} <{MARK}@example.invalid>", "notes": [[f"{MARK}"]]}}],
            },
        ],
        "divisions": [{"division": {"id": "d-1"}}],
    }


def recording(count: int) -> str:
    """Envelopes of queue topics; some of them with a body that is no conversation, or with a thousand attributes."""
    lines = []
    for n in range(count):
        what = body(n)
        if n % 500 == 100:
            what = f"only text {MARK} {n}"
        elif n % 500 == 200:
            what["participants"][0]["attributes"] |= {f"attribute {k}": f"{MARK} {k}" for k in range(1_000)}
        elif n % 500 == 300:
            what["participants"] = f"no list {MARK} {n}"
        lines.append(json.dumps({"topicName": f"v2.routing.queues.q-{n % 3}.conversations", "eventBody": what}))
    return "\n".join(lines) + "\n"


def is_unreadable(n: int) -> bool:
    return n % 500 in (100, 300)


class Privacy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.dir = self.folder / "spool"
        (self.folder / "key").write_text(KEY.hex() + "\n")

    def tree(self, stand: Stand, sim: Sim, **changes) -> dict:
        wanted = {
            "privacy": {"preset": "strict", "hash_key_file": str(self.folder / "key"), "rules": RULES},
            "spool__dir": str(self.dir), "spool__segment_bytes": 1 << 20, "kafka__in_flight_records": 500,
        }
        return config(stand, sim.url, **{**wanted, **changes})

    def play(self, count: int) -> Sim:
        path = self.folder / "recording.jsonl"
        path.write_text(recording(count))
        return Sim("--replay", path, "--rewrite-ids", "--wait-for-channels", "2")

    def nothing_is_planted(self, what: str, text: bytes | str, marks=(MARK,)):
        text = text.encode() if isinstance(text, str) else text
        for mark in marks:
            at = text.find(mark.encode())
            self.assertEqual(at, -1, f"{what}: {text[max(0, at - 120):at + 60]!r}")

    def nothing_is_shown(self, app: Trunkline, marks=(MARK,)):
        self.nothing_is_planted("log", "".join(app.log), marks)
        for page in ("/metrics", "/api/v1/status", "/api/v1/gaps", "/api/v1/coverage", "/readyz"):
            self.nothing_is_planted(page, get(app.admin + page), marks)

    def nothing_is_written(self, stand: Stand, marks=(MARK,), but=()):
        for topic in TOPICS:
            for raw in stand.records(topic) if topic in (EVENTS, QUARANTINE) else map(self.bare, stand.obey(f"read {topic}")):
                if topic not in but:
                    self.nothing_is_planted(topic, raw["value"], marks)
                self.nothing_is_planted(topic, json.dumps([raw["key"], raw["headers"]]), marks)

    @staticmethod
    def bare(raw: dict) -> dict:
        return {**raw, "value": base64.b64decode(raw["value_b64"])}

    def spooled(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.dir.glob("*.spool")))

    def heard_all(self, app: Trunkline, count: int):
        kept = lambda: total(app, "trunkline_events_received_total") - total(app, "trunkline_events_deduplicated_total")
        self.assertTrue(wait_for(lambda: kept() >= count, 30, 0.3), app.metrics())
        time.sleep(0.3)

    def test_planted_values_are_found_nowhere_through_an_outage_and_a_kill(self):
        count = 3_000
        with Stand() as stand, self.play(count) as sim:
            settings = self.tree(stand, sim)
            with Trunkline(settings).wait_ready() as app:
                with broker_away(stand, 9):
                    self.heard_all(app, count)
                    self.assertEqual(status(app)["state"], "behind")
                    self.nothing_is_shown(app)
                    app.stop(signal.SIGKILL)
                self.nothing_is_planted("log", "".join(app.log))
            held = self.spooled()
            self.nothing_is_planted("spool", held)
            self.assertGreater(held.count(b"hash:"), 1_000, "the spool holds what was heard")
            with Trunkline(settings).wait_ready() as app:
                self.assertTrue(wait_for(lambda: status(app)["waiting"] == 0), status(app))
                self.nothing_is_shown(app)
                self.assertEqual(app.stop()[0], 0)
                self.nothing_is_planted("log", "".join(app.log))
            self.nothing_is_planted("spool", self.spooled())
            self.nothing_is_written(stand)
            self.everything_is_there(stand, sim, count)
            self.unreadable_is_counted(stand, sim, count)

    def everything_is_there(self, stand: Stand, sim: Sim, count: int):
        """Every conversation is a record, under the ids of the body as it came, and says what it may."""
        records = {raw["record"]["conversation_id"]: raw["record"] for raw in stand.records()}
        self.assertEqual(set(records), {f"c-{n}" for n in range(count) if not is_unreadable(n)})
        sent = {entry["body"] for entry in sim.ledger()}
        replayed = 0
        for n in range(count):
            if is_unreadable(n):
                continue
            record = records[f"c-{n}"]
            replayed += record["origin"] == "replay"
            if n % 500 != 200:
                raw = json.dumps(body(n))
                self.assertIn(raw, sent)
                self.assertEqual(record["body_digest"], digest(canonical(raw)), record["origin"])
                self.assertEqual(record["event_id"], identity(record["org_id"], record["topic"], canonical(raw)))
            one, = record["participants"]
            # equal callers have equal hashes, and they are what anybody with the key computes
            self.assertEqual(digits(record["ani"]), hashed(caller(n)))
            self.assertEqual(digits(one["ani"]), hashed(caller(n)))
            self.assertEqual(digits(record["dnis"]), hashed(f"tel:{MARK}"))
            self.assertEqual(one["attributes"], {"plan": f"gold-{n % 3}"})
            self.assertEqual((one["wrapup_notes"], one["wrapup_code"], record["external_tag"]), (None, "done", None))
            payload = json.loads(record["payload"])["participants"][0]
            self.assertEqual(payload["ssn"], [[{"digits": "***"}], {"digits": ["***"], "kind": "personal"}])
            self.assertEqual(payload["holograms"][0]["id"], "h")
            self.assertNotIn("name", payload)
            self.assertEqual([leg["media_type"] for leg in one["legs"]], ["voice", "email", "message"])
        self.assertGreater(replayed, 1_000, "most of it came from the spool")
        self.assertEqual(len({record["ani"] for record in records.values()}), 40)

    def unreadable_is_counted(self, stand: Stand, sim: Sim, count: int):
        """What is no conversation leaves its length and digest."""
        by_id = {raw["headers"]["event_id"]: raw for raw in stand.records(QUARANTINE)}
        self.assertEqual(len(by_id), sum(is_unreadable(n) for n in range(count)))
        for raw in by_id.values():
            note = json.loads(raw["value"])
            self.assertEqual(set(note), {"reason", "detail", "length", "digest"})
            self.assertEqual((note["reason"], raw["headers"]["trunkline-withheld"]), ("bad_body", "true"))
            self.assertEqual(raw["headers"]["trunkline-reason"], "bad_body")

    def test_what_cannot_be_read_leaves_its_length_and_digest_or_stays_raw_where_it_may(self):
        envelope = '{"topicName":"v2.routing.queues.q.conversations","version":"2","eventBody":%s}'
        broken = [f"no JSON {MARK}", f"\0binary {MARK}".encode() + b"\xff", envelope % f'{{"id":"c","name":{MARK}}}',
                  envelope % f'{{"id":7,"x":"{MARK}"}}', json.dumps({"who": MARK}), envelope % f'["{MARK}"]']
        long = envelope % json.dumps({"id": "c-long", "participants": [], "name": MARK, "state": "x" * 20_000})
        for keep in (False, True):
            with self.subTest(keep=keep), Stand() as stand, Sim() as sim:
                server = FrameServer([*broken, long])
                self.addCleanup(server.close)
                direct = {"url": server.url, "connections": 1}
                small = self.tree(stand, sim, genesys__mode="direct", genesys__direct=direct, kafka__max_record_bytes=10_000,
                                  **({"quarantine": {"raw": "keep"}} if keep else {}))
                with Trunkline(small).wait_ready() as app:
                    count = len(broken) + 1
                    self.assertTrue(wait_for(lambda: total(app, "trunkline_events_quarantined_total") >= count), app.metrics())
                    self.nothing_is_shown(app)
                    self.assertEqual(app.stop()[0], 0)
                self.nothing_is_written(stand, but=(QUARANTINE,) if keep else ())
                held = {}
                for raw in stand.records(QUARANTINE):
                    held.setdefault(raw["headers"]["event_id"], []).append(raw)
                withheld = [parts[0] for parts in held.values() if "trunkline-withheld" in parts[0]["headers"]]
                if keep:
                    raw = {parts[0]["value"] for parts in held.values()}
                    self.assertEqual(withheld, [])
                    self.assertEqual({m if isinstance(m, bytes) else m.encode() for m in broken} - raw, set())
                else:
                    self.nothing_is_planted("spool", self.spooled())
                    notes = {(n["length"], n["digest"]) for n in (json.loads(raw["value"]) for raw in withheld)}
                    self.assertEqual(len(notes), len(broken))
                    for message in broken:
                        message = message if isinstance(message, bytes) else message.encode()
                        self.assertIn((len(message), blake3.blake3(message).hexdigest()), notes)
                # what was too large passed the policy; a higher limit brings it back under its id
                large, = (parts for parts in held.values() if parts[0]["headers"]["trunkline-reason"] == "too_large")
                self.nothing_is_planted("too large", b"".join(part["value"] for part in large))
                code, (said,), error = ask({**small, "kafka": {**small["kafka"], "max_record_bytes": 1_000_000}}, "quarantine", "replay")
                self.assertEqual((code, said["understood"], said["of_another_organisation"]), (0, 1, 0), error)
                self.assertEqual(sum(said["left"].values()), len(broken), said)
                again, = stand.records()
                raw = json.dumps({"id": "c-long", "participants": [], "name": MARK, "state": "x" * 20_000})
                self.assertEqual(again["record"]["body_digest"], digest(canonical(raw)))
                self.assertEqual(again["record"]["event_id"], large[0]["headers"]["event_id"])
                self.nothing_is_planted("replayed", again["value"])

    def test_what_an_earlier_policy_let_onto_the_disk_passes_the_one_in_force(self):
        count = 2_500
        with Stand() as stand, self.play(count) as sim:
            with Trunkline(self.tree(stand, sim, privacy={"preset": "none"})).wait_ready() as app:
                with broker_away(stand, 8):
                    self.heard_all(app, count)
                    app.stop(signal.SIGKILL)
            self.assertIn(MARK.encode(), self.spooled())
            with Trunkline(self.tree(stand, sim)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: status(app)["waiting"] == 0), status(app))
                self.assertEqual(app.stop()[0], 0)
            replayed = [raw for raw in stand.records() if raw["record"]["origin"] == "replay"]
            self.assertGreater(len(replayed), 500)
            for raw in replayed:
                self.nothing_is_planted(EVENTS, raw["value"])
            ids = {raw["record"]["event_id"] for raw in stand.records()}
            self.assertEqual(len(ids), sum(not is_unreadable(n) for n in range(count)))

    def test_rows_of_history_pass_it_too(self):
        with Stand() as stand, simulator(str(self.folder), "--rate", "300") as sim:
            began = time.time() - 3600
            time.sleep(12)
            end = time.time() - 5  # both commands read it from jobs, and some of it has ended
            planted, callers = set(), set()
            for row in rows(sim):
                for one in row["participants"]:
                    planted |= {one.get("participantName"), *one.get("attributes", {}).values()}
                    callers |= {session.get("ani") for session in one["sessions"]}
            marks = [mark for mark in planted | callers if mark and len(mark) > 5]
            self.assertGreater(len(marks), 20)
            plain = self.tree(stand, sim, privacy={"preset": "none"})
            words = ("backfill", "--from", iso(began), "--to", iso(end), "--share", "1")
            code, (said,), error = command(self.tree(stand, sim), *words)
            self.assertEqual((code, said["written"] > 0), (0, True), error)
            self.nothing_is_planted("what the command says", json.dumps(said) + error, marks)
            self.nothing_is_written(stand, marks)
            records = [raw["record"] for raw in stand.records()]
            self.assertEqual({record["origin"] for record in records}, {"backfill"})
            self.assertLessEqual({digits(r["ani"]) for r in records if r["ani"]}, {hashed(c) for c in callers if c})
            self.assertTrue(any(record["ani"] for record in records))
            # ids are those of the rows as they came: without a policy what is there does not come again
            code, (again,), error = command(plain, *words)
            self.assertEqual((code, again["already_there"] > 0), (0, True), (again, error))
            ids = {raw["record"]["event_id"] for raw in stand.records()}
            self.assertEqual(len(ids), len(records) + again["written"])

    def test_check_says_which_fields_leave_and_names_a_bad_key(self):
        with Stand() as stand, Sim() as sim:
            code, (said,), error = ask(self.tree(stand, sim), "check")
            leaving = said["leaving"]
            self.assertEqual((code, leaving["hashed"]), (0, ["ani", "dnis", "participants.ani", "participants.dnis"]), error)
            self.assertEqual(leaving["not_at_all"], ["external_tag", "participants.wrapup_notes", "participants.attributes"])
            self.assertIn("conversation_id", leaving["as_they_came"])
            (self.folder / "key").write_text("short")
            code, (said,), _ = ask(self.tree(stand, sim), "check")
            self.assertEqual((code, [m["field"] for m in said["mistakes"]]), (65, ["privacy.hash_key_file"]))
            self.assertIn(str(self.folder / "key"), said["mistakes"][0]["problem"])

    def test_openssl_computes_the_same_hash(self):
        key = ["-macopt", f"hexkey:{KEY.hex()}"]
        said = subprocess.run(["openssl", "dgst", "-sha256", "-mac", "HMAC", *key], input=b"tel:+4930", capture_output=True, check=True)
        self.assertIn(hashed("tel:+4930"), said.stdout.decode())


if __name__ == "__main__":
    unittest.main()
