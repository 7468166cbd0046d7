"""Gap records: each for itself, from one to the next, and beside the facts they rest on."""

from collections import defaultdict

from .avro import Malformed

DECLARED = (None, "partial", "lost_declared")
PAST = "before_activation"
"""The cause of what was recorded on request, before a class was covered first."""


class Gaps:
    """All gap records; `newest[gap_id]` once `settle` was called."""

    def __init__(self, report):
        self.report = report
        self.history = defaultdict(list)
        self.newest = {}

    def take(self, raw, schemas, instance) -> None:
        """Takes a record of the gaps topic."""
        if not raw.value:
            return
        try:
            gap = schemas.read(raw.value)
            ident = gap["gap_id"]
        except (Malformed, KeyError) as error:
            self.report.contradict(raw.place, "record", "value", "a gap record", error)
            return
        if instance is None or gap["instance"] == instance:
            self.history[ident].append((raw, gap))

    def settle(self, facts, spacing_ms: int) -> None:
        """Once everything is read."""
        for ident, records in self.history.items():
            records.sort(key=lambda pair: (pair[0].partition, pair[0].offset))
            for raw, gap in records:
                self._shape(raw, gap)
            self._steps(records)
            raw, gap = records[-1]
            self.newest[ident] = gap
            self._past(raw, gap, facts)
            if facts.gap_facts(ident):
                self._facts(raw, gap, facts.gap_facts(ident), spacing_ms)
        for ident in facts.gaps:
            if ident not in self.history:
                place, fact = facts.gap_facts(ident)[-1]
                self.report.contradict(place, f"gap {ident}", "gap", fact["cause"], "no gap record")
        self.report.figures["gaps"] = len(self.newest)
        self.report.figures["gaps_closed"] = sum(gap["outcome"] is not None for gap in self.newest.values())

    def _wrong(self, place, gap, name, says, found) -> None:
        self.report.contradict(place, f"gap {gap['gap_id']}", name, says, found)

    def _shape(self, raw, gap) -> None:
        end, outcome, closed = gap["to_time"], gap["outcome"], gap["closed_at"]
        state = "closed" if outcome else "growing" if end is None else "open"
        if end is not None and end <= gap["from_time"]:
            self._wrong(raw.place, gap, "to_time", end, f"from_time {gap['from_time']}")
        if (outcome is None) != (closed is None):
            self._wrong(raw.place, gap, "closed_at", closed, f"outcome {outcome}")
        if gap["state"] != state:
            self._wrong(raw.place, gap, "state", gap["state"], f"{state}: to_time {end}, outcome {outcome}")
        if outcome not in ("covered", "reconciled", "partial", "lost_declared", None):
            self._wrong(raw.place, gap, "outcome", outcome, "no such outcome")
        if outcome and end is None:
            self._wrong(raw.place, gap, "outcome", outcome, "to_time null")
        if outcome == "reconciled" and end is not None:
            mark = gap["history_watermark"]
            if mark is None or mark < end + gap["margin_ms"]:
                self._wrong(raw.place, gap, "history_watermark", mark, f"closed, its end with the margin is {end + gap['margin_ms']}")
            if gap["reads"] < 2:
                self._wrong(raw.place, gap, "reads", gap["reads"], "closed as reconciled, which takes two")
            if gap["closed_at"] is not None and gap["closed_at"] < end:
                self._wrong(raw.place, gap, "closed_at", gap["closed_at"], f"before its end at {end}")

    def _steps(self, records) -> None:
        """Closures only grow. A replica that takes over speaks of what it has read of the other's facts: for a moment its
        record may say less than one before it, never something else; the newest one is held against the facts."""
        own, known = {}, {}
        for raw, gap in records:
            before = own.get(gap["writer_id"], {})
            for name in ("shard", "topic_class", "outcome", "closed_at"):
                said = before.get(name) if gap[name] is None else known.get(name)
                if said is not None and gap[name] != said:
                    self._wrong(raw.place, gap, name, gap[name], f"{said} before it: closures only grow")
                known[name] = known.get(name) if gap[name] is None else gap[name]
            for name in ("reads", "rows_written"):
                if gap[name] < before.get(name, 0):
                    self._wrong(raw.place, gap, name, gap[name], f"{before[name]} before it")
            own[gap["writer_id"]] = gap

    def _past(self, raw, gap, facts) -> None:
        """What lies before the activation of a class was heard by nobody, and its history is known."""
        if gap["cause"] != PAST:
            return
        activation = facts.activation(gap["shard"], gap["topic_class"])
        if gap["to_time"] is None or gap["to_time"] > activation:
            self._wrong(raw.place, gap, "to_time", gap["to_time"], f"its class was activated at {activation}")
        if gap["outcome"] in ("covered", "lost_declared"):
            self._wrong(raw.place, gap, "outcome", gap["outcome"], f"its cause is {PAST}")

    def _facts(self, raw, gap, said, spacing_ms) -> None:
        place, newest = said[-1]
        reads = {(r["at"], r["source"], r["digest"]): r for _, fact in said for r in fact["repair"]["reads"]}
        reads = sorted(reads.values(), key=lambda r: r["at"])
        # a replica that takes over may write what it knows before it has read the last word of the other
        newest = next((fact for _, fact in reversed(said) if fact["repair"]["outcome"]), newest)
        repair = newest["repair"]
        for name, value in (
            ("from_time", newest["from"]), ("to_time", newest["to"]), ("outcome", repair["outcome"]),
            ("closed_at", repair["closed_at"]), ("reads", len(reads)), ("cause", newest["cause"]),
        ):
            if gap[name] != value:
                self._wrong(raw.place, gap, name, gap[name], f"{value} in the state topic at {place}")
        if gap["outcome"] == "reconciled":
            self._two_readings(raw, gap, reads, spacing_ms)

    def _two_readings(self, raw, gap, reads, spacing_ms) -> None:
        complete = (gap["to_time"] or 0) + gap["margin_ms"]
        whole = [
            r for r in reads
            if r["source"] == "jobs" and (r["complete_to"] or 0) >= complete and r["at"] <= (gap["closed_at"] or 0)
        ]
        equal = any(
            a["digest"] == b["digest"] and b["at"] - a["at"] >= spacing_ms and b["missing"] == 0 for a in whole for b in whole
        )
        if not equal:
            seen = ", ".join(f"{r['digest'][:8]} at {r['at']}" for r in whole) or "none"
            self._wrong(
                raw.place, gap, "outcome", "reconciled",
                f"no two equal readings of history complete to {complete}, {spacing_ms} ms apart: {seen}",
            )

    def provisional(self, ident: str, facts) -> bool:
        """Whether the two newest queries of history agreed, at any time so far."""
        newest = facts.gap_facts(ident)[-1:]
        queries = [r for _, fact in newest for r in fact["repair"]["reads"] if r["source"] == "query"]
        return any(a["digest"] == b["digest"] and b["missing"] == 0 for a, b in zip(queries, queries[1:]))
