-- Conversations, the log of deliveries, and API keys.
-- The rules that every migration keeps to are in README.md beside this file.

-- One row a conversation, keyed by a UUIDv5 of (source, agent, sender's session id):
-- computed by the writer, never looked up.
CREATE TABLE sessions (
    id                      uuid        PRIMARY KEY,
    source                  text        NOT NULL,
    agent_id                text        NOT NULL,
    sender_session_id       text        NOT NULL,
    -- Each attribute comes from the earliest event that has it, so its time is kept beside it.
    room_name               text,
    room_name_at            timestamptz,
    participant_count       integer,
    participant_count_at    timestamptz,
    -- The earliest room.join; null means that the first thing heard was a message.
    joined_at               timestamptz,
    started_at              timestamptz NOT NULL,
    last_activity_at        timestamptz NOT NULL,
    -- The five minutes in which last_activity_at lies. Lists are walked along this and sorted
    -- within: an index on last_activity_at itself would change with every message, and then an
    -- update could not stay within its page (HOT) but would write every index of the row.
    activity_bucket         timestamptz NOT NULL,
    -- What the sender said of the end, where it said anything. Silence is reckoned when read.
    end_event_at            timestamptz,
    end_reason              text,
    message_count           bigint      NOT NULL DEFAULT 0,
    user_message_count      bigint      NOT NULL DEFAULT 0,
    assistant_message_count bigint      NOT NULL DEFAULT 0,
    -- The delivery that made this row: what an upsert returns tells whether it made it.
    first_delivery_id       uuid        NOT NULL
) WITH (fillfactor = 60);

-- GET /v1/agents/{agent_id}/sessions: an agent's sessions, newest activity first.
CREATE INDEX sessions_by_agent_activity ON sessions (agent_id, activity_bucket);
-- GET /v1/sessions: the same over all agents.
CREATE INDEX sessions_by_activity ON sessions (activity_bucket);
-- GET /v1/sessions/{session_id} with the sender's id.
CREATE INDEX sessions_by_sender_id ON sessions (sender_session_id);

-- One row a chat.push. The key orders a conversation, so reading one is a single range scan.
CREATE TABLE messages (
    session_id  uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    id          uuid        NOT NULL,
    delivery_id uuid        NOT NULL,
    role        text        NOT NULL,
    message     text        NOT NULL,
    -- When the sender says that it sent the event; null where it did not say.
    sent_at     timestamptz,
    received_at timestamptz NOT NULL,
    -- The text held what Postgres or UTF-8 cannot; it is shown with U+FFFD.
    altered     boolean     NOT NULL,
    -- The sender gave no time that makes sense; occurred_at is received_at.
    undated     boolean     NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE messages_default PARTITION OF messages DEFAULT;

-- The key of `messages` tells repeats by their id and time. Where the time may differ between
-- repeats it cannot: an undated message takes the time of its arrival, and one that is known by the
-- sender's delivery id may come with other bytes. Those are told by their id alone, here.
CREATE TABLE guarded_messages (
    session_id uuid NOT NULL,
    id         uuid NOT NULL,
    PRIMARY KEY (session_id, id)
);

-- One row a room.join.
CREATE TABLE joins (
    session_id        uuid        NOT NULL,
    id                uuid        NOT NULL,
    delivery_id       uuid        NOT NULL,
    occurred_at       timestamptz NOT NULL,
    received_at       timestamptz NOT NULL,
    room_name         text,
    participant_count integer,
    undated           boolean     NOT NULL,
    PRIMARY KEY (session_id, id)
);

-- One row an event that is neither: ends of sessions, account events, types not known yet.
CREATE TABLE other_events (
    id          uuid        PRIMARY KEY,
    delivery_id uuid        NOT NULL,
    source      text        NOT NULL,
    event_type  text        NOT NULL,
    agent_id    text,
    session_id  uuid,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);

-- One row an agent: the figures of GET /v1/agents, kept by the writer so that they cost one read.
CREATE TABLE agents (
    agent_id         text        PRIMARY KEY,
    session_count    bigint      NOT NULL,
    message_count    bigint      NOT NULL,
    first_seen_at    timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The log of what arrived and what became of it; its quarantined rows are the quarantine.
CREATE TABLE deliveries (
    id                 uuid        NOT NULL,
    received_at        timestamptz NOT NULL,
    source             text        NOT NULL,
    generation         text        CHECK (generation IN ('a', 'b', 'c', 'd', 'account')),
    event_type         text,
    outcome            text        NOT NULL
        CHECK (outcome IN ('stored', 'duplicate', 'test', 'unhandled', 'quarantined')),
    -- Why it is in quarantine, in words for a person.
    reason             text,
    session_id         uuid,
    agent_id           text,
    -- What the headers told; with the body, all that decoding it again needs.
    sender_delivery_id text,
    signed             boolean     NOT NULL,
    stale              boolean     NOT NULL,
    test               boolean     NOT NULL,
    body               bytea       NOT NULL,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);

CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;

-- Only a key's SHA-256 is kept: a key has 256 random bits, so a slow hash would add nothing.
CREATE TABLE api_keys (
    id           uuid        PRIMARY KEY,
    name         text        NOT NULL,
    key_sha256   bytea       NOT NULL UNIQUE,
    scopes       text[]      NOT NULL,
    -- Null: every agent.
    agent_ids    text[],
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
