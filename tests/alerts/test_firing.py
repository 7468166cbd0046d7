"""Every alert fires once on what it is for, alone, and stays silent on what looks like it; promtool evaluates."""

import pathlib
import subprocess
import tempfile
import unittest

import yaml

RULES = pathlib.Path(__file__).resolve().parents[2] / "helm/trunkline/rules/trunkline.yaml"
SPOOL = "trunkline_spool_capacity_bytes"
FLOW = {
    'trunkline_events_received_total{class="queue"}': "10x30",
    'trunkline_events_published_total{class="queue"}': "8x30",
    "trunkline_events_deduplicated_total": "1x30",
    'trunkline_events_quarantined_total{reason="malformed"}': "0x30",
}
RENEWALS = "trunkline_oauth_renewals_total"
CHANGES = "trunkline_ground_changes_total"
ENDS = "trunkline_ws_disconnects_total"
SINK = 'connector="trunkline-events"'
TOPIC = SINK + ',topic="events"'
CHECKED = f"trunkline_staging_checked_timestamp_seconds{{{SINK}}}"
LAG = f"trunkline_staging_lag_seconds{{{TOPIC}}}"
LEFT = f"trunkline_staging_retention_headroom_seconds{{{TOPIC}}}"
LOST = f"trunkline_staging_lost_records{{{TOPIC}}}"
DEAD = f"trunkline_staging_dead_letters{{{SINK}}}"
UP = f"trunkline_staging_connector_up{{{SINK}}}"



def level(slo: str, events: float, good: float, minutes: int, before: int = 0) -> dict[str, str]:
    """Counters of a service level that grow so much a minute, after `before` minutes in which all was good."""
    def grows(by: float) -> str:
        return f"0+{events}x{before} {events * before}+{by}x{minutes}"

    labels = f'{{slo="{slo}"}}'
    return {f"trunkline_slo_events_total{labels}": grows(events), f"trunkline_slo_good_events_total{labels}": grows(good)}


