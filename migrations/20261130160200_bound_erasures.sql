-- Whether a key that is bound to agents asked for an erasure: then only what provably is its agent's
-- goes and stays away.
SET LOCAL lock_timeout = '10s';
ALTER TABLE erasures ADD COLUMN bound boolean NOT NULL DEFAULT false;

UPDATE erasures
SET bound = true
FROM api_keys
WHERE api_keys.id = erasures.key_id AND api_keys.agent_ids IS NOT NULL;
