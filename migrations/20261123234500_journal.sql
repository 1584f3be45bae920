-- The journal: what each transaction of the drain brought, in the order of their commits.
-- Whoever follows along (incremental loads, streams, the search index) reads it from where it
-- stopped, and misses nothing.

-- The number of the newest entry. A writer counts it up as the last thing before its commit, and
-- holds the row's lock until then: so entries become visible in the order of their numbers, which a
-- sequence does not promise. Nothing else may write it.
CREATE TABLE journal_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL
) WITH (fillfactor = 10);

-- One row a transaction, with the keys of the rows that it brought or changed. Arrays: a row and an
-- index entry for each message would cost as much again as the message.
CREATE TABLE journal (
    seq                 bigint        PRIMARY KEY,
    -- When the newest delivery of the transaction arrived.
    received_at         timestamptz   NOT NULL,
    -- Messages that were new: the three parts of their keys, side by side.
    message_session_ids uuid[]        NOT NULL,
    message_times       timestamptz[] NOT NULL,
    message_ids         uuid[]        NOT NULL,
    -- Sessions that were new or have changed.
    session_ids         uuid[]        NOT NULL
);
-- Ids do not compress; trying it costs more than the insert.
ALTER TABLE journal
    ALTER message_session_ids SET STORAGE EXTERNAL,
    ALTER message_times SET STORAGE EXTERNAL,
    ALTER message_ids SET STORAGE EXTERNAL,
    ALTER session_ids SET STORAGE EXTERNAL;

-- What was there before the journal: messages by arrival, a thousand an entry, each with its
-- sessions; then the sessions without a message.
INSERT INTO journal
SELECT
    1 + (number - 1) / 1000,
    max(received_at),
    array_agg(session_id ORDER BY number),
    array_agg(occurred_at ORDER BY number),
    array_agg(id ORDER BY number),
    array_agg(DISTINCT session_id)
FROM (
    SELECT *, row_number() OVER (ORDER BY received_at, session_id, occurred_at, id) AS number
    FROM messages
) AS numbered
GROUP BY 1;

INSERT INTO journal
SELECT
    COALESCE((SELECT max(seq) FROM journal), 0) + 1 + (number - 1) / 1000,
    max(last_activity_at),
    '{}', '{}', '{}',
    array_agg(id ORDER BY number)
FROM (
    SELECT *, row_number() OVER (ORDER BY last_activity_at, id) AS number
    FROM sessions
    WHERE message_count = 0
) AS numbered
GROUP BY 1;

INSERT INTO journal_head (seq) SELECT COALESCE(max(seq), 0) FROM journal;
