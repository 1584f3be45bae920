-- Fills an empty database for `npm run measure`: 100,000 conversations over 30 days, one with
-- 2,000 messages and one with 100,000. They are not in search and analytics.
--
--     psql "$DATABASE_URL" -f scripts/measure.sql
\set ON_ERROR_STOP on
SET TIME ZONE 'UTC';
BEGIN;

-- Creates missing partitions of the months.
DO $$
DECLARE
    month date;
BEGIN
    FOR month IN
        SELECT generate_series(date_trunc('month', now() - interval '31 days'), now(), '1 month')
    LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS messages_%s PARTITION OF messages FOR VALUES FROM (%L) TO (%L)',
            to_char(month, 'YYYY_MM'), month + time '00:00', month + interval '1 month'
        );
    END LOOP;
END
$$;

CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT
    md5('session ' || n)::uuid AS id,
    'agent-' || (n * 7919 % 40) AS agent_id,
    'measured-' || n AS sender_session_id,
    CASE n WHEN 1 THEN 100000 WHEN 2 THEN 2000 ELSE 2 + n % 9 END AS messages,
    CASE n
        WHEN 1 THEN now() - interval '29 hours'
        WHEN 2 THEN now() - interval '3 hours'
        ELSE now() - interval '40 minutes' - n * interval '25 seconds'
    END AS started_at
FROM generate_series(1, 100000) AS n;

INSERT INTO messages (
    session_id, occurred_at, id, delivery_id, role, message, sent_at, received_at, altered, undated
)
SELECT
    made.id,
    at,
    md5(made.sender_session_id || ' ' || n)::uuid,
    md5(made.sender_session_id || ' ' || n)::uuid,
    CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END,
    CASE
        WHEN n % 2 = 0 THEN 'Where do I find exhibit ' || n || ', and how long is the way?'
        ELSE repeat('It is on the second floor, behind the stairs. ', 1 + n % 4) || n
    END,
    at,
    at,
    false,
    false
FROM made
CROSS JOIN LATERAL generate_series(1, made.messages) AS n
CROSS JOIN LATERAL (SELECT made.started_at + n * interval '1 second' AS at) AS time;

INSERT INTO sessions (
    id, source, agent_id, sender_session_id, started_at, last_activity_at, activity_bucket,
    message_count, user_message_count, assistant_message_count, first_delivery_id
)
SELECT
    id,
    'default',
    agent_id,
    sender_session_id,
    started_at,
    last_at,
    date_bin('5 minutes', last_at, 'epoch'),
    messages,
    messages / 2,
    messages - messages / 2,
    id
FROM made
CROSS JOIN LATERAL (SELECT started_at + messages * interval '1 second' AS last_at) AS time;

INSERT INTO agents (agent_id, session_count, message_count, first_seen_at, last_activity_at)
SELECT agent_id, count(*), sum(messages), min(started_at), max(started_at) FROM made
GROUP BY agent_id;

COMMIT;
ANALYZE;
