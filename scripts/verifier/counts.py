"""Counts and digests of certificates, computed again from the output topics."""

from collections import defaultdict
from dataclasses import dataclass

BITS = (1 << 128) - 1
EMPTY = {"first_offset": None, "end_offset": None, "count_live": 0, "id_xor": "0" * 32, "id_sum": "0" * 32}


@dataclass
class Total:
    """What one partition holds."""

    first: int | None = None
    end: int = 0
    count: int = 0
    xor: int = 0
    sum: int = 0

    def add(self, event) -> None:
        """Adds the first record of an id."""
        self.first = event.offset if self.first is None else min(self.first, event.offset)
        self.end = max(self.end, event.offset + 1)
        self.count += 1
        self.xor ^= event.ident
        self.sum = (self.sum + event.ident) & BITS

    def fields(self) -> dict:
        """As a certificate says it."""
        return {
            "first_offset": self.first, "end_offset": self.end, "count_live": self.count,
            "id_xor": f"{self.xor:032x}", "id_sum": f"{self.sum:032x}",
        }


class Counts:
    """Compares certificates with records. A record that was appended less than `grace_ms` before the
    end of everything may still be waiting for the next revision."""

    def __init__(self, report, facts, events, grace_ms: int, retention: bool):
        self.report, self.facts, self.events = report, facts, events
        self.settled_before = events.newest - grace_ms
        self.low = events.low if retention else {}
        self._ids = {}

    def check(self, certificate, is_newest: bool) -> None:
        """One revision. An earlier one spoke of the records up to its own end offsets."""
        said, (start, end) = certificate.said, certificate.interval
        heard = defaultdict(list)
        epochs = self._epochs(said["shard"])
        if end > self.facts.activation(said["shard"], said["topic_class"]):  # before that no socket was to hear anything
            for event in self.events.between(epochs, said["topic_class"], start, end):
                heard[event.partition].append(event)
        spoken = {tally["partition"]: tally for tally in said["partitions"]}
        decided = True
        for partition in sorted(set(heard) | set(spoken)):
            decided &= self._partition(certificate, spoken.get(partition), partition, heard[partition], is_newest)
        total = sum(tally["count_live"] for tally in said["partitions"])
        if said["count_live"] != total:
            self._wrong(certificate, "count_live", said["count_live"], f"{total} in its partitions")
        self._backfill(certificate, is_newest)
        self._quarantine(certificate, is_newest)
        self.report.figures["revisions_recomputed" if decided else "revisions_beyond_retention"] += 1

    def _epochs(self, shard):
        if shard not in self._ids:
            self._ids[shard] = self.facts.epochs_of_shard(shard)
        return self._ids[shard]

    def _wrong(self, certificate, name, says, found) -> None:
        self.report.contradict(certificate.place, certificate.about, name, says, found)

    def _partition(self, certificate, spoken, partition, heard, is_newest) -> bool:
        low = self.low.get(partition, 0)
        if spoken and spoken["first_offset"] < low:
            return False  # no longer in the topic
        until = spoken["end_offset"] if spoken else 0
        total, later = Total(), []
        for event in heard:
            if event.offset < until:
                total.add(event)
            else:
                later.append(event)
        found = total.fields() if total.count else EMPTY
        for name, value in found.items() if spoken else ():
            if name == "end_offset" and value != spoken[name] and self._repeat_at(certificate, partition, spoken[name] - 1):
                continue  # whether a repeat moves the end is left open
            if value != spoken[name]:
                self._wrong(certificate, f"partition {partition} {name}", spoken[name], value)
                return True
        unsaid = [event for event in later if event.appended_at < self.settled_before] if is_newest else []
        if unsaid:
            one = min(unsaid, key=lambda event: event.offset)
            says = spoken["count_live"] if spoken else 0
            self._wrong(
                certificate, f"partition {partition} count_live", says,
                f"{says + len(later)}, with {one.ident:032x} at offset {one.offset} received at {one.received_at}",
            )
        elif is_newest:
            self.report.figures["records_not_yet_certified"] += len(later)
        return True

    def _repeat_at(self, certificate, partition, offset) -> bool:
        return any(event.offset == offset for event in self.events.repeated.get(partition, ()))

    def _backfill(self, certificate, is_newest) -> None:
        said = certificate.said
        events = {}
        for gap in said["gap_ids"]:
            for ident, event in self.events.by_gap.get(gap, {}).items():
                events.setdefault(ident, event)
        count = len(events)
        settled = sum(event.appended_at < self.settled_before for event in events.values())
        # nothing says up to where an earlier revision had read
        least = settled if is_newest else 0
        if not least <= said["count_backfill"] <= count and not self.low_cuts():
            self._wrong(certificate, "count_backfill", said["count_backfill"], count)

    def _quarantine(self, certificate, is_newest) -> None:
        said, (start, end) = certificate.said, certificate.interval
        home = set(self._epochs(said["shard"]))
        activation = self.facts.activation(said["shard"], said["topic_class"])
        there = [
            appended for epoch, received, appended in self.events.quarantine.values()
            if epoch in home and start <= received < end and end > activation
        ]
        settled = sum(appended < self.settled_before for appended in there)
        least = settled if is_newest else 0
        if not least <= said["count_quarantine"] <= len(there):
            self._wrong(certificate, "count_quarantine", said["count_quarantine"], len(there))

    def low_cuts(self) -> bool:
        """Whether some partition no longer begins at its first record."""
        return any(self.low.values())
