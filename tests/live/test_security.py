"""Ways to say who one is to a real broker: TLS, certificates of clients, SASL PLAIN and SCRAM; and what is said when it is wrong."""

import os
import pathlib
import subprocess
import tempfile
import time
import unittest
import unittest.mock

from cluster import Cluster
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Stand, Trunkline, ask, config, wait_for
from provider import Provider

TOPICS = {EVENTS: "delete", QUARANTINE: "delete", GAPS: "compact,delete", CERTIFICATES: "compact", STATE: "compact"}
SUBJECT = "/CN=127.0.0.1"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """A certificate authority in a folder, and what it signs."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder, self.name = folder, name
        self.key, self.pem = folder / f"{name}.key", folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)

    def sign(self, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Key and certificate of somebody at 127.0.0.1."""
        key, request, pem, extra = (self.folder / f"{self.name}-{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        extra.write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-days", "2", "-extfile", extra, "-out", pem)
        return key, pem


class Secured(unittest.TestCase):
    """What every way has in common."""

    @classmethod
    def prepare(cls, listener: str, **settings):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.authority, cls.stranger = (Authority(cls.folder, name) for name in ("ours", "theirs"))
        key, pem = cls.authority.sign("broker")
        (cls.folder / "broker-store.pem").write_text(key.read_text() + pem.read_text())
        stores = {
            "ssl.keystore.type": "PEM", "ssl.keystore.location": cls.folder / "broker-store.pem",
            "ssl.truststore.type": "PEM", "ssl.truststore.location": cls.authority.pem,
        }
        cls.cluster = cls.enterClassContext(Cluster(brokers=1, registry=False, listener=listener, settings={
            "listener.security.protocol.map": f"{listener}:{listener},CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": listener, **stores, **settings,
        }))

    @classmethod
    def make_topics(cls, security: dict):
        cls.root = {"bootstrap.servers": cls.cluster.bootstrap, **security}
        cls.admin = AdminClient(cls.root)
        topics = [NewTopic(name, num_partitions=1, replication_factor=1, config={"cleanup.policy": policy}) for name, policy in TOPICS.items()]
        for future in cls.admin.create_topics(topics, request_timeout=30).values():
            future.result()

    def tree(self, stand: Stand, sim: Sim, security: dict, **rest) -> dict:
        return config(stand, sim.url, kafka__bootstrap_servers=self.cluster.bootstrap, kafka__security=security, **{"kafka__start_timeout_secs": 20, **rest})

    def events(self) -> int:
        consumer = Consumer({**self.root, "group.id": "count"})
        try:
            return consumer.get_watermark_offsets(TopicPartition(EVENTS, 0), timeout=30)[1]
        finally:
            consumer.close()

    def streams(self, security: dict, **rest):
        """A connector that says who it is in this way writes events."""
        before = self.events()
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            with Trunkline(self.tree(stand, sim, security, **rest)).wait_ready(40) as app:
                self.assertTrue(wait_for(lambda: self.events() > before + 50, 30), app.log)
                self.assertEqual(app.stop()[0], 0)

    def refused(self, security: dict, *words: str, **rest):
        """`run` ends, and says each word; `doctor` says them too."""
        with Stand() as stand, Sim("--rate", "10") as sim:
            tree = self.tree(stand, sim, security, kafka__start_timeout_secs=5, **rest)
            with Trunkline(tree) as app:
                code = app.child.wait(60)
                app.reader.join(5)
                said = "".join(app.log)
            self.assertNotEqual(code, 0)
            for word in words:
                self.assertIn(word.lower(), said.lower())
            code, found, _ = ask(tree, "doctor", "--no-channel")
            self.assertEqual(code, 1)
            texts = " ".join(str(finding) for line in found for finding in line["findings"] if finding["verdict"] == "fail")
            self.assertIn("kafka", texts.lower())
            for secret in ("trunkline-pw", "wrong-pw"):
                self.assertNotIn(secret, said + texts)


class SaslOverTls(Secured):
    @classmethod
    def setUpClass(cls):
        users = 'user_root="root-pw" user_trunkline="trunkline-pw"'
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        cls.prepare("SASL_SSL", **{
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512", "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{plain} required username="root" password="root-pw" {users};',
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{scram} required;",
        })
        cls.tls = {"security.protocol": "sasl_ssl", "ssl.ca.location": str(cls.authority.pem)}
        cls.make_topics({**cls.tls, "sasl.mechanism": "PLAIN", "sasl.username": "root", "sasl.password": "root-pw"})
        secret = UserScramCredentialUpsertion("trunkline", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192), b"trunkline-pw")
        for future in cls.admin.alter_user_scram_credentials([secret], request_timeout=30).values():
            future.result()

    def by(self, mechanism: str) -> dict:
        return {**self.tls, "sasl.mechanism": mechanism, "sasl.username": "trunkline"}

    def test_plain_with_a_password_from_a_file(self):
        path = self.folder / "password"
        path.write_text("trunkline-pw\n")
        self.streams(self.by("PLAIN"), kafka__sasl_password_file=str(path))

    def test_scram(self):
        self.streams(self.by("SCRAM-SHA-512"), kafka__sasl_password="trunkline-pw")

    def test_stops_end_well_although_connections_are_encrypted(self):
        codes = []
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            for _ in range(8):
                with Trunkline(self.tree(stand, sim, self.by("PLAIN"), kafka__sasl_password="trunkline-pw")).wait_ready(40) as app:
                    codes.append(app.stop()[0])
        self.assertEqual(codes, [0] * 8)

    def test_a_wrong_password_is_named_and_shown_nowhere(self):
        self.refused(self.by("SCRAM-SHA-512"), "authentication", kafka__sasl_password="wrong-pw")

    def test_a_mechanism_that_the_broker_has_not_is_named(self):
        self.refused(self.by("SCRAM-SHA-256"), "SCRAM-SHA-256", kafka__sasl_password="trunkline-pw")

    def test_an_authority_that_did_not_sign_the_broker_is_named(self):
        self.refused({**self.by("PLAIN"), "ssl.ca.location": str(self.stranger.pem)}, "certificate", kafka__sasl_password="trunkline-pw")


