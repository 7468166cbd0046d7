-- The rows beside the events: what was certified, what was missed, what could not be understood.
-- Called by load_hour once the hour is staged; every record is kept, named by its partition and offset.
CREATE OR REPLACE PROCEDURE load_proof(p_now IN TIMESTAMP, p_certificates INOUT BIGINT) AS $$
BEGIN
    INSERT INTO coverage_certificates (
        org_id, instance, shard, topic_class, from_time, to_time, level, revision, epochs, subscription_digests,
        gap_ids, margin_ms, clock_error_ms, count_live, count_backfill, count_quarantine, partitions,
        history_watermark, closed_at, expected_close_at, barrier, writer_id, software_version, schema_version,
        kafka_partition, kafka_offset, loaded_at
    )
    SELECT
        s.org_id, s.instance, s.shard, s.topic_class, s.from_time, s.to_time, s.level, s.revision, s.epochs,
        s.subscription_digests, s.gap_ids, s.margin_ms, s.clock_error_ms, s.count_live, s.count_backfill,
        s.count_quarantine, s.partitions, s.history_watermark, s.closed_at, s.expected_close_at, s.barrier,
        s.writer_id, s.software_version, s.schema_version, s.kafka_partition, s.kafka_offset, p_now
    FROM (
        SELECT c.*, ROW_NUMBER() OVER (PARTITION BY c.kafka_partition, c.kafka_offset ORDER BY c.revision) AS place
        FROM staged_certificates AS c
    ) AS s
    LEFT JOIN coverage_certificates AS t
        ON s.kafka_partition = t.kafka_partition AND s.kafka_offset = t.kafka_offset
    WHERE s.place = 1 AND t.kafka_offset IS NULL;
    GET DIAGNOSTICS p_certificates := ROW_COUNT;

    INSERT INTO gap_records (
        gap_id, org_id, instance, shard, topic_class, topics, state, cause, from_time, to_time, margin_ms,
        recorded_at, provisional, reads, rows_read, rows_written, rows_missing, history_watermark,
        expected_close_at, outcome, closed_at, writer_id, schema_version, kafka_partition, kafka_offset, loaded_at
    )
    SELECT
        s.gap_id, s.org_id, s.instance, s.shard, s.topic_class, s.topics, s.state, s.cause, s.from_time,
        s.to_time, s.margin_ms, s.recorded_at, s.provisional, s.reads, s.rows_read, s.rows_written,
        s.rows_missing, s.history_watermark, s.expected_close_at, s.outcome, s.closed_at, s.writer_id,
        s.schema_version, s.kafka_partition, s.kafka_offset, p_now
    FROM (
        SELECT g.*, ROW_NUMBER() OVER (PARTITION BY g.kafka_partition, g.kafka_offset ORDER BY g.reads) AS place
        FROM staged_gaps AS g
    ) AS s
    LEFT JOIN gap_records AS t ON s.kafka_partition = t.kafka_partition AND s.kafka_offset = t.kafka_offset
    WHERE s.place = 1 AND t.kafka_offset IS NULL;

    INSERT INTO quarantined_messages (
        event_id, reason, topic, epoch_id, received_at, kafka_partition, kafka_offset, loaded_at
    )
    SELECT s.event_id, s.reason, s.topic, s.epoch_id, s.received_at, s.kafka_partition, s.kafka_offset, p_now
    FROM (
        SELECT q.*, ROW_NUMBER() OVER (PARTITION BY q.kafka_partition, q.kafka_offset ORDER BY q.event_id) AS place
        FROM staged_quarantine AS q
    ) AS s
    LEFT JOIN quarantined_messages AS t
        ON s.kafka_partition = t.kafka_partition AND s.kafka_offset = t.kafka_offset
    WHERE s.place = 1 AND t.kafka_offset IS NULL;
END;
$$ LANGUAGE plpgsql;
