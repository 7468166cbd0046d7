"""The events and quarantine topics: first records, repeats, what history brought."""

import hashlib
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass

from . import bodies
from .avro import Malformed

HEARD = ("live", "standby", "replay")
DEDUPE_WINDOW_MS = 15 * 60_000
"""Within it one process never writes an event twice under two sequence numbers (documented)."""


@dataclass(frozen=True, slots=True)
class Event:
    """A record of the events topic, as far as it counts."""

    partition: int
    offset: int
    ident: int
    topic: str
    topic_class: str
    received_at: int
    origin: str
    gap_id: str | None
    epoch_id: str | None
    writer: tuple
    """Writer and its sequence number."""
    appended_at: int
    """Greatest timestamp up to this record in its partition: it was appended no earlier."""


class Events:
    """Everything read. `heard[epoch, class]` holds first records, `by_gap[gap]` the ids history gave for it."""

    def __init__(self, report, org: str | None, keep_bodies: bool):
        self.report, self.org, self.keep_bodies = report, org, keep_bodies
        self.heard, self.by_gap = defaultdict(list), defaultdict(dict)
        self.repeated = defaultdict(list)
        self.first, self.low, self.end, self.last_append = {}, {}, {}, {}
        self.bodies, self.history, self.quarantine = {}, {}, {}
        self.quarantine_texts = []
        self.newest = 0

    def event(self, raw, schemas) -> None:
        """Takes a record of the events topic."""
        self._in_sequence(raw)
        try:
            record = schemas.read(raw.value)
            ident = int(record["event_id"], 16)
        except (Malformed, KeyError, ValueError) as error:
            self.report.contradict(raw.place, "record", "value", "a conversation event", error)
            return
        self.report.figures["records"] += 1
        body = record.get("payload")
        body = None if body is None else bodies.canonical(body)
        self._agrees(raw, record, body)
        event = Event(
            raw.partition, raw.offset, ident, record["topic"], record["topic_class"], record["received_at"],
            record["origin"], record["gap_id"], record["epoch_id"], (record["writer_id"], record["sequence"]),
            self.last_append[raw.partition],
        )
        if event.origin == "backfill":
            self.by_gap[event.gap_id].setdefault(ident, event)
        known = self.first.get(ident)
        if known is not None:
            self._repeat(raw, event, known)
            return
        self.first[ident] = event
        if event.origin in bodies.HISTORY:
            self.report.figures["records_of_history"] += 1
        else:
            self.heard[event.epoch_id, event.topic_class].append(event)
        if self.keep_bodies:
            self._body(raw, record, event, body)

    def _in_sequence(self, raw) -> None:
        expected = self.end.get(raw.partition)
        if expected is None:
            self.low[raw.partition] = raw.offset
        elif raw.offset != expected:
            # without transactions an idempotent producer leaves no holes between offsets
            self.report.contradict(raw.place, "partition", "offset", raw.offset, f"{expected} is missing")
        self.end[raw.partition] = raw.offset + 1
        self.last_append[raw.partition] = max(raw.timestamp, self.last_append.get(raw.partition, 0))
        self.newest = max(self.newest, raw.timestamp)

    def _agrees(self, raw, record, body) -> None:
        for header in ("event_id", "ce_id"):
            said = raw.headers.get(header, record["event_id"])
            if said != record["event_id"]:
                self.report.contradict(raw.place, "record", f"header {header}", said, record["event_id"])
        if record["origin"] in HEARD and body is not None and self.org and bodies.blake3:
            derived = bodies.identity(self.org, record["topic"], body)
            self.report.figures["ids_derived"] += 1
            if derived != record["event_id"]:
                self.report.contradict(raw.place, "record", "event_id", record["event_id"], f"{derived} from its body")

    def _repeat(self, raw, event: Event, known: Event) -> None:
        self.report.figures["repeats"] += 1
        self.repeated[event.partition].append(event)
        first = f"{raw.topic} {known.partition}/{known.offset}"
        if event.partition != known.partition:
            self.report.contradict(raw.place, "repeat outside its bounds", "partition", event.partition, first)
        elif event.writer[0] == known.writer[0] and event.writer != known.writer:
            apart = abs(event.received_at - known.received_at)
            if apart < DEDUPE_WINDOW_MS and event.origin in HEARD:
                self.report.contradict(
                    raw.place, "repeat outside its bounds", "sequence", event.writer[1],
                    f"{known.writer[1]} of the same writer at {first}, {apart} ms apart",
                )

    def _body(self, raw, record, event: Event, body) -> None:
        if event.origin in bodies.HISTORY:
            at = (bodies.newest_time(record["payload"]) if body else record["version"]) or 0
            conversation = record["conversation_id"]
            self.history[conversation] = max(at, self.history.get(conversation, 0))
        elif body is not None:
            key = body_key(record["topic"], body)
            other = self.bodies.setdefault(key, event)
            if other is not event:
                self.report.contradict(
                    raw.place, "duplicate", "event_id", f"{event.ident:032x}",
                    f"the same event under {other.ident:032x} at {raw.topic} {other.partition}/{other.offset}",
                )

    def quarantined(self, raw) -> None:
        """Takes a record of the quarantine topic."""
        self.newest = max(self.newest, raw.timestamp)
        self.report.figures["quarantined"] += 1
        headers = raw.headers
        received = headers.get("trunkline-received-at", "")
        if "event_id" not in headers or not received.isdigit():
            self.report.contradict(raw.place, "quarantine", "headers", "event_id, trunkline-received-at", sorted(headers))
            return
        first = (headers.get("trunkline-epoch"), int(received), raw.timestamp)
        self.quarantine.setdefault(headers["event_id"], first)
        if self.keep_bodies:
            self.quarantine_texts.append(bodies.canonical(raw.value.decode("utf-8", "replace")))

    def sort(self) -> None:
        """Once everything is read: first records by the time they were heard."""
        for events in self.heard.values():
            events.sort(key=lambda event: event.received_at)

    def between(self, epochs, topic_class: str, start: int, end: int):
        """First records of a class heard on any of these epochs in `[start, end)`."""
        for epoch in epochs:
            events = self.heard.get((epoch, topic_class), ())
            at = bisect_left(events, start, key=lambda event: event.received_at)
            while at < len(events) and events[at].received_at < end:
                yield events[at]
                at += 1


def body_key(topic: str, body: bytes) -> bytes:
    """Names an event by what it is, its topic and canonical body, without its id."""
    return hashlib.sha256(topic.encode() + b"\0" + body).digest()
