"""What was found: contradictions in the order in which they were met, and figures."""

from collections import Counter
from dataclasses import asdict, dataclass, field

KEPT = 1000


@dataclass(frozen=True)
class Contradiction:
    """Two things that cannot both be true."""

    place: str
    """`topic partition/offset` of the record that says so, or `ledger seq N`."""
    about: str
    """Of what: a certificate, a gap, an event."""
    field: str
    says: object
    found: object

    def __str__(self) -> str:
        return f"{self.place}: {self.about}: {self.field} says {self.says}, found {self.found}"


@dataclass
class Report:
    """Everything found. Keeps the first thousand contradictions and counts the rest."""

    contradictions: list = field(default_factory=list)
    total: int = 0
    figures: Counter = field(default_factory=Counter)
    levels: Counter = field(default_factory=Counter)
    notes: list = field(default_factory=list)

    def contradict(self, place, about, name, says, found) -> None:
        """Adds a contradiction."""
        self.total += 1
        if len(self.contradictions) < KEPT:
            self.contradictions.append(Contradiction(str(place), about, name, says, found))

    def as_json(self) -> dict:
        """The form of `--json`."""
        return {
            "verdict": "fail" if self.total else "pass",
            "figures": dict(self.figures),
            "levels": dict(sorted(self.levels.items())),
            "notes": self.notes,
            "contradictions": [asdict(found) for found in self.contradictions],
            "contradictions_total": self.total,
        }

    def as_text(self) -> str:
        """The form for people: the first contradiction, or the figures."""
        lines = [f"note: {note}" for note in self.notes]
        lines.append(", ".join(f"{name} {count}" for name, count in self.figures.items()))
        lines.append("levels: " + (", ".join(f"{name} {n}" for name, n in sorted(self.levels.items())) or "none"))
        if self.total:
            lines.append(f"contradiction: {self.contradictions[0]}")
            if self.total > 1:
                lines.append(f"and {self.total - 1} more; --json lists them")
        lines.append("fail" if self.total else "pass")
        return "\n".join(lines)
