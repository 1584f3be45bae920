-- The SQL contract: views and a function that programs outside rely on. Additive changes only: a
-- view or column of this schema is never renamed, removed or given another type or meaning.
--
-- Views run with their owner's rights, so a reader needs rights on this schema alone. None of them
-- hides rows that another one shows, so none is a security barrier, which would keep conditions
-- from using indexes. Text is in message_texts and nowhere else.

SET LOCAL lock_timeout = '10s';

CREATE SCHEMA analytics_v1;
COMMENT ON SCHEMA analytics_v1 IS
    'Figures over conversations, for other programs. Views and columns are only ever added.';

CREATE VIEW analytics_v1.sessions AS
SELECT
    f.session_id AS id,
    s.sender_session_id AS session_id,
    f.agent_id,
    f.source,
    f.room_name,
    s.participant_count,
    CASE
        WHEN s.joined_at IS NOT NULL THEN 'room.join'
        WHEN f.messages > 0 THEN 'chat.push'
    END AS opened_by,
    f.started_at,
    f.last_activity_at,
    extract(epoch FROM f.last_activity_at - f.started_at)::double precision AS duration_seconds,
    f.messages AS message_count,
    f.user_messages AS user_message_count,
    f.assistant_messages AS assistant_message_count,
    f.turns AS turn_count,
    f.first_reply_gap_us / 1000000::double precision AS first_reply_gap_seconds,
    f.longest_silence_us / 1000000::double precision AS longest_silence_seconds,
    f.user_messages > 0 AS engaged,
    f.user_messages = 0 AND (NOT f.no_join OR f.assistant_messages > 0) AS silent,
    f.turns = 1 AS single_turn,
    f.no_join OR f.one_sided OR f.repeated_user_turn OR f.altered AS incomplete,
    f.no_join,
    f.one_sided,
    f.repeated_user_turn,
    f.altered,
    f.out_of_order,
    f.undated
FROM session_facts AS f
LEFT JOIN sessions AS s ON s.id = f.session_id;

CREATE VIEW analytics_v1.messages AS
SELECT
    id,
    session_id AS session_uuid,
    agent_id,
    source,
    role,
    occurred_at,
    tie,
    silence_us / 1000000::double precision AS silence_seconds,
    CASE WHEN is_reply THEN silence_us / 1000000::double precision END AS reply_gap_seconds,
    visit_started_at IS NOT NULL AS starts_visit,
    starts_turn,
    is_reply,
    repeats_turn,
    out_of_order,
    altered,
    undated
FROM message_facts;

CREATE VIEW analytics_v1.visits AS
SELECT
    f.session_id AS session_uuid,
    place.number,
    f.agent_id,
    f.source,
    f.visit_started_at AS started_at,
    f.occurred_at AS first_message_at,
    said.last_message_at,
    extract(epoch FROM said.last_message_at - f.visit_started_at)::double precision
        AS duration_seconds,
    said.message_count,
    said.user_message_count,
    said.assistant_message_count,
    said.turn_count
FROM message_facts AS f
LEFT JOIN LATERAL (
    SELECT count(*) AS number
    FROM message_facts AS p
    WHERE p.session_id = f.session_id
        AND p.occurred_at <= f.occurred_at
        AND p.visit_started_at IS NOT NULL
) AS place ON true
LEFT JOIN LATERAL (
    SELECT
        max(m.occurred_at) AS last_message_at,
        count(*) AS message_count,
        count(*) FILTER (WHERE m.role = 'user') AS user_message_count,
        count(*) FILTER (WHERE m.role = 'assistant') AS assistant_message_count,
        count(*) FILTER (WHERE m.starts_turn) AS turn_count
    FROM message_facts AS m
    WHERE m.session_id = f.session_id
        AND m.occurred_at >= f.occurred_at
        AND m.occurred_at < COALESCE(
            (
                SELECT min(n.occurred_at)
                FROM message_facts AS n
                WHERE n.session_id = f.session_id
                    AND n.occurred_at > f.occurred_at
                    AND n.visit_started_at IS NOT NULL
            ),
            'infinity'
        )
) AS said ON true
WHERE f.visit_started_at IS NOT NULL;

