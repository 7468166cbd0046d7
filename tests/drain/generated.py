"""What the platform generated, by its own ledger: the truth that records are held against."""

import json

from harness import get
from verifier.bodies import canonical, identity


class Generated:
    """For a world with a simulator, `sim`, and its organisation's id, `org`."""

    def now_ms(self) -> int:
        return json.loads(get(f"{self.sim.url}/sim/counters"))["now_ms"]

    def ledger(self, until_ms: int):
        """What the platform generated before then, page by page: it may be long."""
        after = 0
        while page := get(f"{self.sim.url}/sim/ledger?after={after}&limit=5000", timeout=60).splitlines():
            for line in page:
                entry = json.loads(line)
                if entry["at_ms"] >= until_ms:
                    return
                yield entry
            after = entry["seq"]

    def event_id(self, entry: dict) -> bytes:
        """The id its event has to have, computed without the product."""
        return bytes.fromhex(identity(self.org, entry["topic"], canonical(entry["body"])))
