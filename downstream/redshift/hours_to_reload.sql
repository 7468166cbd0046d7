-- Which staged hours to load again, and why. Loading is idempotent: an hour too many costs time, nothing else.
CREATE OR REPLACE VIEW hours_to_reload AS
WITH last_load AS (
    SELECT staging_hour, MAX(listed_at) AS listed_at FROM hour_loads GROUP BY staging_hour
),

reasons AS (
    -- late rows: an object that came, or was overwritten, after the listing that was loaded
    SELECT o.staging_hour, 'objects not loaded' AS reason, COUNT(*) AS how_many
    FROM staged_objects AS o
    LEFT JOIN last_load AS l ON o.staging_hour = l.staging_hour
    WHERE l.listed_at IS NULL OR o.first_listed_at > l.listed_at OR o.modified_at > l.listed_at
    GROUP BY o.staging_hour
    UNION ALL
    -- an object that is gone or was never listed cannot be loaded again
    SELECT m.staging_hour, 'rows missing' AS reason, COUNT(*) AS how_many
    FROM missing_rows AS m
    WHERE m.object_state = 'listed'
    GROUP BY m.staging_hour
    UNION ALL
    -- a certificate that came after the listing counts rows that no listed object held; they are in this hour
    -- or in the next, and once both are listed again they are either found or lost
    SELECT r.staging_hour, 'certificate revised' AS reason, SUM(r.rows_missing) AS how_many
    FROM (
        SELECT m.kafka_partition, m.first_offset, m.last_offset, m.rows_missing, m.staging_hour
        FROM missing_ranges AS m WHERE m.object_state = 'never listed' AND m.staging_hour IS NOT NULL
        UNION ALL
        SELECT
            m.kafka_partition, m.first_offset, m.last_offset, m.rows_missing,
            m.staging_hour + INTERVAL '1 hour' AS staging_hour
        FROM missing_ranges AS m WHERE m.object_state = 'never listed' AND m.staging_hour IS NOT NULL
    ) AS r
    INNER JOIN (
        SELECT c.kafka_partition, c.first_offset, c.end_offset, c.loaded_at FROM certificate_partitions AS c
    ) AS p
        ON r.kafka_partition = p.kafka_partition AND r.first_offset < p.end_offset AND r.last_offset >= p.first_offset
    LEFT JOIN last_load AS l ON r.staging_hour = l.staging_hour
    WHERE l.listed_at IS NULL OR l.listed_at < p.loaded_at
    GROUP BY r.staging_hour
)

SELECT staging_hour, reason, how_many FROM reasons;
