"""What became of every event the platform generated."""

from dataclasses import dataclass

from world import World, wait_for


@dataclass
class Account:
    generated: int = 0
    records: int = 0
    repeats: int = 0
    # heard and in no topic, though no gap says so
    lost: int = 0
    # heard by nobody, though no gap says so
    silent: int = 0
    # in a recorded gap and in no topic; of those, what was put on a socket all the same
    in_gaps: int = 0
    unread: int = 0
    inversions: int = 0


def settled(world: World) -> None:
    """Everything that was written is read."""
    last = -1
    while (count := world.records.count()) != last:
        last = count
        wait_for(lambda: world.records.count() != last, 2)
    if world.records.problem:
        raise AssertionError(f"the records cannot be counted: {world.records.problem}")


def account(world: World, until_ms: int, inverted: int = 0) -> Account:
    """Of the time from the first coverage on and before `until_ms`, by the simulator's clock; out of order are no more than `inverted`."""
    settled(world)
    wanted = [want["from"] for fact in world.facts("wanted") for want in fact["topics"].values()]
    since_ms = min(wanted) - world.origin_ms
    gaps = [bounds(gap, world.origin_ms) for gap in world.gaps().values()]
    known = set().union(*world.records.partitions.values())
    found, place, conversations = Account(records=world.records.count()), {}, {}
    found.repeats = found.records - len(known)
    examples = []
    for entry in world.ledger(until_ms):
        if not entry["covered"]:
            continue
        name = world.event_id(entry)
        place[name] = (entry["seq"], conversations.setdefault(entry["conversation_id"], len(conversations)))
        at = entry["at_ms"]
        if at < since_ms:
            continue
        found.generated += 1
        if name in known:
            continue
        if any(start <= at < end for start, end in gaps):
            found.in_gaps += 1
            found.unread += bool(entry["delivered"])
            continue
        found.lost += bool(entry["delivered"])
        found.silent += not entry["delivered"]
        examples.append({key: entry[key] for key in ("seq", "at_ms", "delivered", "dropped")})
    for ids in world.records.partitions.values():
        found.inversions += inversions(ids, place)
    assert found.generated > 0, "nothing was generated"
    assert found.lost == found.silent == 0 and found.inversions <= inverted, f"{found}; gaps {gaps}; {examples[:5]} … {examples[-5:]}"
    return found


def bounds(gap: dict, origin_ms: int) -> tuple[float, float]:
    """From and to, by the simulator's clock; a gap that still grows has no end."""
    start, end = gap["from_time"], gap["to_time"]
    return start.timestamp() * 1000 - origin_ms, end.timestamp() * 1000 - origin_ms if end else float("inf")


def inversions(ids, place: dict) -> int:
    """Events that are first seen after a later one of their conversation."""
    newest, seen, wrong = {}, set(), 0
    for name in ids:
        if name in seen or name not in place:
            continue
        seen.add(name)
        seq, conversation = place[name]
        wrong += seq < newest.get(conversation, 0)
        newest[conversation] = seq
    return wrong


def uncovered(claims: list[dict], start: int, end: int) -> list[tuple[int, int]]:
    """What no claim covers of the interval, from its start."""
    at, missing = start, []
    for low, high in sorted((claim["interval"]["from"], claim["interval"]["to"]) for claim in claims):
        if low > at and at < end:
            missing.append((at - start, min(low, end) - start))
        at = max(at, high)
    return [*missing, (at - start, end - start)] if at < end else missing