# Alert: minute it is looked at, series that fire it, series that must not. A value a minute, the first at 1970.
CASES = {
    "TrunklineShardExposed": (5, {'trunkline_shard_live_channels{shard="0"}': "0x20"},
        {'trunkline_shard_live_channels{shard="0"}': "0x20", 'trunkline_shard_live_channels{shard="0",pod="b"}': "2x20"}),
    "TrunklineShardSingle": (10, {'trunkline_shard_live_channels{shard="0"}': "1x20"},
        {'trunkline_shard_live_channels{shard="0"}': "1x3 2x20"}),
    "TrunklineCoverageStalled": (20, {'trunkline_coverage_watermark_timestamp_seconds{shard="0"}': "1x40"},
        {'trunkline_coverage_watermark_timestamp_seconds{shard="0"}': "0+60x40"}),
    "TrunklineGapUnrecovered": (1800, {"trunkline_gap_oldest_open_timestamp_seconds": "60x2000"},
        {"trunkline_gap_oldest_open_timestamp_seconds": "7200x2000", 'trunkline_gap_oldest_open_timestamp_seconds{pod="b"}': "0x2000"}),
    "TrunklineGapLost": (10, {'trunkline_gaps_total{cause="reset",outcome="lost_declared"}': "0x5 1x30"},
        {'trunkline_gaps_total{cause="reset",outcome="reconciled"}': "0x5 1x30"}),
    "TrunklineAuditMissed": (8, {'trunkline_audit_conversations_total{finding="missed"}': "0x5 2x30"},
        {'trunkline_audit_conversations_total{finding="uncovered"}': "0x5 2x30", 'trunkline_audit_conversations_total{finding="missed"}': "2x30"}),
    "TrunklineAuditBehind": (5000, {"trunkline_audited_timestamp_seconds": "60x6000"},
        {"trunkline_audited_timestamp_seconds": "60x6000", 'trunkline_audited_timestamp_seconds{pod="b"}': "60+60x6000"}),
    "TrunklineClockWrong": (10, {"trunkline_clock_ahead_seconds": "-3600x20"}, {"trunkline_clock_ahead_seconds": "-5x20"}),
    "TrunklineInvariantViolated": (8, {'trunkline_invariant_violations_total{invariant="I1"}': "0x5 1x30"},
        {'trunkline_invariant_violations_total{invariant="I1"}': "1x30"}),
    "TrunklineFlowNotConserved": (10, FLOW | {"trunkline_events_in_flight": "0x30"}, FLOW | {"trunkline_events_in_flight": "1x30"}),
    # a budget of 0.1 % of the time, of 1 % of the records; what is silent is a deployment's minute, a good day, a quiet night
    "TrunklineCoverageBudgetBurn": (190, level("coverage", 60, 58, 30, 160), level("coverage", 60, 59.97, 100, 100)),
    "TrunklineCoverageBudgetBurnSlow": (600, level("coverage", 60, 59.85, 600), level("coverage", 60, 59.95, 600)),
    "TrunklineFreshnessBudgetBurn": (190, level("freshness", 100, 60, 30, 160), level("freshness", 1, 0, 200)),
    "TrunklineFreshnessBudgetBurnSlow": (600, level("freshness", 100, 98.5, 600), level("freshness", 100, 99.5, 600)),
    "TrunklineSubscriptionRefused": (15, {'trunkline_subscriptions{state="refused"}': "2x30"},
        {'trunkline_subscriptions{state="refused"}': "0x30", 'trunkline_subscriptions{state="wanted"}': "5x30"}),
    "TrunklineAuthFailing": (25, {RENEWALS + '{outcome="failed"}': "0+1x40", RENEWALS + '{outcome="ok"}': "1x40"},
        {RENEWALS + '{outcome="failed"}': "0+1x40", RENEWALS + '{outcome="ok"}': "0+1x40"}),
    "TrunklineTokenExpiring": (20, {'trunkline_oauth_token_expiry_timestamp_seconds{client="0"}': "1500x40"},
        {'trunkline_oauth_token_expiry_timestamp_seconds{client="0"}': "9000x40", 'trunkline_oauth_token_expiry_timestamp_seconds{client="1"}': "0x40"}),
    "TrunklineReconnectStorm": (30, {ENDS + '{reason="reset"}': "0+3x60"}, {ENDS + '{reason="rotation"}': "0+3x60"}),
    "TrunklineChannelContended": (10, {ENDS + '{reason="kicked"}': "0+1x60"}, {ENDS + '{reason="kicked"}': "0x5 1x60"}),
    "TrunklineConflict": (5, {'trunkline_conflict{kind="client"}': "1x20"},
        {'trunkline_conflict{kind="client"}': "0x20", 'trunkline_conflict{kind="replica"}': "0x20"}),
    "TrunklineRateLimited": (30, {'trunkline_api_rate_limited_total{endpoint="token"}': "0+1x60"},
        {'trunkline_api_rate_limited_total{endpoint="token"}': "0x5 1x60"}),
    "TrunklineKafkaStalled": (5, {"trunkline_kafka_oldest_unacked_timestamp_seconds": "60x20"},
        {"trunkline_kafka_oldest_unacked_timestamp_seconds": "0x20"}),
    "TrunklineDurabilityDegraded": (10, {"trunkline_durability_degraded": "1x20"}, {"trunkline_durability_degraded": "0x20"}),
    "TrunklineTopicMissing": (2, {'trunkline_topic_missing{topic="gaps"}': "1x5"}, {'trunkline_topic_missing{topic="gaps"}': "0x5"}),
    "TrunklineGroundLost": (90, {CHANGES + '{change="anew"}': "0x60 1x100"},
        {CHANGES + '{change="anew"}': "1x200", CHANGES + '{change="back"}': "0x60 1x100"}),
    "TrunklinePartitionsChanged": (8, {CHANGES + '{change="partitions"}': "0x5 2x30"}, {CHANGES + '{change="partitions"}': "2x30"}),
    "TrunklineSpoolFilling": (40, {"trunkline_spool_bytes": "0+1000x60", SPOOL: "100000x60"}, {"trunkline_spool_bytes": "50000x60", SPOOL: "100000x60"}),
    "TrunklineSpoolFull": (5, {"trunkline_spool_bytes": "96x20", SPOOL: "100x20"}, {"trunkline_spool_bytes": "90x20", SPOOL: "100x20"}),
    "TrunklineSpoolFailed": (2, {"trunkline_spool_failed": "1x5"}, {"trunkline_spool_failed": "0x5"}),
    "TrunklineSpoolDamaged": (2, {"trunkline_spool_damaged_total": "1x5"}, {"trunkline_spool_damaged_total": "0x5"}),
    "TrunklineEventsQuarantined": (8, {'trunkline_events_quarantined_total{reason="malformed"}': "0x5 1x30"},
        {'trunkline_events_quarantined_total{reason="malformed"}': "1x30"}),
    # a task that is FAILED and behind by a rotation is none; one that RUNS and is behind by more is
    "TrunklineStagingLag": (45, {LAG: "0+60x60", LEFT: "1000000x60", CHECKED: "0+60x60", UP: "1x60"},
        {LAG: "700x60", LEFT: "1000000x60", CHECKED: "0+60x60", UP: "0x60"}),
    "TrunklineStagingRetention": (10, {LAG: "600x20", LEFT: "400x20"}, {LAG: "400x20", LEFT: "600x20"}),
    "TrunklineStagingRetentionCritical": (10, {LAG: "900x20", LEFT: "100x20"}, {LAG: "0x20", LEFT: "0x20", LOST: "0x20"}),
    "TrunklineStagingDeadLetters": (8, {DEAD: "0x5 3x30"}, {DEAD: "3x30"}),
    "TrunklineConfigStale": (15, {'trunkline_config_stale{why="refused"}': "1x20"},
        {'trunkline_config_stale{why="refused"}': "1x5 0x20", 'trunkline_config_stale{why="restart"}': "0x20"}),
    "TrunklineAbsent": (20, {'trunkline_build_info{version="1"}': "1x5 _x40"},
        {'trunkline_build_info{version="1"}': "1x5 _x40", 'trunkline_build_info{version="2"}': "_x5 1x40"}),
}


