"""An SQS that runs here (moto's server), and the events that EventBridge would put into its queues."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
import uuid

from harness import Process, Stand, config, wait_for

ORG = "bb14bed0-f8f9-445d-b9d1-10cecb8569d6"
ACCOUNT, REGION, KEY, SECRET = "123456789012", "eu-central-1", "AKIAIOSFODNN7EXAMPLE", "made-up-secret"
ACTIONS = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]


def event(number: int, conversation: str | None = None, org: str = ORG, **body) -> str:
    """One event as EventBridge writes it."""
    conversation = conversation or str(uuid.UUID(int=number))
    topic = f"v2.detail.events.conversation.{conversation}.customer.start"
    return json.dumps({
        "version": "0", "id": str(uuid.uuid4()), "detail-type": "v2.detail.events.conversation.{id}.customer.start",
        "source": f"aws.partner/genesys.com/cloud/{org}/trunkline", "account": ACCOUNT, "time": "2026-11-28T07:00:00Z",
        "region": REGION, "resources": [],
        "detail": {
            "topicName": topic, "version": "2",
            "eventBody": {"eventTime": 1795849200000 + number, "conversationId": conversation, "mediaType": "VOICE", **body},
            "metadata": {"CorrelationId": str(uuid.uuid4())}, "timestamp": "2026-11-28T07:00:00.500Z",
        },
    })


class Sqs(Process):
    """Speaks the real protocols; what it takes and gives is asked of it unsigned, as a test may."""

    def __init__(self):
        server = pathlib.Path(sys.executable).parent / "moto_server"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        super().__init__(server, "-H", "127.0.0.1", "-p", "0", stderr=subprocess.PIPE, env=environment)
        for line in self.child.stderr:
            if "Running on http://" in line:
                self.url = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/")
                break
        # whoever writes and is not read stops in the end
        threading.Thread(target=lambda: [None for _ in self.child.stderr], daemon=True).start()

    def call(self, action: str, service="AmazonSQS", **body) -> dict:
        headers = {
            "content-type": "application/x-amz-json-1.0", "x-amz-target": f"{service}.{action}",
            "authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20261128/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0",
        }
        request = urllib.request.Request(self.url + "/", data=json.dumps(body).encode(), headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"{}")

    def query(self, service: str, action: str, **parameters) -> str:
        """IAM and the token service have an older protocol."""
        form = urllib.parse.urlencode({"Action": action, **parameters}).encode()
        headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20261128/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"}
        request = urllib.request.Request(self.url + "/", data=form, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()

    def queue(self, name="genesys-events", **attributes) -> str:
        made = self.call("CreateQueue", QueueName=name, Attributes={"MessageRetentionPeriod": "1209600", **attributes})
        return made["QueueUrl"]

    def send(self, queue: str, bodies):
        bodies = list(bodies)
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start:start + 10])]
            assert not self.call("SendMessageBatch", QueueUrl=queue, Entries=entries).get("Failed")

    def left(self, queue: str) -> tuple[int, int]:
        """Messages that wait, and messages that were given and not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=names)["Attributes"]
        return tuple(int(found[name]) for name in names)

    def user(self, *actions) -> tuple[str, str]:
        """An access key that may do this and nothing else."""
        name = "u" + uuid.uuid4().hex[:8]
        self.query("iam", "CreateUser", UserName=name)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions) or ["sns:Publish"], "Resource": "*"}]}
        self.query("iam", "PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        text = self.query("iam", "CreateAccessKey", UserName=name)
        tag = lambda word: text.split(f"<{word}>")[1].split("<")[0]
        return tag("AccessKeyId"), tag("SecretAccessKey")

    @contextlib.contextmanager
    def strict(self):
        """Signatures and policies are looked at from here on."""
        self.authorize("0")
        yield
        self.authorize("inf")

    def authorize(self, after: str):
        request = urllib.request.Request(self.url + "/moto-api/reset-auth", data=after.encode(), method="POST", headers={"content-type": "text/plain"})
        urllib.request.urlopen(request, timeout=5).read()


def bridge(stand: Stand, queue: str, keys=(KEY, SECRET), **changes) -> dict:
    """Mode eventbridge: neither a region nor an OAuth client is needed."""
    of_queue = {"queue_url": queue, "region": REGION, "organization": ORG}
    if keys:
        of_queue |= {"access_key_id": keys[0], "secret_access_key": keys[1]}
    own = {name: changes.pop(name) for name in list(changes) if "__" not in name}
    genesys = {"mode": "eventbridge", "eventbridge": {**of_queue, **own}}
    return config(stand, "http://unused.example", genesys=genesys, **changes)


def empty(sqs: Sqs, queue: str, seconds=90) -> bool:
    return wait_for(lambda: sqs.left(queue) == (0, 0), seconds, 0.2)
