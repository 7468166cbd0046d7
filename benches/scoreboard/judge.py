"""The judge: what the simulator says it fanned out, against what lies in a system's topic. It asks no system anything.

An event is its topic and what its body means, so that a bridge may print JSON in its own way. Only records speak for a
system; what lies in history and in gap records counts for who writes such records.
"""

import hashlib
import json
import pathlib
import sys
from collections import Counter, defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from verifier.bodies import HISTORY, class_of, millis, newest_time  # noqa: E402
from verifier.gaps import DECLARED  # noqa: E402

FIGURES = ("events", "wire", "unwritten", "repaired", "declared", "silent", "repeats", "duplicates", "reordered", "inversions")
PAUSE = 1.0  # seconds without a record that count as a pause, at a hundred events a second
CLOCK_MS = 500  # by which a gap's ends and the ledger may differ


def number(text: str):
    value = float(text)
    return int(value) if value.is_integer() else value


def meaning(topic: str, body: str) -> bytes:
    """Names an event by its topic and by what its body says."""
    text = json.dumps(json.loads(body, parse_float=number), sort_keys=True)
    return hashlib.blake2b(f"{topic}\0{text}".encode(), digest_size=16).digest()


def judge(ledger: list[dict], records: list[dict], gaps: list[dict], origin_ms: int) -> Counter:
    """`ledger`: the events to account for. `records`: everything in the topic, each partition in its order; `gaps`: the
    newest record of each gap."""
    live, history = defaultdict(list), {}
    heard = []  # what somebody heard, in the order of the records: event, and coverage it was heard in
    for record in records:
        if record.get("origin") in HISTORY:
            at = newest_time(record["payload"]) or 0
            history[record["conversation_id"]] = max(at, history.get(record["conversation_id"], 0))
        else:
            key = meaning(record["topic"], record["payload"])
            heard.append((key, record.get("epoch_id")))
            live[key].append(record)
    figures = Counter(dict.fromkeys(FIGURES, 0))
    places = {}
    for entry in ledger:
        key = meaning(entry["topic"], entry["body"])
        places.setdefault(key, (entry["seq"], entry["topic"], entry["conversation_id"]))
        figures["events"] += 1
        figures["wire"] += not entry["delivered"]
        if key in live:
            continue
        figures["unwritten"] += bool(entry["delivered"])
        at = origin_ms + entry["at_ms"]
        if history.get(entry["conversation_id"], -1) >= (newest_time(entry["body"]) or 0):
            figures["repaired"] += 1
        elif any(declares(gap, entry["topic"], at) for gap in gaps):
            figures["declared"] += 1
        else:
            figures["silent"] += 1
    for key in places:
        copies = live.get(key, ())
        figures["repeats"] += max(len(copies) - 1, 0)
        figures["duplicates"] += max(len({record["event_id"] for record in copies}) - 1, 0)
    figures["reordered"] = inversions([key for key, _ in heard], places)
    figures["inversions"] = sum(inversions([key for key, of in heard if of == epoch], places) for epoch in {epoch for _, epoch in heard})
    return figures


def declares(gap: dict, topic: str, at: int) -> bool:
    """Whether a gap record says that this may be missing. The class `direct` is everything that a direct URL carries."""
    mine = gap["topic_class"] in (class_of(topic), "direct") and (not gap["topics"] or topic in gap["topics"])
    start, end = millis(gap["from_time"]), millis(gap["to_time"])
    return mine and gap["outcome"] in DECLARED and start - CLOCK_MS <= at and (end is None or at <= end + CLOCK_MS)


def inversions(heard: list[bytes], places: dict) -> int:
    """First records of events of one conversation on one topic that stand behind later ones."""
    newest, seen, count = {}, set(), 0
    for key in heard:
        if key in seen or key not in places:
            continue
        seen.add(key)
        seq, *subject = places[key]
        count += seq < newest.get(tuple(subject), 0)
        newest[tuple(subject)] = max(seq, newest.get(tuple(subject), 0))
    return count


def recovery(arrivals: list[float], fault: float, end: float) -> float | None:
    """Seconds from the fault to the end of the longest pause; 0 without a pause, `None` when it lasts on."""
    points = [fault, *sorted(at for at in arrivals if fault <= at <= end), end]
    length, after = max((after - before, after) for before, after in zip(points, points[1:]))
    if length <= PAUSE:
        return 0.0
    return None if after == end else after - fault
