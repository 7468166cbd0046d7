-- Loading. Each procedure is one transaction: it happens as a whole or not at all, so an interrupted call is
-- simply called again. Hours may be loaded in any order, again, and in parts: the rows are the same.

-- Takes objects.csv of manifests.py. An object that is listed again is seen, not added.
CREATE OR REPLACE PROCEDURE load_listing(p_url IN VARCHAR(1024)) AS $$
BEGIN
    LOCK staged_listing;
    DELETE FROM staged_listing;
    CALL copy_csv('staged_listing', p_url);
    MERGE INTO staged_objects USING staged_listing ON staged_objects.url = staged_listing.url
    WHEN MATCHED THEN UPDATE SET
        size_bytes = staged_listing.size_bytes, modified_at = staged_listing.modified_at,
        listed_at = staged_listing.listed_at
    WHEN NOT MATCHED THEN INSERT (
        role, staging_hour, url, kafka_partition, first_offset, size_bytes, modified_at, first_listed_at, listed_at
    ) VALUES (
        staged_listing.role, staged_listing.staging_hour, staged_listing.url, staged_listing.kafka_partition,
        staged_listing.first_offset, staged_listing.size_bytes, staged_listing.modified_at, staged_listing.listed_at,
        staged_listing.listed_at
    );
END;
$$ LANGUAGE plpgsql;

-- Copies one role of an hour into its staging table; returns how many objects its manifest was made of.
-- `p_manifests` is the folder that manifests.py wrote, e.g. s3://bucket/manifests.
CREATE OR REPLACE PROCEDURE stage_role(
    p_role IN VARCHAR(16), p_hour IN TIMESTAMP, p_manifests IN VARCHAR(1024), p_objects INOUT BIGINT
) AS $$
BEGIN
    SELECT COUNT(*) INTO p_objects FROM staged_objects
    WHERE role = p_role AND staging_hour = p_hour
        AND listed_at = (SELECT MAX(listed_at) FROM staged_objects WHERE staging_hour = p_hour);
    IF p_objects > 0 THEN
        CALL copy_avro(
            'staged_' || p_role,
            p_manifests || '/' || p_role || '/dt=' || TO_CHAR(p_hour, 'YYYY-MM-DD') || '/hr=' || TO_CHAR(p_hour, 'HH24')
            || '/manifest.json'
        );
    END IF;
END;
$$ LANGUAGE plpgsql;

-- Loads a staged hour: events, certificates, gaps and quarantine that arrived in it.
-- Of the records of one event_id the first in its partition is kept, whichever hour comes first.
CREATE OR REPLACE PROCEDURE load_hour(p_hour IN TIMESTAMP, p_manifests IN VARCHAR(1024)) AS $$
DECLARE
    v_now TIMESTAMP := GETDATE();
    v_listed TIMESTAMP;
    v_objects BIGINT := 0;
    v_of_role BIGINT := 0;
    v_records BIGINT;
    v_new BIGINT;
    v_certificates BIGINT;
