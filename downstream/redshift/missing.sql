-- Every record of the events topic that should be in the warehouse and is not, by partition and offset, with the
-- S3 object that held it. An idempotent producer leaves no holes between offsets: an offset that was
-- never loaded, between the first and the last that are known of, is a row that is missing.

-- Known bounds of each partition: from certificates, loaded rows, and names of objects.
CREATE OR REPLACE VIEW known_offsets AS
WITH bounds AS (
    SELECT
        b.kafka_partition,
        MIN(b.first_offset) AS first_offset,
        MAX(b.end_offset) AS end_offset
    FROM (
        SELECT kafka_partition, first_offset, end_offset FROM certificate_partitions
        UNION ALL
        SELECT kafka_partition, MIN(kafka_offset) AS first_offset, MAX(kafka_offset) + 1 AS end_offset
        FROM event_offsets GROUP BY kafka_partition
        UNION ALL
        SELECT kafka_partition, MIN(first_offset) AS first_offset, MAX(first_offset) + 1 AS end_offset
        FROM staged_objects WHERE role = 'events' GROUP BY kafka_partition
    ) AS b
    GROUP BY b.kafka_partition
)

SELECT kafka_partition, kafka_offset FROM event_offsets
UNION
SELECT kafka_partition, first_offset - 1 AS kafka_offset FROM bounds
UNION
SELECT kafka_partition, end_offset AS kafka_offset FROM bounds;

-- Which offsets an object can hold: from its name up to the name of the next one.
CREATE OR REPLACE VIEW object_ranges AS
SELECT
    o.kafka_partition, o.first_offset, o.url, o.staging_hour,
    LEAD(o.first_offset, 1) OVER (PARTITION BY o.kafka_partition ORDER BY o.first_offset) AS next_first_offset,
    CASE
        WHEN o.listed_at < MAX(o.listed_at) OVER (PARTITION BY o.staging_hour) THEN 'gone' ELSE 'listed'
    END AS seen
FROM staged_objects AS o
WHERE o.role = 'events'
UNION ALL
-- what lies before the first object that was ever listed
SELECT
    f.kafka_partition, -1 AS first_offset, f.url, f.staging_hour, f.first_offset AS next_first_offset,
    'never listed' AS seen
FROM (
    SELECT
        a.kafka_partition, a.first_offset, a.url, a.staging_hour,
        ROW_NUMBER() OVER (PARTITION BY a.kafka_partition ORDER BY a.first_offset) AS place
    FROM staged_objects AS a
    WHERE a.role = 'events'
) AS f
WHERE f.place = 1 AND f.first_offset > 0;

-- Stretches of offsets that were never loaded. `object_state`: `listed` (load the hour again), `gone` (it was
-- listed once and is no more: restore the version of the object), `never listed` (the object before it is loaded,
-- and none begins where it ends: the one that would begin there is named, in the folder of that hour or the next).
CREATE OR REPLACE VIEW missing_ranges AS
WITH steps AS (
    SELECT
        k.kafka_partition,
        k.kafka_offset AS loaded_before,
        LEAD(k.kafka_offset, 1) OVER (PARTITION BY k.kafka_partition ORDER BY k.kafka_offset) AS loaded_behind
    FROM known_offsets AS k
),

holes AS (
    SELECT kafka_partition, loaded_before, loaded_behind FROM steps WHERE loaded_behind > loaded_before + 1
),

-- cut where an object begins, so that each piece lies in one object
pieces AS (
    SELECT
        h.kafka_partition, h.loaded_before, h.loaded_behind, o.url, o.seen, o.staging_hour,
        o.first_offset AS object_first,
        GREATEST(h.loaded_before + 1, COALESCE(o.first_offset, h.loaded_before + 1)) AS first_offset,
        LEAST(h.loaded_behind, COALESCE(o.next_first_offset, h.loaded_behind)) - 1 AS last_offset,
        o.next_first_offset
    FROM holes AS h
    LEFT JOIN object_ranges AS o
        ON h.kafka_partition = o.kafka_partition
        AND o.first_offset < h.loaded_behind
        AND (o.next_first_offset IS NULL OR o.next_first_offset > h.loaded_before + 1)
)

SELECT
    p.kafka_partition,
    p.first_offset,
    p.last_offset,
    p.last_offset - p.first_offset + 1 AS rows_missing,
    CASE
        WHEN p.url IS NULL THEN NULL
        WHEN p.first_offset > p.object_first AND p.last_offset + 1 = COALESCE(p.next_first_offset, p.loaded_behind)
            THEN REGEXP_REPLACE(p.url, '[0-9]+[.]avro$', LPAD(p.first_offset::VARCHAR, 10, '0') || '.avro')
        ELSE p.url
    END AS object_url,
    CASE
        WHEN p.url IS NULL THEN 'never listed'
        WHEN p.first_offset > p.object_first AND p.last_offset + 1 = COALESCE(p.next_first_offset, p.loaded_behind)
            THEN 'never listed'
        ELSE p.seen
    END AS object_state,
    p.staging_hour
FROM pieces AS p;

-- One row for each. `never loaded`: its id is not known. `deleted`: it was loaded, and its id is not in
-- conversation_events any more. Ranges of over 100,000 rows are named up to there; missing_ranges has them whole.
CREATE OR REPLACE VIEW missing_rows AS
SELECT
    r.kafka_partition, r.first_offset + n.n AS kafka_offset, 'never loaded' AS reason, r.object_url, r.object_state,
    r.staging_hour, NULL::VARCHAR(32) AS event_id, NULL::VARCHAR(256) AS topic_class, NULL::TIMESTAMP AS received_at,
    NULL::VARCHAR(32) AS origin
FROM missing_ranges AS r
INNER JOIN numbers AS n ON n.n <= r.last_offset - r.first_offset
-- keeps the scan of numbers as short as the widest range
WHERE n.n <= (SELECT MAX(w.last_offset - w.first_offset) FROM missing_ranges AS w)
UNION ALL
SELECT
    d.kafka_partition, d.kafka_offset, 'deleted' AS reason, o.url AS object_url, o.seen AS object_state,
    o.staging_hour, d.event_id, d.topic_class, d.received_at, d.origin
FROM (
    SELECT
        f.kafka_partition, f.kafka_offset, f.event_id, f.topic_class, f.received_at, f.origin,
        ROW_NUMBER() OVER (PARTITION BY f.event_id ORDER BY f.kafka_partition, f.kafka_offset) AS place
    FROM event_offsets AS f
    LEFT JOIN conversation_events AS e ON f.event_id = e.event_id
    WHERE e.event_id IS NULL
) AS d
LEFT JOIN object_ranges AS o
    ON d.kafka_partition = o.kafka_partition
    AND o.first_offset <= d.kafka_offset
    AND (o.next_first_offset IS NULL OR o.next_first_offset > d.kafka_offset)
WHERE d.place = 1;
