"""The vendor's own SDKs, as published, against the running simulator: what they make of it and whether they heard all of it."""

import base64
import concurrent.futures
import csv
import hashlib
import json
import re
import subprocess
import unittest

import world

# keys that no model has, on purpose: readers of the platform meet such keys
UNKNOWN = {"futureThing", "unheardOf", "step"}
# answers and frames that have to be among what was compared
MODELS = {
    "TokenInfo", "Organization", "LimitsEntityListing", "AvailableTopicEntityListing", "QueueEntityListing", "UserEntityListing",
    "Channel", "ChannelEntityListing", "ChannelTopicEntityListing", "ErrorBody", "SystemMessageSystemMessage", "Conversation",
    "AnalyticsConversationQueryResponse", "AnalyticsConversationAsyncQueryResponse", "AsyncQueryResponse", "AsyncQueryStatus",
    "AnalyticsConversationWithoutAttributes", "DataAvailabilityResponse", "QueueConversationEventTopicConversation",
    "ConversationEventTopicConversation", "ConversationCallEventTopicCallConversation",
    "QueueConversationCallEventTopicCallConversation", "QueueConversationCallbackEventTopicCallbackConversation",
    "QueueConversationChatEventTopicChatConversation", "QueueConversationEmailEventTopicEmailConversation",
    "QueueConversationMessageEventTopicMessageConversation",
}
COLUMNS = ("SDK", "version", "calls", "compared", "seen", "delivered", "heartbeats", "pongs")


