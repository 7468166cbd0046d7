"""Against the simulator's ledger: is every event durable, restored, or declared to be missing?"""

from collections import defaultdict

from . import bodies
from .certificates import LIVE
from .events import body_key
from .gaps import DECLARED
from .levels import span

PROVEN = LIVE + ("RECONCILED",)


class Truth:
    """Judges events one by one."""

    def __init__(self, report, facts, events, gaps, certificates, origin_ms: int):
        self.report, self.facts, self.events, self.origin_ms = report, facts, events, origin_ms
        self.gaps = defaultdict(list)
        for gap in gaps.newest.values():
            self.gaps[gap["shard"], gap["topic_class"]].append(gap)
        self.certificates = defaultdict(list)
        for certificate in certificates.newest.values():
            shard, topic_class, _ = certificate.subject
            self.certificates[shard, topic_class].append(certificate)
        every = certificates.newest.values()
        self.clock_error_ms = max((c.said["clock_error_ms"] for c in every), default=0)

    def check(self, ledger) -> None:
        """Every line of the ledger."""
        figures = self.report.figures
        for name in ("durable", "restored", "declared", "silent", "false_certificates"):
            figures[name] += 0
        for line in ledger:
            if not line["covered"] or line["body"] is None:
                figures["uncovered"] += 1
                continue
            figures["events"] += 1
            figures[self._fate(line)] += 1

    def _fate(self, line) -> str:
        topic, body = line["topic"], line["body"]
        text = bodies.canonical(body)
        if body_key(topic, text) in self.events.bodies or any(text in spoiled for spoiled in self.events.quarantine_texts):
            return "durable"
        if self.events.history.get(line["conversation_id"], -1) >= (bodies.newest_time(body) or 0):
            return "restored"
        at = self.origin_ms + line["at_ms"]
        key = (self.facts.shard_of(topic), bodies.class_of(topic))
        self._certified(line, key, at)
        if any(self._declares(gap, topic, at) for gap in self.gaps[key]):
            return "declared"
        self.report.contradict(
            f"ledger seq {line['seq']}", f"event on {topic}", "fanned out at", at,
            f"silent: in no topic, no history row and no gap of shard {key[0]} that says so (sockets {line['delivered']})",
        )
        return "silent"

    def _declares(self, gap, topic, at) -> bool:
        start, end = span(gap)
        mine = not gap["topics"] or topic in gap["topics"]
        return gap["outcome"] in DECLARED and mine and start - self.clock_error_ms <= at <= end + self.clock_error_ms

    def _certified(self, line, key, at) -> None:
        for certificate in self.certificates[key]:
            start, end = certificate.interval
            error = certificate.said["clock_error_ms"]
            if certificate.said["level"] in PROVEN and start + error <= at < end - error:
                self.report.figures["false_certificates"] += 1
                self.report.contradict(
                    certificate.place, certificate.about, "level", certificate.said["level"],
                    f"false certificate: event seq {line['seq']} of {at} is lost",
                )


def compare(report, verdict: dict) -> None:
    """The demo's own figures beside these."""
    pairs = {
        "events": "events_generated", "durable": "events_durable", "restored": "restored", "declared": "declared",
        "silent": "silent", "repeats": "repeats", "quarantined": "quarantined", "gaps": "gaps_opened",
        "gaps_closed": "gaps_closed", "certificates": "certificates", "records_of_history": "backfilled",
    }
    for ours, theirs in pairs.items():
        if theirs in verdict and verdict[theirs] != report.figures[ours]:
            report.contradict("meta.json", "verdict", theirs, verdict[theirs], report.figures[ours])
