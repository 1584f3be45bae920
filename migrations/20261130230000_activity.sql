-- Activity: counts and sums of facts by quarter hour and by hour, for figures over long ranges.
-- Whoever changes facts adds the difference in the same transaction.

SET LOCAL lock_timeout = '10s';

-- What each fact counts for, and when: a row a session, message and visit. The sums of activity are
-- sums of these rows. Figures read them where a range cuts a quarter hour, and checks compare.
CREATE VIEW counted_facts AS
SELECT
    'session' AS kind,
    session_id,
    started_at AS at,
    agent_id,
    source,
    NULL AS role,
    1 AS sessions,
    (user_messages > 0)::integer AS engaged,
    (user_messages = 0 AND (NOT no_join OR assistant_messages > 0))::integer AS silent,
    (turns = 1)::integer AS single_turn,
    (no_join OR one_sided OR repeated_user_turn OR altered)::integer AS incomplete,
    no_join::integer AS no_join,
    one_sided::integer AS one_sided,
    repeated_user_turn::integer AS repeated_user_turn,
    altered::integer AS altered,
    out_of_order::integer AS out_of_order,
    undated::integer AS undated,
    (extract(epoch FROM last_activity_at - started_at) * 1000000)::bigint AS duration_us,
    messages AS session_messages,
    turns AS session_turns,
    (first_reply_gap_us IS NOT NULL)::integer AS first_replies,
    COALESCE(first_reply_gap_us, 0) AS first_reply_gap_us,
    (longest_silence_us IS NOT NULL)::integer AS silences,
    COALESCE(longest_silence_us, 0) AS longest_silence_us,
    0 AS messages,
    0 AS user_messages,
    0 AS assistant_messages,
    0 AS turns,
    0 AS replies,
    0::bigint AS reply_gap_us,
    0 AS visits
FROM session_facts
UNION ALL
SELECT
    'message' AS kind,
    session_id,
    occurred_at AS at,
    agent_id,
    source,
    role,
    0 AS sessions,
    0 AS engaged,
    0 AS silent,
    0 AS single_turn,
    0 AS incomplete,
    0 AS no_join,
    0 AS one_sided,
    0 AS repeated_user_turn,
    0 AS altered,
    0 AS out_of_order,
    0 AS undated,
    0::bigint AS duration_us,
    0::bigint AS session_messages,
    0::bigint AS session_turns,
    0 AS first_replies,
    0::bigint AS first_reply_gap_us,
    0 AS silences,
    0::bigint AS longest_silence_us,
    1 AS messages,
    (role = 'user')::integer AS user_messages,
    (role = 'assistant')::integer AS assistant_messages,
    starts_turn::integer AS turns,
    is_reply::integer AS replies,
    CASE WHEN is_reply THEN silence_us ELSE 0 END AS reply_gap_us,
    0 AS visits
FROM message_facts
UNION ALL
SELECT
    'visit' AS kind,
    session_id,
    visit_started_at AS at,
    agent_id,
    source,
    NULL AS role,
    0 AS sessions,
    0 AS engaged,
    0 AS silent,
    0 AS single_turn,
    0 AS incomplete,
    0 AS no_join,
    0 AS one_sided,
    0 AS repeated_user_turn,
    0 AS altered,
    0 AS out_of_order,
    0 AS undated,
    0::bigint AS duration_us,
    0::bigint AS session_messages,
    0::bigint AS session_turns,
    0 AS first_replies,
    0::bigint AS first_reply_gap_us,
    0 AS silences,
    0::bigint AS longest_silence_us,
    0 AS messages,
    0 AS user_messages,
    0 AS assistant_messages,
    0 AS turns,
    0 AS replies,
    0::bigint AS reply_gap_us,
    1 AS visits
FROM message_facts
WHERE visit_started_at IS NOT NULL;

