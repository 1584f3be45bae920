-- Facts: what each message, session, join and session end counts for in figures. A follower of the
-- journal writes them after the answer. They hold nothing that was said.

SET LOCAL lock_timeout = '10s';

-- One row a message, under the message's key. Each depends on the message before it alone, so a late
-- message changes two rows.
CREATE TABLE message_facts (
    session_id       uuid        NOT NULL,
    occurred_at      timestamptz NOT NULL,
    id               uuid        NOT NULL,
    -- Place among the session's messages of the same time, from 0.
    tie              integer     NOT NULL,
    agent_id         text        NOT NULL,
    source           text        NOT NULL,
    -- user, assistant, or another role in lower case.
    role             text        NOT NULL,
    -- Start of the visit that the message begins; null where it begins none.
    visit_started_at timestamptz,
    -- Microseconds since the message before it in the same visit; null where it begins the visit.
    silence_us       bigint,
    -- The first user message of a turn.
    starts_turn      boolean     NOT NULL,
    -- An assistant message right after a user message of the same visit: silence_us is a reply gap.
    is_reply         boolean     NOT NULL,
    -- A user message right after a user message of the same visit.
    repeats_turn     boolean     NOT NULL,
    -- It arrived before the message before it.
    out_of_order     boolean     NOT NULL,
    altered          boolean     NOT NULL,
    undated          boolean     NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id)
);
-- Messages of a range.
CREATE INDEX message_facts_by_time ON message_facts (occurred_at);
-- Visits of a range.
CREATE INDEX message_facts_by_visit ON message_facts (visit_started_at)
    WHERE visit_started_at IS NOT NULL;
-- An undated message whose first arrival turns out to be earlier moves: its fact is found by its id.
CREATE INDEX message_facts_undated ON message_facts (session_id, id) WHERE undated;

-- One row a join or session end.
CREATE TABLE presence_facts (
    session_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    agent_id    text        NOT NULL,
    source      text        NOT NULL,
    is_join     boolean     NOT NULL,
    PRIMARY KEY (session_id, id)
);
-- Joins and ends of a range.
CREATE INDEX presence_facts_by_time ON presence_facts (occurred_at);

-- One row a session.
CREATE TABLE session_facts (
    session_id         uuid        PRIMARY KEY,
    agent_id           text        NOT NULL,
    source             text        NOT NULL,
    room_name          text,
    started_at         timestamptz NOT NULL,
    last_activity_at   timestamptz NOT NULL,
    messages           bigint      NOT NULL,
    user_messages      bigint      NOT NULL,
    assistant_messages bigint      NOT NULL,
    turns              bigint      NOT NULL,
    -- Microseconds; null without a reply.
    first_reply_gap_us bigint,
    -- Microseconds; null where no visit has two messages.
    longest_silence_us bigint,
    -- The flags of its completeness. The last two doubt the order alone.
    no_join            boolean     NOT NULL,
    one_sided          boolean     NOT NULL,
    repeated_user_turn boolean     NOT NULL,
    altered            boolean     NOT NULL,
    out_of_order       boolean     NOT NULL,
    undated            boolean     NOT NULL
) WITH (fillfactor = 70);
-- Sessions of a range.
CREATE INDEX session_facts_by_start ON session_facts (started_at);

-- How far the follower has come in the journal. Whoever writes or removes facts holds this
-- table's lock until the end of its transaction.
CREATE TABLE facts_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL,
    -- The visit gaps and roles under which facts are computed; with others everything is computed
    -- anew.
    settings text    NOT NULL
) WITH (fillfactor = 10);

INSERT INTO facts_position (seq, settings) VALUES (0, '');
