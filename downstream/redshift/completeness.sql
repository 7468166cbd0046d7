-- Is an interval complete: what its certificate says against what is in conversation_events.
-- Rows name no shard, so counts are those of all shards of a class together; sums of ids add up likewise.

-- By partition. Rows behind `end_offset` came after the certificate was written and wait for its next revision.
CREATE OR REPLACE VIEW completeness_partitions AS
WITH certified AS (
    SELECT
        topic_class, to_time, kafka_partition,
        MIN(from_time) AS from_time,
        MIN(first_offset) AS first_offset,
        MAX(end_offset) AS end_offset,
        SUM(count_live)::BIGINT AS expected_live,
        SUM(sum0)::BIGINT AS sum0, SUM(sum1)::BIGINT AS sum1, SUM(sum2)::BIGINT AS sum2, SUM(sum3)::BIGINT AS sum3
    FROM certificate_partitions
    GROUP BY topic_class, to_time, kafka_partition
),

counted AS (
    SELECT
        c.topic_class, c.to_time, c.kafka_partition,
        COUNT(e.event_id) AS loaded_live,
        COALESCE(SUM(STRTOL(SUBSTRING(e.event_id, 25, 8), 16)), 0)::BIGINT AS sum0,
        COALESCE(SUM(STRTOL(SUBSTRING(e.event_id, 17, 8), 16)), 0)::BIGINT AS sum1,
        COALESCE(SUM(STRTOL(SUBSTRING(e.event_id, 9, 8), 16)), 0)::BIGINT AS sum2,
        COALESCE(SUM(STRTOL(SUBSTRING(e.event_id, 1, 8), 16)), 0)::BIGINT AS sum3
    FROM certified AS c
    LEFT JOIN conversation_events AS e
        ON c.topic_class = e.topic_class
        AND c.kafka_partition = e.kafka_partition
        -- an interval lies within one hour: an equality keeps the join a hash join
        AND DATE_TRUNC('hour', c.from_time) = DATE_TRUNC('hour', e.received_at)
        AND c.from_time <= e.received_at AND e.received_at < c.to_time
        AND e.kafka_offset < c.end_offset
        AND e.origin NOT IN ('backfill', 'reconcile')
    GROUP BY c.topic_class, c.to_time, c.kafka_partition
),

-- certified minus loaded: each 32 bits must divide, and what they divide by is carried to the next
d0 AS (
    SELECT
        c.topic_class, c.from_time, c.to_time, c.kafka_partition, c.first_offset, c.end_offset, c.expected_live,
        n.loaded_live, c.sum0 - n.sum0 AS k0, c.sum1 - n.sum1 AS s1, c.sum2 - n.sum2 AS s2, c.sum3 - n.sum3 AS s3
    FROM certified AS c
    INNER JOIN counted AS n
        ON c.topic_class = n.topic_class AND c.to_time = n.to_time AND c.kafka_partition = n.kafka_partition
),

d1 AS (SELECT d0.*, s1 + k0 / 4294967296 AS k1 FROM d0),

d2 AS (SELECT d1.*, s2 + k1 / 4294967296 AS k2 FROM d1),

d3 AS (SELECT d2.*, s3 + k2 / 4294967296 AS k3 FROM d2)

SELECT
    topic_class, from_time, to_time, kafka_partition, first_offset, end_offset, expected_live, loaded_live,
    GREATEST(expected_live - loaded_live, 0) AS missing_live,
    MOD(k0, 4294967296) = 0 AND MOD(k1, 4294967296) = 0 AND MOD(k2, 4294967296) = 0 AND MOD(k3, 4294967296) = 0
        AS digest_agrees
FROM d3;

