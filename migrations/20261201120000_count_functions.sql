-- Stored sums and facts are read by functions of their own: planning one query for both took longer
-- than reading the stored rows. Counts are returned as one array, since aggregating 25 columns for
-- buckets with one row each took most of the time of a series by hour.

SET LOCAL lock_timeout = '10s';

DROP FUNCTION counted_between;

-- Rows of activity of one level with their bucket, from 1, and group. The rows are those that begin at
-- one of starts or, where that is null, in one of two ranges, of which one can be empty. agents and
-- sources choose; null is all. Counts are in the order of the table's columns.
CREATE FUNCTION activity_rows(
    buckets timestamptz[],
    split text,
    level smallint,
    starts timestamptz[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
    agents text[],
    sources text[]
) RETURNS TABLE (bucket integer, split text, counts bigint[])
LANGUAGE sql STABLE AS $$
    SELECT
        width_bucket(a.starts_at, $1),
        CASE $2 WHEN 'agent' THEN a.agent_id WHEN 'source' THEN a.source END,
        ARRAY[
            a.sessions, a.engaged, a.silent, a.single_turn, a.incomplete, a.no_join, a.one_sided,
            a.repeated_user_turn, a.altered, a.out_of_order, a.undated, a.duration_us,
            a.session_messages, a.session_turns, a.first_replies, a.first_reply_gap_us, a.silences,
            a.longest_silence_us, a.messages, a.user_messages, a.assistant_messages, a.turns,
            a.replies, a.reply_gap_us, a.visits
        ]::bigint[]
    FROM activity AS a
    WHERE a.level = $3
        AND ($4 IS NULL OR a.starts_at = ANY ($4))
        AND (
            $4 IS NOT NULL
            OR a.starts_at >= $5 AND a.starts_at < $6
            OR a.starts_at >= $7 AND a.starts_at < $8
        )
        AND ($9 IS NULL OR a.agent_id = ANY ($9))
        AND ($10 IS NULL OR a.source = ANY ($10))
$$;

-- The same rows, added up by bucket and group.
CREATE FUNCTION activity_sums(
    buckets timestamptz[],
    split text,
    level smallint,
    starts timestamptz[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
    agents text[],
    sources text[]
) RETURNS TABLE (bucket integer, split text, counts bigint[])
LANGUAGE sql STABLE AS $$
    SELECT
        width_bucket(a.starts_at, $1),
        CASE $2 WHEN 'agent' THEN a.agent_id WHEN 'source' THEN a.source END,
        ARRAY[
            sum(a.sessions), sum(a.engaged), sum(a.silent), sum(a.single_turn), sum(a.incomplete),
            sum(a.no_join), sum(a.one_sided), sum(a.repeated_user_turn), sum(a.altered),
            sum(a.out_of_order), sum(a.undated), sum(a.duration_us), sum(a.session_messages),
            sum(a.session_turns), sum(a.first_replies), sum(a.first_reply_gap_us), sum(a.silences),
            sum(a.longest_silence_us), sum(a.messages), sum(a.user_messages),
            sum(a.assistant_messages), sum(a.turns), sum(a.replies), sum(a.reply_gap_us),
            sum(a.visits)
        ]::bigint[]
    FROM activity AS a
    WHERE a.level = $3
        AND ($4 IS NULL OR a.starts_at = ANY ($4))
        AND (
            $4 IS NOT NULL
            OR a.starts_at >= $5 AND a.starts_at < $6
            OR a.starts_at >= $7 AND a.starts_at < $8
        )
        AND ($9 IS NULL OR a.agent_id = ANY ($9))
        AND ($10 IS NULL OR a.source = ANY ($10))
    GROUP BY 1, 2
$$;

-- Counts of facts of some kinds in two ranges, by bucket and group, in the order of activity's columns.
-- visible, agents, sources and rooms choose; null is all.
CREATE FUNCTION fact_sums(
    buckets timestamptz[],
    split text,
    kinds text[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
    visible text[],
    agents text[],
    sources text[],
    rooms text[]
) RETURNS TABLE (bucket integer, split text, counts bigint[])
LANGUAGE sql STABLE AS $$
    SELECT
        width_bucket(f.at, $1),
        CASE $2 WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source WHEN 'role' THEN f.role END,
        ARRAY[
            sum(f.sessions), sum(f.engaged), sum(f.silent), sum(f.single_turn), sum(f.incomplete),
            sum(f.no_join), sum(f.one_sided), sum(f.repeated_user_turn), sum(f.altered),
            sum(f.out_of_order), sum(f.undated), sum(f.duration_us), sum(f.session_messages),
            sum(f.session_turns), sum(f.first_replies), sum(f.first_reply_gap_us), sum(f.silences),
            sum(f.longest_silence_us), sum(f.messages), sum(f.user_messages),
            sum(f.assistant_messages), sum(f.turns), sum(f.replies), sum(f.reply_gap_us),
            sum(f.visits)
        ]::bigint[]
    FROM counted_facts AS f
    WHERE f.kind = ANY ($3)
        AND (f.at >= $4 AND f.at < $5 OR f.at >= $6 AND f.at < $7)
        AND ($8 IS NULL OR f.agent_id = ANY ($8))
        AND ($9 IS NULL OR f.agent_id = ANY ($9))
        AND ($10 IS NULL OR f.source = ANY ($10))
        AND ($11 IS NULL OR f.session_id IN (
            SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($11)
        ))
    GROUP BY 1, 2
$$;
