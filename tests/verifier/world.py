"""The world of `builder.py`: true in every respect, so that each lie planted in it is the only one."""

from builder import HOUR, INSTANCE, MARGIN, MINUTE, ORG, SECOND, SET, TOPIC, World, at

START = at(100, 5)
E1, E2, E3, E4 = ("e1" * 16, "e2" * 16, "e3" * 16, "e4" * 16)
GAP1, GAP2 = "91" * 16, "92" * 16
GAP1_SPAN, GAP2_SPAN = (at(102, 20), at(102, 30)), (at(104, 10), at(104, 20))
CLOSED = at(131)


def reading(source, when, digest, complete_to=None, missing=0) -> dict:
    """One reading of history."""
    return {
        "source": source, "at": when, "digest": digest, "rows": 1, "written": 1, "complete_to": complete_to, "missing": missing,
    }


def readings(second="same", apart=HOUR, complete_to=None) -> list:
    """A query, and the two readings that close gap 1."""
    mark = complete_to or GAP1_SPAN[1] + MARGIN
    return [reading("query", at(102, 35), "early"), reading("jobs", at(129), "same", mark), reading("jobs", at(129) + apart, second, mark)]


def build() -> World:
    """Everything, in the order in which it happens."""
    world = World()
    world.append("state", 0, "owner", START, {"kind": "owner", "v": 1, "org": ORG, "instance": INSTANCE})
    world.fact(START, "set", set=SET, topics=[TOPIC])
    world.fact(START, "wanted", as_of=START, topics={TOPIC: {"from": START, "to": None}})
    world.epoch(E1, 0, START, GAP1_SPAN[0])
    world.epoch(E2, 1, START, at(102))
    world.epoch(E3, 0, GAP1_SPAN[1], GAP2_SPAN[0])
    world.epoch(E4, 0, GAP2_SPAN[1], at(106, 10))
    hear(world, 100, E1, (6, 20, 40))
    world.certify(at(101, 1), START, at(101), "LIVE_DUAL", [E1, E2])
    hear(world, 101, E1, (1, 15, 30, 45))
    world.certify(at(102, 1), at(101), at(102), "LIVE_DUAL", [E1, E2])
    world.heard(at(101, 59), E2, appended=at(102, 2))  # late: its certificate is there already
    world.certify(at(102, 3), at(101), at(102), "LIVE_DUAL", [E1, E2], revision=2)
    hear(world, 102, E1, (5, 10))
    missed, _ = world.happens(at(102, 25), delivered=False)
    world.gap(GAP1, *GAP1_SPAN)
    hear(world, 102, E3, (40, 50))
    world.certify(at(103, 1), at(102), at(103), "OPEN", [E1, E3], [GAP1])
    world.heard(at(103) - 20, E3)  # received at the very start of the hour: it belongs to this one
    hear(world, 103, E3, (10, 20))
    spoiled = {"event_id": "ff" * 16, "trunkline-epoch": E3, "trunkline-received-at": str(at(103))}
    world.append("quarantine", 0, "q", at(103), b"not json", spoiled)
    world.certify(at(104, 1), at(103), at(104), "LIVE_SINGLE", [E3])
    hear(world, 104, E3, (5,))
    world.happens(at(104, 15), delivered=False)
    world.gap(GAP2, *GAP2_SPAN)
    hear(world, 104, E4, (30, 50))
    world.certify(at(105, 1), at(104), at(105), "OPEN", [E3, E4], [GAP2])
    hear(world, 105, E4, (10, 20))
    world.certify(at(106, 1), at(105), at(106), "LIVE_SINGLE", [E4])
    world.restored(missed, GAP1, at(129, 1), at(102, 25) - SECOND)
    world.gap(GAP1, *GAP1_SPAN, readings(), "reconciled", CLOSED, when=CLOSED)
    world.certify(
        CLOSED + MINUTE, at(102), at(103), "RECONCILED", [E1, E3], [GAP1], revision=2,
        history_watermark=GAP1_SPAN[1] + MARGIN, closed_at=CLOSED,
    )
    world.append("state", 0, f"{INSTANCE}/barrier/0", CLOSED + HOUR, {"kind": "barrier", "v": 1, "nonce": "0"})
    return world


def hear(world: World, hour: int, epoch: str, minutes) -> None:
    for minute in minutes:
        world.heard(at(hour, minute), epoch)

