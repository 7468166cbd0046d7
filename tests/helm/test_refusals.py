"""Wrong values are refused, each with its path."""

import unittest

from chart import refusal, report, set_at, values

# What is wrong, and what the message has to name.
WRONG = [
    ("replicaCount", "two", "/replicaCount"),
    ("replicaCount", 0, "/replicaCount"),
    ("replicaCount", 2, "replicaCount: 2 pods"),
    ("replicas", 2, "'replicas' not allowed"),
    ("config.genesys.region", "", "/config/genesys/region"),
    ("config.genesys.region", "eu_north_9", "/config/genesys/region"),
    ("config.genesys.regoin", "eu_central_1", "'regoin' not allowed"),
    ("config.genesys.clients", [{"id": "x", "secret": "y"}], "'clients' not allowed"),
    ("config.genesys.channels_per_shard", 5, "/config/genesys/channels_per_shard"),
    ("config.subscriptions.queues", "all", "/config/subscriptions"),
    ("config.kafka.bootstrap_servers", "", "/config/kafka/bootstrap_servers"),
    ("config.kafka.bootstrap_servers", "broker", "/config/kafka/bootstrap_servers"),
    ("config.kafka.compression", "brotli", "/config/kafka/compression"),
    ("config.kafka.acks", 1, "'acks' not allowed"),
    ("config.kafka.sasl_password", "hunter2", "'sasl_password' not allowed"),
    ("config.genesys.eventbridge.secret_access_key", "hunter2", "'secret_access_key' not allowed"),
    ("config.kafka.security", {"sasl.password": "hunter2"}, "/config/kafka/security/sasl.password"),
    ("config.schema_registry.url", "registry:8081", "/config/schema_registry/url"),
    ("config.privacy.preset", "", "/config/privacy/preset"),
    ("config.privacy.preset", "hash", "/config/privacy/preset"),
    ("config.privacy.rules", [{"path": "$.a", "action": "shred"}], "/config/privacy/rules/0/action"),
    ("config.privacy.rules", [{"action": "drop"}], "/config/privacy/rules/0"),
    ("config.privacy.rules", [{"path": "a", "action": "drop"}], "/config/privacy/rules/0/path"),
    ("config.privacy.hash_key", "hunter2", "'hash_key' not allowed"),
    ("config.quarantine.raw", "burn", "/config/quarantine/raw"),
    ("config.flow.dedupe_window_secs", 60, "/config/flow/dedupe_window_secs"),
    ("config.spool.dir", "/tmp", "'dir' not allowed"),
    ("config.admin.listen", "0.0.0.0:1", "'admin' not allowed"),
    ("credentials.genesys.existingSecret", "", "/credentials/genesys/existingSecret"),
    ("credentials.genesys.clients", [], "/credentials/genesys/clients"),
    ("credentials.genesys.clients.0.secret", "hunter2", "/credentials/genesys/clients/0"),
    ("credentials.genesys.clientsPerReplica", 2, "credentials.genesys.clients names 1"),
    ("spool.size", "20", "/spool/size"),
    ("spool.size", "256Mi", "spool.size: 256Mi"),
    ("spool.maxBytes", "20Gi", "spool.maxBytes: is 20Gi"),
    ("spool.volume", "existingClaim", "/spool/existingClaim"),
    ("spool.retention.whenDeleted", "Keep", "/spool/retention/whenDeleted"),
    ("terminationGracePeriodSeconds", 30, "terminationGracePeriodSeconds: is 30"),
    ("config.kafka.flush_timeout_secs", 110, "terminationGracePeriodSeconds: is 120"),
    ("serviceMonitor.interval", "15parsecs", "/serviceMonitor/interval"),
    ("alerts.overrides.TrunklineShardGone", {"enabled": False}, "alerts.overrides.TrunklineShardGone"),
    ("alerts.overrides.TrunklineShardSingle.fro", "1m", "/alerts/overrides/TrunklineShardSingle"),
    ("alerts.runbookUrl", "https://runbooks.example.com/", "/alerts/runbookUrl"),
    ("networkPolicy.ports.kafka", [9093], "networkPolicy.ports.kafka: lacks 9092"),
    ("podDisruptionBudget.maxUnavailable", 0, "/podDisruptionBudget/maxUnavailable"),
    ("image.digest", "sha256:1234", "/image/digest"),
    ("service.port", 70000, "/service/port"),
]


class Refusals(unittest.TestCase):
    def test_every_wrong_value_is_refused_with_its_path(self):
        base = values()
        # what is looked at only when switched on
        for path in ("alerts.enabled", "networkPolicy.enabled"):
            base = set_at(base, path, True)
        base = set_at(base, "credentials.genesys.clients", [{"idKey": "0.client-id", "secretKey": "0.client-secret"}])
        self.assertIsNone(refusal(base))
        for path, value, words in WRONG:
            with self.subTest(f"{path}={value}"):
                self.assertIn(words, refusal(set_at(base, path, value)) or "rendered")
        report["refused with a path"] = f"{len(WRONG)} wrong values"

    def test_both_monitors_at_once_are_refused(self):
        both = set_at(set_at(values(), "serviceMonitor.enabled", True), "podMonitor.enabled", True)
        self.assertIn("/podMonitor/enabled", refusal(both) or "")

    def test_two_pods_never_share_a_client_or_a_claim(self):
        two = set_at(values("production"), "credentials.genesys.clients.1.idKey", "0.client-id")
        self.assertIn("credentials.genesys.clients[1].idKey", refusal(two) or "")
        claim = set_at(values("production"), "spool", {"volume": "existingClaim", "existingClaim": "one", "size": "20Gi"})
        self.assertIn("spool.existingClaim: serves one pod", refusal(claim) or "")

    def test_several_pods_need_a_disk_and_channels(self):
        disk = set_at(values("production"), "spool.enabled", False)
        self.assertIn("spool.enabled: is false", refusal(disk) or "")
        direct = set_at(values("production"), "config.genesys.mode", "direct")
        self.assertIn("config.genesys.mode: is direct", refusal(direct) or "")

    def test_a_queue_asks_for_no_oauth_client_and_for_what_names_it(self):
        queue = values("eventbridge")
        self.assertIsNone(refusal(queue))
        for path in ("queue_url", "organization"):
            left = {key: value for key, value in queue["config"]["genesys"]["eventbridge"].items() if key != path}
            said = refusal(set_at(queue, "config.genesys.eventbridge", left)) or "rendered"
            self.assertIn(path, said)
            self.assertIn("/config/genesys/eventbridge", said)
        said = refusal(set_at(queue, "config.genesys.mode", "channels")) or "rendered"
        self.assertIn("/credentials/genesys/existingSecret", said)
        self.assertIn("/config/genesys", said)

    def test_options_are_not_asked_for_where_somebody_else_keeps_them(self):
        self.assertIsNone(refusal(values("existing-configmap")))
        self.assertIn("/config/genesys/region", refusal(set_at(values("existing-configmap"), "existingConfigMap", "")) or "")

    def test_a_parent_chart_may_pass_global_values(self):
        self.assertIsNone(refusal(set_at(values(), "global", {"anything": {"at": "all"}})))
