-- Sessions that began without a join, which another may have gone on in.

-- Builds on a table of some hundred thousand rows in well under a second.
SET LOCAL lock_timeout = '30s';

-- GET /v1/sessions/{session_id}: what a session may have gone on in, and whether what it seems to
-- continue was gone on in by another before. Few sessions begin so, and neither column changes
-- with a message, so the index costs the writer next to nothing.
CREATE INDEX sessions_without_join ON sessions (agent_id, started_at) WHERE joined_at IS NULL;
