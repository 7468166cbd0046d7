"""Runs, for each mistake that can be planted, the ordinary test that has to notice it, without and with the mistake.

usage: seeded_bugs.py
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNITS, SPOOL, BROKER, PRODUCT, FUZZ = "trunkline_protocol", "spool", "broker", "trunkline", "fuzz"
# the mistake, where its test is (a test binary, or a file of tests/journey), and the test
BUGS = [
    ("a producer past help is kept", BROKER, "a_producer_past_help_is_replaced_and_sends_everything_again_in_order"),
    ("the pipeline ends without waiting for acknowledgements", "test_run", "Journey.test_a_stop_while_the_broker_is_away_waits_for_it"),
    ("claim before the acknowledgement", UNITS, "watermark::tests::the_watermark_is_the_send_time_of_a_ping_and_waits_for_what_came_before_its_pong"),
    ("spool not synced", SPOOL, "twenty_thousand_sequences_keep_every_promise"),
    ("spool's folder not synced", SPOOL, "twenty_thousand_sequences_keep_every_promise"),
    ("margin 0 at the start of coverage", UNITS, "ledger::keeper::tests::coverage_begins_with_a_margin_after_the_socket_and_activates_the_topic"),
    ("subscriptions not verified", UNITS, "channel::tests::a_topic_that_is_not_there_when_read_back_is_set_again_and_then_reported"),
    ("records dropped when the queue is full", BROKER, "a_full_queue_is_back_pressure_and_drops_nothing"),
    ("finite message timeout", PRODUCT, "kafka::settings::tests::the_effective_configuration_holds_every_promise"),
    ("a duplicate taken for durable", UNITS, "dedupe::tests::a_copy_is_told_the_number_of_the_kept_one"),
    ("giving up after ten attempts", UNITS, "backoff::tests::the_first_try_is_immediate_and_later_ones_stay_under_the_cap"),
    ("a gap closed by one reading", UNITS, "gaps::tests::two_equal_readings_of_complete_history_an_hour_apart_close_it_and_nothing_else_does"),
    ("ids compared by 40 bits", UNITS, "dedupe::tests::no_event_is_ever_taken_for_another_one"),
    ("an epoch id used again", "test_run", "Journey.test_every_event_heard_through_cuts_is_a_record_and_a_stop_leaves_nothing_unacked"),
    ("a spooled record believed without its checksum", FUZZ, "what_is_kept_and_what_is_made_of_it_breaks_no_promise"),
]


def binaries() -> dict[str, str]:
    """Test binaries by the name of their target."""
    command = ["cargo", "test", "--workspace", "--all-features", "--no-run", "--message-format=json", "--quiet"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = {}
    for message in map(json.loads, lines):
        if message.get("executable") and message["profile"]["test"]:
            name, library = message["target"]["name"], "lib" in message["target"]["kind"]
            if library or name not in found:
                found[name] = message["executable"]
    return found


def run(place: str, test: str, found: dict[str, str], bug: int) -> tuple[bool, str]:
    """Whether the test passed, and what it said."""
    env = {**os.environ, "TRUNKLINE_SEEDED_BUG": str(bug), "RUST_BACKTRACE": "0"}
    if place.startswith("test_"):
        command, cwd = [sys.executable, "-m", "unittest", f"{place}.{test}"], ROOT / "tests" / "journey"
    else:
        command, cwd = [found[place], "--exact", test], ROOT
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=280)
    said = ended.stdout + ended.stderr
    ran = "1 passed" in said or "1 failed" in said or "Ran 1 test" in said
    if not ran:
        raise SystemExit(f"{place} has no test {test}:\n{said[-2000:]}")
    return ended.returncode == 0, said


def assertion(said: str) -> str:
    """Where the test noticed."""
    rust = re.search(r"panicked at ([^\n]+):\d+:\n([^\n]*)", said)
    if rust:
        return f"{rust[1]} {rust[2]}"
    python = re.search(r"^(\w*(?:Error|Exception)[^\n]*)", said, re.MULTILINE)
    return python[1] if python else "no assertion"


def main() -> int:
    found = binaries()
    print(f"seeded bugs: {len(BUGS)}, each against the test that has to notice it", file=sys.stderr)

    def both(number: int) -> tuple[bool, str]:
        _, place, test = BUGS[number - 1]
        passes, said = run(place, test, found, 0)
        if not passes:
            return False, f"fails without the mistake: {assertion(said)}"
        passes, said = run(place, test, found, number)
        where = assertion(said)
        return not passes and where != "no assertion", "not noticed" if passes else where

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(both, range(1, len(BUGS) + 1)))
    print("| # | mistake | test | what it said |\n|---|---|---|---|")
    for number, ((bug, place, test), (_, said)) in enumerate(zip(BUGS, results), 1):
        print(f"| {number} | {bug} | {place} {test.split('::')[-1]} | {said[:120]} |")
    noticed = sum(ok for ok, _ in results)
    print(f"seeded bugs: {noticed} of {len(BUGS)}")
    return 0 if noticed == len(BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
