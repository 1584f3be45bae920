-- What is searched, made anew: a long message has several documents, so that nothing of it is out of
-- reach; the vocabulary is counted by agent, so that a key that is bound to some agents learns
-- nothing of what others say; and the index can be rebuilt in the background. The indexer fills
-- these tables from the journal, the newest messages first, and empties search_documents and
-- search_words, which are no longer used and go with a later release: until then the version before
-- can run beside this one, and would fill them again by itself.

-- One row for each document of a message, under the message's key. Agent, source and role are here
-- for the filters.
CREATE TABLE search_parts (
    session_id  uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    id          uuid        NOT NULL,
    -- Which of the message's documents, from 0, and of how many.
    part        integer     NOT NULL,
    parts       integer     NOT NULL,
    agent_id    text        NOT NULL,
    source      text        NOT NULL,
    role        text        NOT NULL,
    -- Tokens with their places, and a mark each of agent and day; one more where parts > 1. They are
    -- ours (src/search), so that Postgres' own dictionaries and locale have no say.
    terms       tsvector    NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id, part)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE search_parts_default PARTITION OF search_parts DEFAULT;

-- GET /v1/search. It costs more than all else that is written for a message, which is why the
-- indexer pays for it after the answer, in batches: new entries are gathered in a list first
-- (fastupdate) and sorted in by the thousand. The list is read by each search, so it is kept short.
CREATE INDEX search_parts_by_term ON search_parts USING gin (terms)
    WITH (fastupdate = on, gin_pending_list_limit = 1024);

-- The months that messages have partitions for.
DO $$
DECLARE
    month record;
BEGIN
    FOR month IN
        SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'messages'::regclass AND c.relname ~ '^messages_\d{4}_\d{2}$'
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF search_parts %s',
            replace(month.relname, 'messages', 'search_parts'),
            month.bound
        );
    END LOOP;
END
$$;

-- Every token that an agent's conversations hold, and how many documents hold it. A word that none
-- holds any more is removed. The counts say whether a search has to look at the newest messages
-- only; an agent's alone are asked where only its messages are searched.
CREATE TABLE search_vocabulary (
    word      text   NOT NULL,
    agent_id  text   NOT NULL,
    documents bigint NOT NULL,
    PRIMARY KEY (word, agent_id)
) WITH (fillfactor = 80);

-- Words that hold what is looked for, where no word is it. Pairs of letters are short of the three
-- that such a look takes. Without pg_trgm the vocabulary is read as a whole.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX search_vocabulary_by_part ON search_vocabulary USING gin (word gin_trgm_ops)
            WHERE char_length(word) >= 3;
    END IF;
END
$$;

-- How far the indexer has come. Whoever writes documents or words, or removes them, holds this row's
-- lock until the end of its transaction.
CREATE TABLE search_progress (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The newest entry of the journal whose messages have documents.
    seq        bigint      NOT NULL,
    -- The time of the newest message that has a document: a search begins there.
    newest_at  timestamptz,
    -- The generation of documents that is made, and the entry up to which a program of it has
    -- made them: another one than `seq` says that a program of another generation went on.
    version    integer     NOT NULL,
    made_to    bigint      NOT NULL,
    -- Documents of the entries up to this one may be missing, or of another generation. It goes down
    -- from `stale_from` to 0 while they are made anew.
    stale_to   bigint      NOT NULL,
    stale_from bigint      NOT NULL
) WITH (fillfactor = 10);

INSERT INTO search_progress (seq, newest_at, version, made_to, stale_to, stale_from)
SELECT
    head.seq,
    (SELECT max(last_activity_at) FROM agents),
    0,
    head.seq,
    head.seq,
    head.seq
FROM journal_head AS head;
