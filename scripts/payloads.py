"""Feeds published payloads through the product: each is a record or a quarantined one.

usage: payloads.py FOLDER

Envelopes of the Notification API go over the socket as they are, a bare body gets an envelope,
EventBridge envelopes go over a queue of SQS, those of each organisation to a process of its own, and answers of the REST API
are listed as what they are. Fails when an event is neither a record nor in quarantine with its bytes intact.
"""

import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "journey"))
from harness import QUARANTINE, FrameServer, Sim, Stand, Trunkline, config, total, wait_for  # noqa: E402
from sqs_harness import Sqs, bridge, empty  # noqa: E402


QUEUED = "EventBridge envelope"


def classify(text: str):
    """What a file holds, and the message it becomes on a socket."""
    payload = json.loads(text)
    if "topicName" in payload:
        system = payload["topicName"] == "channel.metadata" or payload["topicName"].startswith("v2.system.")
        return ("system message", None) if system else ("event", text)
    if "detail-type" in payload:
        return QUEUED, text
    if "participants" in payload:
        topic = "v2.routing.queues.%s.conversations" % payload["participants"][0].get("queueId", "unknown")
        return "bare body, put into an envelope", '{"topicName":"%s","version":"2","eventBody":%s}' % (topic, text)
    return "no event", None


def filled(record: dict) -> list[str]:
    return sorted(name for name, value in record.items() if value not in (None, [], {}))


def over_the_queue(messages: list[str]) -> tuple[dict, dict]:
    """Records by payload and quarantined messages by their bytes, of messages that go over SQS."""
    by_org = {}
    for message in messages:
        by_org.setdefault(json.loads(message)["source"].split("/")[3], []).append(message)
    records, quarantined = {}, {}
    for number, (org, those) in enumerate(by_org.items(), 1):
        print(f"SQS {number}/{len(by_org)}: {len(those)} messages of organisation {org}", file=sys.stderr)
        with Stand() as stand, Sqs() as sqs:
            queue = sqs.queue()
            sqs.send(queue, those)
            with Trunkline(bridge(stand, queue, organization=org)).wait_ready() as app:
                # what is deleted from the queue is in Kafka
                if not empty(sqs, queue) or not wait_for(lambda: total(app, "trunkline_queue_in_flight") == 0):
                    print(f"the queue still holds {sqs.left(queue)}", file=sys.stderr)
                app.stop()
            records |= {r["record"]["payload"]: r["record"] for r in stand.records()}
            quarantined |= {r["value"].decode(errors="replace"): r["headers"] for r in stand.records(QUARANTINE)}
    return records, quarantined


def body_of(message: str):
    envelope = json.loads(message)
    return envelope.get("detail", envelope).get("eventBody")


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    if not files:
        print(f"no payload in {sys.argv[1]}", file=sys.stderr)
        return 1
    messages = {}
    for path in files:
        kind, message = classify(path.read_text())
        messages[path.name] = (kind, message)
    events = [message for kind, message in messages.values() if message and kind != QUEUED]
    queued = [message for kind, message in messages.values() if kind == QUEUED]
    # one more that must come through after all the others: none of them stops the stream
    last = '{"topicName":"v2.users.u.conversations","version":"2","eventBody":{"id":"the-last-one","participants":[]}}'
    server = FrameServer([*events, last])
    direct = {"url": server.url, "connections": 1}
    with Stand() as stand, Sim() as sim:
        with Trunkline(config(stand, sim.url, genesys__mode="direct", genesys__direct=direct)).wait_ready() as app:
            def done():
                seen = app.metrics()
                count = lambda word: sum(v for n, v in seen.items() if n.startswith(f"trunkline_events_{word}_total"))
                return count("published") + count("quarantined") >= len(events) + 1
            arrived = wait_for(done)
            code, _ = app.stop()
        records = {r["record"]["payload"]: r["record"] for r in stand.records()}
        quarantined = {r["value"].decode(errors="replace"): r["headers"] for r in stand.records(QUARANTINE)}
    if queued:
        of_queue, put_aside = over_the_queue(queued)
        records |= of_queue
        quarantined |= put_aside
    failed = not arrived or code != 0 or not any("the-last-one" in payload for payload in records)
    for name, (kind, message) in messages.items():
        if message is None:
            print(f"{name}: {kind}")
            continue
        body = next((p for p in records if p in message and json.loads(p) == body_of(message)), None)
        if body is not None:
            print(f"{name}: {kind}: record: {', '.join(filled(records[body]))}")
        elif message in quarantined:
            print(f"{name}: {kind}: quarantined: {quarantined[message]['trunkline-reason']}")
        else:
            print(f"{name}: {kind}: LOST")
            failed = True
    print(f"{len(events) + len(queued)} events of {len(files)} payloads, {'FAILED' if failed else 'none lost, the stream went on'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