CREATE VIEW analytics_v1.turns AS
SELECT
    f.id,
    f.session_id AS session_uuid,
    f.agent_id,
    f.source,
    f.occurred_at AS started_at,
    said.last_message_at,
    said.message_count,
    CASE WHEN following.is_reply THEN following.occurred_at END AS reply_at,
    CASE WHEN following.is_reply THEN following.silence_us / 1000000::double precision END
        AS reply_gap_seconds
FROM message_facts AS f
LEFT JOIN LATERAL (
    -- The first message after the turn. An aggregate, since the planner drops a join that nobody
    -- reads where it can tell that there is one row.
    SELECT
        max(n.occurred_at) AS occurred_at,
        max(n.tie) AS tie,
        bool_or(n.is_reply) AS is_reply,
        max(n.silence_us) AS silence_us
    FROM (
        SELECT m.occurred_at, m.tie, m.is_reply, m.silence_us
        FROM message_facts AS m
        WHERE m.session_id = f.session_id
            AND m.occurred_at >= f.occurred_at
            AND (m.occurred_at, m.tie) > (f.occurred_at, f.tie)
            AND NOT m.repeats_turn
        ORDER BY m.occurred_at, m.tie
        LIMIT 1
    ) AS n
) AS following ON true
LEFT JOIN LATERAL (
    SELECT max(m.occurred_at) AS last_message_at, count(*) AS message_count
    FROM message_facts AS m
    WHERE m.session_id = f.session_id
        AND m.occurred_at >= f.occurred_at
        AND m.occurred_at <= COALESCE(following.occurred_at, 'infinity')
        AND (m.occurred_at, m.tie) >= (f.occurred_at, f.tie)
        AND (
            following.occurred_at IS NULL
            OR (m.occurred_at, m.tie) < (following.occurred_at, following.tie)
        )
) AS said ON true
WHERE f.starts_turn;

CREATE VIEW analytics_v1.events AS
SELECT
    session_id AS session_uuid,
    agent_id,
    source,
    'message' AS kind,
    occurred_at
FROM message_facts
UNION ALL
SELECT
    session_id,
    agent_id,
    source,
    CASE WHEN is_join THEN 'join' ELSE 'end' END,
    occurred_at
FROM presence_facts;

CREATE VIEW analytics_v1.agents AS
SELECT agent_id, session_count, message_count, first_seen_at, last_activity_at
FROM agents;

-- Sums of lengths are double precision: a sum of whole microseconds, rounded once.
CREATE VIEW analytics_v1.activity_15m AS
SELECT
    date_bin('15 minutes', part.at, '2000-01-01 00:00:00+00') AS start,
    part.agent_id,
    part.source,
    sum(part.sessions)::bigint AS sessions,
    sum(part.engaged)::bigint AS engaged_sessions,
    sum(part.silent)::bigint AS silent_sessions,
    sum(part.single_turn)::bigint AS single_turn_sessions,
    sum(part.incomplete)::bigint AS incomplete_sessions,
    sum(part.visits)::bigint AS visits,
    sum(part.messages)::bigint AS messages,
    sum(part.user_messages)::bigint AS user_messages,
    sum(part.assistant_messages)::bigint AS assistant_messages,
    sum(part.turns)::bigint AS turns,
    (sum(part.duration_us) / 1000000)::double precision AS session_duration_seconds,
    sum(part.replies)::bigint AS reply_gaps,
    (sum(part.reply_gap_us) / 1000000)::double precision AS reply_gap_seconds,
    sum(part.first_replies)::bigint AS first_reply_gaps,
    (sum(part.first_reply_gap_us) / 1000000)::double precision AS first_reply_gap_seconds,
    sum(part.silences)::bigint AS longest_silences,
    (sum(part.longest_silence_us) / 1000000)::double precision AS longest_silence_seconds