-- By interval and class. `level` is the worst of its shards; `NONE` where rows have no certificate yet.
CREATE OR REPLACE VIEW completeness AS
WITH said AS (
    SELECT
        topic_class, to_time,
        MIN(from_time) AS from_time,
        MAX(CASE level
            WHEN 'LIVE_DUAL' THEN 1 WHEN 'LIVE_SINGLE' THEN 2 WHEN 'RECONCILED' THEN 3
            WHEN 'REPAIRED_PROVISIONAL' THEN 4 WHEN 'PARTIAL' THEN 5 WHEN 'OPEN' THEN 6 ELSE 7
        END) AS rank,
        MAX(revision) AS revision,
        SUM(count_live) AS expected_live,
        SUM(count_backfill) AS expected_backfill,
        MAX(expected_close_at) AS expected_close_at
    FROM certificates
    GROUP BY topic_class, to_time
),

live AS (
    SELECT
        topic_class, to_time,
        SUM(loaded_live) AS loaded_live,
        SUM(missing_live) AS missing_live,
        MIN(CASE WHEN digest_agrees THEN 1 ELSE 0 END) AS digests_agree
    FROM completeness_partitions
    GROUP BY topic_class, to_time
),

filled AS (
    SELECT b.topic_class, b.to_time, SUM(b.loaded) AS loaded_backfill
    FROM (
        SELECT g.shard, g.topic_class, g.to_time, COUNT(DISTINCT e.event_id) AS loaded
        FROM certificate_gaps AS g
        INNER JOIN event_offsets AS o ON g.gap_id = o.gap_id AND o.origin = 'backfill'
        INNER JOIN conversation_events AS e ON o.event_id = e.event_id
        GROUP BY g.shard, g.topic_class, g.to_time
    ) AS b
    GROUP BY b.topic_class, b.to_time
),

-- a certificate counts the messages of its shard whatever their class
unread AS (
    SELECT
        x.to_time,
        SUM(x.expected) AS expected_quarantine,
        MIN(x.from_time) AS from_time
    FROM (
        SELECT shard, to_time, MAX(count_quarantine) AS expected, MIN(from_time) AS from_time
        FROM certificates GROUP BY shard, to_time
    ) AS x
    GROUP BY x.to_time
),

held AS (
    SELECT u.to_time, u.expected_quarantine, COUNT(DISTINCT q.event_id) AS loaded_quarantine
    FROM unread AS u
    LEFT JOIN quarantined_messages AS q
        ON DATE_TRUNC('hour', u.from_time) = DATE_TRUNC('hour', q.received_at)
        AND u.from_time <= q.received_at AND q.received_at < u.to_time
    GROUP BY u.to_time, u.expected_quarantine
),

judged AS (
    SELECT
        s.topic_class, s.from_time, s.to_time, s.rank, s.revision, s.expected_live,
        COALESCE(l.loaded_live, 0) AS loaded_live,
        GREATEST(s.expected_live - COALESCE(l.loaded_live, 0), COALESCE(l.missing_live, 0)) AS missing_live,
        COALESCE(l.digests_agree = 1, s.expected_live = 0) AS digest_agrees,
        s.expected_backfill,
        COALESCE(f.loaded_backfill, 0) AS loaded_backfill,
        h.expected_quarantine,
        h.loaded_quarantine,
        s.expected_close_at
    FROM said AS s
    INNER JOIN held AS h ON s.to_time = h.to_time
    LEFT JOIN live AS l ON s.topic_class = l.topic_class AND s.to_time = l.to_time
    LEFT JOIN filled AS f ON s.topic_class = f.topic_class AND s.to_time = f.to_time
)

SELECT
    topic_class, from_time, to_time,
    CASE rank
        WHEN 1 THEN 'LIVE_DUAL' WHEN 2 THEN 'LIVE_SINGLE' WHEN 3 THEN 'RECONCILED'
        WHEN 4 THEN 'REPAIRED_PROVISIONAL' WHEN 5 THEN 'PARTIAL' WHEN 6 THEN 'OPEN' ELSE 'LOST_DECLARED'
    END AS level,
    revision, expected_live, loaded_live, missing_live, digest_agrees, expected_backfill, loaded_backfill,
    expected_quarantine, loaded_quarantine, expected_close_at,
    CASE
        WHEN missing_live > 0 THEN 'no'
        WHEN NOT digest_agrees THEN 'no'
        WHEN loaded_backfill < expected_backfill THEN 'no'
        WHEN loaded_quarantine < expected_quarantine THEN 'no'
        WHEN rank <= 3 THEN 'yes'
        WHEN rank = 4 THEN 'probably'
        ELSE 'no'
    END AS complete,
    CASE
        WHEN missing_live > 0 THEN 'rows are missing: see missing_rows_by_interval'
        WHEN NOT digest_agrees THEN 'counts agree, ids do not: see missing_rows_by_interval'
        WHEN loaded_backfill < expected_backfill THEN 'rows of history are missing: see missing_rows'
        WHEN loaded_quarantine < expected_quarantine THEN 'quarantined messages are not loaded'
        WHEN rank <= 3 THEN 'all that was certified is here'
        WHEN rank = 4 THEN 'two queries of history agree; final at expected_close_at'
        ELSE 'all that is known of is here, and not everything is known: see gaps'
    END AS why
