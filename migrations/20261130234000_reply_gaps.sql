-- Reply gaps counted by bin, for percentiles over long ranges.

SET LOCAL lock_timeout = '10s';

-- Bin of a length in microseconds: its leading seven bits, and how many follow.
CREATE FUNCTION reply_gap_bin(us bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN us < 128 THEN GREATEST(us, 0)
        ELSE (length(ltrim(us::bit(64)::text, '0')) - 7) * 64
            + (us >> (length(ltrim(us::bit(64)::text, '0')) - 7))
    END::integer
$$;

-- Reply gaps by time, agent and source: rows as those of activity. counts[n] gaps lie in bins[n];
-- bins are sorted.
CREATE TABLE reply_gaps (
    level     smallint    NOT NULL,
    agent_id  text        NOT NULL,
    starts_at timestamptz NOT NULL,
    source    text        NOT NULL,
    bins      integer[]   NOT NULL,
    counts    integer[]   NOT NULL,
    PRIMARY KEY (level, agent_id, starts_at, source)
) PARTITION BY LIST (level);
CREATE TABLE reply_gaps_of_all PARTITION OF reply_gaps FOR VALUES IN (0) WITH (fillfactor = 70);
CREATE TABLE reply_gaps_by_agent PARTITION OF reply_gaps FOR VALUES IN (1) WITH (fillfactor = 70);
CREATE TABLE reply_gaps_by_agent_and_hour PARTITION OF reply_gaps FOR VALUES IN (2)
    WITH (fillfactor = 70);
-- All agents' rows of a range.
CREATE INDEX reply_gaps_by_time ON reply_gaps USING brin (starts_at);

-- Bins of facts between two bounds that are full hours, as reply_gaps holds them.
CREATE FUNCTION reply_gaps_of_facts(from_at timestamptz, to_at timestamptz)
RETURNS SETOF reply_gaps
LANGUAGE sql STABLE AS $$
    SELECT
        b.level, b.agent_id, b.starts_at, b.source,
        array_agg(b.bin ORDER BY b.bin),
        array_agg(b.count ORDER BY b.bin)
    FROM (
        SELECT
            l.level,
            CASE WHEN l.level = 0 THEN '' ELSE f.agent_id END AS agent_id,
            date_bin(l.width, f.occurred_at, '2000-01-01T00:00:00Z') AS starts_at,
            f.source,
            reply_gap_bin(f.silence_us) AS bin,
            count(*)::integer AS count
        FROM message_facts AS f
        CROSS JOIN (
            VALUES
                (0::smallint, '15 minutes'::interval),
                (1::smallint, '15 minutes'::interval),
                (2::smallint, '1 hour'::interval)
        ) AS l (level, width)
        WHERE f.is_reply AND f.occurred_at >= from_at AND f.occurred_at < to_at
        GROUP BY 1, 2, 3, 4, 5
    ) AS b
    GROUP BY 1, 2, 3, 4
$$;

-- Facts that there are already.
INSERT INTO reply_gaps SELECT * FROM reply_gaps_of_facts('-infinity', 'infinity');
