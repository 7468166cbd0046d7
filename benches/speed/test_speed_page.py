"""What the page makes of runs."""

import unittest

import lay  # noqa: F401
from about import about
from figures import OTHERS_BOUND
from goals import goals, verdict
from page import COLUMNS, better, cell, page

META = {**about(), "quick": True, "rounds": 1, "cells": ["full"], "bound": OTHERS_BOUND, "build": "release"}


def run(system: str, **more) -> dict:
    return {"system": system, "cell": "full", "round": 1, "load": 0.3, "others": 0.0, "events": 10, "lost": 0, "build": "release", **more}


class Page(unittest.TestCase):
    def test_a_peer_is_bold_where_it_is_better_and_nowhere_else(self):
        runs = [run("trunkline", pace=100.0, cpu=50.0, rss=2**20), run("python", pace=90.0, cpu=60.0, rss=2**19)]
        self.assertEqual({column[1] for column in COLUMNS if better(runs, "python", column)}, {"rss"})
        self.assertFalse(any(better(runs, "trunkline", column) for column in COLUMNS))
        self.assertFalse(any(better(runs[1:], "python", column) for column in COLUMNS))

    def test_runs_that_differ_are_told_from_least_to_most(self):
        self.assertEqual(cell([3.0, 1.0, 2.0], "pace"), "2 (1–3)")
        self.assertEqual(cell([1.234], "restart"), "1.23")
        self.assertEqual(cell([], "pace"), "–")

    def test_a_void_run_stands_in_its_own_table_and_in_no_median(self):
        runs = [run("trunkline", pace=111.0), run("trunkline", pace=999.0, others=1.9)]
        text = page({"about": META, "not_run": {"benthos": "x\ngo: command not found"}, "runs": runs})
        row = next(line for line in text.splitlines() if line.startswith("| trunkline |"))
        self.assertTrue(row.startswith("| trunkline | 111 |"), row)
        self.assertIn("999 events/s (full speed) | 0.3 | others used 1.90 cores", text)
        self.assertIn("1 of 2 runs are void", text)
        self.assertIn("Not run: benthos 4.27.0: `go: command not found`", text)
        self.assertNotIn("No run of these counts", text)
        self.assertIn("No run of these counts", page({"about": META, "not_run": {}, "runs": runs[1:]}))

    def test_a_goal_is_kept_missed_or_has_no_figure(self):
        self.assertEqual([verdict(1, 2), verdict(3, 2), verdict(3, 2, True), verdict(None, 2), verdict(1, None)],
                         ["kept", "missed", "kept", "no figure", "no figure"])
        lines = goals([run("trunkline", pace=40_000.0, cpu=10.0), run("python", pace=20_000.0, cpu=31.0)])
        self.assertIn("| full speed, one core, events/s | ≥ 35,000 | 40,000.0 | kept |", lines)
        self.assertTrue(any("20,000.0 | ≥ 3 × | 40,000.0 | missed" in line for line in lines))
        self.assertTrue(any("of the best peer's 31.0 | ≤ 1/3 | 10.0 | kept" in line for line in lines))
        self.assertTrue(any("benthos' – | ≤ 1/8 | 10.0 | no figure" in line for line in lines))