FROM (
    SELECT
        started_at AS at,
        agent_id,
        source,
        1 AS sessions,
        (user_messages > 0)::integer AS engaged,
        (user_messages = 0 AND (NOT no_join OR assistant_messages > 0))::integer AS silent,
        (turns = 1)::integer AS single_turn,
        (no_join OR one_sided OR repeated_user_turn OR altered)::integer AS incomplete,
        0 AS visits,
        0 AS messages,
        0 AS user_messages,
        0 AS assistant_messages,
        0 AS turns,
        (extract(epoch FROM last_activity_at - started_at) * 1000000)::bigint AS duration_us,
        0 AS replies,
        0::bigint AS reply_gap_us,
        (first_reply_gap_us IS NOT NULL)::integer AS first_replies,
        COALESCE(first_reply_gap_us, 0) AS first_reply_gap_us,
        (longest_silence_us IS NOT NULL)::integer AS silences,
        COALESCE(longest_silence_us, 0) AS longest_silence_us
    FROM session_facts
    UNION ALL
    SELECT visit_started_at, agent_id, source, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM message_facts
    WHERE visit_started_at IS NOT NULL
    UNION ALL
    SELECT
        occurred_at,
        agent_id,
        source,
        0, 0, 0, 0, 0, 0,
        1,
        (role = 'user')::integer,
        (role = 'assistant')::integer,
        starts_turn::integer,
        0,
        is_reply::integer,
        CASE WHEN is_reply THEN silence_us ELSE 0 END,
        0, 0, 0, 0
    FROM message_facts
) AS part
GROUP BY 1, 2, 3;

-- Granted by name to those who may read text. A view of its own and not a column of messages:
-- programs select every column of what they list, and would fail on one that they may not read.
CREATE VIEW analytics_v1.message_texts AS
SELECT
    m.id,
    m.session_id AS session_uuid,
    s.agent_id,
    s.source,
    m.role,
    m.occurred_at,
    m.sent_at,
    m.received_at,
    m.message,
    m.altered
FROM messages AS m
JOIN sessions AS s ON s.id = m.session_id;

