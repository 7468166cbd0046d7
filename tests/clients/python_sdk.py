"""The vendor's Python SDK on the simulator: token, channel, topics, socket, heartbeats, pings, rotation.

Usage: python_sdk.py PORT CA FRAMES. Every text frame goes to FRAMES with the number of its channel; what was called, compared and
found is printed as one line of JSON. Nothing of the SDK is changed: the address is its `gateway` setting, the authority its
`ssl_ca_cert`.
"""

import json
import sys
import threading
import time
from importlib.metadata import version

import PureCloudPlatformClientV2 as sdk
import websocket
from PureCloudPlatformClientV2.rest import ApiException
from python_models import Comparison

AFTER_ROTATION_SECS = 6
KINDS = ("acd.start", "user.start", "user.end", "attributes", "customer.end", "flow.start")


class Listener(threading.Thread):
    """One socket and everything it hears until it is closed."""

    def __init__(self, number: int, channel, ca: str):
        super().__init__(daemon=True)
        self.number, self.channel = number, channel
        self.texts, self.closed, self.protocol_pong = [], None, threading.Event()
        self.socket = websocket.create_connection(channel.connect_uri, sslopt={"ca_certs": ca})
        self.start()

    def run(self):
        while self.closed is None:
            opcode, data = self.socket.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_TEXT:
                self.texts.append(data.decode())
            elif opcode == websocket.ABNF.OPCODE_PONG:
                self.protocol_pong.set()
            elif opcode == websocket.ABNF.OPCODE_CLOSE:
                self.closed = int.from_bytes(data[:2], "big")

    def bodies(self, topic: str) -> list:
        return [frame["eventBody"] for frame in map(json.loads, list(self.texts)) if frame["topicName"] == topic]

    def said(self, message: str) -> int:
        return sum(body["message"] == message for body in self.bodies("channel.metadata"))

    def wait(self, what, seconds: float = 60):
        end = time.monotonic() + seconds
        while not what():
            if self.closed is not None or time.monotonic() > end:
                raise AssertionError(f"channel {self.number}, closed {self.closed}: not within {seconds} s")
            time.sleep(0.05)

    def ping(self):
        """Both pings there are; the pong queues behind the events before it."""
        heard = self.said("pong")
        self.protocol_pong.clear()
        self.socket.ping(b"are you there")
        self.socket.send(json.dumps({"message": "ping"}))
        self.wait(lambda: self.said("pong") > heard and self.protocol_pong.is_set(), 10)


