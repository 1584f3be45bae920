-- The SQL contract's quarter hours are those of activity. The follower keeps them, so a range costs
-- its rows alone.

SET LOCAL lock_timeout = '10s';

CREATE OR REPLACE VIEW analytics_v1.activity_15m AS
SELECT
    starts_at AS start,
    agent_id,
    source,
    sessions::bigint AS sessions,
    engaged::bigint AS engaged_sessions,
    silent::bigint AS silent_sessions,
    single_turn::bigint AS single_turn_sessions,
    incomplete::bigint AS incomplete_sessions,
    visits::bigint AS visits,
    messages::bigint AS messages,
    user_messages::bigint AS user_messages,
    assistant_messages::bigint AS assistant_messages,
    turns::bigint AS turns,
    duration_us / 1000000::double precision AS session_duration_seconds,
    replies::bigint AS reply_gaps,
    reply_gap_us / 1000000::double precision AS reply_gap_seconds,
    first_replies::bigint AS first_reply_gaps,
    first_reply_gap_us / 1000000::double precision AS first_reply_gap_seconds,
    silences::bigint AS longest_silences,
    longest_silence_us / 1000000::double precision AS longest_silence_seconds
FROM activity
WHERE level = 1
    -- What an erasure has emptied is left out.
    AND sessions + visits + messages > 0;
