-- Visits as rows: the view analytics_v1.visits computed each visit from its messages, so that a month
-- of visits took seconds.

SET LOCAL lock_timeout = '10s';

-- Visits, computed from the facts of their messages.
CREATE VIEW computed_visits AS
SELECT
    m.session_id,
    m.number,
    min(m.agent_id) AS agent_id,
    min(m.source) AS source,
    min(m.visit_started_at) AS started_at,
    min(m.occurred_at) AS first_message_at,
    max(m.occurred_at) AS last_message_at,
    count(*) AS messages,
    count(*) FILTER (WHERE m.role = 'user') AS user_messages,
    count(*) FILTER (WHERE m.role = 'assistant') AS assistant_messages,
    count(*) FILTER (WHERE m.starts_turn) AS turns
FROM (
    SELECT
        f.*,
        count(f.visit_started_at)
            OVER (PARTITION BY f.session_id ORDER BY f.occurred_at, f.tie, f.id) AS number
    FROM message_facts AS f
) AS m
WHERE m.number > 0
GROUP BY m.session_id, m.number;

CREATE TABLE visit_facts (
    session_id         uuid        NOT NULL,
    -- Place of the visit in its session, from 1.
    number             bigint      NOT NULL,
    agent_id           text        NOT NULL,
    source             text        NOT NULL,
    started_at         timestamptz NOT NULL,
    first_message_at   timestamptz NOT NULL,
    last_message_at    timestamptz NOT NULL,
    messages           bigint      NOT NULL,
    user_messages      bigint      NOT NULL,
    assistant_messages bigint      NOT NULL,
    turns              bigint      NOT NULL,
    PRIMARY KEY (session_id, number)
)
-- The last visit of a session changes with each of its messages.
WITH (fillfactor = 70);

INSERT INTO visit_facts SELECT * FROM computed_visits;

-- Visits of a range: analytics_v1.visits.
CREATE INDEX visit_facts_by_start ON visit_facts (started_at);

CREATE OR REPLACE VIEW analytics_v1.visits AS
SELECT
    session_id AS session_uuid,
    number,
    agent_id,
    source,
    started_at,
    first_message_at,
    last_message_at,
    extract(epoch FROM last_message_at - started_at)::double precision AS duration_seconds,
    messages AS message_count,
    user_messages AS user_message_count,
    assistant_messages AS assistant_message_count,
    turns AS turn_count
FROM visit_facts;
