-- Baseline: the whole schema of Verbatim 0.1. Later changes are migrations of their own; README.md
-- beside this file has the rules.
--
--  1. Extension
--  2. Sources of truth: agents, sessions, messages, joins, other events, log of deliveries
--  3. Journal and changes
--  4. Search
--  5. Erasures, tombstones and holds
--  6. API keys, browser sessions, saved views, jobs and alerts
--  7. Facts, activity, reply gaps and visits
--  8. Schema analytics_v1
--  9. Grants
--
-- Unless a comment says otherwise, a column named …_at is an absolute time, one named …_us is a
-- length in microseconds, and session_id is sessions.id. No table has a foreign key, so that tables
-- can be distributed over several servers.

--
-- 1. Extension
--

-- Trigrams, for search in parts of words. The extension is a part of PostgreSQL and trusted, so the
-- owner of a database can create it. Without it, such a search reads the whole vocabulary.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'no pg_trgm (%): parts of words are found without an index', SQLERRM;
END
$$;

--
-- 2. Sources of truth
--

-- One row per agent: the figures of GET /v1/agents. The writer updates them with each batch, so the
-- list costs one read.
CREATE TABLE agents (
    agent_id         text        PRIMARY KEY,
    session_count    bigint      NOT NULL,
    message_count    bigint      NOT NULL,
    first_seen_at    timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- One row per conversation.
CREATE TABLE sessions (
    -- UUIDv5 of source, agent and the sender's session ID: the writer computes it and needs no
    -- lookup.
    id                      uuid        PRIMARY KEY,
    source                  text        NOT NULL,
    agent_id                text        NOT NULL,
    sender_session_id       text        NOT NULL,
    -- Attributes from the earliest event that has them, each with the time of that event.
    room_name               text,
    room_name_at            timestamptz,
    participant_count       integer,
    participant_count_at    timestamptz,
    -- Earliest room.join; null without one.
    joined_at               timestamptz,
    -- First and last activity: the earlier of an event's time and its arrival.
    started_at              timestamptz NOT NULL,
    last_activity_at        timestamptz NOT NULL,
    -- Start of the five minutes that contain last_activity_at. Lists are read along this column and
    -- sorted within it. An index on last_activity_at itself would change with every message: no
    -- update could then stay within its page (HOT), and each would write every index of the row.
    activity_bucket         timestamptz NOT NULL,
    -- Earliest session end and the sender's reason; null without one. An end by silence is computed
    -- by the reader.
    end_event_at            timestamptz,
    end_reason              text,
    message_count           bigint      NOT NULL DEFAULT 0,
    user_message_count      bigint      NOT NULL DEFAULT 0,
    assistant_message_count bigint      NOT NULL DEFAULT 0,
    -- Delivery that created this row. RETURNING shows whether an upsert was the one.
    first_delivery_id       uuid        NOT NULL,
    -- Latest time that the sender gave an event, also if it is in the future. Messages are between
    -- started_at and the later of this and last_activity_at. Null: not later than
    -- last_activity_at.
    last_event_at           timestamptz,
    -- Latest session end and its reason, if it is later than end_event_at. Later activity revives
    -- the session.
    last_end_at             timestamptz,
    last_end_reason         text
) WITH (fillfactor = 60);

-- GET /v1/agents/{agent_id}/sessions: an agent's sessions, latest activity first.
CREATE INDEX sessions_by_agent_activity ON sessions (agent_id, activity_bucket);
-- GET /v1/sessions: sessions of all agents, latest activity first.
CREATE INDEX sessions_by_activity ON sessions (activity_bucket);
-- GET /v1/sessions/{session_id} with the sender's ID.
CREATE INDEX sessions_by_sender_id ON sessions (sender_session_id);
-- GET /v1/sessions/{session_id}: later sessions that may continue this one, and those that compete
-- with this one to continue an earlier one. Few sessions begin without a join, and neither column
-- changes with a message, so the writer pays almost nothing.
CREATE INDEX sessions_without_join ON sessions (agent_id, started_at) WHERE joined_at IS NULL;

-- One row per chat.push. The key is in the order of the conversation, so a page is one range scan.
-- Partitions are months; src/jobs/partitions.rs creates them in advance.
CREATE TABLE messages (
    session_id  uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    id          uuid        NOT NULL,
    delivery_id uuid        NOT NULL,
    -- The sender's word for the speaker.
    role        text        NOT NULL,
    message     text        NOT NULL,
    -- Time at which the sender sent the event; null if it gave none.
    sent_at     timestamptz,
    received_at timestamptz NOT NULL,
    -- The text had characters that cannot be stored; they are U+FFFD here.
    altered     boolean     NOT NULL,
    -- The sender gave no valid time; occurred_at is received_at.
    undated     boolean     NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE messages_default PARTITION OF messages DEFAULT;

-- Messages whose duplicates the key of messages cannot recognise, since their time may differ: an
-- undated message has the time of its arrival. Here the ID alone decides.
CREATE TABLE guarded_messages (
    session_id uuid    NOT NULL,
    id         uuid    NOT NULL,
    PRIMARY KEY (session_id, id)
);

-- One row per room.join.
CREATE TABLE joins (
    session_id        uuid        NOT NULL,
    id                uuid        NOT NULL,
    delivery_id       uuid        NOT NULL,
    occurred_at       timestamptz NOT NULL,
    received_at       timestamptz NOT NULL,
    room_name         text,
    participant_count integer,
    -- The sender gave no valid time; occurred_at is received_at.
    undated           boolean     NOT NULL,
    PRIMARY KEY (session_id, id)
);

-- One row per other event: ends of sessions, events of the account, unknown types.
CREATE TABLE other_events (
    id          uuid        PRIMARY KEY,
    delivery_id uuid        NOT NULL,
    source      text        NOT NULL,
    event_type  text        NOT NULL,
    agent_id    text,
    -- Null for events of the account.
    session_id  uuid,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    -- Reason of a session end, empty if the sender gave none; null for other events.
    end_reason  text
);

-- Erasure, retention and facts: ends of a session.
CREATE INDEX other_events_by_session ON other_events (session_id) WHERE session_id IS NOT NULL;
-- Erasure of an agent: its events of the account, and whether it has any. Few events have no
-- session.
CREATE INDEX other_events_of_agents ON other_events (agent_id) WHERE session_id IS NULL;

-- One row per delivery with its body and outcome. The quarantined rows are the quarantine.
-- Partitions are days; src/jobs/partitions.rs creates them in advance.
CREATE TABLE deliveries (
    id                 uuid        NOT NULL,
    received_at        timestamptz NOT NULL,
    source             text        NOT NULL,
    -- Generation of the sender's contract; null if the delivery could not be decoded.
    generation         text        CHECK (generation IN ('a', 'b', 'c', 'd', 'account')),
    event_type         text,
    outcome            text        NOT NULL
        CHECK (outcome IN ('stored', 'duplicate', 'test', 'unhandled', 'quarantined')),
    -- Reason of the quarantine, for a person.
    reason             text,
    session_id         uuid,
    agent_id           text,
    -- Facts from the headers. With the body, they are all that decoding it again needs.
    sender_delivery_id text,
    -- The signature was valid.
    signed             boolean     NOT NULL,
    -- The signed timestamp was more than five minutes from our clock.
    stale              boolean     NOT NULL,
    -- It had the header X-Test-Webhook.
    test               boolean     NOT NULL,
    body               bytea       NOT NULL,
    -- Identity of a redacted delivery: the hash of the body as it arrived. Null otherwise.
    event_id           uuid,
    -- GET /v1/deliveries is read along the key. GET /v1/deliveries/{id} finds its row by it, too:
    -- an ID begins with the millisecond of its arrival, which bounds the partition and the range.
    PRIMARY KEY (received_at, id)
) PARTITION BY RANGE (received_at);

CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;

-- GET /v1/deliveries?outcome=…: the few that were not stored. Retention: whether a day has
-- quarantined deliveries.
CREATE INDEX deliveries_not_stored ON deliveries (outcome, received_at, id)
    WHERE outcome <> 'stored';
-- GET /v1/deliveries?session_id=…: a few among millions. A b-tree would be written for every
-- delivery, each time at another place. This index has a Bloom filter for every 32 pages. Vacuum
-- and the job that creates partitions make it once, when the pages are full. A query reads the
-- filters, and the few pages that may have the session. New partitions get the index; the default
-- partition has few rows and is scanned, hence ONLY.
CREATE INDEX deliveries_by_session ON ONLY deliveries
    USING brin (session_id uuid_bloom_ops (n_distinct_per_range = 1000))
    WITH (pages_per_range = 32);

--
-- 3. Journal and changes
--

-- Number of the newest journal entry. A writer increments it last before its commit, and holds the
-- lock on the row until then. So entries become visible in the order of their numbers, which a
-- sequence does not ensure. Nothing else may write it.
CREATE TABLE journal_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL
) WITH (fillfactor = 10);

INSERT INTO journal_head (seq) VALUES (0);

-- One row per transaction that changed conversations, with the keys of what it changed, in the
-- order of commits. Followers (/v1/changes, /v1/stream, the search index, facts) read it from their
-- position on and miss nothing. Keys are in arrays: a row and an index entry per message would cost
-- as much again as the message.
CREATE TABLE journal (
    seq                 bigint        PRIMARY KEY,
    -- Arrival of the newest delivery of the transaction.
    received_at         timestamptz   NOT NULL,
    -- New messages: three arrays of the same length with the parts of their keys.
    message_session_ids uuid[]        NOT NULL,
    message_times       timestamptz[] NOT NULL,
    message_ids         uuid[]        NOT NULL,
    -- New and changed sessions.
    session_ids         uuid[]        NOT NULL,
    -- Erasure: {"id", "kind", "agent_id", "session": {"id", "session_id", "source"} | null, "at"}.
    -- Null in entries of the drain. An entry is never rewritten: its keys of erased rows stay, and
    -- readers skip them, since positions count keys.
    erasure             jsonb
);

-- IDs do not compress, and the attempt costs more than the insert. (CREATE TABLE has STORAGE from
-- PostgreSQL 16 on.)
ALTER TABLE journal
    ALTER message_session_ids SET STORAGE EXTERNAL,
    ALTER message_times SET STORAGE EXTERNAL,
    ALTER message_ids SET STORAGE EXTERNAL,
    ALTER session_ids SET STORAGE EXTERNAL;

-- Journal entries by agent, so that the time and the pages of a bound key's /v1/changes do not
-- depend on other agents. One row per agent and entry, written after the entry.
CREATE TABLE journal_agents (
    agent_id text      NOT NULL,
    seq      bigint    NOT NULL,
    -- Numbers of the agent's items in the entry, from 1: first sessions, then messages, then the
    -- erasure.
    items    integer[] NOT NULL,
    PRIMARY KEY (agent_id, seq)
);

-- Newest entry that has its rows in journal_agents. Whoever adds rows holds the lock on this row.
CREATE TABLE journal_agents_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL
) WITH (fillfactor = 10);

