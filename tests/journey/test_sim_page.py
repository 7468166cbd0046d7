"""Buttons of the simulator's page, pressed as a browser without scripts does, and what a running trunkline makes of each fault."""

import html.parser
import json
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import Sim, Stand, Trunkline, config, coverage, get, proven, total, wait_for


class Forms(html.parser.HTMLParser):
    """The forms of a page: where each goes, and its fields as they are filled in, by the kind of fault."""

    def __init__(self, page: str):
        super().__init__()
        self.all, self.form, self.select, self.option = {}, None, None, False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.form = self.all[attrs["id"]] = {"to": attrs["action"], "method": attrs["method"], "fields": {}, "choices": {}, "buttons": 0}
        elif self.form is None:
            return
        elif tag == "input":
            self.form["fields"][attrs["name"]] = attrs.get("value", "")
        elif tag == "button":
            self.form["buttons"] += 1
        elif tag == "select":
            self.select = attrs["name"]
            self.form["choices"][self.select] = []
        elif tag == "option":
            self.option = "selected" in attrs
            self.form["choices"][self.select].append("")

    def handle_data(self, data):
        if self.select and self.form["choices"][self.select]:
            self.form["choices"][self.select][-1] += data
            if self.option:
                self.form["fields"][self.select] = data

    def handle_endtag(self, tag):
        if tag == "option" and self.option:
            self.form["fields"].setdefault(self.select, "")
            self.option = False
        elif tag == "select":
            self.form["fields"].setdefault(self.select, self.form["choices"][self.select][0])
            self.select = None
        elif tag == "form":
            self.form = None


def forms(sim: Sim) -> dict:
    return Forms(get(sim.url + "/sim/")).all


def press(sim: Sim, what: str, **changes) -> str:
    """Sends a form as it is filled in, but for the changes; follows to the page and gives what it says."""
    form = forms(sim)[what]
    data = urllib.parse.urlencode({**form["fields"], **changes}).encode()
    with urllib.request.urlopen(sim.url + form["to"], data, timeout=10) as answer:
        assert "/sim/?pressed=" in answer.url, answer.url
        page = answer.read().decode()
    return page.split('<p id="said" role="status" class="good">')[1].split("<")[0]


def state(sim: Sim) -> dict:
    return json.loads(get(sim.url + "/sim/state"))


def running(sim: Sim) -> set:
    return {fault["what"] for fault in state(sim)["running"]}


def status(app: Trunkline) -> dict:
    return json.loads(get(app.admin + "/api/v1/status"))


class Page(unittest.TestCase):
    def test_every_fault_of_a_timeline_has_a_button_that_carries_it_out_as_it_is_filled_in(self):
        kinds = json.load(open("crates/genesys-sim/timeline.schema.json"))["$defs"]["what"]["enum"]
        with Sim("--rate", "1") as sim:
            found = forms(sim)
            self.assertEqual(list(found), kinds)
            for what, form in found.items():
                self.assertEqual((form["method"], form["buttons"], form["fields"]["what"]), ("post", 1, what))
            for nth, what in enumerate(kinds):
                self.assertTrue(press(sim, what).startswith(what + ": "))
                self.assertEqual([fault["what"] for fault in json.loads(get(sim.url + "/sim/faults"))][nth:], [what])

    def test_a_cable_is_pulled_by_hand_and_trunkline_reacts(self):
        with Stand() as stand, Sim("--rate", "100", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                self.assertEqual([(line["topics"] > 0, line["open_ms"] is not None) for line in state(sim)["channels"]], [(True, True)] * 2)
                self.assertIn("channel:2", forms(sim)["close"]["choices"]["whom"])

                def ends(reason):
                    return status(app)["reconnects"][reason]

                def back():
                    """Both channels hear, and what was generated since is proven."""
                    now = time.time()
                    live = lambda: all(line["state"] == "live" for line in status(app)["channels"]) and proven(app) > now
                    self.assertTrue(wait_for(live, 60, 0.2), (status(app)["channels"], app.log[-10:]))

                # close: of the channel that was chosen, with the code and the reason that were typed in
                self.assertEqual(press(sim, "close", whom="channel:2", code="4321", reason="by hand"), "close: hit channel 2.")
                self.assertTrue(wait_for(lambda: ends("close_other") == 1, 20), status(app)["reconnects"])
                last = state(sim)["ends"]["last"][-1]
                self.assertEqual((last["channel"], last["how"], last["reason"]), (2, "close 4321", "by hand"))
                back()

                # silence: a socket that says nothing but pongs is no proof of anything being heard, and no event arrives
                before = total(app, "trunkline_events_received_total")
                self.assertRegex(press(sim, "silence", for_ms="4000"), r"silence: hit channels \d+, \d+\.")
                self.assertEqual(running(sim), {"silence"})
                self.assertTrue(wait_for(lambda: state(sim)["ledger"]["dropped"].get("silence", 0) > 20, 10))
                self.assertTrue(wait_for(lambda: "silence" not in running(sim), 10), "it has an end")
                self.assertTrue(wait_for(lambda: total(app, "trunkline_events_received_total") > before + 100, 20))

                # half-open: noticed by a ping without a pong, not by the connection
                press(sim, "half_open")
                self.assertIn("half_open", running(sim))
                self.assertTrue(wait_for(lambda: ends("half_open") == 1, 60, 0.2), status(app)["reconnects"])
                back()

                # a storm of 429, as it is filled in; a closed socket has to dial its way through it
                limited = total(app, "trunkline_api_rate_limited_total")
                self.assertEqual(press(sim, "http_status", for_ms="6000"), "http_status: in force.")
                press(sim, "evict")
                self.assertTrue(wait_for(lambda: total(app, "trunkline_api_rate_limited_total") > limited, 20), app.log[-10:])
                self.assertGreater(state(sim)["counters"]["rate_limited"], 0)
                back()

                # outage: nothing answers, both sockets are cut, and what could not be heard is a gap with both ends
                pressed = time.time() * 1000
                self.assertEqual(press(sim, "outage", for_ms="8000"), "outage: in force, 2 sockets cut.")
                self.assertIn("Outage: nothing answers", get(sim.url + "/sim/"))
                self.assertTrue(wait_for(lambda: all(line["state"] != "live" for line in status(app)["channels"]), 10), status(app)["channels"])
                back()
                over = lambda: any(gap["from"] <= pressed < (gap["to"] or 0) for gap in coverage(app)["gaps"])
                self.assertTrue(wait_for(over, 60, 0.5), (pressed, coverage(app)))
                self.assertEqual(app.stop()[0], 0)
            # a client that went is an end as well
            self.assertTrue(wait_for(lambda: state(sim)["ends"]["counts"].get("by the client", 0) > 0, 10), state(sim)["ends"])

    def test_a_wrong_value_is_named_and_nothing_happens(self):
        with Sim("--rate", "1") as sim:
            with self.assertRaises(urllib.error.HTTPError) as refused:
                press(sim, "outage", for_ms="soon")
            self.assertEqual(refused.exception.code, 400)
            self.assertIn("for_ms: is &quot;soon&quot;; allowed: a whole number from 0 to 86400000", refused.exception.read().decode())
            self.assertEqual(json.loads(get(sim.url + "/sim/faults")), [])


if __name__ == "__main__":
    unittest.main()