FROM judged
UNION ALL
SELECT
    e.topic_class,
    DATE_TRUNC('hour', e.received_at) AS from_time,
    DATE_TRUNC('hour', e.received_at) + INTERVAL '1 hour' AS to_time,
    'NONE' AS level,
    0 AS revision, 0 AS expected_live, COUNT(*) AS loaded_live, 0 AS missing_live, NULL::BOOLEAN AS digest_agrees,
    0 AS expected_backfill, 0 AS loaded_backfill, 0 AS expected_quarantine, 0 AS loaded_quarantine,
    NULL::TIMESTAMP AS expected_close_at,
    'not yet' AS complete,
    'no certificate yet: one comes after the hour has ended' AS why
FROM conversation_events AS e
LEFT JOIN (
    SELECT DISTINCT topic_class, DATE_TRUNC('hour', from_time) AS hour FROM certificates
) AS c ON e.topic_class = c.topic_class AND DATE_TRUNC('hour', e.received_at) = c.hour
WHERE c.hour IS NULL AND e.origin NOT IN ('backfill', 'reconcile')
GROUP BY e.topic_class, DATE_TRUNC('hour', e.received_at);

-- By hour over all classes: the one to look at first.
CREATE OR REPLACE VIEW completeness_by_hour AS
SELECT
    DATE_TRUNC('hour', from_time) AS hour,
    MIN(complete) AS complete,
    SUM(expected_live) AS expected_live,
    SUM(loaded_live) AS loaded_live,
    SUM(missing_live) AS missing_live,
    SUM(expected_backfill) AS expected_backfill,
    SUM(loaded_backfill) AS loaded_backfill,
    SUM(CASE WHEN level IN ('LIVE_DUAL', 'LIVE_SINGLE') THEN 1 ELSE 0 END) AS intervals_live,
    SUM(CASE WHEN level = 'RECONCILED' THEN 1 ELSE 0 END) AS intervals_reconciled,
    SUM(CASE WHEN level NOT IN ('LIVE_DUAL', 'LIVE_SINGLE', 'RECONCILED') THEN 1 ELSE 0 END) AS intervals_unproven,
    MAX(expected_close_at) AS expected_close_at
FROM completeness
GROUP BY DATE_TRUNC('hour', from_time);

-- The missing rows of an interval. A deleted row is known and belongs to one; of a row that was never loaded
-- only the offset is known, so it stands with every interval whose partition is short and reaches over it.
CREATE OR REPLACE VIEW missing_rows_by_interval AS
SELECT
    c.topic_class, c.from_time, c.to_time, m.kafka_partition, m.kafka_offset, m.reason, m.object_url,
    m.object_state, m.event_id
FROM completeness_partitions AS c
INNER JOIN missing_rows AS m
    ON c.kafka_partition = m.kafka_partition
    AND m.kafka_offset BETWEEN c.first_offset AND c.end_offset - 1
WHERE (m.reason = 'never loaded' AND (c.missing_live > 0 OR NOT c.digest_agrees))
    OR (
        m.reason = 'deleted' AND m.topic_class = c.topic_class AND m.origin NOT IN ('backfill', 'reconcile')
        AND c.from_time <= m.received_at AND m.received_at < c.to_time
    );
