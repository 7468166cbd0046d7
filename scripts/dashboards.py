#!/usr/bin/env python3
"""Writes helm/trunkline/dashboards/*.json from the panels below; `--check` only says whether they are fresh.

In an expression `@` stands for the labels that the variables choose, `@shard` for these and the shard, and `[~]` for the
interval that suits a rate. A panel: title, kind, unit, what it says, and expressions with their legends.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "helm/trunkline/dashboards"
CHOSEN = 'cluster=~"$cluster", namespace=~"$namespace", job=~"$job", instance=~"$instance"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = {"stat": 4, "gauge": 4, "timeseries": 12, "state-timeline": 12}
HEIGHT = {"stat": 4, "gauge": 4, "timeseries": 8, "state-timeline": 8}


def quantiles(metric: str, selector: str = "@") -> list[tuple[str, str]]:
    series = f"sum by (le) (rate({metric}_bucket{{{selector}}}[~]))"
    return [(f"histogram_quantile({q}, {series})", f"p{q * 100:g}") for q in (0.5, 0.99)]


def rate(metric: str, by: str = "", selector: str = "@") -> list[tuple[str, str]]:
    grouped = f"sum by ({by}) " if by else "sum"
    return [(f"{grouped}(rate({metric}{{{selector}}}[~]))", "{{" + by + "}}" if by else "all")]


def count(metric: str, by: str, selector: str = "@") -> list[tuple[str, str]]:
    return [(f"sum by ({by}) (increase({metric}{{{selector}}}[~]))", "{{" + by + "}}")]


def age(metric: str, by: str, selector: str = "@") -> list[tuple[str, str]]:
    """Seconds since a time that is 0 while there is none."""
    legend = " ".join("{{" + label.strip() + "}}" for label in by.split(","))
    return [(f"time() - (min by ({by}) ({metric}{{{selector}}}) > 0)", legend)]


DASHBOARDS = {
    "overview": ("Is it complete, until when, what is wrong", [
        ("Proven complete until", "stat", "dateTimeFromNow", "Everything wanted is proven up to here, in the shard that is furthest behind.",
            [("min(max by (shard) (trunkline_coverage_watermark_timestamp_seconds{@shard})) * 1000", "")]),
        ("Open gaps", "stat", "short", "Intervals that nothing proves and history has not closed yet.",
            [("sum(max by (shard) (trunkline_gaps_open{@shard}))", "")]),
        ("Channels of the weakest shard", "stat", "short", "Live channels, all replicas together; 1: its next end is a gap; 0: nobody hears.",
            [("min(sum by (shard) (trunkline_shard_live_channels{@shard}))", "")]),
        ("Events without a verdict", "stat", "short", "Received, and neither published, deduplicated, quarantined nor in flight; must be 0.",
            [("sum(trunkline_events_received_total{@}) - sum(trunkline_events_published_total{@}) - sum(trunkline_events_deduplicated_total{@})"
              " - sum(trunkline_events_quarantined_total{@}) - sum(trunkline_events_in_flight{@})", "")]),
        ("Rules broken", "stat", "short", "Rules of delivery found broken in the time shown; must be 0.",
            [("sum(increase(trunkline_invariant_violations_total{@}[$__range]))", "")]),
        ("Spool filled", "gauge", "percentunit", "At 100 % sockets are not read any more.",
            [("max(trunkline_spool_bytes{@} / (trunkline_spool_capacity_bytes{@} > 0))", "")]),
        ("Service levels", "timeseries", "percentunit", "Share that was good in each interval: records acknowledged within 10 s, time proven live, gaps given back by history.",
            [("sum by (slo) (increase(trunkline_slo_good_events_total{@}[~])) / (sum by (slo) (increase(trunkline_slo_events_total{@}[~])) > 0)", "{{slo}}")]),
        ("Live channels by shard", "state-timeline", "short", "How many channels hear each shard; two or more is as it should be.",
            [("sum by (shard) (trunkline_shard_live_channels{@shard})", "shard {{shard}}")]),
        ("Actions", "timeseries", "short", "Asked of the admin server, by outcome.", count("trunkline_admin_actions_total", "outcome")),
        ("Shared with another process", "state-timeline", "bool", "1 while another one has its replica, client or state topic.", [("max by (instance, kind) (trunkline_conflict{@})", "{{instance}} {{kind}}")]),
        ("Configuration that does not run", "state-timeline", "bool", "1 while what is written is refused, or waits for a restart.", [("max by (instance, why) (trunkline_config_stale{@})", "{{instance}} {{why}}")]),
        ("Ready", "state-timeline", "bool", "Checks of readiness, by process.", [("trunkline_ready{@}", "{{instance}} {{check}}")]),
        ("Heard and written", "timeseries", "eps", "Events heard on sockets, copies included, beside records Kafka acknowledged.",
            [("sum(rate(trunkline_events_received_total{@}[~]))", "heard"), ("sum(rate(trunkline_events_published_total{@}[~]))", "written")]),
        ("From the event to the acknowledgement", "timeseries", "s", "The event's own time to Kafka's acknowledgement, history included.", quantiles("trunkline_event_lag_seconds")),
        ("Gaps opened and closed", "timeseries", "short", "By outcome: opened, covered, reconciled, partial, lost_declared.", count("trunkline_gaps_total", "outcome")),
        ("Gaps open", "timeseries", "short", "By shard.", [("max by (shard) (trunkline_gaps_open{@shard})", "shard {{shard}}")]),
    ]),
    "source": ("What the platform does to us", [
        ("Sockets opened", "timeseries", "short", "In each interval.", [("sum(increase(trunkline_ws_connects_total{@}[~]))", "opened")]),
        ("Sockets ended", "timeseries", "short", "By reason; rotation, token and closing_notice are due, the others are not.", count("trunkline_ws_disconnects_total", "reason")),
        ("Dials refused", "timeseries", "short", "By HTTP status.", count("trunkline_ws_refused_total", "status")),
        ("Back to life", "timeseries", "s", "From the end of a socket to the proof of life of the next.", quantiles("trunkline_ws_reconnect_duration_seconds")),
        ("Ping to pong", "timeseries", "s", "Round trip of the application's ping, behind the events.", quantiles("trunkline_ws_ping_rtt_seconds")),
        ("Since the last event", "timeseries", "s", "By channel; quiet nights look like this too.", age("trunkline_ws_last_frame_timestamp_seconds", "shard, leg", "@shard")),
        ("Since the last pong", "timeseries", "s", "By channel; beyond 20 s a socket counts as dead.", age("trunkline_ws_last_pong_timestamp_seconds", "shard, leg", "@shard")),
        ("Age of coverage", "timeseries", "s", "How long each channel has heard without a break.", age("trunkline_epoch_start_timestamp_seconds", "shard, leg", "@shard")),
        ("Channels without room", "stat", "short", "Wanted, and beyond what the OAuth clients may have; 0 is as it should be.", [("sum by (instance) (trunkline_channels_lacking{@})", "{{instance}}")]),
        ("Topics", "timeseries", "short", "Wanted, permitted, refused.", [("max by (state) (trunkline_subscriptions{@})", "{{state}}")]),
        ("Requests", "timeseries", "reqps", "By the platform's answer.", rate("trunkline_api_requests_total", "code")),
        ("Requests answered 429", "timeseries", "short", "By endpoint.", count("trunkline_api_rate_limited_total", "endpoint")),
        ("Requests left", "timeseries", "short", "That could be sent at once, by client.", [("min by (instance, client) (trunkline_api_budget_remaining{@})", "{{instance}} {{client}}")]),
        ("Tokens asked for", "timeseries", "short", "By outcome.", count("trunkline_oauth_renewals_total", "outcome")),
        ("Left of the token", "timeseries", "s", "By client; renewed long before 0.",
            [("min by (instance, client) (trunkline_oauth_token_expiry_timestamp_seconds{@} > 0) - time()", "{{instance}} {{client}}")]),
        ("Coverage taken back", "timeseries", "short", "Channels that answered pings and heard nothing, by the check that saw it.", count("trunkline_doubts_total", "check")),
        ("Waiting for the splice", "timeseries", "short", "Events of joining channels.", [("sum by (instance) (trunkline_splice_held_events{@})", "{{instance}}")]),
        ("Clock ahead of the platform's", "timeseries", "s", "The local clock.", [("max by (instance) (trunkline_clock_ahead_seconds{@})", "{{instance}}")]),
        ("Error of the platform's clock", "timeseries", "s", "How far it may be from where it is believed to be.", [("max by (instance) (trunkline_clock_error_seconds{@})", "{{instance}}")]),
    ]),
    "sink": ("What Kafka and the disk do to us", [
        ("Written", "timeseries", "eps", "Records Kafka acknowledged, by class of topic.", rate("trunkline_events_published_total", "class")),
        ("Copies", "timeseries", "eps", "Of events that were kept already.", rate("trunkline_events_deduplicated_total")),
        ("Quarantined", "timeseries", "short", "By reason.", count("trunkline_events_quarantined_total", "reason")),
        ("In flight", "timeseries", "short", "Between socket and acknowledgement.", [("sum by (instance) (trunkline_events_in_flight{@})", "{{instance}}")]),
        ("Oldest without an acknowledgement", "timeseries", "s", "How long it has waited.", age("trunkline_kafka_oldest_unacked_timestamp_seconds", "instance")),
        ("From the socket to the acknowledgement", "timeseries", "s", "Our own share of the delay.", quantiles("trunkline_publish_latency_seconds")),
        ("Deliveries failed", "timeseries", "short", "By class; each is sent again or quarantined.", count("trunkline_kafka_produce_errors_total", "class")),
        ("Producers replaced", "timeseries", "short", "By cause.", count("trunkline_kafka_producer_rebuilds_total", "cause")),
        ("Topics weaker than promised", "state-timeline", "bool", "1 while one is.", [("max by (instance) (trunkline_durability_degraded{@})", "{{instance}}")]),
        ("Topics that do not exist", "state-timeline", "bool", "1 while one does not.", [("max by (topic) (trunkline_topic_missing{@})", "{{topic}}")]),
        ("Changed under the topics", "timeseries", "short", "Another cluster, other partitions, a topic gone, back, or without what it held.", count("trunkline_ground_changes_total", "change")),
        ("Spool refused a write", "state-timeline", "bool", "1 since it did: what is heard lies in memory and Kafka only.", [("max by (instance) (trunkline_spool_failed{@})", "{{instance}}")]),
        ("Spool", "timeseries", "bytes", "What lies on the disk, and the bound.",
            [("sum by (instance) (trunkline_spool_bytes{@})", "{{instance}}"), ("max(trunkline_spool_capacity_bytes{@})", "bound")]),
        ("Waiting on the disk", "timeseries", "short", "Events from the oldest one on that Kafka has not acknowledged.", [("sum by (instance) (trunkline_spool_waiting_events{@})", "{{instance}}")]),
        ("Oldest on the disk", "timeseries", "s", "Acknowledged or not.", age("trunkline_spool_oldest_record_timestamp_seconds", "instance")),
        ("Sync", "timeseries", "s", "To write a group of events and to sync it.", quantiles("trunkline_spool_sync_duration_seconds")),
        ("Read back from the disk", "timeseries", "eps", "Events that went to Kafka by way of it.", rate("trunkline_spool_read_back_events_total")),
        ("Sent again after a start", "timeseries", "short", "Events of an earlier process.", count("trunkline_spool_replayed_events_total", "instance")),
        ("Held for another replica", "timeseries", "short", "Events of its shards not seen in the topic yet.",
            [("sum by (instance) (trunkline_standby_held_events{@})", "{{instance}}")]),
        ("Held, then", "timeseries", "eps", "Seen in the topic, or written by the replica that held them.",
            [("sum(rate(trunkline_standby_seen_events_total{@}[~]))", "seen"), ("sum(rate(trunkline_standby_written_events_total{@}[~]))", "written")]),
        ("Taken from the queue", "timeseries", "eps", "Messages of EventBridge, and those that were given before.",
            [("sum(rate(trunkline_queue_received_total{@}[~]))", "given"), ("sum(rate(trunkline_queue_redelivered_total{@}[~]))", "given again")]),
        ("Held of the queue", "timeseries", "short", "Given and not deleted.", [("sum by (instance) (trunkline_queue_in_flight{@})", "{{instance}}")]),
        ("Oldest held of the queue", "timeseries", "s", "Since it was put into the queue.", age("trunkline_queue_oldest_timestamp_seconds", "instance")),
        ("Deleted from the queue", "timeseries", "short", "By outcome.", count("trunkline_queue_deletes_total", "outcome")),
        ("Records that S3 lacks", "timeseries", "short", "By topic, when it was last known: what the sink has not committed.",
            [("max by (connector, topic) (trunkline_staging_lag_records{@})", "{{connector}} {{topic}}")]),
        ("Waiting for S3", "timeseries", "s", "The oldest record the sink has not committed; up to ten minutes are due.",
            [("max by (connector, topic) (trunkline_staging_lag_seconds{@})", "{{connector}} {{topic}}")]),
        ("Until retention takes it", "timeseries", "s", "The first record the sink has not committed, at the earliest.",
            [("min by (connector, topic) (trunkline_staging_retention_headroom_seconds{@})", "{{connector}} {{topic}}")]),
        ("Taken by retention unread", "timeseries", "short", "Records that are not in S3; must be 0.",
            [("max by (connector, topic) (trunkline_staging_lost_records{@})", "{{connector}} {{topic}}")]),
        ("Dead letters", "timeseries", "short", "Records that the sink could not read, ever.",
            [("max by (connector) (trunkline_staging_dead_letters{@})", "{{connector}}")]),
        ("Connectors that say they run", "state-timeline", "bool", "What Kafka Connect says; records may wait all the same.",
            [("min by (connector) (trunkline_staging_connector_up{@})", "{{connector}}")]),
        ("Since the sink was looked at", "timeseries", "s", "Above, nothing is newer than this.", age("trunkline_staging_checked_timestamp_seconds", "connector")),
        ("Unreadable on the disk", "timeseries", "short", "Stretches passed over at the start.", count("trunkline_spool_damaged_total", "instance")),
    ]),
    "proof": ("What is proven, and by whom", [
        ("Behind the present", "timeseries", "s", "How far the proof of each shard is behind.",
            [("time() - max by (shard) (trunkline_coverage_watermark_timestamp_seconds{@shard} > 0)", "shard {{shard}}")]),
        ("Oldest open gap", "timeseries", "s", "How long ago it began.", age("trunkline_gap_oldest_open_timestamp_seconds", "instance")),
        ("Gaps by cause", "timeseries", "short", "Recorded in each interval.", count("trunkline_gaps_total", "cause", '@, outcome="opened"')),
        ("Readings of history", "timeseries", "short", "By interface and outcome.",
            [("sum by (source, outcome) (increase(trunkline_history_reads_total{@}[~]))", "{{source}} {{outcome}}")]),
        ("Records from history", "timeseries", "short", "Written for gaps.", count("trunkline_gap_events_recovered_total", "instance")),
        ("Closed hours held against history", "timeseries", "short", "Conversations, by what was found; missed must be empty.", count("trunkline_audit_conversations_total", "finding")),
        ("Audits", "timeseries", "short", "Closed spans, by outcome.", count("trunkline_audits_total", "outcome")),
        ("Since the newest audited span", "timeseries", "s", "A day and some hours are due.", age("trunkline_audited_timestamp_seconds", "instance")),
        ("Certificates", "timeseries", "short", "By what they say; first words and later ones.",
            [("sum by (level, revision) (increase(trunkline_certificates_total{@}[~]))", "{{level}} {{revision}}")]),
        ("Since the last certificates", "timeseries", "s", "They say what was known by then.", age("trunkline_certificates_timestamp_seconds", "instance")),
        ("Rules broken", "timeseries", "short", "By rule; must be empty.", [("sum by (invariant) (increase(trunkline_invariant_violations_total{@}[~])) > 0", "{{invariant}}")]),
        ("Ids remembered", "timeseries", "short", "By process.", [("sum by (instance) (trunkline_dedupe_window_events{@})", "{{instance}}")]),
        ("Ids forgotten early", "timeseries", "short", "Generations; more events than flow.dedupe_max_events allows for.", count("trunkline_dedupe_evicted_generations_total", "instance")),
        ("Versions", "timeseries", "short", "Processes, by version.", [("count by (version) (trunkline_build_info{@})", "{{version}}")]),
    ]),
}


def written_out(expr: str) -> str:
    return expr.replace("@shard", CHOSEN + ', shard=~"$shard"').replace("@", CHOSEN).replace("[~]", "[$__rate_interval]")


def panel(spec: tuple, number: int, at: tuple[int, int]) -> dict:
    title, kind, unit, description, targets = spec
    custom = {"timeseries": {"fillOpacity": 10, "showPoints": "never"}, "state-timeline": {"fillOpacity": 70, "lineWidth": 0}}.get(kind, {})
    return {
        "id": number, "title": title, "description": description, "type": kind, "datasource": SOURCE,
        "gridPos": {"x": at[0], "y": at[1], "w": WIDTH[kind], "h": HEIGHT[kind]},
        "fieldConfig": {"defaults": {"unit": unit, "custom": custom} | ({"min": 0, "max": 1} if unit == "percentunit" else {}), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}} if kind != "stat" else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {"refId": chr(65 + n), "datasource": SOURCE, "expr": written_out(expr), "legendFormat": legend} for n, (expr, legend) in enumerate(targets)
        ],
    }


def variable(name: str, label: str, metric: str, every: str = ".+") -> dict:
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "query": f"label_values({metric}, {name})", "refresh": 2,
        "includeAll": True, "multi": True, "allValue": every, "current": {"text": "All", "value": "$__all"}, "sort": 1,
    }


def dashboard(name: str, about: str, specs: list[tuple]) -> dict:
    panels, x, y, height = [], 0, 0, 0
    for number, spec in enumerate(specs, 1):
        width = WIDTH[spec[1]]
        if x + width > 24:
            x, y, height = 0, y + height, 0
        panels.append(panel(spec, number, (x, y)))
        x, height = x + width, max(height, HEIGHT[spec[1]])
    info = "trunkline_build_info"
    return {
        "uid": f"trunkline-{name}", "title": f"trunkline / {name}", "description": about, "tags": ["trunkline"], "schemaVersion": 39,
        "editable": False, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "browser",
        "links": [{"type": "dashboards", "title": "trunkline", "tags": ["trunkline"], "asDropdown": False, "includeVars": True, "keepTime": True}],
        "annotations": {"list": [
            {"name": "Alerts", "datasource": SOURCE, "enable": True, "iconColor": "red", "titleFormat": "{{alertname}}",
             "expr": 'ALERTS{alertname=~"Trunkline.+", alertstate="firing", job=~"$job"}'},
            {"name": "Gaps opened", "datasource": SOURCE, "enable": True, "iconColor": "orange", "titleFormat": "gap: {{cause}}",
             "expr": written_out('sum by (cause) (increase(trunkline_gaps_total{@, outcome="opened"}[~])) > 0')},
        ]},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}},
            variable("cluster", "Cluster", info, ".*"), variable("namespace", "Namespace", info, ".*"), variable("job", "Job", info),
            variable("instance", "Instance", f'{info}{{job=~"$job"}}'), variable("shard", "Shard", "trunkline_shard_live_channels"),
        ]},
        "panels": panels,
    }


def main() -> int:
    stale = 0
    for name, (about, specs) in DASHBOARDS.items():
        file, text = FOLDER / f"{name}.json", json.dumps(dashboard(name, about, specs), indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv[1:]:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            print(f"{file}: is stale; run scripts/dashboards.py", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