INSERT INTO journal_agents_position (seq) VALUES (0);

--
-- 4. Search
--
-- A follower of the journal writes documents and vocabulary after the answer. Both contain words of
-- messages, and are deleted with them.
--

-- One row per document of a message. A long message has several, so that all of it is found. Agent,
-- source and role are here for filters. Partitions are months, as those of messages.
CREATE TABLE search_parts (
    session_id  uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    id          uuid        NOT NULL,
    -- Number of the document within its message, from 0, and the message's number of documents.
    part        integer     NOT NULL,
    parts       integer     NOT NULL,
    agent_id    text        NOT NULL,
    source      text        NOT NULL,
    role        text        NOT NULL,
    -- Tokens with their places, a mark for the agent and one for the day, and another one if
    -- parts > 1. src/search makes them, so PostgreSQL's dictionaries and locale have no effect.
    terms       tsvector    NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id, part)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE search_parts_default PARTITION OF search_parts DEFAULT;

-- GET /v1/search. It costs more than everything else that is written for a message, so the indexer
-- writes it in batches, after the answer: new entries are collected in a list (fastupdate) and
-- inserted by the thousand. Every search reads the list, so it is kept short: 1,024 kB.
CREATE INDEX search_parts_by_term ON search_parts USING gin (terms)
    WITH (fastupdate = on, gin_pending_list_limit = 1024);

-- Vocabulary: the tokens of each agent's messages. A token without documents is deleted. A search
-- in some agents' messages reads only their rows, so a bound key learns nothing of other agents.
CREATE TABLE search_vocabulary (
    word      text   NOT NULL,
    agent_id  text   NOT NULL,
    -- Number of documents with the token. It decides whether a search begins with the newest
    -- messages.
    documents bigint NOT NULL,
    PRIMARY KEY (word, agent_id)
) WITH (fillfactor = 80);

-- GET /v1/search, if nothing matches whole words: words that contain a part. Pairs of letters are
-- left out, since a trigram has three.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX search_vocabulary_by_part ON search_vocabulary USING gin (word gin_trgm_ops)
            WHERE char_length(word) >= 3;
    END IF;
END
$$;

-- Position of the indexer. Whoever writes or deletes documents or words holds the lock on this row
-- until the end of the transaction.
CREATE TABLE search_progress (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Newest journal entry whose messages have documents.
    seq        bigint      NOT NULL,
    -- Time of the newest message that has a document: a search begins there.
    newest_at  timestamptz,
    -- Generation of the documents (INDEX_VERSION), and the newest entry that a program of this
    -- generation has indexed. If that is not seq, a program of another generation has continued.
    version    integer     NOT NULL,
    made_to    bigint      NOT NULL,
    -- Documents of entries up to stale_to may be missing or of another generation. A rebuild lowers
    -- it from stale_from to 0.
    stale_to   bigint      NOT NULL,
    stale_from bigint      NOT NULL
) WITH (fillfactor = 10);

INSERT INTO search_progress (seq, newest_at, version, made_to, stale_to, stale_from)
VALUES (0, NULL, 0, 0, 0, 0);

--
-- 5. Erasures, tombstones and holds
--

-- One row per erasure: its receipt, and the tombstone that keeps what was erased from being stored
-- again. It is written before the first row is deleted: from then on the writer rejects what it
-- covers, and an interrupted erasure is finished. It contains nothing that was said.
CREATE TABLE erasures (
    -- ID of the receipt.
    id                uuid        PRIMARY KEY,
    kind              text        NOT NULL CHECK (kind IN ('session', 'agent')),
    agent_id          text        NOT NULL,
    -- The session; the three are null if the whole agent is erased.
    session_id        uuid,
    sender_session_id text,
    source            text,
    -- What arrived or happened up to this time is not stored again.
    erased_at         timestamptz NOT NULL,
    -- Null until everything is deleted.
    finished_at       timestamptz,
    -- Number of deleted rows by table.
    counts            jsonb       NOT NULL,
    -- Key that requested it; null for the key of the settings.
    key_id            uuid,
    -- The key was bound to agents: only what provably belongs to its agent is deleted and rejected.
    bound             boolean     NOT NULL DEFAULT false
);

-- Writer, once per batch: erased sessions of the batch.
CREATE INDEX erasures_by_session ON erasures (session_id) WHERE session_id IS NOT NULL;
-- Writer, once per batch: erased agents of the batch.
CREATE INDEX erasures_of_agents ON erasures (agent_id) WHERE session_id IS NULL;
-- Writer: erasures since the arrival of a delivery without a known session.
CREATE INDEX erasures_by_time ON erasures (erased_at);
-- Job that finishes interrupted erasures.
CREATE INDEX erasures_unfinished ON erasures (id) WHERE finished_at IS NULL;

-- IDs of erased events that could return with another time, such as undated ones, or whose time is
-- later than that of the erasure. Nothing can be read from an ID.
CREATE TABLE erased_events (
    id uuid PRIMARY KEY
);

-- One row per hold. What is held is neither erased nor deleted by retention.
CREATE TABLE holds (
    id         uuid        PRIMARY KEY,
    agent_id   text        NOT NULL,
    -- Null: everything of the agent.
    session_id uuid,
    created_at timestamptz NOT NULL,
    -- Key that requested it; null for the key of the settings.
    key_id     uuid
);

-- One hold per session, found by erasure and retention.
CREATE UNIQUE INDEX holds_of_sessions ON holds (session_id) WHERE session_id IS NOT NULL;
-- One hold per agent, found by erasure and retention.
CREATE UNIQUE INDEX holds_of_agents ON holds (agent_id) WHERE session_id IS NULL;

--
-- 6. API keys, browser sessions, saved views, jobs and alerts
--

CREATE TABLE api_keys (
    id           uuid        PRIMARY KEY,
    name         text        NOT NULL,
    -- Only the SHA-256 of a key is stored. A key has 256 random bits, so a slow hash would add
    -- nothing.
    key_sha256   bytea       NOT NULL UNIQUE,
    scopes       text[]      NOT NULL,
    -- Agents that the key is bound to; null for every agent.
    agent_ids    text[],
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    -- Key that made this one, and is revoked together with it. Null: the key of the settings or the
    -- command line.
    made_by      uuid,
    -- The key of all sessions of one-time links. Nobody can send it: its hash is random.
    of_links     boolean     NOT NULL DEFAULT false
);

-- Keys that seal cursors, shared by all services of the database. The newest one seals; older ones
-- open what they sealed. A backup contains them, so cursors survive a restore.
CREATE TABLE cursor_keys (
    id         uuid        PRIMARY KEY,
    -- 256 random bits.
    secret     bytea       NOT NULL CHECK (octet_length(secret) = 32),
    created_at timestamptz NOT NULL
);

