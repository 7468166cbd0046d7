"""What a user may do with topics, asked of brokers that keep access control lists."""

import json
import pathlib
import subprocess
import tempfile
import unittest

import harness
from cluster import Cluster, say
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclBinding, AclOperation, AclPermissionType, AdminClient, NewTopic, ResourcePatternType, ResourceType,
)
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Stand, Trunkline, config, total, wait_for

TOPICS = {EVENTS: "delete", QUARANTINE: "delete", GAPS: "compact,delete", CERTIFICATES: "compact", STATE: "compact"}
USERS = 'user_root="root-pw" user_trunkline="trunkline-pw"'
SECURE = {
    "listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "SASL_PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config":
        f'org.apache.kafka.common.security.plain.PlainLoginModule required username="root" password="root-pw" {USERS};',
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:root;User:ANONYMOUS",
}


def security(user: str) -> dict:
    return {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": user, "sasl.password": f"{user}-pw"}


class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(brokers=1, registry=False, listener="SASL_PLAINTEXT", settings=SECURE))
        cls.admin = AdminClient({"bootstrap.servers": cls.cluster.bootstrap, **security("root")})
        topics = [NewTopic(name, num_partitions=1, replication_factor=1, config={"cleanup.policy": policy}) for name, policy in TOPICS.items()]
        for future in cls.admin.create_topics(topics, request_timeout=30).values():
            future.result()

    @staticmethod
    def binding(topic: str, operation: AclOperation) -> AclBinding:
        return AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:trunkline", "*", operation, AclPermissionType.ALLOW)

    def allow(self, *operations: AclOperation, topics=TOPICS):
        bindings = [self.binding(topic, operation) for topic in topics for operation in operations]
        for future in self.admin.create_acls(bindings, request_timeout=30).values():
            future.result()

    def doctor(self, user="trunkline") -> tuple[int, dict[str, list[dict]]]:
        with Stand() as stand, Sim("--rate", "10") as sim, tempfile.TemporaryDirectory() as folder:
            tree = config(stand, sim.url, kafka__bootstrap_servers=self.cluster.bootstrap, kafka__security=security(user))
            tree["spool"] = {"dir": folder + "/spool"}
            path = pathlib.Path(folder) / "trunkline.yaml"
            path.write_text(json.dumps(tree))
            command = [harness.BINARY, "doctor", "--no-channel", "--config", path, "--output", "json"]
            run = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=90)
        self.assertNotIn("trunkline-pw", run.stdout + run.stderr)
        found = {}
        for finding in json.loads(run.stdout)["findings"]:
            found.setdefault(finding["check"], []).append(finding)
        return run.returncode, found

    def written(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": "count", **security("root")})
        try:
            return sum(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1] for topic in TOPICS)
        finally:
            consumer.close()

    def test_each_right_that_is_missing_is_named_with_the_command_that_grants_it_and_nothing_is_written(self):
        code, found = self.doctor()
        say("nothing is granted")
        self.assertEqual(code, 1)
        self.assertEqual([f["verdict"] for f in found["acl"]], ["fail"] * 5, found)
        self.assertIn(f"do not show topic {EVENTS}", found["acl"][0]["found"])
        self.assertIn("--operation DescribeConfigs --operation Read --operation Write", found["acl"][0]["remedy"])
        self.assertNotIn("topic", found)

        say("all but writing is granted, and reading of two topics")
        self.allow(AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
        self.allow(AclOperation.READ, topics=(STATE, EVENTS))
        code, found = self.doctor()
        self.assertEqual((code, len(found["acl"])), (1, 6), found["acl"])
        said = {f["found"]: f["remedy"] for f in found["acl"]}
        self.assertIn(f"Write is denied on topic {STATE}", said)
        remedy = said[f"Read, Write is denied on topic {GAPS}"]
        self.assertEqual(remedy, f"kafka-acls.sh --add --allow-principal User:NAME --operation Read --operation Write --topic {GAPS}")

        say("everything is granted, groups aside")
        self.allow(AclOperation.READ, AclOperation.WRITE)
        code, found = self.doctor()
        (finding,) = found["acl"]
        self.assertEqual((code, finding["verdict"]), (0, "warn"))
        self.assertTrue(finding["remedy"].endswith("--operation Read --resource-pattern-type prefixed --group trunkline-"), finding)
        groups = AclBinding(ResourceType.GROUP, "trunkline-", ResourcePatternType.PREFIXED, "User:trunkline", "*", AclOperation.READ, AclPermissionType.ALLOW)
        for future in self.admin.create_acls([groups], request_timeout=30).values():
            future.result()
        code, found = self.doctor()
        self.assertEqual([(f["verdict"], f["found"]) for f in found["acl"]], [("ok", "5 topics may be read and written")], found)
        self.assertEqual(code, 0, found)
        self.assertEqual(self.written(), 0)
        self.runs()

    def runs(self):
        """What doctor finds enough is enough to run with."""
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            tree = config(stand, sim.url, kafka__bootstrap_servers=self.cluster.bootstrap, kafka__security=security("trunkline"), kafka__start_timeout_secs=20)
            with Trunkline(tree).wait_ready(60) as app:
                self.assertTrue(wait_for(lambda: total(app, "trunkline_events_published_total") > 100, 30), app.metrics())
                self.assertEqual(app.stop()[0], 0)
                self.assertEqual({"tail_error", "kafka_client_error"} & set(app.codes()), set())
        self.assertGreater(self.written(), 100)

    def test_a_user_who_is_not_let_in_is_a_line_about_brokers(self):
        code, found = self.doctor("nobody")
        self.assertEqual(code, 1)
        self.assertIn("kafka.security (protocol, mechanism, user", found["brokers"][0]["remedy"])


if __name__ == "__main__":
    unittest.main()