-- Sums by time, agent and source, in UTC. Quarter hours are the largest buckets that fit the offset
-- of every zone; hours make questions by agent quicker where they fit.
CREATE TABLE activity (
    -- 0: quarter hours over all agents, with an empty agent_id. 1: quarter hours by agent.
    -- 2: hours by agent.
    level              smallint    NOT NULL,
    agent_id           text        NOT NULL,
    starts_at          timestamptz NOT NULL,
    source             text        NOT NULL,
    -- Sessions that started then, and of them those that count for each metric.
    sessions           integer NOT NULL,
    engaged            integer NOT NULL,
    silent             integer NOT NULL,
    single_turn        integer NOT NULL,
    incomplete         integer NOT NULL,
    no_join            integer NOT NULL,
    one_sided          integer NOT NULL,
    repeated_user_turn integer NOT NULL,
    altered            integer NOT NULL,
    out_of_order       integer NOT NULL,
    undated            integer NOT NULL,
    duration_us        bigint  NOT NULL,
    session_messages   bigint  NOT NULL,
    session_turns      bigint  NOT NULL,
    first_replies      integer NOT NULL,
    first_reply_gap_us bigint  NOT NULL,
    silences           integer NOT NULL,
    longest_silence_us bigint  NOT NULL,
    messages           integer NOT NULL,
    user_messages      integer NOT NULL,
    assistant_messages integer NOT NULL,
    turns              integer NOT NULL,
    replies            integer NOT NULL,
    reply_gap_us       bigint  NOT NULL,
    visits             integer NOT NULL,
    PRIMARY KEY (level, agent_id, starts_at, source)
) PARTITION BY LIST (level);
-- Every batch of the follower updates the newest rows, in place.
CREATE TABLE activity_of_all PARTITION OF activity FOR VALUES IN (0) WITH (fillfactor = 70);
CREATE TABLE activity_by_agent PARTITION OF activity FOR VALUES IN (1) WITH (fillfactor = 70);
CREATE TABLE activity_by_agent_and_hour PARTITION OF activity FOR VALUES IN (2)
    WITH (fillfactor = 70);

-- All agents' rows of a range.
CREATE INDEX activity_by_time ON activity USING brin (starts_at);

-- Sums of facts between two bounds that are full hours, as activity holds them.
CREATE FUNCTION activity_of_facts(from_at timestamptz, to_at timestamptz) RETURNS SETOF activity
LANGUAGE sql STABLE AS $$
    SELECT
        l.level,
        CASE WHEN l.level = 0 THEN '' ELSE f.agent_id END,
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
            (2::smallint, '1 hour'::interval)
    ) AS l (level, width)
    WHERE f.at >= from_at AND f.at < to_at
    GROUP BY 1, 2, 3, 4
$$;

-- What is counted in a range: activity from rolled_from to rolled_to, and facts of one kind on both
-- sides of it. visible, agents, sources and rooms choose; null is all. rolled_agents are the agents
-- that the level has. Activity knows no rooms and roles: with these nothing of it may be chosen.
CREATE FUNCTION counted_between(
    kind text,
    level smallint,
    from_at timestamptz,
    rolled_from timestamptz,
    rolled_to timestamptz,
    to_at timestamptz,
    visible text[],
    agents text[],
    rolled_agents text[],
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
    FROM activity AS a
    WHERE a.level = $2
        AND a.starts_at >= $4
        AND a.starts_at < $5
        AND ($9 IS NULL OR a.agent_id = ANY ($9))
        AND ($10 IS NULL OR a.source = ANY ($10))
    UNION ALL
    SELECT
        f.at, f.agent_id, f.source, f.role,
        f.sessions, f.engaged, f.silent, f.single_turn, f.incomplete, f.no_join, f.one_sided,
        f.repeated_user_turn, f.altered, f.out_of_order, f.undated, f.duration_us,
        f.session_messages, f.session_turns, f.first_replies, f.first_reply_gap_us, f.silences,
        f.longest_silence_us, f.messages, f.user_messages, f.assistant_messages, f.turns,
        f.replies, f.reply_gap_us, f.visits
    FROM counted_facts AS f
    WHERE f.kind = $1
        AND (f.at >= $3 AND f.at < $4 OR f.at >= $5 AND f.at < $6)
        AND ($7 IS NULL OR f.agent_id = ANY ($7))
        AND ($8 IS NULL OR f.agent_id = ANY ($8))
        AND ($10 IS NULL OR f.source = ANY ($10))
        AND ($11 IS NULL OR f.session_id IN (
            SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($11)
        ))
$$;

-- Facts that there are already.
INSERT INTO activity SELECT * FROM activity_of_facts('-infinity', 'infinity');