class Clients(unittest.TestCase):
    """Both scripts run side by side, each with a simulator of its own; mostly they listen."""

    @classmethod
    def setUpClass(cls):
        commands = {
            "python": [world.PYTHON, world.HERE / "python_sdk.py"],
            "javascript": ["node", world.HERE / "javascript_sdk.js"],
        }
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = {name: pool.submit(world.run, command, name) for name, command in commands.items()}
        cls.reports = {name: run.result() for name, run in runs.items()}

    @classmethod
    def tearDownClass(cls):
        rows = [COLUMNS]
        for report in getattr(cls, "reports", {}).values():
            seen, delivered = (sum(len(of(report, n)) for n in (1, 2)) for of in (world.heard, world.delivered))
            told = (sum(report["heartbeats"]), sum(report["pongs"]))
            rows.append((report["sdk"], report["version"], report["calls"], report["compared"], seen, delivered, *told))
        print("\n" + "\n".join(f"{row[0]:30}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows), flush=True)

    def test_what_was_delivered_was_heard_in_order_and_byte_for_byte(self):
        for name, report in self.reports.items():
            with self.subTest(name):
                for channel, least in ((1, 600), (2, 100)):
                    texts, entries = world.heard(report, channel), world.delivered(report, channel)
                    self.assertIsNone(world.difference(texts, entries), f"channel {channel}")
                    self.assertGreater(len(texts), least)

    def test_answers_and_frames_are_what_the_models_say(self):
        for name, report in self.reports.items():
            with self.subTest(name):
                self.assertEqual(report["complaints"], [])
                self.assertEqual(MODELS - set(report["models"]), set(), "not compared")
                details = [model for model in report["models"] if "DetailEventTopic" in model]
                self.assertGreaterEqual(len(details), 2, details)
                frames = sum(len(world.heard(report, channel)) for channel in (1, 2))
                self.assertGreater(report["compared"], frames + 20)

    def test_only_what_is_unknown_on_purpose_is_unknown_to_the_models(self):
        for name, report in self.reports.items():
            with self.subTest(name):
                self.assertEqual({path.rsplit(".", 1)[1] for path in report["unknown"]}, UNKNOWN)

    def test_heartbeats_pings_and_the_announced_end_were_heard(self):
        for name, report in self.reports.items():
            with self.subTest(name):
                self.assertGreaterEqual(report["heartbeats"][0], world.ANNOUNCED_MS // world.HEARTBEAT_MS)
                self.assertGreaterEqual(report["heartbeats"][1], 1)
                self.assertGreater(report["pongs"][0], 5, "one before each look for the announcement, one before the end")
                told = [frame["text"] for frame in report["frames"] if '"v2.system.socket_closing"' in frame["text"]]
                self.assertEqual(len(told), 1)

    def test_the_rotation_left_no_socket_and_no_refusal_behind(self):
        for name, report in self.reports.items():
            with self.subTest(name):
                counters = report["counters"]
                found = {key: counters[key] for key in ("channels_created", "opened", "dials", "connected", "rate_limited")}
                self.assertEqual(found, {"channels_created": 2, "opened": 2, "dials": 2, "connected": [], "rate_limited": 0})
                both = [entry for entry in report["ledger"] if {1, 2} <= set(entry["delivered"])]
                self.assertGreater(len(both), 5, "the new channel hears beside the old one")

    def test_no_file_of_the_python_sdk_was_changed(self):
        folder = next((world.CACHE / "venv" / "lib").glob("python3*/site-packages"))
        record, = folder.glob("purecloudplatformclientv2-*.dist-info/RECORD")
        checked = 0
        for name, digest, _ in csv.reader(record.read_text().splitlines()):
            if name.startswith("PureCloudPlatformClientV2/") and digest:
                found = base64.urlsafe_b64encode(hashlib.sha256((folder / name).read_bytes()).digest()).decode()
                self.assertEqual(digest, "sha256=" + found.rstrip("="), name)
                checked += 1
        self.assertGreater(checked, 1_000)

    def test_the_versions_are_the_pinned_ones(self):
        python = re.search(r"^PureCloudPlatformClientV2==(.*)$", (world.HERE / "requirements.txt").read_text(), re.M)[1]
        node = json.loads((world.HERE / "package.json").read_text())["dependencies"]["purecloud-platform-client-v2"]
        self.assertEqual([report["version"] for report in self.reports.values()], [python, node])


class Planted(unittest.TestCase):
    """A comparison that cannot fail proves nothing."""

    def test_a_lost_a_doubled_a_swapped_and_a_changed_frame_are_noticed(self):
        entries = [{"topic": "t", "body": '{"n":%d}' % n} for n in range(3)]
        good = ['{"topicName":"t","version":"2","eventBody":{"n":%d},"metadata":{}}' % n for n in range(3)]
        self.assertIsNone(world.difference(good, entries))
        changed = [text.replace('"n":2', '"n": 2') for text in good]
        for bad in (good[:2], good[1:], [good[0], *good], [good[1], good[0], good[2]], changed, []):
            self.assertIsNotNone(world.difference(bad, entries), bad)

    def test_a_wrong_type_a_missing_and_an_unknown_key_are_noticed(self):
        raw = '{"entities":[{"id":7,"connectUri":"u","more":1}]}'
        python = (
            "import json, PureCloudPlatformClientV2 as sdk; from python_models import Comparison;"
            f"c = Comparison(sdk.api_client.ApiClient()); c.read({raw!r}, 'ChannelEntityListing');"
            "print(json.dumps([len(c.complaints), list(c.unknown)]), flush=True)"
        )
        declarations = world.MODULES / "purecloud-platform-client-v2" / "index.d.ts"
        node = (
            f"const {{ Comparison }} = require('./javascript_models.js'); const c = new Comparison('{declarations}');"
            f"c.compare({raw}, 'Models.ChannelEntityListing'); c.compare({{id: 'o'}}, 'Models.Organization');"
            "console.log(JSON.stringify([c.complaints.length, Object.keys(c.unknown)]))"
        )
        for command, complaints in (([world.PYTHON, "-c", python], 1), (["node", "-e", node], 2)):
            done = subprocess.run(command, cwd=world.HERE, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout), [complaints, ["ChannelEntityListing.entities[].more"]])


if __name__ == "__main__":
    unittest.main()
