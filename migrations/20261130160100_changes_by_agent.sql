-- Which entries of the journal concern an agent: so that a key that is bound to agents reads its
-- own changes at a cost, and in pages, that do not depend on what other agents say.

-- One row an agent and entry. Made after the entry, from where journal_agents_position stands.
CREATE TABLE journal_agents (
    agent_id text      NOT NULL,
    seq      bigint    NOT NULL,
    -- Which items of the entry are the agent's, counted from one: sessions first, then messages,
    -- then the erasure.
    items    integer[] NOT NULL,
    PRIMARY KEY (agent_id, seq)
);

-- The newest entry whose rows are there. Whoever adds rows holds this row's lock.
CREATE TABLE journal_agents_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL
) WITH (fillfactor = 10);

INSERT INTO journal_agents_position (seq) VALUES (0);
