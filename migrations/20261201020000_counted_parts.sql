-- Parts of a range as constants. As rows of a join they hide from the planner how few they are, and it
-- reads whole tables for a quarter hour.

SET LOCAL lock_timeout = '10s';

DROP FUNCTION counted_between;

-- What is counted in some parts of a range: rows of activity of one level or, where level is null,
-- facts of some kinds. The parts are the rows that begin at one of starts or, where that is null, two
-- ranges, of which one can be empty. visible, agents, sources and rooms choose; null is all.
-- level_agents are the agents of the rows. Activity knows no rooms and roles: whoever chooses these
-- reads facts.
CREATE FUNCTION counted_between(
    kinds text[],
    level smallint,
    starts timestamptz[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
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
    FROM activity AS a
    WHERE a.level = $2
        AND ($3 IS NULL OR a.starts_at = ANY ($3))
        AND (
            $3 IS NOT NULL
            OR a.starts_at >= $4 AND a.starts_at < $5
            OR a.starts_at >= $6 AND a.starts_at < $7
        )
        AND ($10 IS NULL OR a.agent_id = ANY ($10))
        AND ($11 IS NULL OR a.source = ANY ($11))
    UNION ALL
    SELECT
        f.at, f.agent_id, f.source, f.role,
        f.sessions, f.engaged, f.silent, f.single_turn, f.incomplete, f.no_join, f.one_sided,
        f.repeated_user_turn, f.altered, f.out_of_order, f.undated, f.duration_us,
        f.session_messages, f.session_turns, f.first_replies, f.first_reply_gap_us, f.silences,
        f.longest_silence_us, f.messages, f.user_messages, f.assistant_messages, f.turns,
        f.replies, f.reply_gap_us, f.visits
    FROM counted_facts AS f
    WHERE $2 IS NULL
        AND (f.at >= $4 AND f.at < $5 OR f.at >= $6 AND f.at < $7)
        AND f.kind = ANY ($1)
        AND ($8 IS NULL OR f.agent_id = ANY ($8))
        AND ($9 IS NULL OR f.agent_id = ANY ($9))
        AND ($11 IS NULL OR f.source = ANY ($11))
        AND ($12 IS NULL OR f.session_id IN (
            SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($12)
        ))
$$;
