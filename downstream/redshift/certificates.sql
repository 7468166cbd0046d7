-- What was certified: the newest revision of each interval, its partitions and its gaps.
CREATE OR REPLACE VIEW certificates AS
SELECT
    c.org_id, c.instance, c.shard, c.topic_class, c.from_time, c.to_time, c.level, c.revision, c.epochs, c.gap_ids,
    c.count_live, c.count_backfill, c.count_quarantine, c.partitions, c.history_watermark, c.closed_at,
    c.expected_close_at, c.barrier, c.loaded_at
FROM (
    SELECT
        a.*,
        ROW_NUMBER() OVER (
            PARTITION BY a.instance, a.shard, a.topic_class, a.from_time
            ORDER BY a.revision DESC, a.kafka_partition DESC, a.kafka_offset DESC
        ) AS place
    FROM coverage_certificates AS a
) AS c
WHERE c.place = 1;

-- The newest record of each gap: why an interval is not LIVE.
CREATE OR REPLACE VIEW gaps AS
SELECT
    g.gap_id, g.instance, g.shard, g.topic_class, g.state, g.cause, g.from_time, g.to_time, g.provisional, g.reads,
    g.rows_read, g.rows_written, g.rows_missing, g.expected_close_at, g.outcome, g.closed_at
FROM (
    SELECT
        a.*,
        ROW_NUMBER() OVER (
            PARTITION BY a.instance, a.gap_id ORDER BY a.kafka_partition DESC, a.kafka_offset DESC
        ) AS place
    FROM gap_records AS a
) AS g
WHERE g.place = 1;

-- The sum of ids is split into four numbers of 32 bits, since no integer of Redshift has 128.
CREATE OR REPLACE VIEW certificate_partitions AS
SELECT
    c.shard,
    c.topic_class,
    c.from_time,
    c.to_time,
    c.loaded_at,
    t."partition"::INTEGER AS kafka_partition,
    t.first_offset::BIGINT AS first_offset,
    t.end_offset::BIGINT AS end_offset,
    t.count_live::BIGINT AS count_live,
    STRTOL(SUBSTRING(t.id_sum::VARCHAR, 1, 8), 16) AS sum3,
    STRTOL(SUBSTRING(t.id_sum::VARCHAR, 9, 8), 16) AS sum2,
    STRTOL(SUBSTRING(t.id_sum::VARCHAR, 17, 8), 16) AS sum1,
    STRTOL(SUBSTRING(t.id_sum::VARCHAR, 25, 8), 16) AS sum0
FROM certificates AS c, c.partitions AS t;

CREATE OR REPLACE VIEW certificate_gaps AS
SELECT c.shard, c.topic_class, c.to_time, g::VARCHAR AS gap_id
FROM certificates AS c, c.gap_ids AS g;
