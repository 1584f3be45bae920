-- Alerts: their states, and the notifications about them with how far each has come. The rules and
-- receivers are settings, and so is every secret: none is stored here.

SET LOCAL lock_timeout = '10s';

-- One row: when the next evaluation is due. The service that moves it evaluates.
CREATE TABLE alert_rounds (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    next_at  timestamptz NOT NULL
) WITH (fillfactor = 10);

INSERT INTO alert_rounds (next_at) VALUES ('-infinity');

-- One row an alert.
CREATE TABLE alert_states (
    name         text        PRIMARY KEY,
    status       text        NOT NULL CHECK (status IN ('ok', 'pending', 'firing')),
    -- Since when the condition has held (pending, firing) or has not held (ok).
    since        timestamptz NOT NULL,
    evaluated_at timestamptz NOT NULL,
    -- What was last read; null where nothing could be.
    value        double precision,
    normal       double precision,
    threshold    double precision,
    -- Why the last evaluation could not tell; null where it could.
    missing      text,
    -- The rule's agents; null: every agent.
    agent_ids    text[],
    -- Counts changes, so that of two services that evaluate at the same time one writes.
    version      bigint      NOT NULL
) WITH (fillfactor = 50);

-- One row a notification. The id is the one that receivers know it by.
CREATE TABLE alert_events (
    id              uuid        PRIMARY KEY,
    name            text        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('firing', 'resolved')),
    at              timestamptz NOT NULL,
    -- Since when the condition has held, or had.
    since           timestamptz NOT NULL,
    value           double precision NOT NULL,
    normal          double precision,
    threshold       double precision NOT NULL,
    summary         text        NOT NULL,
    agent_ids       text[],
    -- The body as it is signed and sent.
    body            text        NOT NULL,
    attempts        integer     NOT NULL,
    -- Null once it was delivered or given up.
    next_attempt_at timestamptz,
    delivered_at    timestamptz,
    given_up_at     timestamptz,
    -- Why the last attempt failed.
    last_error      text
) WITH (fillfactor = 70);
-- GET /v1/alerts/history, and what is too old.
CREATE INDEX alert_events_by_time ON alert_events (at, id);
-- GET /v1/alerts, the history of one alert, and whether an earlier notification of it waits.
CREATE INDEX alert_events_by_name ON alert_events (name, at, id);
-- What is due to be sent.
CREATE INDEX alert_events_due ON alert_events (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- One row a running service: what only it knows, for the one that evaluates.
CREATE TABLE alert_services (
    id              uuid        PRIMARY KEY,
    -- Arrival of its oldest delivery that is not in the database; null where there is none.
    undrained_since timestamptz,
    reported_at     timestamptz NOT NULL
) WITH (fillfactor = 50);