-- Signed-in browsers. A few rows: each sign-in deletes the expired ones.
CREATE TABLE browser_sessions (
    -- Only the hash of the cookie's token is stored.
    token_sha256     bytea       PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    -- Hash of the key that signed in, as in api_keys. Null: the key of the settings.
    key_sha256       bytea       CHECK (octet_length(key_sha256) = 32),
    -- HMAC-SHA256 under the token of the hash of the settings' key: a change of that key ends the
    -- session, and the value does not help to guess the key. Null: a key of api_keys.
    settings_key_mac bytea       CHECK (octet_length(settings_key_mac) = 32),
    created_at       timestamptz NOT NULL,
    -- Rounded to the minute.
    last_used_at     timestamptz NOT NULL,
    -- Latest end of the session.
    expires_at       timestamptz NOT NULL,
    CHECK ((key_sha256 IS NULL) <> (settings_key_mac IS NULL))
);

-- One-time links that sign a browser in.
CREATE TABLE sign_in_links (
    -- Only the hash of the link's token is stored.
    token_sha256 bytea       PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    -- Hash of the key that its session belongs to, as in api_keys.
    key_sha256   bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- Null: not used yet.
    used_at      timestamptz
);

-- Filters that a key has saved under a name. Every query has the key's ID, so there is no other
-- index.
CREATE TABLE saved_views (
    -- api_keys.id; the nil UUID for the key of the settings.
    key_id     uuid        NOT NULL,
    name       text        NOT NULL,
    -- Place that the view is for, such as a list of the page; null for any.
    place      text,
    -- Filters as JSON: a string or an object.
    query      text        NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, name)
);

-- Work that a request starts and does not wait for.
CREATE TABLE jobs (
    id                uuid        PRIMARY KEY,
    kind              text        NOT NULL CHECK (kind = 'retry_deliveries'),
    -- Key that requested it; null for the key of the settings.
    key_id            uuid,
    -- Agents that the key sees; null for every agent.
    agents            text[],
    -- Filter on deliveries, as JSON.
    filter            text        NOT NULL,
    created_at        timestamptz NOT NULL,
    state             text        NOT NULL
        CHECK (state IN ('waiting', 'running', 'finished', 'cancelled')),
    started_at        timestamptz,
    finished_at       timestamptz,
    -- Deliveries that matched at the start; null before it.
    total             bigint,
    -- Processed deliveries, and of them those that were stored or stay in quarantine.
    done              bigint      NOT NULL DEFAULT 0,
    stored            bigint      NOT NULL DEFAULT 0,
    still_quarantined bigint      NOT NULL DEFAULT 0,
    last_error        text,
    -- Last processed delivery: the job continues after it.
    reached_at        timestamptz,
    reached_id        uuid,
    -- Service that runs it, and its last report. If that is too old, another service continues.
    service           uuid,
    heartbeat_at      timestamptz
) WITH (fillfactor = 50);

-- GET /v1/jobs: the latest first. Services find the next job along it, too: there are few rows.
CREATE INDEX jobs_by_creation ON jobs (created_at, id);

-- Time of the next evaluation of alerts. The service that moves it evaluates. Rules, receivers and
-- secrets are settings; none is stored.
CREATE TABLE alert_rounds (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    next_at  timestamptz NOT NULL
) WITH (fillfactor = 10);

INSERT INTO alert_rounds (next_at) VALUES ('-infinity');

-- One row per alert.
CREATE TABLE alert_states (
    name         text        PRIMARY KEY,
    status       text        NOT NULL CHECK (status IN ('ok', 'pending', 'firing')),
    -- Time since which the condition has held (pending, firing) or has not held (ok).
    since        timestamptz NOT NULL,
    evaluated_at timestamptz NOT NULL,
    -- Last measured value, in the unit of its metric, with the normal value and the threshold that
    -- it was compared with; null if it could not be measured.
    value        double precision,
    normal       double precision,
    threshold    double precision,
    -- Reason why the last evaluation had no value; null if it had one.
    missing      text,
    -- Agents of the rule; null for every agent.
    agent_ids    text[],
    -- Number of writes: of two services that evaluate at the same time, one writes.
    version      bigint      NOT NULL
) WITH (fillfactor = 50);

-- One row per notification, with the progress of its delivery.
CREATE TABLE alert_events (
    -- ID that the receiver sees.
    id              uuid        PRIMARY KEY,
    name            text        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('firing', 'resolved')),
    at              timestamptz NOT NULL,
    -- Time since which the condition has held, or had held.
    since           timestamptz NOT NULL,
    value           double precision NOT NULL,
    normal          double precision,
    threshold       double precision NOT NULL,
    summary         text        NOT NULL,
    -- Agents of the rule; null for every agent.
    agent_ids       text[],
    -- Body as it is signed and sent.
    body            text        NOT NULL,
    attempts        integer     NOT NULL,
    -- Null after delivery, or if it was given up.
    next_attempt_at timestamptz,
    delivered_at    timestamptz,
    given_up_at     timestamptz,
    -- Error of the last attempt.
    last_error      text
) WITH (fillfactor = 70);

-- GET /v1/alerts/history, and deletion of expired notifications.
CREATE INDEX alert_events_by_time ON alert_events (at, id);
-- GET /v1/alerts, the history of one alert, and whether an earlier notification of it is unsent.
CREATE INDEX alert_events_by_name ON alert_events (name, at, id);
-- Sender: due notifications.
CREATE INDEX alert_events_due ON alert_events (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- One row per running service, with what only it knows: the service that evaluates reads it.
CREATE TABLE alert_services (
    id              uuid        PRIMARY KEY,
    -- Arrival of its oldest delivery that is not in the database yet; null without one.
    undrained_since timestamptz,
    reported_at     timestamptz NOT NULL
) WITH (fillfactor = 50);

--
-- 7. Facts, activity, reply gaps and visits
--
-- Facts are the contribution of each message, join, session end, session and visit to figures. A
-- follower of the journal writes them after the answer, and adds their differences to the sums in
-- the same transaction. None contains anything that was said.
--

-- Position of the follower in the journal. Whoever writes or deletes facts holds the lock on this
-- table until the end of the transaction.
CREATE TABLE facts_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL,
    -- Hash of the visit gaps and roles that the facts were computed with. If it changes, all facts
    -- are computed again.
    settings text    NOT NULL
) WITH (fillfactor = 10);

INSERT INTO facts_position (seq, settings) VALUES (0, '');

-- One row per message, with its key. Each depends only on the message before it, so a late message
-- changes two rows.
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
    -- Start of the visit that begins with this message; null if none does.
    visit_started_at timestamptz,
    -- Microseconds since the message before it in the same visit; null for the first one.
    silence_us       bigint,
    -- First user message of a turn.
    starts_turn      boolean     NOT NULL,
    -- Assistant message right after a user message of the same visit: silence_us is a reply gap.
    is_reply         boolean     NOT NULL,
    -- User message right after a user message of the same visit.
    repeats_turn     boolean     NOT NULL,
    -- It arrived before the message before it.
    out_of_order     boolean     NOT NULL,
    altered          boolean     NOT NULL,
    undated          boolean     NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id)
);

-- /v1/analytics and analytics_v1.messages: messages of a range.
CREATE INDEX message_facts_by_time ON message_facts (occurred_at);
-- /v1/analytics: visits of a range.
CREATE INDEX message_facts_by_visit ON message_facts (visit_started_at)
    WHERE visit_started_at IS NOT NULL;
-- Follower: the fact of an undated message by its ID. The message moves if an earlier arrival of it
-- becomes known.
CREATE INDEX message_facts_undated ON message_facts (session_id, id) WHERE undated;

-- One row per join or session end.
CREATE TABLE presence_facts (
    session_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    agent_id    text        NOT NULL,
    source      text        NOT NULL,
    -- False: a session end.
    is_join     boolean     NOT NULL,
    PRIMARY KEY (session_id, id)
);

-- /v1/analytics and analytics_v1.events: joins and ends of a range.
CREATE INDEX presence_facts_by_time ON presence_facts (occurred_at);

-- One row per session.
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
    -- Microseconds; null if no visit has two messages.
    longest_silence_us bigint,
    -- Flags of completeness. The last two concern only the order.
    no_join            boolean     NOT NULL,
    one_sided          boolean     NOT NULL,
    repeated_user_turn boolean     NOT NULL,
    altered            boolean     NOT NULL,
    out_of_order       boolean     NOT NULL,
    undated            boolean     NOT NULL,
    -- First and last stored event; null without one.
    first_event_at     timestamptz,
    last_event_at      timestamptz,
    -- It lasts for more than a day.
    is_long            boolean     NOT NULL DEFAULT false,
    -- Microseconds.
    duration_us        bigint      NOT NULL GENERATED ALWAYS AS (
        (extract(epoch FROM last_activity_at - started_at) * 1000000)::bigint
    ) STORED
) WITH (fillfactor = 70);

