-- Activity by hours and days over all agents, and by days and agent, so that figures over months are
-- sums of few rows; and the first and last event of each session, so that different sessions are
-- counted without reading every message.

SET LOCAL lock_timeout = '10s';

-- 3: hours over all agents. 4: days over all agents. 5: days by agent.
CREATE TABLE activity_of_all_by_hour PARTITION OF activity FOR VALUES IN (3)
    WITH (fillfactor = 70);
CREATE TABLE activity_of_all_by_day PARTITION OF activity FOR VALUES IN (4) WITH (fillfactor = 70);
CREATE TABLE activity_by_agent_and_day PARTITION OF activity FOR VALUES IN (5)
    WITH (fillfactor = 70);
CREATE TABLE reply_gaps_of_all_by_hour PARTITION OF reply_gaps FOR VALUES IN (3)
    WITH (fillfactor = 70);

-- All agents' rows of a part of a range.
DROP INDEX activity_by_time;
CREATE INDEX activity_by_time ON activity (starts_at);
DROP INDEX reply_gaps_by_time;
CREATE INDEX reply_gaps_by_time ON reply_gaps (starts_at);

CREATE OR REPLACE FUNCTION activity_of_facts(from_at timestamptz, to_at timestamptz) RETURNS SETOF activity
LANGUAGE sql STABLE AS $$
    SELECT
        l.level,
        CASE WHEN l.level IN (0, 3, 4) THEN '' ELSE f.agent_id END,
        date_bin(l.width, f.at, '2000-01-01T00:00:00Z'),
        f.source,
        sum(f.sessions)::integer,
        sum(f.engaged)::integer,
        sum(f.silent)::integer,
        sum(f.single_turn)::integer,
        sum(f.incomplete)::integer,
        sum(f.no_join)::integer,
        sum(f.one_sided)::integer,
        sum(f.repeated_user_turn)::integer,
        sum(f.altered)::integer,
        sum(f.out_of_order)::integer,
        sum(f.undated)::integer,
        sum(f.duration_us)::bigint,
        sum(f.session_messages)::bigint,
        sum(f.session_turns)::bigint,
        sum(f.first_replies)::integer,
        sum(f.first_reply_gap_us)::bigint,
        sum(f.silences)::integer,
        sum(f.longest_silence_us)::bigint,
        sum(f.messages)::integer,
        sum(f.user_messages)::integer,
        sum(f.assistant_messages)::integer,
        sum(f.turns)::integer,
        sum(f.replies)::integer,
        sum(f.reply_gap_us)::bigint,
        sum(f.visits)::integer
    FROM counted_facts AS f
    CROSS JOIN (
        VALUES
            (0::smallint, '15 minutes'::interval),
            (1::smallint, '15 minutes'::interval),
            (2::smallint, '1 hour'::interval),
            (3::smallint, '1 hour'::interval),
            (4::smallint, '1 day'::interval),
            (5::smallint, '1 day'::interval)
    ) AS l (level, width)
    WHERE f.at >= from_at AND f.at < to_at
    GROUP BY 1, 2, 3, 4
$$;

CREATE OR REPLACE FUNCTION reply_gaps_of_facts(from_at timestamptz, to_at timestamptz)
RETURNS SETOF reply_gaps
LANGUAGE sql STABLE AS $$
    SELECT
        b.level, b.agent_id, b.starts_at, b.source,
        array_agg(b.bin ORDER BY b.bin),
        array_agg(b.count ORDER BY b.bin)
    FROM (
        SELECT
            l.level,
            CASE WHEN l.level IN (0, 3) THEN '' ELSE f.agent_id END AS agent_id,
            date_bin(l.width, f.occurred_at, '2000-01-01T00:00:00Z') AS starts_at,
            f.source,
            reply_gap_bin(f.silence_us) AS bin,
            count(*)::integer AS count
        FROM message_facts AS f
        CROSS JOIN (
            VALUES
                (0::smallint, '15 minutes'::interval),
                (1::smallint, '15 minutes'::interval),
                (2::smallint, '1 hour'::interval),
                (3::smallint, '1 hour'::interval)
        ) AS l (level, width)
        WHERE f.is_reply AND f.occurred_at >= from_at AND f.occurred_at < to_at
        GROUP BY 1, 2, 3, 4, 5
    ) AS b
    GROUP BY 1, 2, 3, 4
