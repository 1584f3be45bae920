-- Jobs: work that a request begins and does not wait for.

SET LOCAL lock_timeout = '10s';

CREATE TABLE jobs (
    id                uuid        PRIMARY KEY,
    kind              text        NOT NULL CHECK (kind = 'retry_deliveries'),
    -- The key that asked for it; null is the key of the settings.
    key_id            uuid,
    -- The agents that the key saw; null is every agent.
    agents            text[],
    -- Which deliveries, as JSON.
    filter            text        NOT NULL,
    created_at        timestamptz NOT NULL,
    state             text        NOT NULL
        CHECK (state IN ('waiting', 'running', 'finished', 'cancelled')),
    started_at        timestamptz,
    finished_at       timestamptz,
    -- Deliveries that matched when it began; null before that.
    total             bigint,
    done              bigint      NOT NULL DEFAULT 0,
    stored            bigint      NOT NULL DEFAULT 0,
    still_quarantined bigint      NOT NULL DEFAULT 0,
    last_error        text,
    -- The last delivery that is done, from which on it continues.
    reached_at        timestamptz,
    reached_id        uuid,
    -- The service that does it, and when that last reported. Another one takes it over where the
    -- report is old.
    service           uuid,
    heartbeat_at      timestamptz
) WITH (fillfactor = 50);

-- GET /v1/jobs: the latest first. What is to be done is found along it too: there are few rows.
CREATE INDEX jobs_by_creation ON jobs (created_at, id);
