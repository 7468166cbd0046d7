"""Certificates by subject: revisions, levels, and no hole and no overlap between intervals."""

from collections import defaultdict
from dataclasses import dataclass

from .avro import Malformed

LIVE = ("LIVE_DUAL", "LIVE_SINGLE")
LEVELS = LIVE + ("RECONCILED", "REPAIRED_PROVISIONAL", "PARTIAL", "LOST_DECLARED", "OPEN")
HISTORY_REACH_MS = 30 * 86_400_000
# From a level to those that the next revision may say; the same one again is always allowed, and one
# kind of LIVE may become the other.
MOVES = {
    "OPEN": {"PARTIAL", "RECONCILED", "LOST_DECLARED", "REPAIRED_PROVISIONAL"},
    "REPAIRED_PROVISIONAL": {"PARTIAL", "RECONCILED", "LOST_DECLARED", "OPEN"},
    "PARTIAL": {"RECONCILED"},
    "LIVE": {"OPEN", "PARTIAL"},
    "RECONCILED": set(),
    "LOST_DECLARED": set(),
}
# Late acknowledgements may still prove what was a gap: then each of its gaps is closed as covered.
PROVEN_LATE = ("OPEN", "REPAIRED_PROVISIONAL")


def word(level: str) -> str:
    """LIVE for both of its kinds."""
    return "LIVE" if level in LIVE else level


@dataclass
class Certificate:
    """One revision as it lies in the topic."""

    place: str
    partition: int
    offset: int
    timestamp: int
    said: dict

    @property
    def subject(self) -> tuple:
        """Shard, class and start."""
        return self.said["shard"], self.said["topic_class"], self.said["from_time"]

    @property
    def interval(self) -> tuple:
        return self.said["from_time"], self.said["to_time"]

    @property
    def about(self) -> str:
        s = self.said
        return f"certificate {s['shard']}/{s['topic_class']}/{s['from_time']} revision {s['revision']} {s['level']}"