-- Divides a range into time buckets, as the calendar in src/analytics/calendar.rs does, by the
-- server's own time zones.
CREATE FUNCTION analytics_v1.buckets(
    "from" timestamptz,
    "to" timestamptz,
    bucket text,
    tz text DEFAULT 'UTC',
    week_starts text DEFAULT 'monday'
)
RETURNS TABLE (start timestamptz, "end" timestamptz, local_start timestamp, whole boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 200
SET search_path = pg_catalog
AS $$
DECLARE
    most CONSTANT integer := 50000;
    step CONSTANT interval := CASE bucket
        WHEN 'minute' THEN '1 minute' WHEN '15m' THEN '15 minutes' WHEN 'hour' THEN '1 hour'
    END;
    weekday CONSTANT integer := array_position(
        ARRAY['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'],
        week_starts
    );
    origin CONSTANT timestamp := '2000-01-01 00:00:00';
    made integer := 0;
    -- Start of the row, and its place in the zone.
    at timestamptz := "from";
    is_start boolean := false;
    -- First day of a bucket, and the instant at which it begins.
    day date;
    boundary timestamptz;
    -- Bounds of the search for a shift of the clock.
    low timestamptz;
    high timestamptz;
    middle timestamptz;
    ahead interval;
BEGIN
    IF "from" IS NULL OR "to" IS NULL OR NOT isfinite("from") OR NOT isfinite("to") THEN
        RAISE EXCEPTION 'buckets need a first and a last instant' USING ERRCODE = '22023';
    ELSIF "from" >= "to" THEN
        RAISE EXCEPTION 'the range of buckets is empty: from % to %', "from", "to"
            USING ERRCODE = '22023';
    ELSIF bucket IS NULL OR bucket NOT IN ('minute', '15m', 'hour', 'day', 'week', 'month') THEN
        RAISE EXCEPTION 'unknown bucket: %', bucket USING ERRCODE = '22023',
            HINT = 'Use minute, 15m, hour, day, week or month.';
    ELSIF weekday IS NULL THEN
        RAISE EXCEPTION 'unknown day of the week: %', week_starts USING ERRCODE = '22023',
            HINT = 'Use monday, tuesday, wednesday, thursday, friday, saturday or sunday.';
    ELSIF tz IS NULL THEN
        RAISE EXCEPTION 'buckets need a time zone' USING ERRCODE = '22023';
    END IF;
    day := (at AT TIME ZONE tz)::date;
    IF bucket = 'week' THEN
        day := day - (extract(isodow FROM day)::integer - weekday + 7) % 7;
    ELSIF bucket = 'month' THEN
        day := date_trunc('month', day::timestamp)::date;
    END IF;
    IF step IS NOT NULL THEN
        is_start := date_bin(step, at AT TIME ZONE tz, origin) = at AT TIME ZONE tz
            OR date_bin(step, at AT TIME ZONE tz, origin)
                <> date_bin(step, (at - interval '1 microsecond') AT TIME ZONE tz, origin);
    END IF;
    LOOP
        -- Find the first boundary after `at`.
        IF step IS NOT NULL THEN
            boundary := at;
            LOOP
                low := boundary;
                boundary := low
                    + (date_bin(step, low AT TIME ZONE tz, origin) + step - low AT TIME ZONE tz);
                ahead := low AT TIME ZONE tz - low AT TIME ZONE 'UTC';
                EXIT WHEN boundary AT TIME ZONE tz - boundary AT TIME ZONE 'UTC' = ahead;
                -- The clock is shifted before that. It is at a full second.
                high := boundary;
                low := date_trunc('second', low);
                WHILE high - low > interval '1 second' LOOP
                    middle := low + make_interval(secs => floor(extract(epoch FROM high - low) / 2));
                    IF middle AT TIME ZONE tz - middle AT TIME ZONE 'UTC' <> ahead THEN
                        high := middle;
                    ELSE
                        low := middle;
                    END IF;
                END LOOP;
                boundary := high;
                EXIT WHEN date_bin(step, high AT TIME ZONE tz, origin) = high AT TIME ZONE tz
                    OR date_bin(step, high AT TIME ZONE tz, origin)
                        <> date_bin(step, (high - interval '1 microsecond') AT TIME ZONE tz, origin);
            END LOOP;
        ELSE
            -- The day begins at the first instant at which the clock shows its midnight.
            low := day::timestamp AT TIME ZONE 'UTC' - interval '26 hours';
            high := day::timestamp AT TIME ZONE 'UTC' + interval '26 hours';
            SELECT min(shown.at) INTO boundary
            FROM (
                SELECT day::timestamp AT TIME ZONE 'UTC'
                    - (near.at AT TIME ZONE tz - near.at AT TIME ZONE 'UTC') AS at
                FROM unnest(ARRAY[low, day::timestamp AT TIME ZONE tz, high]) AS near (at)
            ) AS shown
            WHERE shown.at AT TIME ZONE tz = day::timestamp;
            IF boundary IS NULL THEN
                -- Where a shift leaves midnight out, at the shift.
                WHILE high - low > interval '1 second' LOOP
                    middle := low + make_interval(secs => floor(extract(epoch FROM high - low) / 2));
                    IF middle AT TIME ZONE tz >= day::timestamp THEN
                        high := middle;
                    ELSE
                        low := middle;
                    END IF;
                END LOOP;
                boundary := high;
            END IF;
            day := CASE bucket
                WHEN 'month' THEN (day + interval '1 month')::date
                WHEN 'week' THEN day + 7
                ELSE day + 1
            END;
            IF boundary <= at THEN
                -- Of several days that begin by now, the last one counts: a zone may leave one out.
                is_start := boundary = at;
                CONTINUE;
            END IF;
        END IF;
        made := made + 1;
        IF made > most THEN
            RAISE EXCEPTION 'more than % buckets', most USING ERRCODE = '22023',
                HINT = 'Choose a larger bucket or a shorter range.';
        END IF;
        start := at;
        "end" := least(boundary, "to");
        local_start := at AT TIME ZONE tz;
        whole := is_start AND boundary <= "to";
        RETURN NEXT;
        EXIT WHEN boundary >= "to";
        at := boundary;
        is_start := true;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION analytics_v1.buckets FROM PUBLIC;

COMMENT ON VIEW analytics_v1.sessions IS 'One row a session.';
COMMENT ON COLUMN analytics_v1.sessions.id IS
    'Our id of the session, unique. Other views have it as session_uuid.';
COMMENT ON COLUMN analytics_v1.sessions.session_id IS
    'The sender''s id. Two agents or sources may share one.';
COMMENT ON COLUMN analytics_v1.sessions.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.sessions.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.sessions.room_name IS 'The room; null where the sender named none.';
COMMENT ON COLUMN analytics_v1.sessions.participant_count IS
    'Participants at the start; null where the sender did not say.';
COMMENT ON COLUMN analytics_v1.sessions.opened_by IS
    'room.join, or chat.push where the first event was a message; null without either.';
COMMENT ON COLUMN analytics_v1.sessions.started_at IS
    'First event, or its arrival where that was earlier.';
COMMENT ON COLUMN analytics_v1.sessions.last_activity_at IS
    'Last event, or its arrival where that was earlier.';
COMMENT ON COLUMN analytics_v1.sessions.duration_seconds IS
    'Time from a session''s start to its last activity.';
COMMENT ON COLUMN analytics_v1.sessions.message_count IS
    'Messages of each session. A session without messages counts as 0.';
COMMENT ON COLUMN analytics_v1.sessions.user_message_count IS 'Messages of the user.';
COMMENT ON COLUMN analytics_v1.sessions.assistant_message_count IS 'Messages of the assistant.';
COMMENT ON COLUMN analytics_v1.sessions.turn_count IS
    'User turns of each session. A session without turns counts as 0.';
COMMENT ON COLUMN analytics_v1.sessions.first_reply_gap_seconds IS
    'First reply gap of each session. Sessions without a reply are left out. Here they are null.';
COMMENT ON COLUMN analytics_v1.sessions.longest_silence_seconds IS
    'Longest gap between two messages of one visit. Sessions without such a gap are left out. Here they are null.';
COMMENT ON COLUMN analytics_v1.sessions.engaged IS 'Sessions with at least one user message.';
COMMENT ON COLUMN analytics_v1.sessions.silent IS
    'Sessions with a join or an assistant message, and without any user message: a dead microphone, or somebody who walks past.';
COMMENT ON COLUMN analytics_v1.sessions.single_turn IS 'Sessions with exactly one user turn.';
COMMENT ON COLUMN analytics_v1.sessions.incomplete IS
    'Sessions of which something may be missing. By flag: sessions with that flag, also where it only doubts the order.';
COMMENT ON COLUMN analytics_v1.sessions.no_join IS 'Flag: the first event was not a join.';
COMMENT ON COLUMN analytics_v1.sessions.one_sided IS
    'Flag: there are messages, but none of the user or none of the assistant.';
COMMENT ON COLUMN analytics_v1.sessions.repeated_user_turn IS
    'Flag: a user message follows a user message of the same visit, so a reply may be missing.';
COMMENT ON COLUMN analytics_v1.sessions.altered IS
    'Flag: the text of a message held characters that cannot be stored.';
COMMENT ON COLUMN analytics_v1.sessions.out_of_order IS
    'Flag: a message arrived before one that was said earlier. It doubts the order alone.';
COMMENT ON COLUMN analytics_v1.sessions.undated IS
    'Flag: a message has no time that makes sense and is placed by its arrival. It doubts the order alone.';

COMMENT ON VIEW analytics_v1.visits IS 'One row a visit: part of a session without a silence longer than the visit gap.';
COMMENT ON COLUMN analytics_v1.visits.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.visits.number IS 'Place of the visit in its session, from 1.';
COMMENT ON COLUMN analytics_v1.visits.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.visits.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.visits.started_at IS
    'Join shortly before the first message, or the first message.';
COMMENT ON COLUMN analytics_v1.visits.first_message_at IS 'First message.';
COMMENT ON COLUMN analytics_v1.visits.last_message_at IS 'Last message.';
COMMENT ON COLUMN analytics_v1.visits.duration_seconds IS
    'Time from the visit''s start to its last message.';
COMMENT ON COLUMN analytics_v1.visits.message_count IS 'Messages of any role.';
COMMENT ON COLUMN analytics_v1.visits.user_message_count IS 'Messages of the user.';
COMMENT ON COLUMN analytics_v1.visits.assistant_message_count IS 'Messages of the assistant.';
COMMENT ON COLUMN analytics_v1.visits.turn_count IS 'User turns that start in the visit.';

COMMENT ON VIEW analytics_v1.messages IS 'One row a message, without its text.';
COMMENT ON COLUMN analytics_v1.messages.id IS 'Id of the message, as in the API.';
COMMENT ON COLUMN analytics_v1.messages.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.messages.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.messages.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.messages.role IS 'user, assistant, or another role in lower case.';
COMMENT ON COLUMN analytics_v1.messages.occurred_at IS 'When it was said.';
COMMENT ON COLUMN analytics_v1.messages.tie IS
    'Order among messages of one session at the same time, from 0: sort by occurred_at, tie.';
COMMENT ON COLUMN analytics_v1.messages.silence_seconds IS
    'Time since the message before it in the same visit; null for a visit''s first message.';
COMMENT ON COLUMN analytics_v1.messages.reply_gap_seconds IS
    'Time from a user message to the assistant message right after it in the same visit. It includes speaking time, since a message arrives when it is finished. Null for messages that are no reply.';
COMMENT ON COLUMN analytics_v1.messages.starts_visit IS 'The first message of a visit.';
COMMENT ON COLUMN analytics_v1.messages.starts_turn IS 'The first message of a user turn.';
COMMENT ON COLUMN analytics_v1.messages.is_reply IS
    'An assistant message right after a user message of the same visit.';
COMMENT ON COLUMN analytics_v1.messages.repeats_turn IS
    'A user message right after a user message of the same visit.';
COMMENT ON COLUMN analytics_v1.messages.out_of_order IS 'It arrived before the message before it.';
COMMENT ON COLUMN analytics_v1.messages.altered IS
    'Its text held characters that cannot be stored.';
COMMENT ON COLUMN analytics_v1.messages.undated IS
    'It has no time that makes sense; occurred_at is its arrival.';

COMMENT ON VIEW analytics_v1.turns IS 'One row a user turn: an unbroken run of user messages within a visit.';
COMMENT ON COLUMN analytics_v1.turns.id IS 'Id of its first message.';
COMMENT ON COLUMN analytics_v1.turns.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.turns.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.turns.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.turns.started_at IS 'First message of the turn.';
COMMENT ON COLUMN analytics_v1.turns.last_message_at IS 'Last message of the turn.';
COMMENT ON COLUMN analytics_v1.turns.message_count IS 'User messages of the turn.';
COMMENT ON COLUMN analytics_v1.turns.reply_at IS
    'The assistant''s reply; null where another message or none follows in the visit.';
COMMENT ON COLUMN analytics_v1.turns.reply_gap_seconds IS
    'Time from the last message of the turn to the reply; null without a reply.';

COMMENT ON VIEW analytics_v1.events IS 'One row a message, join or session end: what makes a session or an agent active.';
COMMENT ON COLUMN analytics_v1.events.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.events.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.events.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.events.kind IS 'message, join or end.';
COMMENT ON COLUMN analytics_v1.events.occurred_at IS 'When it happened.';

COMMENT ON VIEW analytics_v1.agents IS 'One row an agent.';
COMMENT ON COLUMN analytics_v1.agents.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.agents.session_count IS 'Its sessions.';
COMMENT ON COLUMN analytics_v1.agents.message_count IS 'Messages in them.';
COMMENT ON COLUMN analytics_v1.agents.first_seen_at IS 'Its first event.';
COMMENT ON COLUMN analytics_v1.agents.last_activity_at IS 'Its last event.';

COMMENT ON VIEW analytics_v1.activity_15m IS 'Counts and sums by quarter of an hour (UTC), agent and source. Quarters without any are left out.';
COMMENT ON COLUMN analytics_v1.activity_15m.start IS
    'Start of the quarter. Every time zone''s days and hours are whole quarters, except at some shifts before 2012.';
COMMENT ON COLUMN analytics_v1.activity_15m.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.activity_15m.source IS 'The source.';
COMMENT ON COLUMN analytics_v1.activity_15m.sessions IS 'Sessions that started.';
COMMENT ON COLUMN analytics_v1.activity_15m.engaged_sessions IS
    'Sessions with at least one user message.';
COMMENT ON COLUMN analytics_v1.activity_15m.silent_sessions IS
    'Sessions with a join or an assistant message, and without any user message: a dead microphone, or somebody who walks past.';
COMMENT ON COLUMN analytics_v1.activity_15m.single_turn_sessions IS
    'Sessions with exactly one user turn.';
COMMENT ON COLUMN analytics_v1.activity_15m.incomplete_sessions IS
    'Sessions of which something may be missing.';
COMMENT ON COLUMN analytics_v1.activity_15m.visits IS
    'Visits that started. A silence longer than the visit gap splits a session into visits.';
COMMENT ON COLUMN analytics_v1.activity_15m.messages IS 'Messages of any role.';
COMMENT ON COLUMN analytics_v1.activity_15m.user_messages IS 'Messages of the user.';
COMMENT ON COLUMN analytics_v1.activity_15m.assistant_messages IS 'Messages of the assistant.';
COMMENT ON COLUMN analytics_v1.activity_15m.turns IS
    'User turns: unbroken runs of user messages within a visit. A message of any other role ends a turn.';
COMMENT ON COLUMN analytics_v1.activity_15m.session_duration_seconds IS
    'Sum of the durations of the sessions that started: divide by sessions.';
COMMENT ON COLUMN analytics_v1.activity_15m.reply_gaps IS 'Replies: messages with a reply gap.';
COMMENT ON COLUMN analytics_v1.activity_15m.reply_gap_seconds IS
    'Sum of the reply gaps: divide by reply_gaps.';
COMMENT ON COLUMN analytics_v1.activity_15m.first_reply_gaps IS
    'Sessions that started and have a reply.';
COMMENT ON COLUMN analytics_v1.activity_15m.first_reply_gap_seconds IS
    'Sum of their first reply gaps: divide by first_reply_gaps.';
COMMENT ON COLUMN analytics_v1.activity_15m.longest_silences IS
    'Sessions that started and have a longest silence.';
COMMENT ON COLUMN analytics_v1.activity_15m.longest_silence_seconds IS
    'Sum of their longest silences: divide by longest_silences.';

COMMENT ON VIEW analytics_v1.message_texts IS 'One row a message, with its text. For readers made with --with-text alone.';
COMMENT ON COLUMN analytics_v1.message_texts.id IS 'Id of the message, as in the API.';
COMMENT ON COLUMN analytics_v1.message_texts.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.message_texts.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.message_texts.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.message_texts.role IS 'The sender''s word for the speaker.';
COMMENT ON COLUMN analytics_v1.message_texts.occurred_at IS 'When it was said.';
COMMENT ON COLUMN analytics_v1.message_texts.sent_at IS
    'When the sender sent it; null where it did not say.';
COMMENT ON COLUMN analytics_v1.message_texts.received_at IS 'When it arrived.';
COMMENT ON COLUMN analytics_v1.message_texts.message IS 'What was said.';
COMMENT ON COLUMN analytics_v1.message_texts.altered IS
    'The text held characters that cannot be stored; they are shown as U+FFFD.';

COMMENT ON FUNCTION analytics_v1.buckets IS
    'Divides a range into minutes, quarters (15m), hours, days, weeks or months of a time zone. local_start is what the local clock shows; whole is false where the range cuts the bucket.';
