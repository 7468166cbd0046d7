"""The chart's pods in containers, under load: what it renders is what runs, and no shard is left without a listener."""

import json
import time
import unittest

from world import CLIENTS, RATE, World, wait_for  # first: it names the folders of what follows
from account import account, uncovered
from chart import report
from controller import NotStarted, Set
from pod import CAPABILITIES, Pod

IMAGE = "testbed.local/trunkline"
MIN_READY = 20  # coverage begins 5 s after a socket is subscribed, and its last 10 s may not be claimed; the chart waits 60
KNOWN_AFTER = 25  # a gap is recorded 20 s after it is known
USER = "65532"
SECRETS = {"genesys-clients": {f"{n}.client-{what}": name + ending for n, name in enumerate(CLIENTS) for what, ending in (("id", ""), ("secret", "-secret"))}}


def status_of(pod: Pod) -> dict[str, str]:
    lines = open(f"/proc/{pod.pid()}/status").read().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


class Pods(unittest.TestCase):
    """One release, step by step: a step rests on those before it."""

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.set = Set(SECRETS)
        cls.addClassCleanup(cls.set.uninstall)

    def values(self, tag: str = "one", **changes) -> dict:
        values = self.world.values()
        values["credentials"]["genesys"]["clients"] = [{"idKey": f"{n}.client-id", "secretKey": f"{n}.client-secret"} for n in range(2)]
        return {**values, "replicaCount": 2, "minReadySeconds": MIN_READY, "image": {"repository": IMAGE, "tag": tag}, **changes}

    def pods(self) -> list[Pod]:
        return [self.set.pods[ordinal] for ordinal in sorted(self.set.pods)]

    def streams(self):
        before = self.world.records.count()
        self.assertTrue(wait_for(lambda: self.world.records.count() > before + RATE, 60, 0.5), "nothing reaches the topic")

    def status(self, pod: Pod) -> dict:
        return json.loads(pod.get("/api/v1/status"))

    def test_1_both_become_ready_by_their_probes_and_events_arrive(self):
        began = time.monotonic()
        self.set.install(self.values())
        took = time.monotonic() - began
        self.streams()
        self.assertEqual([[line["state"] for line in self.status(pod)["channels"]] for pod in self.pods()], [["live"] * 2] * 2)
        self.assertEqual([pod.restarts for pod in self.pods()], [0, 0])
        report["two pods"] = f"ready by their own probes after {took:.0f} s, events in the topic"

    def test_2_the_process_has_no_right_that_it_does_not_need(self):
        for pod in self.pods():
            state = status_of(pod)
            self.assertEqual(set(state["Uid"].split()) | set(state["Gid"].split()), {USER})
            self.assertEqual({int(state[key], 16) for key in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh")}, {0})
            self.assertEqual((state["NoNewPrivs"], state["Seccomp"]), ("1", "2"))
            lines = open(f"/proc/{pod.pid()}/mountinfo").read().splitlines()
            mounts = {line.split()[4]: line.split()[5].split(",")[0] for line in lines}
            kinds = {path: mounts[path] for path in ("/", "/etc/trunkline", "/run/trunkline/genesys", "/var/lib/trunkline")}
            self.assertEqual(kinds, {"/": "ro", "/etc/trunkline": "ro", "/run/trunkline/genesys": "ro", "/var/lib/trunkline": "rw"})
        report["rights"] = f"uid {USER}, none of {len(CAPABILITIES)} capabilities, no new privileges, seccomp filter, read-only root"

    def test_3_the_volume_holds_the_spool_and_each_pod_has_its_own_client(self):
        for ordinal, pod in enumerate(self.pods()):
            remembered = pod.mounts["spool"] / "spool/channels.json"
            self.assertTrue(wait_for(remembered.exists, 20, 0.5))
            self.assertEqual((remembered.stat().st_uid, remembered.stat().st_mode & 0o777), (int(USER), 0o600))
            segments = [path.name for path in remembered.parent.iterdir() if path != remembered]
            self.assertTrue(segments, "nothing is spooled")
            own = pod.mounts["genesys"] / f"{ordinal}/0/client-id"
            self.assertEqual((own.read_text(), own.stat().st_mode & 0o777, own.stat().st_gid), (CLIENTS[ordinal], 0o440, int(USER)))
        self.assertNotIn("one-secret", "".join(pod.log.read_text() for pod in self.pods()))
        report["volumes"] = "spool written through fsGroup; secrets 0440, read by the group alone"

    def test_4_an_outage_of_the_platform_makes_them_unready_and_kills_none(self):
        self.world.sim.fault("outage", for_ms=40_000)
        self.assertTrue(wait_for(lambda: not any(pod.ready for pod in self.pods()), 60, 0.5), "still ready")
        self.assertTrue(all(pod.get("/healthz") and self.status(pod)["channels"] for pod in self.pods()))
        self.assertTrue(wait_for(lambda: all(pod.ready for pod in self.pods()), 120, 0.5), "not ready again")
        self.assertEqual([pod.restarts for pod in self.pods()], [0, 0])
        self.streams()
        report["outage of the platform"] = "not ready, status and healthz answer, 0 restarts, ready again"

    def test_5_a_bad_image_costs_one_pod_and_the_other_goes_on(self):
        steady = self.set.pods[0]
        with self.assertRaisesRegex(NotStarted, "trunkline:missing"):
            self.set.upgrade(self.values("missing"))
        self.assertEqual(list(self.set.pods), [0])
        self.streams()
        time.sleep(MIN_READY)
        self.set.render(self.values())
        self.set.pods[1] = self.set.pod(1)
        self.set.until_ready(self.set.pods[1], MIN_READY)
        self.assertTrue(self.set.pods[0] is steady and steady.ready and not steady.restarts)
        report["a bad image"] = "the pod that would have been next goes on writing, and is not touched by the way back"

    def test_6_a_rolling_upgrade_under_load_loses_nothing_and_leaves_no_shard_exposed(self):
        both_ms = self.world.now_ms()
        began = time.monotonic()
        ended = self.set.upgrade(self.values("two"))
        took = time.monotonic() - began
        for code, seconds, pod in ended:
            last = pod.lines()[-1]
            self.assertEqual((code, last["code"], last["in_flight"]), (0, "stopped", 0), pod.lines()[-3:])
            self.assertLess(seconds, pod.spec["terminationGracePeriodSeconds"])
        self.assertEqual([pod.container["image"] for pod in self.pods()], [f"{IMAGE}:two"] * 2)
        time.sleep(KNOWN_AFTER)
        until = self.world.now_ms() - 15_000  # the last claims come with the end of sockets
        self.set.uninstall()
        bounds = (self.world.origin_ms + both_ms, self.world.origin_ms + until)
        self.assertEqual(uncovered(self.world.facts("claim"), *bounds), [], "no replica covers these")
        gaps = [gap for gap in self.world.gaps().values() if gap["from_time"].timestamp() * 1000 >= bounds[0]]
        self.assertEqual(gaps, [])
        counted = account(self.world, until, inverted=10_000)
        slowest = max(seconds for _, seconds, _ in ended)
        report["upgrade under load"] = (
            f"{RATE} events/s, {took:.0f} s: both exit 0 on SIGTERM, slowest after {slowest:.1f} s, 0 in flight; exposed 0.0 s, 0 gaps; "
            f"{counted.generated} events, {counted.lost} lost, {counted.silent} silent"
        )
