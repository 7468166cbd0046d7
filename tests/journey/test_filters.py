"""Of the queues that are listed, some are wanted: at the start, and when one is renamed."""

import json
import unittest
import urllib.request

from harness import GAPS, Sim, Stand, Trunkline, ask, config, get, wait_for

QUEUE = "v2.routing.queues.{}.conversations"


def patch(sim: Sim, path: str, **change):
    request = urllib.request.Request(f"{sim.url}/sim/{path}", data=json.dumps(change).encode(), method="PATCH")
    urllib.request.urlopen(request, timeout=5)


def topics(lines: list[dict]) -> set[str]:
    return {topic for line in lines for shard in line["shards"] for topic in shard}


class Filters(unittest.TestCase):
    def setUp(self):
        self.stand = self.enterContext(Stand())
        # Billing 0, Technical support 1, Kündigungen 2, Sales 3; users none of them needs
        self.sim = self.enterContext(Sim("--rate", "80", "--queues", "4", "--users", "6", "--divisions", "2"))
        self.queues = json.loads(get(f"{self.sim.url}/sim/org"))["queues"]

    def tree(self, **changes) -> dict:
        return config(self.stand, self.sim.url, **changes)

    def listed(self, **changes) -> tuple[dict, str]:
        code, (line,), complaint = ask(self.tree(**changes), "subscriptions")
        self.assertEqual(code, 0, complaint)
        return line, complaint

    def test_what_is_kept_and_left_out_is_shown_with_the_reason(self):
        names = {"include_names": ["kündig*", "SALES ?", "Retour*"], "exclude_divisions": ["Division 1"]}
        line, _ = self.listed(subscriptions__queue_filter=names, subscriptions__user_filter={"include_divisions": ["Home"]})
        self.assertEqual(topics([line]) & {QUEUE.format(q) for q in self.queues}, {QUEUE.format(self.queues[2])})
        said = line["queues"]
        self.assertEqual((said["listed"], said["kept"]), (4, 1))
        left = {entry["id"]: (entry["by"], entry["name"]) for entry in said["left_out"]}
        self.assertEqual(left[self.queues[0]], ("include_names", "Billing 0"))
        self.assertEqual(left[self.queues[3]], ("exclude_divisions", "Sales 3"))
        self.assertEqual(said["idle"], [{"option": "include_names", "pattern": "Retour*"}])
        self.assertEqual((line["users"]["listed"], line["users"]["kept"]), (6, 3))
        self.assertTrue(all("name" not in entry for entry in line["users"]["left_out"]), "people are ids")

    def test_media_are_topics_of_their_own(self):
        line, _ = self.listed(subscriptions__media=["emails", "calls"], subscriptions__users="none")
        (first, *_) = sorted(self.queues)
        self.assertIn(f"v2.routing.queues.{first}.conversations?calls&emails", topics([line]))
        self.assertEqual(len(topics([line])), 4, "joined to one string each")
        with Trunkline(self.tree(subscriptions__media=["emails"], subscriptions__users="none")).wait_ready():
            heard = lambda: {raw["record"]["topic"].rsplit(".", 1)[1] for raw in self.stand.records()}
            self.assertTrue(wait_for(heard, 30, 1))
            self.assertEqual(heard(), {"emails"})

    def test_a_wrong_filter_is_named(self):
        for change, words in [
            ({"subscriptions__queues": "none", "subscriptions__queue_filter": {"include_names": ["x"]}},
             "subscriptions.queue_filter: filters nothing; allowed with subscriptions.queues: discover"),
            ({"subscriptions__user_filter": {"exclude_names": [""]}}, 'subscriptions.user_filter.exclude_names: holds ""'),
            ({"subscriptions__media": ["voice"]}, 'subscriptions.media: is ["voice"]; allowed: one of `calls`'),
        ]:
            code, lines, _ = ask(self.tree(**change), "check")
            self.assertEqual(code, 65, lines)
            self.assertIn(words, "; ".join(f"{m['field']}: {m['problem']}" for m in lines[0]["mistakes"]))
        nothing = self.tree(subscriptions__queue_filter={"include_names": ["Nowhere"]}, subscriptions__users="none")
        code, findings, _ = ask(nothing, "doctor")
        self.assertNotEqual(code, 0)
        self.assertIn('include_names holds \\"Nowhere\\", which matches none of 4', json.dumps(findings))

    def test_a_queue_that_is_renamed_comes_and_goes_like_one_that_is_made_and_deleted(self):
        wanted = {"queue_filter": {"include_names": ["Sales*"]}, "users": "none", "refresh_secs": 1}
        with Trunkline(self.tree(subscriptions=wanted)).wait_ready() as app:
            status = lambda: json.loads(get(app.admin + "/api/v1/status"))["topics_wanted"]
            self.assertEqual(status(), 1)
            heard = lambda: {raw["record"]["topic"] for raw in self.stand.records()}
            patch(self.sim, f"queues/{self.queues[0]}", name="Sales, but new")
            self.assertTrue(wait_for(lambda: status() == 2, 20), app.log[-5:])
            self.assertTrue(wait_for(lambda: QUEUE.format(self.queues[0]) in heard(), 30, 1), heard())
            causes = lambda: [raw["record"]["cause"] for raw in self.stand.records(GAPS)]
            self.assertTrue(wait_for(lambda: "late_topic" in causes(), 30, 1), causes())
            patch(self.sim, f"queues/{self.queues[0]}", name="Billing again")
            self.assertTrue(wait_for(lambda: status() == 1, 20), app.log[-5:])
            patch(self.sim, f"queues/{self.queues[3]}", name="Gone too")
            self.assertTrue(wait_for(lambda: "filter_idle" in app.codes(), 20), app.log[-5:])
            self.assertEqual(app.codes().count("filter_idle"), 1, "once")
            self.assertEqual(heard(), {QUEUE.format(self.queues[at]) for at in (0, 3)})


if __name__ == "__main__":
    unittest.main()
