-- Which key made a key: those that a revoked key made are revoked with it.
SET LOCAL lock_timeout = '10s';
-- Null: the key of the settings, the command line or, of keys made before this column, not known.
ALTER TABLE api_keys ADD COLUMN made_by uuid;