$$;

DROP FUNCTION counted_between;

-- What is counted in some parts of a range: rows of activity of one level or, where level is null,
-- facts of some kinds. visible, agents, sources and rooms choose; null is all. level_agents are the
-- agents of the rows. Activity knows no rooms and roles: whoever chooses these reads facts.
CREATE FUNCTION counted_between(
    kinds text[],
    level smallint,
    part_starts timestamptz[],
    part_ends timestamptz[],
    visible text[],
    agents text[],
    level_agents text[],
    sources text[],
    rooms text[]
) RETURNS TABLE (
    at timestamptz,
    agent_id text,
    source text,
    role text,
    sessions integer, engaged integer, silent integer, single_turn integer, incomplete integer,
    no_join integer, one_sided integer, repeated_user_turn integer, altered integer,
    out_of_order integer, undated integer, duration_us bigint, session_messages bigint,
    session_turns bigint, first_replies integer, first_reply_gap_us bigint, silences integer,
    longest_silence_us bigint, messages integer, user_messages integer, assistant_messages integer,
    turns integer, replies integer, reply_gap_us bigint, visits integer
)
LANGUAGE sql STABLE AS $$
    SELECT
        a.starts_at, a.agent_id, a.source, NULL::text,
        a.sessions, a.engaged, a.silent, a.single_turn, a.incomplete, a.no_join, a.one_sided,
        a.repeated_user_turn, a.altered, a.out_of_order, a.undated, a.duration_us,
        a.session_messages, a.session_turns, a.first_replies, a.first_reply_gap_us, a.silences,
        a.longest_silence_us, a.messages, a.user_messages, a.assistant_messages, a.turns,
        a.replies, a.reply_gap_us, a.visits
    FROM UNNEST($3, $4) AS part (from_at, to_at)
    JOIN activity AS a ON a.starts_at >= part.from_at AND a.starts_at < part.to_at
    WHERE a.level = $2
        AND ($7 IS NULL OR a.agent_id = ANY ($7))
        AND ($8 IS NULL OR a.source = ANY ($8))
    UNION ALL
    SELECT
        f.at, f.agent_id, f.source, f.role,
        f.sessions, f.engaged, f.silent, f.single_turn, f.incomplete, f.no_join, f.one_sided,
        f.repeated_user_turn, f.altered, f.out_of_order, f.undated, f.duration_us,
        f.session_messages, f.session_turns, f.first_replies, f.first_reply_gap_us, f.silences,
        f.longest_silence_us, f.messages, f.user_messages, f.assistant_messages, f.turns,
        f.replies, f.reply_gap_us, f.visits
    FROM UNNEST($3, $4) AS part (from_at, to_at)
    JOIN counted_facts AS f ON f.at >= part.from_at AND f.at < part.to_at
    WHERE $2 IS NULL
        AND f.kind = ANY ($1)
        AND ($5 IS NULL OR f.agent_id = ANY ($5))
        AND ($6 IS NULL OR f.agent_id = ANY ($6))
        AND ($8 IS NULL OR f.source = ANY ($8))
        AND ($9 IS NULL OR f.session_id IN (
            SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($9)
        ))
$$;

