-- Events of the account, to erase them with their agent and to tell whether it has any. Few events
-- are of no session, and the index is over those alone.
SET LOCAL lock_timeout = '10s';
CREATE INDEX other_events_of_agents ON other_events (agent_id) WHERE session_id IS NULL;
