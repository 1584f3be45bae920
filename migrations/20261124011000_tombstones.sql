-- What was erased stays erased; what is held is neither erased nor dropped for its age.

SET LOCAL lock_timeout = '10s';

-- One row an erasure, and it says nothing of what was said. It is there before the first row goes:
-- one that a crash interrupted is finished, and from the start the writer lets nothing in that it
-- covers.
CREATE TABLE erasures (
    -- Of the receipt.
    id                uuid        PRIMARY KEY,
    kind              text        NOT NULL CHECK (kind IN ('session', 'agent')),
    agent_id          text        NOT NULL,
    -- The three say which session; null where it is all that the agent had.
    session_id        uuid,
    sender_session_id text,
    source            text,
    -- What arrived or happened up to here is not stored again.
    erased_at         timestamptz NOT NULL,
    -- Null until everything is gone.
    finished_at       timestamptz,
    -- Rows that are gone, by table.
    counts            jsonb       NOT NULL,
    -- The key that asked for it; null where that is the one of the settings.
    key_id            uuid
);
-- The writer asks, once a batch, whether sessions or agents of it were erased.
CREATE INDEX erasures_by_session ON erasures (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX erasures_of_agents ON erasures (agent_id) WHERE session_id IS NULL;
-- The same of what arrived and cannot be read, by its time.
CREATE INDEX erasures_by_time ON erasures (erased_at);
-- What a crash interrupted.
CREATE INDEX erasures_unfinished ON erasures (id) WHERE finished_at IS NULL;

-- Events that were erased and could come back with another time: those without one, and those that
-- are known by the sender's delivery id. Ids alone, which nothing can be read from.
CREATE TABLE erased_events (
    id uuid PRIMARY KEY
);

CREATE TABLE holds (
    id         uuid        PRIMARY KEY,
    agent_id   text        NOT NULL,
    -- Null: all that the agent has.
    session_id uuid,
    created_at timestamptz NOT NULL,
    -- The key that asked for it; null where that is the one of the settings.
    key_id     uuid
);
-- A thing is held or not.
CREATE UNIQUE INDEX holds_of_sessions ON holds (session_id) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX holds_of_agents ON holds (agent_id) WHERE session_id IS NULL;

-- A session's ends and account events, to erase them.
CREATE INDEX other_events_by_session ON other_events (session_id) WHERE session_id IS NOT NULL;

-- What a delivery is known by among its repeats, where the body was redacted at the door: it is
-- the hash of what arrived.
ALTER TABLE deliveries ADD COLUMN event_id uuid;
