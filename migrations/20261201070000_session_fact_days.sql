-- Version of the sessions' facts of each day, so that a service can keep those of past days in memory.

SET LOCAL lock_timeout = '10s';

-- One row a UTC day on which sessions started. Whoever writes or removes facts of sessions that
-- started on a day gives it another version, in the same transaction. A day without a row is empty.
CREATE TABLE session_fact_days (
    day     date PRIMARY KEY,
    version uuid NOT NULL
) WITH (fillfactor = 50);

INSERT INTO session_fact_days (day, version)
SELECT d.day, gen_random_uuid()
FROM (SELECT DISTINCT (started_at AT TIME ZONE 'UTC')::date AS day FROM session_facts) AS d;
