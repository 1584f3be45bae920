-- What was erased for good is told to whoever follows along: an entry of the journal of its own.

-- {"id", "kind", "agent_id", "session": {"id", "session_id", "source"} | null, "at"}; null in the
-- entries that the drain writes. Entries are never rewritten: a key whose row is gone is passed
-- over by readers, whose positions count the keys.
SET LOCAL lock_timeout = '10s';
ALTER TABLE journal ADD COLUMN erasure jsonb;
