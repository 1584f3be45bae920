-- Ends, clocks that are ahead, and ids that a header gave.

SET LOCAL lock_timeout = '10s';

ALTER TABLE sessions
    -- Latest time that the sender gave an event, be it in the future: messages of the session lie
    -- between started_at and the later of this and last_activity_at. Null: not later than that.
    ADD COLUMN last_event_at   timestamptz,
    -- The latest session end; end_event_at is the earliest. What comes after it revives the session.
    -- Null in rows that only earlier versions wrote.
    ADD COLUMN last_end_at     timestamptz,
    ADD COLUMN last_end_reason text;

-- Why a session ended, empty where the sender did not say; null for other events, and in rows of
-- earlier versions.
ALTER TABLE other_events ADD COLUMN end_reason text;

-- True: the id is not a message's but the hash of its delivery header, under which versions up to
-- 0.1 store a message and look for its repeats. One of them that runs beside this version then takes
-- a repeat for one, and whoever writes second waits for the first.
ALTER TABLE guarded_messages ADD COLUMN by_header boolean NOT NULL DEFAULT false;

-- Sessions that ended more than once. The reason of the later end was not kept.
UPDATE sessions AS s
SET last_end_at = ends.last_at,
    last_end_reason = s.end_reason
FROM (
    SELECT e.session_id, max(e.occurred_at) AS last_at
    FROM other_events AS e
    WHERE e.session_id IS NOT NULL
        AND e.event_type IN ('session_end', 'session.end')
    GROUP BY e.session_id
    HAVING count(*) > 1
) AS ends
WHERE s.id = ends.session_id
    AND s.end_event_at < ends.last_at;

-- Sessions whose last activity is still to come: the earlier of an event's time and its arrival
-- counts as activity.
UPDATE sessions AS s
SET last_event_at = s.last_activity_at,
    started_at = LEAST(s.started_at, seen.first_at),
    last_activity_at = seen.last_at,
    activity_bucket = to_timestamp(floor(extract(epoch FROM seen.last_at) / 300) * 300)
FROM (
    SELECT ahead.id, min(e.at) AS first_at, max(e.at) AS last_at
    FROM sessions AS ahead
    CROSS JOIN LATERAL (
        SELECT LEAST(occurred_at, received_at) AS at FROM messages WHERE session_id = ahead.id
        UNION ALL
        SELECT LEAST(occurred_at, received_at) FROM joins WHERE session_id = ahead.id
        UNION ALL
        SELECT LEAST(occurred_at, received_at) FROM other_events WHERE session_id = ahead.id
    ) AS e
    WHERE ahead.activity_bucket >= now() - interval '5 minutes'
        AND ahead.last_activity_at > now()
    GROUP BY ahead.id
) AS seen
WHERE s.id = seen.id;

UPDATE agents AS a
SET last_activity_at = seen.last_at,
    first_seen_at = LEAST(a.first_seen_at, seen.first_at)
FROM (
    SELECT agent_id, min(started_at) AS first_at, max(last_activity_at) AS last_at
    FROM sessions
    WHERE agent_id IN (SELECT agent_id FROM agents WHERE last_activity_at > now())
    GROUP BY agent_id
) AS seen
WHERE a.agent_id = seen.agent_id;