-- Sums that there are already.
INSERT INTO activity
SELECT
    l.level,
    CASE WHEN l.level = 5 THEN a.agent_id ELSE '' END,
    date_bin(l.width, a.starts_at, '2000-01-01T00:00:00Z'),
    a.source,
    sum(sessions)::integer,
    sum(engaged)::integer,
    sum(silent)::integer,
    sum(single_turn)::integer,
    sum(incomplete)::integer,
    sum(no_join)::integer,
    sum(one_sided)::integer,
    sum(repeated_user_turn)::integer,
    sum(altered)::integer,
    sum(out_of_order)::integer,
    sum(undated)::integer,
    sum(duration_us)::bigint,
    sum(session_messages)::bigint,
    sum(session_turns)::bigint,
    sum(first_replies)::integer,
    sum(first_reply_gap_us)::bigint,
    sum(silences)::integer,
    sum(longest_silence_us)::bigint,
    sum(messages)::integer,
    sum(user_messages)::integer,
    sum(assistant_messages)::integer,
    sum(turns)::integer,
    sum(replies)::integer,
    sum(reply_gap_us)::bigint,
    sum(visits)::integer
FROM activity AS a
CROSS JOIN (
    VALUES
        (3::smallint, '1 hour'::interval),
        (4::smallint, '1 day'::interval),
        (5::smallint, '1 day'::interval)
) AS l (level, width)
WHERE a.level = 1
GROUP BY 1, 2, 3, 4;

INSERT INTO reply_gaps
SELECT 3, '', b.starts_at, b.source, array_agg(b.bin ORDER BY b.bin), array_agg(b.count ORDER BY b.bin)
FROM (
    SELECT
        date_bin('1 hour', g.starts_at, '2000-01-01T00:00:00Z') AS starts_at,
        g.source,
        each.bin,
        sum(each.count)::integer AS count
    FROM reply_gaps AS g
    CROSS JOIN LATERAL UNNEST(g.bins, g.counts) AS each (bin, count)
    WHERE g.level = 0
    GROUP BY 1, 2, 3
) AS b
GROUP BY b.starts_at, b.source;

-- First and last event that is stored; null without any.
ALTER TABLE session_facts
    ADD COLUMN first_event_at timestamptz,
    ADD COLUMN last_event_at timestamptz,
    -- It lasts for more than a day: such sessions are found by themselves.
    ADD COLUMN is_long boolean NOT NULL DEFAULT false,
    ADD COLUMN duration_us bigint NOT NULL GENERATED ALWAYS AS (
        (extract(epoch FROM last_activity_at - started_at) * 1000000)::bigint
    ) STORED;

UPDATE session_facts AS s
SET first_event_at = e.first_event_at,
    last_event_at = e.last_event_at
FROM (
    SELECT session_id, min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at
    FROM (
        SELECT session_id, occurred_at FROM message_facts
        UNION ALL
        SELECT session_id, occurred_at FROM presence_facts
    ) AS events
    GROUP BY session_id
) AS e
WHERE e.session_id = s.session_id;

UPDATE session_facts
SET is_long = true
WHERE GREATEST(last_activity_at, last_event_at) - started_at > '1 day';

-- Sessions that reach into a range from more than a day before it.
CREATE INDEX session_facts_long ON session_facts (started_at) WHERE is_long;

-- What a session counts for in a metric of sessions, named as in the catalogue: lengths of time in
-- microseconds; for counts and rates 0 or 1. Null where the session has no such value.
CREATE FUNCTION session_value(fact session_facts, metric text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN metric = 'session_duration' THEN fact.duration_us
        WHEN metric = 'messages_per_session' THEN fact.messages
        WHEN metric = 'turns_per_session' THEN fact.turns
        WHEN metric = 'first_reply_gap' THEN fact.first_reply_gap_us
        WHEN metric = 'longest_silence' THEN fact.longest_silence_us
        WHEN metric = 'sessions' THEN 1
        WHEN metric IN ('engaged_sessions', 'engagement_rate') THEN
            (fact.user_messages > 0)::integer
        WHEN metric IN ('silent_sessions', 'silent_rate') THEN
            (fact.user_messages = 0 AND (NOT fact.no_join OR fact.assistant_messages > 0))::integer
        WHEN metric IN ('single_turn_sessions', 'single_turn_rate') THEN (fact.turns = 1)::integer
        WHEN metric = 'incomplete_sessions' THEN (
            fact.no_join OR fact.one_sided OR fact.repeated_user_turn OR fact.altered
        )::integer
    END
$$;
