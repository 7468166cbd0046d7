"""What was looked at, what was found, and whether it is as promised."""

import sys


class Proof:
    def __init__(self, title: str):
        self.title, self.rows = title, []

    def note(self, what: str, found, holds: bool = True):
        """A row; printed at once, too, for some take minutes."""
        self.rows.append((what, str(found), holds))
        print(f"{self.title}: {'ok' if holds else 'FAILS'}: {what}: {found}", file=sys.stderr, flush=True)

    def table(self) -> str:
        width = max(len(what) for what, *_ in self.rows)
        return "\n".join(f"{'ok   ' if holds else 'FAILS'} {what.ljust(width)}  {found}" for what, found, holds in self.rows)

    @property
    def holds(self) -> bool:
        return bool(self.rows) and all(holds for *_, holds in self.rows)
