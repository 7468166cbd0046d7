"""Which alerts each run gives: exactly these, and those that are true of every run."""

from own_faults import (
    channels_taken, clock_ahead, configuration_wrong, disk_damaged, disk_refuses, epoch_reused, kafka_away, one_client_twice, process_gone, quiet,
    spool_fills, spool_full, unreadable,
)
from platform_faults import (
    audits_fail, history_fails, no_token, one_channel, permission_missing, platform_away, presence_gap, requests_refused, sockets_deaf, storm,
)

# what goes wrong: alerts without their prefix, and whether an hour is a second there; the longest first
RUNS = [
    (platform_away, "ShardExposed CoverageStalled", False),
    (kafka_away, "KafkaStalled", False),
    (no_token, "AuthFailing TokenExpiring ShardSingle", False),
    (history_fails, "GapUnrecovered", True),
    (audits_fail, "AuditBehind", True),
    (sockets_deaf, "AuditMissed", True),
    (clock_ahead, "ClockWrong", False),
    (presence_gap, "GapLost", False),
    (storm, "ReconnectStorm", False),
    (channels_taken, "ChannelContended", False),
    (one_client_twice, "Conflict", False),
    (requests_refused, "RateLimited", False),
    (one_channel, "ShardSingle", False),
    (permission_missing, "SubscriptionRefused", False),
    (unreadable, "EventsQuarantined", False),
    (spool_fills, "SpoolFilling", False),
    (spool_full, "SpoolFull", False),
    (disk_refuses, "SpoolFailed", False),
    (disk_damaged, "SpoolDamaged", False),
    (configuration_wrong, "ConfigStale", False),
    (epoch_reused, "InvariantViolated", False),
    (process_gone, "Absent", False),
    (quiet, "", False),
]
for function, names, _ in RUNS:
    function.gives = {f"Trunkline{name}" for name in names.split()}