-- /v1/analytics and analytics_v1.sessions: sessions of a range.
CREATE INDEX session_facts_by_start ON session_facts (started_at);
-- /v1/analytics, active sessions: those that reach into a range from more than a day before it.
CREATE INDEX session_facts_long ON session_facts (started_at) WHERE is_long;

-- Value of a session for a metric of sessions, named as in the catalogue: lengths of time in
-- microseconds, 0 or 1 for counts and rates, null if the session has no such value.
CREATE FUNCTION session_value(fact session_facts, metric text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN metric = 'session_duration' THEN fact.duration_us
        WHEN metric = 'messages_per_session' THEN fact.messages
        WHEN metric = 'turns_per_session' THEN fact.turns
        WHEN metric = 'first_reply_gap' THEN fact.first_reply_gap_us
        WHEN metric = 'longest_silence' THEN fact.longest_silence_us
        WHEN metric = 'sessions' THEN 1
        WHEN metric IN ('engaged_sessions', 'engagement_rate') THEN
            (fact.user_messages > 0)::integer
        WHEN metric IN ('silent_sessions', 'silent_rate') THEN
            (fact.user_messages = 0 AND (NOT fact.no_join OR fact.assistant_messages > 0))::integer
        WHEN metric IN ('single_turn_sessions', 'single_turn_rate') THEN (fact.turns = 1)::integer
        WHEN metric = 'incomplete_sessions' THEN (
            fact.no_join OR fact.one_sided OR fact.repeated_user_turn OR fact.altered
        )::integer
    END
$$;

-- Versions of the session facts of each day: a service keeps those of past days in memory. One row
-- per UTC day on which sessions started; a day without a row has none. Whoever writes or deletes
-- facts of a day's sessions gives it another version in the same transaction.
CREATE TABLE session_fact_days (
    day     date PRIMARY KEY,
    version uuid NOT NULL
) WITH (fillfactor = 50);

-- Counts of each fact and the time to which they belong: a row per session, message and visit. Sums
-- of activity are sums of these rows. Figures read them where a range cuts a quarter hour, and
-- `verbatim analytics rebuild --check` compares them with activity.
CREATE VIEW counted_facts AS
SELECT
    'session' AS kind,
    session_id,
    started_at AS at,
    agent_id,
    source,
    NULL AS role,
    1 AS sessions,
    (user_messages > 0)::integer AS engaged,
    (user_messages = 0 AND (NOT no_join OR assistant_messages > 0))::integer AS silent,
    (turns = 1)::integer AS single_turn,
    (no_join OR one_sided OR repeated_user_turn OR altered)::integer AS incomplete,
    no_join::integer AS no_join,
    one_sided::integer AS one_sided,
    repeated_user_turn::integer AS repeated_user_turn,
    altered::integer AS altered,
    out_of_order::integer AS out_of_order,
    undated::integer AS undated,
    (extract(epoch FROM last_activity_at - started_at) * 1000000)::bigint AS duration_us,
    messages AS session_messages,
    turns AS session_turns,
    (first_reply_gap_us IS NOT NULL)::integer AS first_replies,
    COALESCE(first_reply_gap_us, 0) AS first_reply_gap_us,
    (longest_silence_us IS NOT NULL)::integer AS silences,
    COALESCE(longest_silence_us, 0) AS longest_silence_us,
    0 AS messages,
    0 AS user_messages,
    0 AS assistant_messages,
    0 AS turns,
    0 AS replies,
    0::bigint AS reply_gap_us,
    0 AS visits
FROM session_facts
UNION ALL
SELECT
    'message' AS kind,
    session_id,
    occurred_at AS at,
    agent_id,
    source,
    role,
    0 AS sessions,
    0 AS engaged,
    0 AS silent,
    0 AS single_turn,
    0 AS incomplete,
    0 AS no_join,
    0 AS one_sided,
    0 AS repeated_user_turn,
    0 AS altered,
    0 AS out_of_order,
    0 AS undated,
    0::bigint AS duration_us,
    0::bigint AS session_messages,
    0::bigint AS session_turns,
    0 AS first_replies,
    0::bigint AS first_reply_gap_us,
    0 AS silences,
    0::bigint AS longest_silence_us,
    1 AS messages,
    (role = 'user')::integer AS user_messages,
    (role = 'assistant')::integer AS assistant_messages,
    starts_turn::integer AS turns,
    is_reply::integer AS replies,
    CASE WHEN is_reply THEN silence_us ELSE 0 END AS reply_gap_us,
    0 AS visits
FROM message_facts
UNION ALL
SELECT
    'visit' AS kind,
    session_id,
    visit_started_at AS at,
    agent_id,
    source,
    NULL AS role,
    0 AS sessions,
    0 AS engaged,
    0 AS silent,
    0 AS single_turn,
    0 AS incomplete,
    0 AS no_join,
    0 AS one_sided,
    0 AS repeated_user_turn,
    0 AS altered,
    0 AS out_of_order,
    0 AS undated,
    0::bigint AS duration_us,
    0::bigint AS session_messages,
    0::bigint AS session_turns,
    0 AS first_replies,
    0::bigint AS first_reply_gap_us,
    0 AS silences,
    0::bigint AS longest_silence_us,
    0 AS messages,
    0 AS user_messages,
    0 AS assistant_messages,
    0 AS turns,
    0 AS replies,
    0::bigint AS reply_gap_us,
    1 AS visits
FROM message_facts
WHERE visit_started_at IS NOT NULL;

-- Activity: sums of counted_facts by time in UTC, agent and source. Quarter hours are the largest
-- buckets that fit the offset of every time zone; the other levels make long ranges quick.
CREATE TABLE activity (
    -- Width and grouping of the row: 0, 3 and 4 are quarter hours, hours and days over all agents;
    -- 1, 2 and 5 are quarter hours, hours and days by agent.
    level              smallint    NOT NULL,
    -- Empty for rows over all agents.
    agent_id           text        NOT NULL,
    starts_at          timestamptz NOT NULL,
    source             text        NOT NULL,
    -- Sessions that started then, and of them those that count for each metric or have a flag.
    sessions           integer     NOT NULL,
    engaged            integer     NOT NULL,
    silent             integer     NOT NULL,
    single_turn        integer     NOT NULL,
    incomplete         integer     NOT NULL,
    no_join            integer     NOT NULL,
    one_sided          integer     NOT NULL,
    repeated_user_turn integer     NOT NULL,
    altered            integer     NOT NULL,
    out_of_order       integer     NOT NULL,
    undated            integer     NOT NULL,
    -- Sums over these sessions: duration, messages and turns.
    duration_us        bigint      NOT NULL,
    session_messages   bigint      NOT NULL,
    session_turns      bigint      NOT NULL,
    -- Of these sessions, those with a reply and the sum of their first reply gaps; those with a
    -- silence within a visit and the sum of their longest silences.
    first_replies      integer     NOT NULL,
    first_reply_gap_us bigint      NOT NULL,
    silences           integer     NOT NULL,
    longest_silence_us bigint      NOT NULL,
    -- Messages of that time; of them those of each role, those that start a turn, and the replies
    -- with the sum of their reply gaps.
    messages           integer     NOT NULL,
    user_messages      integer     NOT NULL,
    assistant_messages integer     NOT NULL,
    turns              integer     NOT NULL,
    replies            integer     NOT NULL,
    reply_gap_us       bigint      NOT NULL,
    -- Visits that started then.
    visits             integer     NOT NULL,
    PRIMARY KEY (level, agent_id, starts_at, source)
) PARTITION BY LIST (level);

-- Every batch of the follower updates the newest rows, in place.
CREATE TABLE activity_of_all PARTITION OF activity FOR VALUES IN (0) WITH (fillfactor = 70);
CREATE TABLE activity_by_agent PARTITION OF activity FOR VALUES IN (1) WITH (fillfactor = 70);
CREATE TABLE activity_by_agent_and_hour PARTITION OF activity FOR VALUES IN (2)
    WITH (fillfactor = 70);
CREATE TABLE activity_of_all_by_hour PARTITION OF activity FOR VALUES IN (3)
    WITH (fillfactor = 70);
CREATE TABLE activity_of_all_by_day PARTITION OF activity FOR VALUES IN (4) WITH (fillfactor = 70);
CREATE TABLE activity_by_agent_and_day PARTITION OF activity FOR VALUES IN (5)
    WITH (fillfactor = 70);

-- /v1/analytics and analytics_v1.activity_15m: rows of a range, whatever their agent.
CREATE INDEX activity_by_time ON activity (starts_at);

-- Rows of activity computed from facts, between two bounds that are full days in UTC.
CREATE FUNCTION activity_of_facts(from_at timestamptz, to_at timestamptz)
RETURNS SETOF activity
LANGUAGE sql STABLE AS $$
    SELECT
        l.level,
        CASE WHEN l.level IN (0, 3, 4) THEN '' ELSE f.agent_id END,
        date_bin(l.width, f.at, '2000-01-01T00:00:00Z'),
        f.source,
        sum(f.sessions)::integer,
        sum(f.engaged)::integer,
        sum(f.silent)::integer,
        sum(f.single_turn)::integer,
        sum(f.incomplete)::integer,
        sum(f.no_join)::integer,
        sum(f.one_sided)::integer,
        sum(f.repeated_user_turn)::integer,
        sum(f.altered)::integer,
        sum(f.out_of_order)::integer,
        sum(f.undated)::integer,
        sum(f.duration_us)::bigint,
        sum(f.session_messages)::bigint,
        sum(f.session_turns)::bigint,
        sum(f.first_replies)::integer,
        sum(f.first_reply_gap_us)::bigint,
        sum(f.silences)::integer,
        sum(f.longest_silence_us)::bigint,
        sum(f.messages)::integer,
        sum(f.user_messages)::integer,
        sum(f.assistant_messages)::integer,
        sum(f.turns)::integer,
        sum(f.replies)::integer,
        sum(f.reply_gap_us)::bigint,
        sum(f.visits)::integer
    FROM counted_facts AS f
    CROSS JOIN (
        VALUES
            (0::smallint, '15 minutes'::interval),
            (1::smallint, '15 minutes'::interval),
            (2::smallint, '1 hour'::interval),
            (3::smallint, '1 hour'::interval),
            (4::smallint, '1 day'::interval),
            (5::smallint, '1 day'::interval)
    ) AS l (level, width)
    WHERE f.at >= from_at AND f.at < to_at
    GROUP BY 1, 2, 3, 4
$$;

-- Rows of activity of one level, with their bucket (from 1) and group. They are the rows that begin
-- at one of starts or, if that is null, in one of two ranges, of which one can be empty. agents and
-- sources filter; null is all. counts are in the order of activity's columns. They are one array,
-- since an aggregate of 25 columns for buckets of one row took most of the time of a series by
-- hour.
CREATE FUNCTION activity_rows(
    buckets timestamptz[],
    split text,
    level smallint,
    starts timestamptz[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
    agents text[],
    sources text[]
) RETURNS TABLE (bucket integer, split text, counts bigint[])
LANGUAGE sql STABLE AS $$
    SELECT
        width_bucket(a.starts_at, $1),
        CASE $2 WHEN 'agent' THEN a.agent_id WHEN 'source' THEN a.source END,
        ARRAY[
            a.sessions, a.engaged, a.silent, a.single_turn, a.incomplete, a.no_join, a.one_sided,
            a.repeated_user_turn, a.altered, a.out_of_order, a.undated, a.duration_us,
            a.session_messages, a.session_turns, a.first_replies, a.first_reply_gap_us, a.silences,
            a.longest_silence_us, a.messages, a.user_messages, a.assistant_messages, a.turns,
            a.replies, a.reply_gap_us, a.visits
        ]::bigint[]
    FROM activity AS a
    WHERE a.level = $3
        AND ($4 IS NULL OR a.starts_at = ANY ($4))
        AND (
            $4 IS NOT NULL
            OR a.starts_at >= $5 AND a.starts_at < $6
            OR a.starts_at >= $7 AND a.starts_at < $8
        )
        AND ($9 IS NULL OR a.agent_id = ANY ($9))
        AND ($10 IS NULL OR a.source = ANY ($10))
$$;

-- The same rows, summed by bucket and group.
CREATE FUNCTION activity_sums(
    buckets timestamptz[],
    split text,
    level smallint,
    starts timestamptz[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
    agents text[],
    sources text[]
) RETURNS TABLE (bucket integer, split text, counts bigint[])
LANGUAGE sql STABLE AS $$
    SELECT
        width_bucket(a.starts_at, $1),
        CASE $2 WHEN 'agent' THEN a.agent_id WHEN 'source' THEN a.source END,
        ARRAY[
            sum(a.sessions), sum(a.engaged), sum(a.silent), sum(a.single_turn), sum(a.incomplete),
            sum(a.no_join), sum(a.one_sided), sum(a.repeated_user_turn), sum(a.altered),
            sum(a.out_of_order), sum(a.undated), sum(a.duration_us), sum(a.session_messages),
            sum(a.session_turns), sum(a.first_replies), sum(a.first_reply_gap_us), sum(a.silences),
            sum(a.longest_silence_us), sum(a.messages), sum(a.user_messages),
            sum(a.assistant_messages), sum(a.turns), sum(a.replies), sum(a.reply_gap_us),
            sum(a.visits)
        ]::bigint[]
    FROM activity AS a
    WHERE a.level = $3
        AND ($4 IS NULL OR a.starts_at = ANY ($4))
        AND (
            $4 IS NOT NULL
            OR a.starts_at >= $5 AND a.starts_at < $6
            OR a.starts_at >= $7 AND a.starts_at < $8
        )
        AND ($9 IS NULL OR a.agent_id = ANY ($9))
        AND ($10 IS NULL OR a.source = ANY ($10))
    GROUP BY 1, 2
$$;

-- Counts of facts of some kinds in two ranges, by bucket and group, in the order of activity's
-- columns. visible, agents, sources and rooms filter; null is all. Not one function with the stored
-- rows: planning both took longer than reading the stored rows.
CREATE FUNCTION fact_sums(
    buckets timestamptz[],
    split text,
    kinds text[],
    from_1 timestamptz,
    to_1 timestamptz,
    from_2 timestamptz,
    to_2 timestamptz,
    visible text[],
    agents text[],
    sources text[],
    rooms text[]
) RETURNS TABLE (bucket integer, split text, counts bigint[])
LANGUAGE sql STABLE AS $$
    SELECT
        width_bucket(f.at, $1),
        CASE $2 WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source WHEN 'role' THEN f.role END,
        ARRAY[
            sum(f.sessions), sum(f.engaged), sum(f.silent), sum(f.single_turn), sum(f.incomplete),
            sum(f.no_join), sum(f.one_sided), sum(f.repeated_user_turn), sum(f.altered),
            sum(f.out_of_order), sum(f.undated), sum(f.duration_us), sum(f.session_messages),
            sum(f.session_turns), sum(f.first_replies), sum(f.first_reply_gap_us), sum(f.silences),
            sum(f.longest_silence_us), sum(f.messages), sum(f.user_messages),
            sum(f.assistant_messages), sum(f.turns), sum(f.replies), sum(f.reply_gap_us),
            sum(f.visits)
        ]::bigint[]
    FROM counted_facts AS f
    WHERE f.kind = ANY ($3)
        AND (f.at >= $4 AND f.at < $5 OR f.at >= $6 AND f.at < $7)
        AND ($8 IS NULL OR f.agent_id = ANY ($8))
        AND ($9 IS NULL OR f.agent_id = ANY ($9))
        AND ($10 IS NULL OR f.source = ANY ($10))
        AND ($11 IS NULL OR f.session_id IN (
            SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($11)
        ))
    GROUP BY 1, 2
$$;

-- Bin of a length in microseconds: its leading seven bits, and the number of bits after them.
-- src/analytics/bins.rs computes the same.
CREATE FUNCTION reply_gap_bin(us bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN us < 128 THEN GREATEST(us, 0)
        ELSE (length(ltrim(us::bit(64)::text, '0')) - 7) * 64
            + (us >> (length(ltrim(us::bit(64)::text, '0')) - 7))
    END::integer
$$;

-- Reply gaps counted by bin, for percentiles over long ranges. Key and levels are those of
-- activity, without level 5.
CREATE TABLE reply_gaps (
    level     smallint    NOT NULL,
    -- Empty for rows over all agents.
    agent_id  text        NOT NULL,
    starts_at timestamptz NOT NULL,
    source    text        NOT NULL,
    -- Bins in ascending order, and the number of reply gaps in each.
    bins      integer[]   NOT NULL,
    counts    integer[]   NOT NULL,
    PRIMARY KEY (level, agent_id, starts_at, source)
) PARTITION BY LIST (level);

CREATE TABLE reply_gaps_of_all PARTITION OF reply_gaps FOR VALUES IN (0) WITH (fillfactor = 70);
CREATE TABLE reply_gaps_by_agent PARTITION OF reply_gaps FOR VALUES IN (1) WITH (fillfactor = 70);
CREATE TABLE reply_gaps_by_agent_and_hour PARTITION OF reply_gaps FOR VALUES IN (2)
    WITH (fillfactor = 70);
CREATE TABLE reply_gaps_of_all_by_hour PARTITION OF reply_gaps FOR VALUES IN (3)
    WITH (fillfactor = 70);
CREATE TABLE reply_gaps_of_all_by_day PARTITION OF reply_gaps FOR VALUES IN (4)
    WITH (fillfactor = 70);

-- /v1/analytics: rows of a range, whatever their agent.
CREATE INDEX reply_gaps_by_time ON reply_gaps (starts_at);

-- Rows of reply_gaps computed from facts, between two bounds that are full days in UTC.
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

-- Visits computed from the facts of their messages, in the order of visit_facts' columns.
CREATE VIEW computed_visits AS
SELECT
    m.session_id,
    m.number,
    min(m.agent_id) AS agent_id,
    min(m.source) AS source,
    min(m.visit_started_at) AS started_at,
    min(m.occurred_at) AS first_message_at,
    max(m.occurred_at) AS last_message_at,
    count(*) AS messages,
    count(*) FILTER (WHERE m.role = 'user') AS user_messages,
    count(*) FILTER (WHERE m.role = 'assistant') AS assistant_messages,
    count(*) FILTER (WHERE m.starts_turn) AS turns
FROM (
    SELECT
        f.*,
        count(f.visit_started_at)
            OVER (PARTITION BY f.session_id ORDER BY f.occurred_at, f.tie, f.id) AS number
    FROM message_facts AS f
) AS m
WHERE m.number > 0
GROUP BY m.session_id, m.number;

-- One row per visit: computed_visits as the follower stores it, since computing the visits of a
-- month took seconds. The last visit of a session changes with each of its messages, hence the
-- fillfactor.
CREATE TABLE visit_facts (
    session_id         uuid        NOT NULL,
    -- Place of the visit in its session, from 1.
    number             bigint      NOT NULL,
    agent_id           text        NOT NULL,
    source             text        NOT NULL,
    started_at         timestamptz NOT NULL,
    first_message_at   timestamptz NOT NULL,
    last_message_at    timestamptz NOT NULL,
    messages           bigint      NOT NULL,
    user_messages      bigint      NOT NULL,
    assistant_messages bigint      NOT NULL,
    turns              bigint      NOT NULL,
    PRIMARY KEY (session_id, number)
) WITH (fillfactor = 70);

-- analytics_v1.visits: visits of a range.
CREATE INDEX visit_facts_by_start ON visit_facts (started_at);

--
-- 8. Schema analytics_v1
--
-- Views and a function for other programs (docs/setup/readers.md). Changes only add: no view or
-- column is ever renamed or removed, and none gets another type or meaning.
--
-- Views run with the rights of their owner, so a reader needs rights on this schema only. No view
-- hides rows that another one shows. So none is a security barrier, which would keep conditions
-- from using indexes. Only message_texts contains text.
--

CREATE SCHEMA analytics_v1;
COMMENT ON SCHEMA analytics_v1 IS
    'Figures over conversations, for other programs. Views and columns are only ever added.';

CREATE VIEW analytics_v1.sessions AS
SELECT
    f.session_id AS id,
    s.sender_session_id AS session_id,
    f.agent_id,
    f.source,
    f.room_name,
    s.participant_count,
    CASE
        WHEN s.joined_at IS NOT NULL THEN 'room.join'
        WHEN f.messages > 0 THEN 'chat.push'
    END AS opened_by,
    f.started_at,
    f.last_activity_at,
    extract(epoch FROM f.last_activity_at - f.started_at)::double precision AS duration_seconds,
    f.messages AS message_count,
    f.user_messages AS user_message_count,
    f.assistant_messages AS assistant_message_count,
    f.turns AS turn_count,
    f.first_reply_gap_us / 1000000::double precision AS first_reply_gap_seconds,
    f.longest_silence_us / 1000000::double precision AS longest_silence_seconds,
    f.user_messages > 0 AS engaged,
    f.user_messages = 0 AND (NOT f.no_join OR f.assistant_messages > 0) AS silent,
    f.turns = 1 AS single_turn,
    f.no_join OR f.one_sided OR f.repeated_user_turn OR f.altered AS incomplete,
    f.no_join,
    f.one_sided,
    f.repeated_user_turn,
    f.altered,
    f.out_of_order,
    f.undated
FROM session_facts AS f
LEFT JOIN sessions AS s ON s.id = f.session_id;

COMMENT ON VIEW analytics_v1.sessions IS 'One row a session.';
COMMENT ON COLUMN analytics_v1.sessions.id IS
    'Our id of the session, unique. Other views have it as session_uuid.';
COMMENT ON COLUMN analytics_v1.sessions.session_id IS
    'The sender''s id. Two agents or sources may share one.';
COMMENT ON COLUMN analytics_v1.sessions.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.sessions.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.sessions.room_name IS 'The room; null where the sender named none.';
COMMENT ON COLUMN analytics_v1.sessions.participant_count IS
    'Participants at the start; null where the sender did not say.';
COMMENT ON COLUMN analytics_v1.sessions.opened_by IS
    'room.join, or chat.push where the first event was a message; null without either.';
COMMENT ON COLUMN analytics_v1.sessions.started_at IS
    'First event, or its arrival where that was earlier.';
COMMENT ON COLUMN analytics_v1.sessions.last_activity_at IS
    'Last event, or its arrival where that was earlier.';
COMMENT ON COLUMN analytics_v1.sessions.duration_seconds IS
    'Time from a session''s start to its last activity.';
COMMENT ON COLUMN analytics_v1.sessions.message_count IS
    'Messages of each session. A session without messages counts as 0.';
COMMENT ON COLUMN analytics_v1.sessions.user_message_count IS 'Messages of the user.';
COMMENT ON COLUMN analytics_v1.sessions.assistant_message_count IS 'Messages of the assistant.';
COMMENT ON COLUMN analytics_v1.sessions.turn_count IS
    'User turns of each session. A session without turns counts as 0.';
COMMENT ON COLUMN analytics_v1.sessions.first_reply_gap_seconds IS
    'First reply gap of each session. Sessions without a reply are left out. Here they are null.';
COMMENT ON COLUMN analytics_v1.sessions.longest_silence_seconds IS
    'Longest gap between two messages of one visit. Sessions without such a gap are left out. Here they are null.';
COMMENT ON COLUMN analytics_v1.sessions.engaged IS 'Sessions with at least one user message.';
COMMENT ON COLUMN analytics_v1.sessions.silent IS
    'Sessions with a join or an assistant message, and without any user message: a dead microphone, or somebody who walks past.';
COMMENT ON COLUMN analytics_v1.sessions.single_turn IS 'Sessions with exactly one user turn.';
COMMENT ON COLUMN analytics_v1.sessions.incomplete IS
    'Sessions of which something may be missing. By flag: sessions with that flag, also where it only doubts the order.';
COMMENT ON COLUMN analytics_v1.sessions.no_join IS 'Flag: the first event was not a join.';
COMMENT ON COLUMN analytics_v1.sessions.one_sided IS
    'Flag: there are messages, but none of the user or none of the assistant.';
COMMENT ON COLUMN analytics_v1.sessions.repeated_user_turn IS
    'Flag: a user message follows a user message of the same visit, so a reply may be missing.';
COMMENT ON COLUMN analytics_v1.sessions.altered IS
    'Flag: the text of a message held characters that cannot be stored.';
COMMENT ON COLUMN analytics_v1.sessions.out_of_order IS
    'Flag: a message arrived before one that was said earlier. It doubts the order alone.';
COMMENT ON COLUMN analytics_v1.sessions.undated IS
    'Flag: a message has no time that makes sense and is placed by its arrival. It doubts the order alone.';

CREATE VIEW analytics_v1.messages AS
SELECT
    id,
    session_id AS session_uuid,
    agent_id,
    source,
    role,
    occurred_at,
    tie,
    silence_us / 1000000::double precision AS silence_seconds,
    CASE WHEN is_reply THEN silence_us / 1000000::double precision END AS reply_gap_seconds,
    visit_started_at IS NOT NULL AS starts_visit,
    starts_turn,
    is_reply,
    repeats_turn,
    out_of_order,
    altered,
    undated
FROM message_facts;

COMMENT ON VIEW analytics_v1.messages IS 'One row a message, without its text.';
COMMENT ON COLUMN analytics_v1.messages.id IS 'Id of the message, as in the API.';
COMMENT ON COLUMN analytics_v1.messages.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.messages.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.messages.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.messages.role IS 'user, assistant, or another role in lower case.';
COMMENT ON COLUMN analytics_v1.messages.occurred_at IS 'When it was said.';
COMMENT ON COLUMN analytics_v1.messages.tie IS
    'Order among messages of one session at the same time, from 0: sort by occurred_at, tie.';
COMMENT ON COLUMN analytics_v1.messages.silence_seconds IS
    'Time since the message before it in the same visit; null for a visit''s first message.';
COMMENT ON COLUMN analytics_v1.messages.reply_gap_seconds IS
    'Time from a user message to the assistant message right after it in the same visit. It includes speaking time, since a message arrives when it is finished. Null for messages that are no reply.';
COMMENT ON COLUMN analytics_v1.messages.starts_visit IS 'The first message of a visit.';
COMMENT ON COLUMN analytics_v1.messages.starts_turn IS 'The first message of a user turn.';
COMMENT ON COLUMN analytics_v1.messages.is_reply IS
    'An assistant message right after a user message of the same visit.';
COMMENT ON COLUMN analytics_v1.messages.repeats_turn IS
    'A user message right after a user message of the same visit.';
COMMENT ON COLUMN analytics_v1.messages.out_of_order IS 'It arrived before the message before it.';
COMMENT ON COLUMN analytics_v1.messages.altered IS
    'Its text held characters that cannot be stored.';
COMMENT ON COLUMN analytics_v1.messages.undated IS
    'It has no time that makes sense; occurred_at is its arrival.';

CREATE VIEW analytics_v1.visits AS
SELECT
    session_id AS session_uuid,
    number,
    agent_id,
    source,
    started_at,
    first_message_at,
    last_message_at,
    extract(epoch FROM last_message_at - started_at)::double precision AS duration_seconds,
    messages AS message_count,
    user_messages AS user_message_count,
    assistant_messages AS assistant_message_count,
    turns AS turn_count
FROM visit_facts;

COMMENT ON VIEW analytics_v1.visits IS 'One row a visit: part of a session without a silence longer than the visit gap.';
COMMENT ON COLUMN analytics_v1.visits.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.visits.number IS 'Place of the visit in its session, from 1.';
COMMENT ON COLUMN analytics_v1.visits.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.visits.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.visits.started_at IS
    'Join shortly before the first message, or the first message.';
COMMENT ON COLUMN analytics_v1.visits.first_message_at IS 'First message.';
COMMENT ON COLUMN analytics_v1.visits.last_message_at IS 'Last message.';
COMMENT ON COLUMN analytics_v1.visits.duration_seconds IS
    'Time from the visit''s start to its last message.';
COMMENT ON COLUMN analytics_v1.visits.message_count IS 'Messages of any role.';
COMMENT ON COLUMN analytics_v1.visits.user_message_count IS 'Messages of the user.';
COMMENT ON COLUMN analytics_v1.visits.assistant_message_count IS 'Messages of the assistant.';
COMMENT ON COLUMN analytics_v1.visits.turn_count IS 'User turns that start in the visit.';

CREATE VIEW analytics_v1.turns AS
SELECT
    f.id,
    f.session_id AS session_uuid,
    f.agent_id,
    f.source,
    f.occurred_at AS started_at,
    said.last_message_at,
    said.message_count,
    CASE WHEN following.is_reply THEN following.occurred_at END AS reply_at,
    CASE WHEN following.is_reply THEN following.silence_us / 1000000::double precision END
        AS reply_gap_seconds
FROM message_facts AS f
LEFT JOIN LATERAL (
    -- First message after the turn. It is an aggregate, since the planner drops an unused join if
    -- it knows that the join has one row.
    SELECT
        max(n.occurred_at) AS occurred_at,
        max(n.tie) AS tie,
        bool_or(n.is_reply) AS is_reply,
        max(n.silence_us) AS silence_us
    FROM (
        SELECT m.occurred_at, m.tie, m.is_reply, m.silence_us
        FROM message_facts AS m
        WHERE m.session_id = f.session_id
            AND m.occurred_at >= f.occurred_at
            AND (m.occurred_at, m.tie) > (f.occurred_at, f.tie)
            AND NOT m.repeats_turn
        ORDER BY m.occurred_at, m.tie
        LIMIT 1
    ) AS n
) AS following ON true
LEFT JOIN LATERAL (
    SELECT max(m.occurred_at) AS last_message_at, count(*) AS message_count
    FROM message_facts AS m
    WHERE m.session_id = f.session_id
        AND m.occurred_at >= f.occurred_at
        AND m.occurred_at <= COALESCE(following.occurred_at, 'infinity')
        AND (m.occurred_at, m.tie) >= (f.occurred_at, f.tie)
        AND (
            following.occurred_at IS NULL
            OR (m.occurred_at, m.tie) < (following.occurred_at, following.tie)
        )
) AS said ON true
WHERE f.starts_turn;

COMMENT ON VIEW analytics_v1.turns IS 'One row a user turn: an unbroken run of user messages within a visit.';
COMMENT ON COLUMN analytics_v1.turns.id IS 'Id of its first message.';
COMMENT ON COLUMN analytics_v1.turns.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.turns.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.turns.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.turns.started_at IS 'First message of the turn.';
COMMENT ON COLUMN analytics_v1.turns.last_message_at IS 'Last message of the turn.';
COMMENT ON COLUMN analytics_v1.turns.message_count IS 'User messages of the turn.';
COMMENT ON COLUMN analytics_v1.turns.reply_at IS
    'The assistant''s reply; null where another message or none follows in the visit.';
COMMENT ON COLUMN analytics_v1.turns.reply_gap_seconds IS
    'Time from the last message of the turn to the reply; null without a reply.';

CREATE VIEW analytics_v1.events AS
SELECT
    session_id AS session_uuid,
    agent_id,
    source,
    'message' AS kind,
    occurred_at
FROM message_facts
UNION ALL
SELECT
    session_id,
    agent_id,
    source,
    CASE WHEN is_join THEN 'join' ELSE 'end' END,
    occurred_at
FROM presence_facts;

COMMENT ON VIEW analytics_v1.events IS 'One row a message, join or session end: what makes a session or an agent active.';
COMMENT ON COLUMN analytics_v1.events.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.events.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.events.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.events.kind IS 'message, join or end.';
COMMENT ON COLUMN analytics_v1.events.occurred_at IS 'When it happened.';

CREATE VIEW analytics_v1.agents AS
SELECT agent_id, session_count, message_count, first_seen_at, last_activity_at
FROM agents;

COMMENT ON VIEW analytics_v1.agents IS 'One row an agent.';
COMMENT ON COLUMN analytics_v1.agents.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.agents.session_count IS 'Its sessions.';
COMMENT ON COLUMN analytics_v1.agents.message_count IS 'Messages in them.';
COMMENT ON COLUMN analytics_v1.agents.first_seen_at IS 'Its first event.';
COMMENT ON COLUMN analytics_v1.agents.last_activity_at IS 'Its last event.';

-- Rows of activity, which the follower updates: a range costs only its rows.
CREATE VIEW analytics_v1.activity_15m AS
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
    -- Without rows that an erasure has emptied.
    AND sessions + visits + messages > 0;

COMMENT ON VIEW analytics_v1.activity_15m IS 'Counts and sums by quarter of an hour (UTC), agent and source. Quarters without any are left out.';
COMMENT ON COLUMN analytics_v1.activity_15m.start IS
    'Start of the quarter. Every time zone''s days and hours are whole quarters, except at some shifts before 2012.';
COMMENT ON COLUMN analytics_v1.activity_15m.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.activity_15m.source IS 'The source.';
COMMENT ON COLUMN analytics_v1.activity_15m.sessions IS 'Sessions that started.';
COMMENT ON COLUMN analytics_v1.activity_15m.engaged_sessions IS
    'Sessions with at least one user message.';
COMMENT ON COLUMN analytics_v1.activity_15m.silent_sessions IS
    'Sessions with a join or an assistant message, and without any user message: a dead microphone, or somebody who walks past.';
COMMENT ON COLUMN analytics_v1.activity_15m.single_turn_sessions IS
    'Sessions with exactly one user turn.';
COMMENT ON COLUMN analytics_v1.activity_15m.incomplete_sessions IS
    'Sessions of which something may be missing.';
COMMENT ON COLUMN analytics_v1.activity_15m.visits IS
    'Visits that started. A silence longer than the visit gap splits a session into visits.';
COMMENT ON COLUMN analytics_v1.activity_15m.messages IS 'Messages of any role.';
COMMENT ON COLUMN analytics_v1.activity_15m.user_messages IS 'Messages of the user.';
COMMENT ON COLUMN analytics_v1.activity_15m.assistant_messages IS 'Messages of the assistant.';
COMMENT ON COLUMN analytics_v1.activity_15m.turns IS
    'User turns: unbroken runs of user messages within a visit. A message of any other role ends a turn.';
COMMENT ON COLUMN analytics_v1.activity_15m.session_duration_seconds IS
    'Sum of the durations of the sessions that started: divide by sessions.';
COMMENT ON COLUMN analytics_v1.activity_15m.reply_gaps IS 'Replies: messages with a reply gap.';
COMMENT ON COLUMN analytics_v1.activity_15m.reply_gap_seconds IS
    'Sum of the reply gaps: divide by reply_gaps.';
COMMENT ON COLUMN analytics_v1.activity_15m.first_reply_gaps IS
    'Sessions that started and have a reply.';
COMMENT ON COLUMN analytics_v1.activity_15m.first_reply_gap_seconds IS
    'Sum of their first reply gaps: divide by first_reply_gaps.';
COMMENT ON COLUMN analytics_v1.activity_15m.longest_silences IS
    'Sessions that started and have a longest silence.';
COMMENT ON COLUMN analytics_v1.activity_15m.longest_silence_seconds IS
    'Sum of their longest silences: divide by longest_silences.';

-- Only for readers that are created with --with-text. The text is not a column of messages, since
-- programs select every column of a view, and would fail on one that they may not read.
CREATE VIEW analytics_v1.message_texts AS
SELECT
    m.id,
    m.session_id AS session_uuid,
    s.agent_id,
    s.source,
    m.role,
    m.occurred_at,
    m.sent_at,
    m.received_at,
    m.message,
    m.altered
FROM messages AS m
JOIN sessions AS s ON s.id = m.session_id;

COMMENT ON VIEW analytics_v1.message_texts IS 'One row a message, with its text. For readers made with --with-text alone.';
COMMENT ON COLUMN analytics_v1.message_texts.id IS 'Id of the message, as in the API.';
COMMENT ON COLUMN analytics_v1.message_texts.session_uuid IS 'Session: id in the view sessions.';
COMMENT ON COLUMN analytics_v1.message_texts.agent_id IS 'The agent.';
COMMENT ON COLUMN analytics_v1.message_texts.source IS 'The source that delivered it.';
COMMENT ON COLUMN analytics_v1.message_texts.role IS 'The sender''s word for the speaker.';
COMMENT ON COLUMN analytics_v1.message_texts.occurred_at IS 'When it was said.';
COMMENT ON COLUMN analytics_v1.message_texts.sent_at IS
    'When the sender sent it; null where it did not say.';
COMMENT ON COLUMN analytics_v1.message_texts.received_at IS 'When it arrived.';
COMMENT ON COLUMN analytics_v1.message_texts.message IS 'What was said.';
COMMENT ON COLUMN analytics_v1.message_texts.altered IS
    'The text held characters that cannot be stored; they are shown as U+FFFD.';

-- Divides a range into time buckets, as src/analytics/calendar.rs does, with the server's time
-- zones.
CREATE FUNCTION analytics_v1.buckets(
    "from" timestamptz,
    "to" timestamptz,
    bucket text,
    tz text DEFAULT 'UTC',
    week_starts text DEFAULT 'monday'
)
RETURNS TABLE (start timestamptz, "end" timestamptz, local_start timestamp, whole boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 200
SET search_path = pg_catalog
AS $$
DECLARE
    most CONSTANT integer := 50000;
    step CONSTANT interval := CASE bucket
        WHEN 'minute' THEN '1 minute' WHEN '15m' THEN '15 minutes' WHEN 'hour' THEN '1 hour'
    END;
    weekday CONSTANT integer := array_position(
        ARRAY['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'],
        week_starts
    );
    origin CONSTANT timestamp := '2000-01-01 00:00:00';
    made integer := 0;
    -- Start of the row, and its place in the zone.
    at timestamptz := "from";
    is_start boolean := false;
    -- First day of a bucket, and the instant at which it begins.
    day date;
    boundary timestamptz;
    -- Bounds of the search for a shift of the clock.
    low timestamptz;
    high timestamptz;
    middle timestamptz;
    ahead interval;
BEGIN
    IF "from" IS NULL OR "to" IS NULL OR NOT isfinite("from") OR NOT isfinite("to") THEN
        RAISE EXCEPTION 'buckets need a first and a last instant' USING ERRCODE = '22023';
    ELSIF "from" >= "to" THEN
        RAISE EXCEPTION 'the range of buckets is empty: from % to %', "from", "to"
            USING ERRCODE = '22023';
    ELSIF bucket IS NULL OR bucket NOT IN ('minute', '15m', 'hour', 'day', 'week', 'month') THEN
        RAISE EXCEPTION 'unknown bucket: %', bucket USING ERRCODE = '22023',
            HINT = 'Use minute, 15m, hour, day, week or month.';
    ELSIF weekday IS NULL THEN
        RAISE EXCEPTION 'unknown day of the week: %', week_starts USING ERRCODE = '22023',
            HINT = 'Use monday, tuesday, wednesday, thursday, friday, saturday or sunday.';
    ELSIF tz IS NULL THEN
        RAISE EXCEPTION 'buckets need a time zone' USING ERRCODE = '22023';
    END IF;
    day := (at AT TIME ZONE tz)::date;
    IF bucket = 'week' THEN
        day := day - (extract(isodow FROM day)::integer - weekday + 7) % 7;
    ELSIF bucket = 'month' THEN
        day := date_trunc('month', day::timestamp)::date;
    END IF;
    IF step IS NOT NULL THEN
        is_start := date_bin(step, at AT TIME ZONE tz, origin) = at AT TIME ZONE tz
            OR date_bin(step, at AT TIME ZONE tz, origin)
                <> date_bin(step, (at - interval '1 microsecond') AT TIME ZONE tz, origin);
    END IF;
    LOOP
        -- Find the first boundary after `at`.
        IF step IS NOT NULL THEN
            boundary := at;
            LOOP
                low := boundary;
                boundary := low
                    + (date_bin(step, low AT TIME ZONE tz, origin) + step - low AT TIME ZONE tz);
                ahead := low AT TIME ZONE tz - low AT TIME ZONE 'UTC';
                EXIT WHEN boundary AT TIME ZONE tz - boundary AT TIME ZONE 'UTC' = ahead;
                -- The clock is shifted before that. It is at a full second.
                high := boundary;
                low := date_trunc('second', low);
                WHILE high - low > interval '1 second' LOOP
                    middle := low + make_interval(secs => floor(extract(epoch FROM high - low) / 2));
                    IF middle AT TIME ZONE tz - middle AT TIME ZONE 'UTC' <> ahead THEN
                        high := middle;
                    ELSE
                        low := middle;
                    END IF;
                END LOOP;
                boundary := high;
                EXIT WHEN date_bin(step, high AT TIME ZONE tz, origin) = high AT TIME ZONE tz
                    OR date_bin(step, high AT TIME ZONE tz, origin)
                        <> date_bin(step, (high - interval '1 microsecond') AT TIME ZONE tz, origin);
            END LOOP;
        ELSE
            -- The day begins at the first instant at which the clock shows its midnight.
            low := day::timestamp AT TIME ZONE 'UTC' - interval '26 hours';
            high := day::timestamp AT TIME ZONE 'UTC' + interval '26 hours';
            SELECT min(shown.at) INTO boundary
            FROM (
                SELECT day::timestamp AT TIME ZONE 'UTC'
                    - (near.at AT TIME ZONE tz - near.at AT TIME ZONE 'UTC') AS at
                FROM unnest(ARRAY[low, day::timestamp AT TIME ZONE tz, high]) AS near (at)
            ) AS shown
            WHERE shown.at AT TIME ZONE tz = day::timestamp;
            IF boundary IS NULL THEN
                -- Where a shift leaves midnight out, at the shift.
                WHILE high - low > interval '1 second' LOOP
                    middle := low + make_interval(secs => floor(extract(epoch FROM high - low) / 2));
                    IF middle AT TIME ZONE tz >= day::timestamp THEN
                        high := middle;
                    ELSE
                        low := middle;
                    END IF;
                END LOOP;
                boundary := high;
            END IF;
            day := CASE bucket
                WHEN 'month' THEN (day + interval '1 month')::date
                WHEN 'week' THEN day + 7
                ELSE day + 1
            END;
            IF boundary <= at THEN
                -- Of several days that begin by now, the last one counts: a zone may leave one out.
                is_start := boundary = at;
                CONTINUE;
            END IF;
        END IF;
        made := made + 1;
        IF made > most THEN
            RAISE EXCEPTION 'more than % buckets', most USING ERRCODE = '22023',
                HINT = 'Choose a larger bucket or a shorter range.';
        END IF;
        start := at;
        "end" := least(boundary, "to");
        local_start := at AT TIME ZONE tz;
        whole := is_start AND boundary <= "to";
        RETURN NEXT;
        EXIT WHEN boundary >= "to";
        at := boundary;
        is_start := true;
    END LOOP;
END
$$;

COMMENT ON FUNCTION analytics_v1.buckets IS
    'Divides a range into minutes, quarters (15m), hours, days, weeks or months of a time zone. local_start is what the local clock shows; whole is false where the range cuts the bucket.';

--
-- 9. Grants
--
-- `verbatim readers create` grants each reader its rights on analytics_v1. PUBLIC has none: it
-- would get a function's by default.
--

REVOKE EXECUTE ON FUNCTION analytics_v1.buckets FROM PUBLIC;
