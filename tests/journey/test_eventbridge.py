"""From a queue of Amazon SQS to records: everything arrives, nothing is deleted before Kafka has it."""

import collections
import json
import os
import signal
import tempfile
import threading
import unittest

from harness import QUARANTINE, Stand, Trunkline, ask, total, wait_for
from sqs_harness import ACTIONS, ORG, Sqs, bridge, empty, event


def start(settings: dict, failpoints: str | None = None) -> Trunkline:
    return Trunkline(settings, env={**os.environ, "FAILPOINTS": failpoints} if failpoints else None)


class EventBridge(unittest.TestCase):
    def setUp(self):
        self.stand, self.sqs = self.enterContext(Stand()), self.enterContext(Sqs())
        self.queue = self.sqs.queue()

    def seen(self, app: Trunkline) -> dict:
        return {name: value for name, value in app.metrics().items() if name.startswith("trunkline_queue") and value} | {"left": self.sqs.left(self.queue)}

    def conversations(self) -> collections.Counter:
        return collections.Counter(raw["record"]["conversation_id"] for raw in self.stand.records())

    def test_every_event_is_a_record_of_its_own_origin_and_leaves_the_queue(self):
        sent = [event(n) for n in range(100)]
        self.sqs.send(self.queue, sent + sent[:20])
        with start(bridge(self.stand, self.queue)).wait_ready() as app:
            self.assertTrue(empty(self.sqs, self.queue), self.seen(app))
            self.assertTrue(wait_for(lambda: total(app, "trunkline_queue_in_flight") == 0))
            seen = app.metrics()
            code, _ = app.stop()
        self.assertEqual(code, 0, "".join(app.log[-5:]))
        records = [raw["record"] for raw in self.stand.records()]
        self.assertEqual((len(records), len({r["event_id"] for r in records})), (100, 100))
        self.assertEqual({(r["origin"], r["epoch_id"], r["org_id"]) for r in records}, {("eventbridge", None, ORG)})
        self.assertEqual({r["event_type"] for r in records}, {"customer.start"})
        self.assertEqual(min(r["event_time"] for r in records).timestamp(), 1795849200)
        # a queue may give a message to two receivers at once, and count that once
        received, copies = seen["trunkline_queue_received_total"], seen["trunkline_events_deduplicated_total"]
        self.assertGreaterEqual(received, 120)
        self.assertEqual(received - copies, 100)
        self.assertGreaterEqual(seen['trunkline_queue_deletes_total{outcome="done"}'], 120)

    def test_a_kill_between_acknowledgement_and_deletion_repeats_under_the_same_id_and_loses_nothing(self):
        self.sqs.send(self.queue, [event(n) for n in range(60)])
        settings = bridge(self.stand, self.queue, visibility_secs=30)
        with start(settings, "eb.acked=25*off->return(kill)") as app:
            app.child.wait(30)
        self.assertEqual(app.child.returncode, -signal.SIGKILL)
        self.assertGreater(sum(self.sqs.left(self.queue)), 0)
        with start(settings).wait_ready() as app:
            self.assertTrue(empty(self.sqs, self.queue), self.sqs.left(self.queue))
            redelivered = total(app, "trunkline_queue_redelivered_total")
            app.stop()
        self.assertGreater(redelivered, 0)
        ids = collections.Counter(raw["record"]["event_id"] for raw in self.stand.records())
        self.assertEqual(len(ids), 60)
        repeats = sum(ids.values()) - len(ids)
        self.assertGreater(repeats, 0)
        self.assertLessEqual(repeats, redelivered)

    def test_while_the_broker_is_away_messages_stay_and_arrive_afterwards(self):
        with start(bridge(self.stand, self.queue, visibility_secs=30)).wait_ready() as app:
            away = threading.Thread(target=self.stand.obey, args=("away 90000",))
            away.start()
            self.sqs.send(self.queue, [event(n) for n in range(50)])
            self.assertTrue(wait_for(lambda: total(app, "trunkline_queue_in_flight") >= 50, 60), self.seen(app))
            # longer than a message stays hidden when nobody extends it
            wait_for(lambda: not away.is_alive(), 35, 0.5)
            self.assertTrue(away.is_alive())
            self.assertEqual(self.sqs.left(self.queue), (0, 50))
            self.assertEqual(total(app, "trunkline_queue_deletes_total"), 0)
            away.join()
            self.assertTrue(empty(self.sqs, self.queue), self.seen(app))
            app.stop()
        self.assertEqual(set(self.conversations().values()), {1})
        self.assertEqual(len(self.conversations()), 50)

    def test_what_cannot_be_understood_goes_to_the_quarantine_and_stops_nothing(self):
        bad = ["no JSON", '{"source": "aws.s3", "detail": {}}', event(1, org="11111111-0000-0000-0000-000000000000"), event(2, mediaType=7)]
        self.sqs.send(self.queue, [*bad, event(3)])
        with start(bridge(self.stand, self.queue)).wait_ready() as app:
            self.assertTrue(empty(self.sqs, self.queue), self.seen(app))
            app.stop()
        self.assertEqual(len(self.conversations()), 1)
        put_aside = {raw["value"].decode(): raw["headers"]["trunkline-reason"] for raw in self.stand.records(QUARANTINE)}
        self.assertEqual(sorted(put_aside.values()), ["bad_body", "malformed", "no_envelope", "no_envelope"], put_aside)
        self.assertLessEqual(set(bad[:3]), set(put_aside))

    def test_the_privacy_policy_comes_before_kafka(self):
        self.sqs.send(self.queue, [event(1, ani="+4930123456", attributes={"iban": "DE1"}), '{"secret": "+4930123456"'])
        settings = bridge(self.stand, self.queue, privacy__preset="strict")
        with start(settings).wait_ready() as app:
            self.assertTrue(empty(self.sqs, self.queue), self.seen(app))
            app.stop()
        values = [raw["value"] for topic in ("genesys.conversation.events", QUARANTINE) for raw in self.stand.records(topic)]
        self.assertEqual(len(values), 2)
        for value in values:
            self.assertNotIn(b"30123456", value)
            self.assertNotIn(b"DE1", value)

    def test_a_queue_that_is_not_there_and_one_that_may_not_be_used_are_named_with_what_is_allowed(self):
        gone = self.queue.replace("genesys-events", "gone")
        code, _, complaint = ask(bridge(self.stand, gone), "run")
        self.assertEqual(code, 65, complaint)
        self.assertIn(f"there is no queue {gone}", complaint)
        self.assertIn("genesys.eventbridge.queue_url: allowed:", complaint)
        # AWS asks for the permission of one message where a request names several; this server has one of its own
        batches = ["sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch"]
        may, may_not = self.sqs.user(*ACTIONS, *batches), self.sqs.user()
        self.sqs.send(self.queue, [event(1)])
        with self.sqs.strict():
            code, _, complaint = ask(bridge(self.stand, self.queue, may_not), "run")
            self.assertEqual(code, 77, complaint)
            self.assertIn(self.queue, complaint)
            self.assertIn(", ".join(ACTIONS), complaint)
            code, _, complaint = ask(bridge(self.stand, self.queue, (may[0], "wrong-secret")), "run")
            self.assertEqual(code, 77, complaint)
            # signed as AWS wants it, and permitted
            with start(bridge(self.stand, self.queue, may)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: total(app, "trunkline_queue_deletes_total") == 1, 60), app.codes())
                app.stop()
        code, _, complaint = ask(bridge(self.stand, self.queue, None, queue_url="nowhere", visibility_secs=5), "run")
        self.assertEqual(code, 65)
        for words in ("genesys.eventbridge.queue_url: is \"nowhere\"; allowed:", "visibility_secs: is 5; allowed: 30 to 43200"):
            self.assertIn(words, complaint)

    def test_a_service_account_gets_keys_for_its_token(self):
        self.sqs.send(self.queue, [event(1)])
        with tempfile.NamedTemporaryFile("w") as token:
            token.write("header.payload.signature")
            token.flush()
            environment = {
                **os.environ, "AWS_WEB_IDENTITY_TOKEN_FILE": token.name, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/trunkline",
                "AWS_ENDPOINT_URL_STS": self.sqs.url,
            }
            with Trunkline(bridge(self.stand, self.queue, None), env=environment).wait_ready() as app:
                self.assertTrue(empty(self.sqs, self.queue), self.seen(app))
                app.stop()
        self.assertEqual(len(self.conversations()), 1)

    def test_doctor_says_what_is_permitted_and_how_the_queue_is_set(self):
        dead = self.sqs.queue("dead")
        arn = self.sqs.call("GetQueueAttributes", QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        hasty = self.sqs.queue("hasty", MessageRetentionPeriod="86400", RedrivePolicy=redrive)
        for queue, retention, letters in ((self.queue, "ok", "ok"), (hasty, "warn", "warn")):
            _, lines, complaint = ask(bridge(self.stand, queue), "doctor")
            self.assertEqual(len(lines), 1, complaint)
            found = {}
            for finding in lines[0]["findings"]:
                found.setdefault(finding["check"], []).append((finding["verdict"], finding["found"]))
            self.assertEqual(found["queue"][0][0], "ok", found)
            self.assertIn(queue, found["queue"][0][1])
            self.assertEqual([verdict for verdict, _ in found["permissions"]], ["ok", "skip"])
            self.assertEqual((found["retention"][0][0], found["dead letters"][0][0]), (retention, letters))
            self.assertNotIn("login", found)
        self.assertIn("dead gets what was given 3 times", found["dead letters"][0][1])
        code, lines, _ = ask(bridge(self.stand, self.queue + "-gone"), "doctor")
        self.assertEqual(code, 1)
        self.assertIn("there is no queue", json.dumps(lines))


if __name__ == "__main__":
    unittest.main()