class Certificates:
    """All revisions; `newest` and `chains` once `settle` was called."""

    def __init__(self, report):
        self.report = report
        self.by_subject = defaultdict(list)

    def take(self, raw, schemas, instance) -> None:
        """Takes a record of the certificates topic; those of another instance are only counted."""
        if not raw.value:
            return
        try:
            said = schemas.read(raw.value)
            certificate = Certificate(raw.place, raw.partition, raw.offset, raw.timestamp, said)
            subject = certificate.subject
        except (Malformed, KeyError) as error:
            self.report.contradict(raw.place, "record", "value", "a coverage certificate", error)
            return
        if instance is not None and said["instance"] != instance:
            self.report.figures["certificates_of_others"] += 1
            return
        key = f"{said['instance']}/{subject[0]}/{subject[1]}/{subject[2]}"
        if raw.key is not None and raw.key != key:
            self.report.contradict(raw.place, certificate.about, "key", raw.key, key)
        self.by_subject[subject].append(certificate)

    def settle(self, facts) -> None:
        """Once everything is read: revisions in their order, then the chains."""
        for revisions in self.by_subject.values():
            revisions.sort(key=lambda c: (c.partition, c.offset))
            for certificate in revisions:
                self._shape(certificate)
            self._in_order(revisions, facts)
        self.newest = {s: max(all_, key=lambda c: c.said["revision"]) for s, all_ in self.by_subject.items()}
        self._chains(facts)
        figures = self.report.figures
        figures["certificates"] = len(self.newest)
        figures["revisions"] = sum(map(len, self.by_subject.values()))
        for certificate in self.newest.values():
            self.report.levels[certificate.said["level"]] += 1

    def _shape(self, certificate) -> None:
        start, end = certificate.interval
        if start >= end:
            self.report.contradict(certificate.place, certificate.about, "to_time", end, f"from_time {start}")
        if certificate.said["level"] not in LEVELS:
            self.report.contradict(certificate.place, certificate.about, "level", certificate.said["level"], LEVELS)

    def _in_order(self, revisions, facts) -> None:
        """Two replicas may speak at once; then the older word is no last one for long."""
        newest, stray = revisions[0], None
        for certificate in revisions[1:]:
            older = certificate.said["revision"] < newest.said["revision"]
            if older and certificate.said["writer_id"] != newest.said["writer_id"]:
                stray = certificate
                continue
            self._revision(newest, certificate, facts)
            newest, stray = certificate, None
        if stray is not None:
            self.report.contradict(
                stray.place, stray.about, "revision", stray.said["revision"],
                f"{newest.said['revision']} before it at {newest.place}, and nothing newer behind it",
            )

    def _revision(self, before, after, facts) -> None:
        old, new = before.said, after.said
        if new["to_time"] != old["to_time"]:
            self.report.contradict(after.place, after.about, "to_time", new["to_time"], f"{old['to_time']} at {before.place}")
        if new["revision"] == old["revision"]:
            for name in ("level", "epochs", "gap_ids", "count_live", "count_backfill", "count_quarantine", "partitions"):
                if new[name] != old[name]:
                    self.report.contradict(
                        after.place, after.about, name, new[name], f"{old[name]} under the same revision at {before.place}"
                    )
                    return
            return
        if new["revision"] < old["revision"]:
            self.report.contradict(after.place, after.about, "revision", new["revision"], f"{old['revision']} before it at {before.place}")
            return
        step_by_step = new["revision"] == old["revision"] + 1
        if word(new["level"]) not in reachable(word(old["level"]), step_by_step) and not proven_late(old, new, facts):
            self.report.contradict(after.place, after.about, "level", new["level"], f"{old['level']} before it at {before.place}")

    def _chains(self, facts) -> None:
        chains = defaultdict(list)
        for (shard, topic_class, _), certificate in self.newest.items():
            chains[shard, topic_class].append(certificate)
        activations = facts.activations()
        for key, chain in chains.items():
            chain.sort(key=lambda certificate: certificate.said["from_time"])
            past = [c for c in chain if c.said["to_time"] <= facts.activation(*key)]
            self.report.figures["certificates_of_the_past"] += len(past)
            for first in chain[len(past):len(past) + 1]:
                activation = activations.get(key, (first.said["from_time"],))[0]
                oldest = max(activation, chain[-1].said["to_time"] - HISTORY_REACH_MS)
                start = first.said["from_time"]
                if start > oldest:
                    self.report.contradict(first.place, first.about, "from_time", start, f"a hole since activation at {activation}")
                if past and start < facts.activation(*key):
                    self.report.contradict(first.place, first.about, "from_time", start, f"it reaches over the activation at {activation}")
            for before, after in zip(chain, chain[1:]):
                end, start = before.said["to_time"], after.said["from_time"]
                # before its activation a class is certified where somebody asked for it
                if end > start or end != start and before not in past:
                    what = "an overlap with" if end > start else "a hole behind"
                    self.report.contradict(after.place, after.about, "from_time", start, f"{what} {before.about} to {end} at {before.place}")
        self.report.figures["chains"] = len(chains)
        self.report.figures["classes_without_certificates"] = len(set(activations) - set(chains))


def reachable(level: str, step_by_step: bool) -> set:
    """Levels that may follow; where revisions between were compacted away, by several moves."""
    found, edge = {level}, {level}
    while edge:
        edge = set().union(*(MOVES.get(at, set()) for at in edge)) - found
        found |= edge
        if step_by_step:
            break
    return found


def proven_late(old: dict, new: dict, facts) -> bool:
    """Whether an interval became LIVE because late acknowledgements covered each of its gaps."""
    if new["level"] not in LIVE or old["level"] not in PROVEN_LATE:
        return False
    outcomes = {fact["repair"]["outcome"] for gap in old["gap_ids"] for _, fact in facts.gap_facts(gap)[-1:]}
    return outcomes <= {"covered"}
