-- Tables of the warehouse. Every name of a column is the name of the field in schemas/*.avsc, since COPY of
-- Avro matches by name; `kafka_partition` and `kafka_offset` are added by the sink. Times are UTC.
-- Redshift does not enforce keys, so none is declared: load_hour keeps event_id unique.

CREATE TABLE IF NOT EXISTS conversation_events (
    event_id CHAR(32) NOT NULL,
    body_digest CHAR(32) NOT NULL,
    org_id VARCHAR(64) NOT NULL,
    topic VARCHAR(512) NOT NULL,
    topic_class VARCHAR(256) NOT NULL,
    event_type VARCHAR(128) NOT NULL,
    correlation_id VARCHAR(256),
    schema_version INTEGER NOT NULL,
    conversation_id VARCHAR(128),
    queue_id VARCHAR(128),
    user_id VARCHAR(128),
    media_type VARCHAR(64),
    direction VARCHAR(32),
    ani VARCHAR(1024),
    dnis VARCHAR(1024),
    external_tag VARCHAR(4096),
    division_ids SUPER,
    event_time TIMESTAMP NOT NULL,
    event_time_source VARCHAR(32) NOT NULL,
    received_at TIMESTAMP NOT NULL,
    version TIMESTAMP,
    origin VARCHAR(32) NOT NULL,
    gap_id CHAR(32),
    epoch_id CHAR(32),
    writer_id CHAR(32) NOT NULL,
    sequence BIGINT NOT NULL,
    takeover BOOLEAN NOT NULL,
    conversation_state VARCHAR(64),
    participants SUPER,
    kafka_partition INTEGER NOT NULL,
    kafka_offset BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
DISTSTYLE KEY DISTKEY (conversation_id)
COMPOUND SORTKEY (event_time);

-- Every record of the events topic that was loaded, repeats included: what is not in it is missing.
CREATE TABLE IF NOT EXISTS event_offsets (
    kafka_partition INTEGER NOT NULL,
    kafka_offset BIGINT NOT NULL,
    event_id CHAR(32) NOT NULL,
    topic_class VARCHAR(256) NOT NULL,
    received_at TIMESTAMP NOT NULL,
    origin VARCHAR(32) NOT NULL,
    gap_id CHAR(32)
)
DISTSTYLE KEY DISTKEY (event_id)
COMPOUND SORTKEY (kafka_partition, kafka_offset);

-- Every revision; the newest of each interval is the view `certificates`.
CREATE TABLE IF NOT EXISTS coverage_certificates (
    org_id VARCHAR(64) NOT NULL,
    instance VARCHAR(256) NOT NULL,
    shard INTEGER NOT NULL,
    topic_class VARCHAR(256) NOT NULL,
    from_time TIMESTAMP NOT NULL,
    to_time TIMESTAMP NOT NULL,
    level VARCHAR(32) NOT NULL,
    revision INTEGER NOT NULL,
    epochs SUPER,
    subscription_digests SUPER,
    gap_ids SUPER,
    margin_ms BIGINT NOT NULL,
    clock_error_ms BIGINT NOT NULL,
    count_live BIGINT NOT NULL,
    count_backfill BIGINT NOT NULL,
    count_quarantine BIGINT NOT NULL,
    partitions SUPER,
    history_watermark TIMESTAMP,
    closed_at TIMESTAMP,
    expected_close_at TIMESTAMP,
    barrier VARCHAR(32) NOT NULL,
    writer_id CHAR(32) NOT NULL,
    software_version VARCHAR(64) NOT NULL,
    schema_version INTEGER NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
COMPOUND SORTKEY (from_time);

-- Every record of a gap; the newest of each gap is the view `gaps`.
CREATE TABLE IF NOT EXISTS gap_records (
    gap_id CHAR(32) NOT NULL,
    org_id VARCHAR(64) NOT NULL,
    instance VARCHAR(256) NOT NULL,
    shard INTEGER NOT NULL,
    topic_class VARCHAR(256) NOT NULL,
    topics SUPER,
    state VARCHAR(16) NOT NULL,
    cause VARCHAR(32) NOT NULL,
    from_time TIMESTAMP NOT NULL,
    to_time TIMESTAMP,
    margin_ms BIGINT NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    provisional BOOLEAN NOT NULL,
    reads INTEGER NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_written BIGINT NOT NULL,
    rows_missing BIGINT NOT NULL,
    history_watermark TIMESTAMP,
    expected_close_at TIMESTAMP,
    outcome VARCHAR(32),
    closed_at TIMESTAMP,
    writer_id CHAR(32) NOT NULL,
    schema_version INTEGER NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
COMPOUND SORTKEY (from_time);

-- Messages nobody could understand: the headers of the quarantine topic. Bodies stay in S3.
CREATE TABLE IF NOT EXISTS quarantined_messages (
    event_id CHAR(32) NOT NULL,
    reason VARCHAR(64) NOT NULL,
    topic VARCHAR(512),
    epoch_id CHAR(32),
    received_at TIMESTAMP NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
COMPOUND SORTKEY (received_at);

-- What manifests.py saw in S3. A row is never taken out, so an object that is gone can still be named.
CREATE TABLE IF NOT EXISTS staged_objects (
    role VARCHAR(16) NOT NULL,
    staging_hour TIMESTAMP NOT NULL,
    url VARCHAR(1024) NOT NULL,
    kafka_partition INTEGER NOT NULL,
    first_offset BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    modified_at TIMESTAMP NOT NULL,
    first_listed_at TIMESTAMP NOT NULL,
    listed_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
COMPOUND SORTKEY (role, kafka_partition, first_offset);

-- One row for each call of load_hour that was committed.
CREATE TABLE IF NOT EXISTS hour_loads (
    staging_hour TIMESTAMP NOT NULL,
    loaded_at TIMESTAMP NOT NULL,
    listed_at TIMESTAMP NOT NULL,
    objects BIGINT NOT NULL,
    records BIGINT NOT NULL,
    rows_new BIGINT NOT NULL,
    certificates_new BIGINT NOT NULL
)
DISTSTYLE ALL
COMPOUND SORTKEY (staging_hour);

-- 0 to 99,999: names the rows of a range, since generate_series does not run on compute nodes.
CREATE TABLE IF NOT EXISTS numbers (
    n INTEGER NOT NULL
)
DISTSTYLE ALL
COMPOUND SORTKEY (n);

INSERT INTO numbers
WITH digits AS (
    SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
    UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9
)
SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d
FROM digits AS a CROSS JOIN digits AS b CROSS JOIN digits AS c CROSS JOIN digits AS d CROSS JOIN digits AS e
WHERE NOT EXISTS (SELECT 1 FROM numbers);