class ClientCertificates(Secured):
    @classmethod
    def setUpClass(cls):
        cls.prepare("SSL", **{"ssl.client.auth": "required"})
        cls.make_topics(cls.shown(cls.authority, "root"))

    @classmethod
    def shown(cls, authority: Authority, name: str) -> dict:
        key, pem = authority.sign(name)
        return {"security.protocol": "ssl", "ssl.ca.location": str(cls.authority.pem), "ssl.key.location": str(key), "ssl.certificate.location": str(pem)}

    def test_a_certificate_that_the_broker_trusts(self):
        self.streams(self.shown(self.authority, "trunkline"))

    def test_a_certificate_of_another_authority_is_refused(self):
        self.refused(self.shown(self.stranger, "trunkline"), "ssl")

    def test_no_certificate_is_refused(self):
        self.refused({"security.protocol": "ssl", "ssl.ca.location": str(self.authority.pem)}, "ssl")

class TokensOfAProvider(Secured):
    """OAUTHBEARER: librdkafka asks an OIDC provider, the broker checks against the provider's keys."""

    LIFE = 15  # seconds that a token counts, and after which the broker wants another one on the same connection

    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Provider("trunkline", "trunkline-pw", cls.LIFE))
        # a broker asks only addresses that it was told of when it started
        allowed = {"JAVA_TOOL_OPTIONS": f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={cls.provider.url}/keys"}
        cls.enterClassContext(unittest.mock.patch.dict(os.environ, allowed))
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        bearer, checks = "org.apache.kafka.common.security.oauthbearer", "listener.name.sasl_ssl.oauthbearer"
        cls.prepare("SASL_SSL", **{
            "sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER", "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{plain} required username="root" password="root-pw" user_root="root-pw";',
            f"{checks}.sasl.jaas.config": f"{bearer}.OAuthBearerLoginModule required;",
            f"{checks}.sasl.server.callback.handler.class": f"{bearer}.OAuthBearerValidatorCallbackHandler",
            f"{checks}.sasl.oauthbearer.jwks.endpoint.url": f"{cls.provider.url}/keys",
            f"{checks}.sasl.oauthbearer.expected.audience": "kafka",
            f"{checks}.connections.max.reauth.ms": cls.LIFE * 1000,
        })
        cls.tls = {"security.protocol": "sasl_ssl", "ssl.ca.location": str(cls.authority.pem)}
        cls.make_topics({**cls.tls, "sasl.mechanism": "PLAIN", "sasl.username": "root", "sasl.password": "root-pw"})

    def oidc(self, **changes) -> dict:
        return {
            **self.tls, "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "trunkline",
            "sasl.oauthbearer.token.endpoint.url": f"{self.provider.url}/token", **changes,
        }

    def test_a_token_is_asked_for_and_renewed_while_events_flow(self):
        before = self.events()
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            with Trunkline(self.tree(stand, sim, self.oidc(), kafka__sasl_password="trunkline-pw")).wait_ready(40) as app:
                granted = self.provider.granted
                time.sleep(3 * self.LIFE)
                self.assertGreater(self.provider.granted, granted, "renewed")
                then = self.events()
                self.assertTrue(wait_for(lambda: self.events() > then + 50, 10), app.log)
                self.assertEqual(app.stop()[0], 0)
            heard = {entry["body"] for entry in sim.ledger() if entry["delivered"]}
        self.assertGreaterEqual(self.events() - before, len(heard) - 100, "but for what was sent while the sockets closed")

    def test_doctor_and_the_commands_get_in(self):
        with Stand() as stand, Sim("--rate", "10") as sim:
            _, found, _ = ask(self.tree(stand, sim, self.oidc(), kafka__sasl_password="trunkline-pw"), "doctor", "--no-channel")
        (verdict,) = {f["verdict"] for line in found for f in line["findings"] if f["check"] == "acl"}
        self.assertEqual(verdict, "ok", found)

    def test_a_wrong_secret_is_named_and_shown_nowhere(self):
        self.refused(self.oidc(), "oauthbearer", "token", kafka__sasl_password="wrong-pw")

    def test_a_provider_that_is_not_there_is_named(self):
        away = {"sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:9/token"}
        self.refused(self.oidc(**away), "oauthbearer", "token", kafka__sasl_password="trunkline-pw")


if __name__ == "__main__":
    unittest.main()
