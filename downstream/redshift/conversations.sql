-- Conversations as they are now, and how they came there.
-- COPY puts a nullable field inside a SUPER value either plain or as {"type": value}, the two ways Avro has of
-- saying it in JSON; COALESCE(field."type", field) reads both.

-- The current state. The rule for a snapshot against a row of history: the greatest version counts; of the same
-- version, what was heard comes before what history says, since history has no states between; then the later
-- received. A row is taken whole: fields of two rows are never mixed, that would be a state nobody saw.
CREATE OR REPLACE VIEW conversation_current AS
SELECT
    c.conversation_id, c.conversation_state, c.media_type, c.direction, c.ani, c.dnis, c.external_tag,
    c.division_ids, c.queue_id, c.version, c.event_time, c.received_at, c.origin, c.event_type, c.participants,
    c.org_id, c.event_id, c.kafka_partition, c.kafka_offset
FROM (
    SELECT
        e.*,
        ROW_NUMBER() OVER (
            PARTITION BY e.conversation_id
            ORDER BY
                COALESCE(e.version, '1970-01-01'::TIMESTAMP) DESC,
                CASE WHEN e.origin IN ('live', 'standby', 'replay') THEN 0 ELSE 1 END,
                e.received_at DESC, e.kafka_partition DESC, e.kafka_offset DESC
        ) AS place
    FROM conversation_events AS e
    WHERE e.conversation_id IS NOT NULL AND e.event_type IN ('conversation.snapshot', 'conversation.history')
) AS c
WHERE c.place = 1;

-- One row for each participant of the current state.
CREATE OR REPLACE VIEW participants AS
SELECT
    c.conversation_id,
    COALESCE(p.participant_id."string", p.participant_id)::VARCHAR AS participant_id,
    COALESCE(p.purpose."string", p.purpose)::VARCHAR AS purpose,
    COALESCE(p.user_id."string", p.user_id)::VARCHAR AS user_id,
    COALESCE(p.queue_id."string", p.queue_id)::VARCHAR AS queue_id,
    COALESCE(p.ani."string", p.ani)::VARCHAR AS ani,
    COALESCE(p.dnis."string", p.dnis)::VARCHAR AS dnis,
    TIMESTAMP 'epoch' + COALESCE(p.connected_time."long", p.connected_time)::BIGINT / 1000.0 * INTERVAL '1 second' AS connected_time,
    TIMESTAMP 'epoch' + COALESCE(p.end_time."long", p.end_time)::BIGINT / 1000.0 * INTERVAL '1 second' AS end_time,
    TIMESTAMP 'epoch' + COALESCE(p.acw_start_time."long", p.acw_start_time)::BIGINT / 1000.0 * INTERVAL '1 second' AS acw_start_time,
    TIMESTAMP 'epoch' + COALESCE(p.acw_end_time."long", p.acw_end_time)::BIGINT / 1000.0 * INTERVAL '1 second' AS acw_end_time,
    COALESCE(p.wrapup_code."string", p.wrapup_code)::VARCHAR AS wrapup_code,
    COALESCE(p.wrapup_notes."string", p.wrapup_notes)::VARCHAR AS wrapup_notes,
    COALESCE(p.attributes."map", p.attributes) AS attributes,
    c.version,
    c.origin
FROM conversation_current AS c, c.participants AS p;

-- Every leg in every row that shows it.
CREATE OR REPLACE VIEW leg_states AS
SELECT
    e.conversation_id,
    COALESCE(p.participant_id."string", p.participant_id)::VARCHAR AS participant_id,
    COALESCE(p.purpose."string", p.purpose)::VARCHAR AS purpose,
    COALESCE(p.user_id."string", p.user_id)::VARCHAR AS user_id,
    COALESCE(p.queue_id."string", p.queue_id)::VARCHAR AS queue_id,
    COALESCE(l.leg_id."string", l.leg_id)::VARCHAR AS leg_id,
    l.media_type::VARCHAR AS media_type,
    COALESCE(l.state."string", l.state)::VARCHAR AS state,
    COALESCE(COALESCE(l.held."boolean", l.held)::BOOLEAN, FALSE) AS held,
    COALESCE(l.direction."string", l.direction)::VARCHAR AS direction,
    COALESCE(l.disconnect_type."string", l.disconnect_type)::VARCHAR AS disconnect_type,
    TIMESTAMP 'epoch' + COALESCE(l.connected_time."long", l.connected_time)::BIGINT / 1000.0 * INTERVAL '1 second' AS connected_time,
    TIMESTAMP 'epoch' + COALESCE(l.disconnected_time."long", l.disconnected_time)::BIGINT / 1000.0 * INTERVAL '1 second' AS disconnected_time,
    e.version,
    e.event_type,
    e.origin,
    e.received_at,
    e.kafka_partition,
    e.kafka_offset
FROM conversation_events AS e, e.participants AS p, p.legs AS l
WHERE e.conversation_id IS NOT NULL AND e.event_type IN ('conversation.snapshot', 'conversation.history');

-- One row for each stretch in which a leg kept its state and hold. Snapshots say when a state began; a row of
-- history knows only a leg's beginning and end, so it gives a segment to a leg that no snapshot shows, and
-- nothing else. `ended_at` is the start of the next segment, the leg's end, or null while it lasts.
CREATE OR REPLACE VIEW segments AS
WITH shown AS (
    SELECT
        s.*,
        MAX(CASE WHEN s.event_type = 'conversation.snapshot' THEN 1 ELSE 0 END)
            OVER (PARTITION BY s.conversation_id, s.leg_id) AS heard,
        ROW_NUMBER() OVER (
            PARTITION BY s.conversation_id, s.leg_id, s.event_type, s.version
            ORDER BY s.received_at DESC, s.kafka_offset DESC
        ) AS place
    FROM leg_states AS s
    WHERE s.leg_id IS NOT NULL
),

snapshots AS (
    SELECT
        h.*,
        LAG(h.state || CASE WHEN h.held THEN '/held' ELSE '' END)
            OVER (PARTITION BY h.conversation_id, h.leg_id ORDER BY h.version, h.kafka_offset) AS state_before,
        h.state || CASE WHEN h.held THEN '/held' ELSE '' END AS state_now
    FROM shown AS h
    WHERE h.event_type = 'conversation.snapshot' AND h.place = 1
),

changes AS (
    SELECT
        n.conversation_id, n.leg_id, n.participant_id, n.purpose, n.user_id, n.queue_id, n.media_type, n.direction,
        n.state, n.held, n.version AS started_at,
        LEAD(n.version) OVER (PARTITION BY n.conversation_id, n.leg_id ORDER BY n.version, n.kafka_offset) AS ended_at,
        n.disconnect_type, 'snapshot' AS known_from
    FROM snapshots AS n
    WHERE n.state_before IS NULL OR n.state_before <> n.state_now
),

history AS (
    SELECT
        h.*,
        ROW_NUMBER() OVER (
            PARTITION BY h.conversation_id, h.leg_id ORDER BY h.version DESC, h.received_at DESC, h.kafka_offset DESC
        ) AS newest
    FROM shown AS h
    WHERE h.heard = 0
)

SELECT
    conversation_id, leg_id, participant_id, purpose, user_id, queue_id, media_type, direction, state, held,
    started_at, ended_at, disconnect_type, known_from
FROM changes
UNION ALL
SELECT
    conversation_id, leg_id, participant_id, purpose, user_id, queue_id, media_type, direction, state, held,
    connected_time AS started_at, disconnected_time AS ended_at, disconnect_type, 'history' AS known_from
FROM history
WHERE newest = 1;
