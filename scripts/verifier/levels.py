"""What a level claims, against claims of epochs and gaps."""

from . import intervals
from .certificates import LIVE
from .gaps import PAST


class Levels:
    """Checks single revisions. Facts may have grown for less than `grace_ms` before the end of everything
    without a new revision."""

    def __init__(self, report, facts, gaps, settled_before: int):
        self.report, self.facts, self.gaps, self.settled_before = report, facts, gaps, settled_before

    def check(self, certificate, is_newest: bool) -> None:
        """One revision; what only the newest can be held to is left out of earlier ones."""
        said = certificate.said
        if said["level"] in LIVE:
            self._live(certificate, is_newest)
        if said["level"] == "RECONCILED":
            self._reconciled(certificate)
        if is_newest:
            self._named(certificate)
            self._audited(certificate)
            if said["level"] not in LIVE:
                self._accounted(certificate)

    def _wrong(self, certificate, name, says, found) -> None:
        self.report.contradict(certificate.place, certificate.about, name, says, found)

    def _live(self, certificate, is_newest) -> None:
        # a doubt takes an earlier revision back, but does not make it one that was never backed
        said = certificate.said
        once, twice = self.facts.coverage(said["shard"], said["topic_class"], said["epochs"], with_doubts=is_newest)
        bare = intervals.minus([certificate.interval], once)
        if bare or not said["epochs"]:
            self._wrong(certificate, "epochs", f"{len(said['epochs'])} epochs prove it", f"no claim of theirs over {bare or certificate.interval}")
        elif said["level"] == "LIVE_DUAL":
            alone = intervals.minus([certificate.interval], twice)
            if alone:
                self._wrong(certificate, "level", "LIVE_DUAL", f"one socket alone over {alone}")

    def _reconciled(self, certificate) -> None:
        said, (start, end) = certificate.said, certificate.interval
        ends = [fact["to"] or end for gap in said["gap_ids"] for _, fact in self.facts.gap_facts(gap)]
        # behind its last gap an interval is proven by claims; history has to reach only to there
        needed = min(end, max(ends, default=end)) + said["margin_ms"]
        mark = said["history_watermark"]
        if mark is None or mark < needed:
            self._wrong(certificate, "history_watermark", mark, f"at least {needed} is needed")
        if said["closed_at"] is None:
            self._wrong(certificate, "closed_at", None, "RECONCILED")
        if not said["gap_ids"]:
            self._wrong(certificate, "gap_ids", said["gap_ids"], "RECONCILED without a gap")

    def _audited(self, certificate) -> None:
        """What an audit missed takes the level back, and nothing else makes it PARTIAL without a partial gap."""
        said = certificate.said
        level, of = said["level"], (said["shard"], said["topic_class"])
        settled = intervals.meet([certificate.interval], self.facts.missed(*of, self.settled_before))
        if settled and level in (*LIVE, "RECONCILED", "REPAIRED_PROVISIONAL"):
            self._wrong(certificate, "level", level, f"an audit found a miss in {settled}")
        if level == "PARTIAL" and not intervals.meet([certificate.interval], self.facts.missed(*of, intervals.EVER[1])):
            gaps = (self.gaps.newest.get(ident, {}) for ident in said["gap_ids"])
            if all(gap.get("outcome") != "partial" for gap in gaps):
                self._wrong(certificate, "level", level, "no gap is partial, and no audit missed anything")

    def _named(self, certificate) -> None:
        """Everything it names exists and reaches into it."""
        said = certificate.said
        subscriptions = set()
        for ident in said["epochs"]:
            epoch = self.facts.epochs.get(ident)
            if epoch is None:
                self._wrong(certificate, "epochs", ident, "no fact that it began")
                continue
            subscriptions.add(epoch.subscription)
            if epoch.shard != said["shard"]:
                self._wrong(certificate, "epochs", ident, f"it is of shard {epoch.shard}")
            if not intervals.meet([certificate.interval], epoch.proven()):
                self._wrong(certificate, "epochs", ident, f"its claims prove {epoch.proven()}")
        if subscriptions != set(said["subscription_digests"]):
            self._wrong(certificate, "subscription_digests", said["subscription_digests"], sorted(subscriptions))
        activation = self.facts.activation(said["shard"], said["topic_class"])
        is_past = said["to_time"] <= activation
        for ident in said["gap_ids"]:
            gap = self.gaps.newest.get(ident)
            if gap is None:
                self._wrong(certificate, "gap_ids", ident, "no gap record")
            elif (gap["shard"], gap["topic_class"]) != (said["shard"], said["topic_class"]):
                self._wrong(certificate, "gap_ids", ident, f"it is of {gap['shard']}/{gap['topic_class']}")
            elif (gap["cause"] == PAST) != is_past:
                self._wrong(certificate, "gap_ids", ident, f"its cause is {gap['cause']}, and the class was activated at {activation}")

    def _accounted(self, certificate) -> None:
        """Every instant that no claim proves lies in a gap whose state fits the level."""
        said = certificate.said
        once, _ = self.facts.coverage(said["shard"], said["topic_class"])
        bare = intervals.minus([certificate.interval], once)
        named = {ident: self.gaps.newest[ident] for ident in said["gap_ids"] if ident in self.gaps.newest}
        over = {ident: gap for ident, gap in named.items() if intervals.meet(bare, [span(gap)])}
        unrecorded = intervals.minus(bare, intervals.union(map(span, over.values())))
        if unrecorded:
            self._wrong(certificate, "gap_ids", said["gap_ids"], f"neither claimed nor in one of them: {unrecorded}")
        self._fits(certificate, bare, over)

    def _fits(self, certificate, bare, over) -> None:
        level, outcomes = certificate.said["level"], {gap["outcome"] for gap in over.values()}
        if level in ("OPEN", "REPAIRED_PROVISIONAL"):
            self._unfinished(certificate, over)
            return
        wanted = {"RECONCILED": {"reconciled"}, "PARTIAL": {"reconciled", "partial"}, "LOST_DECLARED": {"reconciled", "partial", "lost_declared"}}
        strange = outcomes - wanted.get(level, outcomes) - {"covered"}
        if strange:
            one = next(ident for ident, gap in over.items() if gap["outcome"] in strange)
            self._wrong(certificate, "level", level, f"gap {one} is {over[one]['outcome'] or over[one]['state']}")
        elif level == "LOST_DECLARED" and level.lower() not in outcomes:
            self._wrong(certificate, "level", level, f"its gaps are {sorted(map(str, outcomes))}")

    def _unfinished(self, certificate, over) -> None:
        level = certificate.said["level"]
        waiting = {ident: gap for ident, gap in over.items() if gap["outcome"] is None}
        if level == "REPAIRED_PROVISIONAL":
            for ident in waiting:
                if not self.gaps.provisional(ident, self.facts):
                    self._wrong(certificate, "level", level, f"no two queries of history agree on gap {ident}")
        if not waiting:
            ends = [self.gaps.history[ident][-1][0].timestamp for ident in over]
            if max(ends, default=0) < self.settled_before:
                self._wrong(certificate, "level", level, "all of it is claimed or in closed gaps, and no later revision says so")
            else:
                self.report.figures["certificates_behind"] += 1


def span(gap: dict) -> tuple:
    """The interval of a gap record; one that grows has no end."""
    return gap["from_time"], intervals.EVER[1] if gap["to_time"] is None else gap["to_time"]
