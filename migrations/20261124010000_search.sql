-- What is searched: a document for each message, written by the indexer after the message, and the
-- vocabulary. Both hold what was said, and go with the messages that said it.

-- Part of every installation of PostgreSQL, and trusted, so the database's owner may make it. It
-- may be missing even so: then parts of words are looked for by reading the vocabulary.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'no pg_trgm (%): parts of words are found without an index', SQLERRM;
END
$$;

-- One row a message, under the message's key. Agent, source and role are here for the filters.
CREATE TABLE search_documents (
    session_id  uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    id          uuid        NOT NULL,
    agent_id    text        NOT NULL,
    source      text        NOT NULL,
    role        text        NOT NULL,
    -- The message's tokens with their places, and a mark each of its agent and its day. They are
    -- ours (src/search), so that Postgres' own dictionaries and locale have no say.
    terms       tsvector    NOT NULL,
    PRIMARY KEY (session_id, occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE search_documents_default PARTITION OF search_documents DEFAULT;

-- GET /v1/search. It costs more than all else that is written for a message, which is why the
-- indexer pays for it after the answer, in batches: new entries are gathered in a list first
-- (fastupdate) and sorted in by the thousand. The list is read by each search, so it is kept short.
CREATE INDEX search_documents_by_term ON search_documents USING gin (terms)
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
            'CREATE TABLE %I PARTITION OF search_documents %s',
            replace(month.relname, 'messages', 'search_documents'),
            month.bound
        );
    END LOOP;
END
$$;

-- Every token there is, and how many documents hold it. A word that none holds any more is
-- removed. The count says whether a search has to look at the newest messages only.
CREATE TABLE search_words (
    word      text   PRIMARY KEY,
    documents bigint NOT NULL
) WITH (fillfactor = 80);

-- Words that hold what is looked for, where no word is it. Pairs of letters are short of the three
-- that such a look takes.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX search_words_by_part ON search_words USING gin (word gin_trgm_ops)
            WHERE char_length(word) >= 3;
    END IF;
END
$$;

-- How far the indexer has come in the journal. Whoever writes documents or words, or removes them,
-- holds this row's lock until the end of its transaction.
CREATE TABLE search_position (
    only_row  boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    seq       bigint      NOT NULL,
    -- The time of the newest message that has a document: a search begins there.
    newest_at timestamptz
) WITH (fillfactor = 10);

INSERT INTO search_position (seq) VALUES (0);