def target(series: str) -> str:
    """The series as a scrape by the Prometheus operator labels it."""
    name, _, rest = series.partition("{")
    own = rest.rstrip("}").split(",") if rest else []
    beside = ['namespace="streaming"', 'job="trunkline"', 'instance="a"']
    return f"{name}{{{','.join(own + beside)}}}"


def case(minute: int, series: dict[str, str], firing: list[str]) -> dict:
    """A test of promtool: exactly these alerts fire."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    return {
        "interval": "1m",
        "input_series": [{"series": target(name), "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{minute}m", "exp_samples": samples}
        ],
    }


def promtool(tests: list[dict]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "test.yaml"
        file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
        done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Firing(unittest.TestCase):
    def test_the_rules_have_no_finding(self):
        done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_has_a_case(self):
        groups = yaml.safe_load(RULES.read_text())["groups"]
        self.assertEqual({rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}, set(CASES))

    def test_every_alert_fires_on_what_it_is_for_and_no_other_does(self):
        for alert, (minute, fires, _) in CASES.items():
            with self.subTest(alert):
                code, said = promtool([case(minute, fires, [alert])])
                self.assertEqual(code, 0, said)

    def test_every_alert_stays_silent_on_what_looks_like_it(self):
        for alert, (minute, _, silent) in CASES.items():
            with self.subTest(alert):
                code, said = promtool([case(minute, silent, [])])
                self.assertEqual(code, 0, said)

    def test_a_sink_that_nobody_can_look_at_is_late_and_what_retention_took_is_critical(self):
        for alert, series in (("TrunklineStagingLag", {CHECKED: "60x60", LAG: "0x60", LEFT: "1000000x60"}), ("TrunklineStagingRetentionCritical", {LOST: "2x60"})):
            with self.subTest(alert):
                code, said = promtool([case(45, series, [alert])])
                self.assertEqual(code, 0, said)

    def test_an_alert_that_does_not_fire_is_seen(self):
        minute, _, silent = CASES["TrunklineSpoolFull"]
        code, said = promtool([case(minute, silent, ["TrunklineSpoolFull"])])
        self.assertNotEqual(code, 0, said)


if __name__ == "__main__":
    unittest.main()
