"""The state topic: epochs, claims, doubts, sets of topics, what is wanted since when, gaps."""

import json
from collections import defaultdict
from dataclasses import dataclass, field

from . import intervals
from .bodies import class_of


@dataclass
class Epoch:
    """One verified subscription on one socket."""

    shard: int
    writer: str
    subscription: str
    start: int
    rides: str | None
    claim: tuple | None = None
    doubts: list = field(default_factory=list)

    def proven(self, with_doubts: bool = True) -> list:
        """What its claims prove."""
        claim = intervals.union([self.claim] if self.claim else [])
        return intervals.minus(claim, intervals.union(self.doubts)) if with_doubts else claim


class Facts:
    """Union of all facts; the order in which they are read makes no difference."""

    def __init__(self, report):
        self.report = report
        self.owner = None
        self.epochs, self.sets, self.gaps = {}, {}, {}
        self._wanted, self._claims, self._doubts = defaultdict(list), [], []
        self.tombstones = 0
        self._missed = defaultdict(list)
        self._coverage, self._groups, self._newest_wanted, self._activation = {}, {}, {}, {}

    def take(self, raw) -> None:
        """Takes a record of the state topic."""
        if not raw.value:
            self.tombstones += 1
            return
        try:
            fact = json.loads(raw.value)
            kind = fact["kind"]
            handler = getattr(self, f"_{kind}_fact", None)
            if handler:
                handler(raw.place, fact)
        except (ValueError, KeyError, TypeError) as error:
            self.report.contradict(raw.place, "fact", "value", "a fact of version 1", repr(error))

    def _owner_fact(self, _place, fact):
        self.owner = fact["instance"]

    def _set_fact(self, _place, fact):
        self.sets.setdefault(fact["set"], frozenset(fact["topics"]))

    def _epoch_fact(self, place, fact):
        epoch = Epoch(fact["shard"], fact["writer"], fact["set"], fact["from"], fact.get("rides"))
        known = self.epochs.setdefault(fact["epoch"], epoch)
        if known != epoch:
            self.report.contradict(
                place, f"epoch {fact['epoch']}", "from", f"shard {epoch.shard}, {epoch.start} by {epoch.writer}",
                f"used before: shard {known.shard}, {known.start} by {known.writer}",
            )

    def _claim_fact(self, place, fact):
        interval = fact["interval"]
        self._claims.append((place, fact["writer"], fact["epoch"], interval["from"], interval["to"]))

    def _doubt_fact(self, _place, fact):
        self._doubts.append((fact["epoch"], (fact["interval"]["from"], fact["interval"]["to"])))

    def _wanted_fact(self, _place, fact):
        self._wanted[fact["shard"]].append((fact["as_of"], fact["topics"]))

    def _gap_fact(self, place, fact):
        # the newest word of each writer, the newest of all at the end
        known = self.gaps.setdefault(fact["gap"], {})
        known.pop(fact["writer"], None)
        known[fact["writer"]] = (place, fact)

    def _audit_fact(self, _place, fact):
        for topic_class, instants in fact["instants"].items():
            spans = [(span["from"], span["to"]) for span in instants]
            self._missed[fact["shard"], topic_class] += [(fact["at"], span) for span in spans]

    def missed(self, shard: int, topic_class: str, said_before: int) -> list:
        """When an audit found that proven sockets did not hear something, as was said by then."""
        return intervals.union(span for at, span in self._missed[shard, topic_class] if at < said_before)

    def settle(self) -> None:
        """Once everything is read: claims and doubts go to their epochs."""
        for place, writer, ident, start, end in self._claims:
            epoch, about = self.epochs.get(ident), f"claim of epoch {ident}"
            if epoch is None:
                if not self.tombstones:
                    self.report.contradict(place, about, "epoch", ident, "no fact that it began")
                continue
            if writer != epoch.writer:
                self.report.contradict(place, about, "writer", writer, f"the epoch is of {epoch.writer}")
            if start < epoch.start:
                self.report.contradict(place, about, "from", start, f"the epoch begins at {epoch.start}")
            if epoch.claim and (epoch.claim[0] != start or end < epoch.claim[1]):
                self.report.contradict(place, about, "interval", (start, end), f"it was {epoch.claim}: claims never shrink")
            known = epoch.claim or (start, end)
            epoch.claim = (min(start, known[0]), max(end, known[1]))
        for ident, interval in self._doubts:
            if ident in self.epochs:
                self.epochs[ident].doubts.append(interval)
        self.report.figures["epochs"] = len(self.epochs)

    def epochs_of_shard(self, shard: int) -> list:
        """Ids of all epochs of a shard."""
        return [ident for ident, epoch in self.epochs.items() if epoch.shard == shard]

    def wanted(self, shard: int) -> dict:
        """The newest word: `{topic: (from, to)}`."""
        if shard not in self._newest_wanted:
            _, topics = max(self._wanted[shard], key=lambda word: word[0], default=(0, {}))
            ends = {topic: intervals.EVER[1] if want.get("to") is None else want["to"] for topic, want in topics.items()}
            self._newest_wanted[shard] = {topic: (want["from"], ends[topic]) for topic, want in topics.items()}
        return self._newest_wanted[shard]

    def gap_facts(self, ident: str) -> list:
        """The newest word of each writer about a gap, the newest of all last: `[(place, fact)]`."""
        return list(self.gaps.get(ident, {}).values())

    def activations(self) -> dict:
        """`{(shard, class): (from, to)}`: since when, and until when, any topic of a class is wanted."""
        found = {}
        for shard in list(self._wanted):
            for topic, (start, end) in self.wanted(shard).items():
                key = (shard, class_of(topic))
                a, b = found.get(key, (start, end))
                found[key] = (min(a, start), max(b, end))
        return found

    def activation(self, shard: int, topic_class: str) -> int:
        """Since when a class is covered at the earliest: wanted now, or heard once."""
        key = (shard, topic_class)
        if key not in self._activation:
            sets = {name for name, members in self.sets.items() if any(class_of(topic) == topic_class for topic in members)}
            starts = [e.start for e in self.epochs.values() if e.shard == shard and e.subscription in sets]
            wanted = self.activations().get(key)
            self._activation[key] = min(starts + ([wanted[0]] if wanted else []), default=intervals.EVER[0])
        return self._activation[key]

    def shard_of(self, topic: str):
        """The shard that wants a topic, or `None`."""
        return next((shard for shard in list(self._wanted) if topic in self.wanted(shard)), None)

    def groups(self, shard: int, topic_class: str) -> set:
        """Topics of a class that are always covered together: `(want, sets of topics that hold them)`."""
        key = (shard, topic_class)
        if key not in self._groups:
            topics = [(t, want) for t, want in self.wanted(shard).items() if class_of(t) == topic_class]
            self._groups[key] = {
                (want, frozenset(name for name, members in self.sets.items() if topic in members))
                for topic, want in topics
            }
        return self._groups[key]

    def coverage(self, shard: int, topic_class: str, epochs=None, with_doubts=True) -> tuple:
        """What claims prove of every wanted topic of a class, and what of it two sockets prove at once."""
        key = (shard, topic_class, None if epochs is None else frozenset(epochs), with_doubts)
        if key not in self._coverage:
            once, twice = [intervals.EVER], [intervals.EVER]
            for want, sets in self.groups(shard, topic_class):
                free = intervals.outside(*want)
                one, two = self._sockets(shard, sets, epochs, with_doubts)
                once = intervals.meet(once, intervals.union(one + free))
                twice = intervals.meet(twice, intervals.union(two + free))
            # nobody is held back where nothing is wanted, and nothing is proven there
            if (shard, topic_class) in self.activations():
                hull = [self.activations()[shard, topic_class]]
                once, twice = intervals.meet(once, hull), intervals.meet(twice, hull)
            self._coverage[key] = (once, twice)
        return self._coverage[key]

    def _sockets(self, shard, sets, epochs, with_doubts):
        sockets = defaultdict(list)
        for ident, epoch in self.epochs.items():
            if epoch.shard == shard and epoch.subscription in sets and (epochs is None or ident in epochs):
                sockets[epoch.rides or ident] += epoch.proven(with_doubts)
        one, two = [], []
        for proven in map(intervals.union, sockets.values()):
            two = intervals.union(two + intervals.meet(one, proven))
            one = intervals.union(one + proven)
        return one, two