BEGIN
    IF p_hour <> DATE_TRUNC('hour', p_hour) THEN
        RAISE EXCEPTION 'p_hour is %: allowed is a full hour, UTC', p_hour;
    END IF;
    -- one load at a time; the second waits
    LOCK staged_events;
    SELECT MAX(listed_at) INTO v_listed FROM staged_objects WHERE staging_hour = p_hour;
    IF v_listed IS NULL THEN
        RAISE EXCEPTION 'p_hour is %: no object of that hour is listed; run manifests.py for it and call load_listing', p_hour;
    END IF;
    DELETE FROM staged_events;
    DELETE FROM first_events;
    DELETE FROM staged_certificates;
    DELETE FROM staged_gaps;
    DELETE FROM staged_quarantine;
    CALL stage_role('events', p_hour, p_manifests, v_objects);
    CALL stage_role('certificates', p_hour, p_manifests, v_of_role);
    v_objects := v_objects + v_of_role;
    CALL stage_role('gaps', p_hour, p_manifests, v_of_role);
    v_objects := v_objects + v_of_role;
    CALL stage_role('quarantine', p_hour, p_manifests, v_of_role);
    v_objects := v_objects + v_of_role;
    SELECT COUNT(*) INTO v_records FROM staged_events;

    INSERT INTO event_offsets (kafka_partition, kafka_offset, event_id, topic_class, received_at, origin, gap_id)
    SELECT DISTINCT
        s.kafka_partition, s.kafka_offset, s.event_id, s.topic_class, s.received_at, s.origin, s.gap_id
    FROM staged_events AS s
    LEFT JOIN event_offsets AS o ON s.kafka_partition = o.kafka_partition AND s.kafka_offset = o.kafka_offset
    WHERE o.event_id IS NULL;

    INSERT INTO first_events
    SELECT
        f.event_id, f.body_digest, f.org_id, f.topic, f.topic_class, f.event_type, f.correlation_id,
        f.schema_version, f.conversation_id, f.queue_id, f.user_id, f.media_type, f.direction, f.ani, f.dnis,
        f.external_tag, f.division_ids, f.event_time, f.event_time_source, f.received_at, f.version, f.origin,
        f.gap_id, f.epoch_id, f.writer_id, f.sequence, f.takeover, f.conversation_state, f.participants,
        f.kafka_partition, f.kafka_offset
    FROM (
        SELECT
            s.*,
            ROW_NUMBER() OVER (PARTITION BY s.event_id ORDER BY s.kafka_partition, s.kafka_offset) AS place
        FROM staged_events AS s
    ) AS f
    LEFT JOIN conversation_events AS e ON f.event_id = e.event_id
    WHERE f.place = 1 AND (
        e.event_id IS NULL OR f.kafka_partition < e.kafka_partition
        OR (f.kafka_partition = e.kafka_partition AND f.kafka_offset < e.kafka_offset)
    );

    -- what matches is a repeat whose first record comes now
    MERGE INTO conversation_events USING first_events ON conversation_events.event_id = first_events.event_id
    WHEN MATCHED THEN UPDATE SET
        body_digest = first_events.body_digest, org_id = first_events.org_id, topic = first_events.topic,
        topic_class = first_events.topic_class, event_type = first_events.event_type,
        correlation_id = first_events.correlation_id, schema_version = first_events.schema_version,
        conversation_id = first_events.conversation_id, queue_id = first_events.queue_id,
        user_id = first_events.user_id, media_type = first_events.media_type, direction = first_events.direction,
        ani = first_events.ani, dnis = first_events.dnis, external_tag = first_events.external_tag,
        division_ids = first_events.division_ids, event_time = first_events.event_time,
        event_time_source = first_events.event_time_source, received_at = first_events.received_at,
        version = first_events.version, origin = first_events.origin, gap_id = first_events.gap_id,
        epoch_id = first_events.epoch_id, writer_id = first_events.writer_id, sequence = first_events.sequence,
        takeover = first_events.takeover, conversation_state = first_events.conversation_state,
        participants = first_events.participants, kafka_partition = first_events.kafka_partition,
        kafka_offset = first_events.kafka_offset, loaded_at = v_now
    WHEN NOT MATCHED THEN INSERT (
        event_id, body_digest, org_id, topic, topic_class, event_type, correlation_id, schema_version,
        conversation_id, queue_id, user_id, media_type, direction, ani, dnis, external_tag, division_ids,
        event_time, event_time_source, received_at, version, origin, gap_id, epoch_id, writer_id, sequence,
        takeover, conversation_state, participants, kafka_partition, kafka_offset, loaded_at
    ) VALUES (
        first_events.event_id, first_events.body_digest, first_events.org_id, first_events.topic,
        first_events.topic_class, first_events.event_type, first_events.correlation_id,
        first_events.schema_version, first_events.conversation_id, first_events.queue_id, first_events.user_id,
        first_events.media_type, first_events.direction, first_events.ani, first_events.dnis,
        first_events.external_tag, first_events.division_ids, first_events.event_time,
        first_events.event_time_source, first_events.received_at, first_events.version, first_events.origin,
        first_events.gap_id, first_events.epoch_id, first_events.writer_id, first_events.sequence,
        first_events.takeover, first_events.conversation_state, first_events.participants,
        first_events.kafka_partition, first_events.kafka_offset, v_now
    );
    SELECT COUNT(*) INTO v_new FROM first_events;
    CALL load_proof(v_now, v_certificates);
    INSERT INTO hour_loads (staging_hour, loaded_at, listed_at, objects, records, rows_new, certificates_new)
    VALUES (p_hour, v_now, v_listed, v_objects, v_records, v_new, v_certificates);
    RAISE INFO 'hour %: % objects, % records, % new rows, % new certificates', p_hour, v_objects, v_records, v_new, v_certificates;
END;
$$ LANGUAGE plpgsql;
