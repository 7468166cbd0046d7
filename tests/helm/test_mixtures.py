"""Values mixed at random: whatever is admitted renders to objects Kubernetes knows and pods that are restricted."""

import random
import unittest

from chart import objects, refusal, report, set_at, values
from test_policy import faults, pods
from test_render import KUBERNETES, OPERATOR, refused_by_kubernetes

SEED = 7
MIXTURES = 40
CLIENTS = [{"idKey": f"{n}.id", "secretKey": f"{n}.secret"} for n in range(6)]
CHOICES = {
    "replicaCount": [1, 2, 3],
    "credentials.genesys.clients": [CLIENTS],
    "credentials.genesys.clientsPerReplica": [1, 2],
    "credentials.kafka.existingSecret": ["", "kafka-user"],
    "credentials.schemaRegistry.existingSecret": ["", "registry-user"],
    "credentials.admin.existingSecret": ["", "page-token"],
    "credentials.connect.existingSecret": ["", "connect-user"],
    "credentials.tls.existingSecret": ["", "internal-ca"],
    "existingConfigMap": ["", "trunkline-options"],
    "config.kafka.overrides": [{}, {"queue.buffering.max.kbytes": 262144, "socket.keepalive.enable": True}],
    "config.subscriptions": [{}, {"queues": "none", "topics": ['v2.a: "b"']}],
    "config.log.level": ["info", "trunkline=debug,info"],
    "commonLabels": [{}, {"team": "streaming", "cost": "7"}],
    "image.digest": ["", "sha256:" + "0" * 64],
    "image.tag": ["", "1.2.3-" + "x" * 70],
    "image.pullSecrets": [[], ["one", "two"]],
    "spool.enabled": [True, True, False],
    "spool.volume": ["claimTemplate", "emptyDir"],
    "spool.size": ["1Gi", "20Gi", "2T"],
    "spool.storageClass": ["", "fast"],
    "podSecurityContext.runAsUser": [65532, 1000, None],
    "serviceAccount.create": [True, False],
    "service.annotations": [{}, {"example.com/a": "1"}],
    "podAnnotations": [{}, {"example.com/b": "true"}],
    "serviceMonitor.enabled": [True, False],
    "alerts.enabled": [True, False],
    "dashboards.enabled": [True, False],
    "networkPolicy.enabled": [True, False],
    "networkPolicy.ingressFrom": [[], [{"podSelector": {}}]],
    "networkPolicy.extraEgress": [[], [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]],
    "podDisruptionBudget.maxUnavailable": [1, "50%"],
    "topologySpreadConstraints": [[], [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]],
    "tolerations": [[], [{"operator": "Exists"}]],
    "extraEnv": [[], [{"name": "A", "value": "{{ not a template }}"}]],
    "extraVolumes": [[], [{"name": "x", "emptyDir": {}}]],
    "updateStrategy": [{"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}],
    "fullnameOverride": ["", "t" * 70, "a-b-c"],
}


class Mixtures(unittest.TestCase):
    def test_whatever_is_admitted_is_sound(self):
        dice = random.Random(SEED)
        admitted = refused = 0
        for number in range(MIXTURES):
            tree = values()
            for path, choices in CHOICES.items():
                tree = set_at(tree, path, dice.choice(choices))
            said = refusal(tree)
            if said:
                # the one mixture of these that must not be: several pods without a disk
                self.assertIn("spool.enabled: is false", said, f"seed {SEED}, mixture {number}")
                refused += 1
                continue
            items = objects(tree)
            for item in items:
                if item["apiVersion"] != OPERATOR:
                    self.assertIsNone(refused_by_kubernetes(item, KUBERNETES[-1]), f"seed {SEED}, mixture {number}")
            self.assertEqual([faults(pod) for pod in pods(items)], [[], []], f"seed {SEED}, mixture {number}")
            admitted += 1
        self.assertGreater(min(admitted, refused), 3)
        report["mixtures of values"] = f"{admitted} admitted and sound, {refused} refused"