class Story:
    """What a client does, from the token to the end of the second channel."""

    def __init__(self, port: int, ca: str):
        settings = sdk.Configuration()
        settings.ssl_ca_cert, settings.live_reload_config, self.ca = ca, False, ca
        self.client = sdk.api_client.ApiClient()
        self.client.set_gateway("127.0.0.1", "https", port, "", "")
        self.calls, self.comparison = 0, Comparison(self.client)
        self.notifications = sdk.NotificationsApi(self.client)
        self.schemas: dict[str, str] = {}

    def call(self, method, *args, **rest):
        """Calls the API and compares the answer with the model that the method names."""
        answer = method(*args, **rest)
        self.calls += 1
        kind = method.__annotations__["return"]
        if kind is not None:
            assert answer is not None, method.__name__
            self.comparison.compare(json.loads(self.client.last_response.data), answer, kind)
        return answer

    def refused(self, status: int, method, *args, **rest):
        self.calls += 1
        try:
            method(*args, **rest)
        except ApiException as refusal:
            assert refusal.status == status, refusal
            if refusal.body:
                self.comparison.read(refusal.body, "ErrorBody")
            return
        raise AssertionError(f"{method.__name__} is not refused")

    def look_around(self):
        self.client.get_client_credentials_token("sim-client", "sim-secret")
        self.calls += 1
        self.call(sdk.TokensApi(self.client).get_tokens_me)
        self.call(sdk.OrganizationApi(self.client).get_organizations_me)
        self.call(sdk.OrganizationApi(self.client).get_organizations_limits_namespace, "notifications")
        expand = ["description", "enforced", "schema", "transports", "requiresPermissions", "permissionDetails"]
        for topic in self.call(self.notifications.get_notifications_availabletopics, expand=expand).entities:
            if topic.schema:
                self.schemas[topic.id] = topic.schema["id"]
        queues = self.call(sdk.RoutingApi(self.client).get_routing_queues, page_size=100).entities
        users = self.call(sdk.UsersApi(self.client).get_users, page_size=100).entities
        media = ("", ".calls", ".chats", ".emails", ".callbacks", ".messages")
        self.queues = [f"v2.routing.queues.{queue.id}.conversations{end}" for queue in queues for end in media]
        self.users = [f"v2.users.{user.id}?conversations&conversations.calls&presence" for user in users]

    def topics(self, names: list[str]) -> list:
        found = []
        for name in names:
            topic = sdk.ChannelTopic()
            topic.id = name
            found.append(topic)
        return found

    def open(self, number: int) -> Listener:
        api = self.notifications
        channel = self.call(api.post_notifications_channels)
        self.call(api.head_notifications_channel, channel.id)
        answer = self.call(api.put_notifications_channel_subscriptions, channel.id, self.topics(self.queues))
        answer.entities += self.call(api.post_notifications_channel_subscriptions, channel.id, self.topics(self.users)).entities
        assert [topic.state for topic in answer.entities] == ["Permitted"] * len(self.queues + self.users)
        listed = self.call(api.get_notifications_channel_subscriptions, channel.id).entities
        assert {topic.id for topic in listed} == set(self.queues + self.users)
        return Listener(number, channel, self.ca)

    def mistakes(self, channel: str):
        """What is wrong is refused, and changes nothing."""
        api, wrong = self.notifications, self.topics(["v2.routing.queues.*.conversations"])
        self.refused(404, api.head_notifications_channel, "streaming-0-made-up")
        self.refused(400, api.post_notifications_channel_subscriptions, channel, wrong)
        rejected = self.call(api.post_notifications_channel_subscriptions, channel, wrong, ignore_errors="true").entities
        assert [topic.state for topic in rejected] == ["Rejected"]

    def follow(self, listener: Listener):
        """Detail events and metrics of the conversations that were heard of so far."""
        topics = [json.loads(text)["topicName"] for text in listener.texts]
        bodies = [json.loads(text)["eventBody"] for text, topic in zip(listener.texts, topics) if topic in self.queues]
        ids = list(dict.fromkeys(body["id"] for body in bodies))[:40]
        names = [f"v2.detail.events.conversation.{id}.{kind}" for id in ids for kind in KINDS]
        names += [f"v2.analytics.conversation.{id}.metrics" for id in ids]
        self.call(self.notifications.post_notifications_channel_subscriptions, listener.channel.id, self.topics(names))

    def close(self, listener: Listener):
        """Nothing is wanted any more, a last pong says that everything was heard, then the socket ends."""
        self.call(self.notifications.delete_notifications_channel_subscriptions, listener.channel.id)
        listener.ping()
        listener.socket.send_close(1000)
        listener.join(10)
        assert listener.closed == 1000, listener.closed

    def history(self, first_body: dict):
        api = sdk.AnalyticsApi(self.client)
        query = sdk.ConversationQuery()
        now = time.time()
        stamp = [time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now + shift)) for shift in (-3_600, 3_600)]
        query.interval = "/".join(stamp)
        found = self.call(api.post_analytics_conversations_details_query, query)
        assert found.total_hits > 0 and found.conversations[0].conversation_id, found
        self.call(api.get_analytics_conversations_details_jobs_availability)
        job = self.call(api.post_analytics_conversations_details_jobs, query)
        while self.call(api.get_analytics_conversations_details_job, job.job_id).state != "FULFILLED":
            time.sleep(0.2)
        results = self.call(api.get_analytics_conversations_details_job_results, job.job_id)
        assert results.conversations[0].participants[0].attributes, results
        self.call(api.get_analytics_conversation_details, first_body["id"])
        living = self.call(sdk.ConversationsApi(self.client).get_conversation, first_body["id"])
        assert living.id == first_body["id"] and living.participants, living

    def play(self) -> list[Listener]:
        self.look_around()
        first = self.open(1)
        self.mistakes(first.channel.id)
        first.wait(lambda: len(first.texts) > 150)
        self.follow(first)
        while not first.bodies("v2.system.socket_closing"):
            first.ping()
            time.sleep(2)
        second = self.open(2)
        second.wait(lambda: len(second.texts) > 20)
        self.close(first)
        time.sleep(AFTER_ROTATION_SECS)
        self.close(second)
        self.call(self.notifications.get_notifications_channels)
        self.history(next(body for text in first.texts if "id" in (body := json.loads(text)["eventBody"])))
        return [first, second]

    def read(self, listener: Listener):
        """Every frame as an object of the SDK, with the model that the platform names for its topic."""
        for text in listener.texts:
            frame = json.loads(text)
            if frame["topicName"] == "channel.metadata":
                continue
            body = json.dumps(frame["eventBody"])
            self.comparison.read(body, self.schema(frame["topicName"]))

    def schema(self, topic: str) -> str:
        if topic == "v2.system.socket_closing":
            return "SystemMessageSystemMessage"
        parts = topic.split(".")
        for template, schema in self.schemas.items():
            words = template.split(".")
            if len(words) == len(parts) and all(w in (p, "{id}") for w, p in zip(words, parts)):
                return schema
        raise AssertionError(f"no model for {topic}")


def main(port: str, ca: str, frames: str):
    story = Story(int(port), ca)
    listeners = story.play()
    with open(frames, "w") as out:
        for listener in listeners:
            out.writelines(json.dumps({"channel": listener.number, "text": text}) + "\n" for text in listener.texts)
            story.read(listener)
    comparison = story.comparison
    report = {
        "sdk": "PureCloudPlatformClientV2", "version": version("PureCloudPlatformClientV2"), "calls": story.calls,
        "compared": comparison.count, "complaints": comparison.complaints[:20],
        "unknown": comparison.unknown, "models": comparison.models,
        "heartbeats": [one.said("WebSocket Heartbeat") for one in listeners], "pongs": [one.said("pong") for one in listeners],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
