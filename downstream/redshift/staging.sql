-- Where COPY puts a staged hour before it is merged: the columns are those of the Avro files that are kept.
-- A field without a column is ignored by COPY, a column without a field is NULL: so a new field needs one
-- ALTER TABLE ... ADD COLUMN here and in tables.sql, and old and new files load side by side.
-- `payload` has no column: it is in S3, and one above 65,535 bytes would make the whole COPY fail.

CREATE TABLE IF NOT EXISTS staged_events (
    event_id CHAR(32),
    body_digest CHAR(32),
    org_id VARCHAR(64),
    topic VARCHAR(512),
    topic_class VARCHAR(256),
    event_type VARCHAR(128),
    correlation_id VARCHAR(256),
    schema_version INTEGER,
    conversation_id VARCHAR(128),
    queue_id VARCHAR(128),
    user_id VARCHAR(128),
    media_type VARCHAR(64),
    direction VARCHAR(32),
    ani VARCHAR(1024),
    dnis VARCHAR(1024),
    external_tag VARCHAR(4096),
    division_ids SUPER,
    event_time TIMESTAMP,
    event_time_source VARCHAR(32),
    received_at TIMESTAMP,
    version TIMESTAMP,
    origin VARCHAR(32),
    gap_id CHAR(32),
    epoch_id CHAR(32),
    writer_id CHAR(32),
    sequence BIGINT,
    takeover BOOLEAN,
    conversation_state VARCHAR(64),
    participants SUPER,
    kafka_partition INTEGER,
    kafka_offset BIGINT
)
DISTSTYLE KEY DISTKEY (event_id);

-- One record of each id, and only those the target does not have yet: the source of MERGE, which takes no query.
CREATE TABLE IF NOT EXISTS first_events (LIKE staged_events);

CREATE TABLE IF NOT EXISTS staged_certificates (
    org_id VARCHAR(64),
    instance VARCHAR(256),
    shard INTEGER,
    topic_class VARCHAR(256),
    from_time TIMESTAMP,
    to_time TIMESTAMP,
    level VARCHAR(32),
    revision INTEGER,
    epochs SUPER,
    subscription_digests SUPER,
    gap_ids SUPER,
    margin_ms BIGINT,
    clock_error_ms BIGINT,
    count_live BIGINT,
    count_backfill BIGINT,
    count_quarantine BIGINT,
    partitions SUPER,
    history_watermark TIMESTAMP,
    closed_at TIMESTAMP,
    expected_close_at TIMESTAMP,
    barrier VARCHAR(32),
    writer_id CHAR(32),
    software_version VARCHAR(64),
    schema_version INTEGER,
    kafka_partition INTEGER,
    kafka_offset BIGINT
)
DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS staged_gaps (
    gap_id CHAR(32),
    org_id VARCHAR(64),
    instance VARCHAR(256),
    shard INTEGER,
    topic_class VARCHAR(256),
    topics SUPER,
    state VARCHAR(16),
    cause VARCHAR(32),
    from_time TIMESTAMP,
    to_time TIMESTAMP,
    margin_ms BIGINT,
    recorded_at TIMESTAMP,
    provisional BOOLEAN,
    reads INTEGER,
    rows_read BIGINT,
    rows_written BIGINT,
    rows_missing BIGINT,
    history_watermark TIMESTAMP,
    expected_close_at TIMESTAMP,
    outcome VARCHAR(32),
    closed_at TIMESTAMP,
    writer_id CHAR(32),
    schema_version INTEGER,
    kafka_partition INTEGER,
    kafka_offset BIGINT
)
DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS staged_quarantine (
    event_id CHAR(32),
    reason VARCHAR(64),
    topic VARCHAR(512),
    epoch_id CHAR(32),
    received_at TIMESTAMP,
    kafka_partition INTEGER,
    kafka_offset BIGINT
)
DISTSTYLE ALL;

-- objects.csv of manifests.py, before it is merged into staged_objects.
CREATE TABLE IF NOT EXISTS staged_listing (
    role VARCHAR(16),
    staging_hour TIMESTAMP,
    url VARCHAR(1024),
    kafka_partition INTEGER,
    first_offset BIGINT,
    size_bytes BIGINT,
    modified_at TIMESTAMP,
    listed_at TIMESTAMP
)
DISTSTYLE ALL;
