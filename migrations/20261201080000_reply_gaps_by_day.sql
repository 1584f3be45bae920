-- Reply gaps of all agents by day: percentiles of a month are read from 30 rows.

SET LOCAL lock_timeout = '10s';

-- Level 4: by day, all agents together.
CREATE TABLE reply_gaps_of_all_by_day PARTITION OF reply_gaps FOR VALUES IN (4)
    WITH (fillfactor = 70);

-- Bins of facts between two bounds that are full days, as reply_gaps holds them.
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
            CASE WHEN l.level IN (0, 3, 4) THEN '' ELSE f.agent_id END AS agent_id,
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
                (3::smallint, '1 hour'::interval),
                (4::smallint, '1 day'::interval)
        ) AS l (level, width)
        WHERE f.is_reply AND f.occurred_at >= from_at AND f.occurred_at < to_at
        GROUP BY 1, 2, 3, 4, 5
    ) AS b
    GROUP BY 1, 2, 3, 4
$$;

-- Facts that there are already.
INSERT INTO reply_gaps
SELECT
    4, '', b.starts_at, b.source,
    array_agg(b.bin ORDER BY b.bin),
    array_agg(b.count ORDER BY b.bin)
FROM (
    SELECT
        date_bin('1 day', g.starts_at, '2000-01-01T00:00:00Z') AS starts_at,
        g.source,
        part.bin,
        sum(part.count)::integer AS count
    FROM reply_gaps AS g
    CROSS JOIN LATERAL UNNEST(g.bins, g.counts) AS part (bin, count)
    WHERE g.level = 3
    GROUP BY 1, 2, 3
) AS b
GROUP BY b.starts_at, b.source;
