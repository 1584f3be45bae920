-- Browser sessions, and one-time links that sign in. Only hashes of their tokens are stored.

SET LOCAL lock_timeout = '10s';

-- A few rows: sign-in deletes those that are over.
CREATE TABLE browser_sessions (
    token_sha256     bytea       PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    -- Hash of the key that signed in, as in api_keys. Null: the key of the settings.
    key_sha256       bytea       CHECK (octet_length(key_sha256) = 32),
    -- HMAC-SHA256 under the token of the hash of the settings' key, so that another key there ends
    -- the session, and nothing here helps to guess that key. Null: a key of api_keys.
    settings_key_mac bytea       CHECK (octet_length(settings_key_mac) = 32),
    created_at       timestamptz NOT NULL,
    -- To the minute.
    last_used_at     timestamptz NOT NULL,
    -- End of the session at the latest.
    expires_at       timestamptz NOT NULL,
    CHECK ((key_sha256 IS NULL) <> (settings_key_mac IS NULL))
);

CREATE TABLE sign_in_links (
    token_sha256 bytea       PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    -- Hash of the key that its session belongs to, as in api_keys.
    key_sha256   bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- Null: not used yet.
    used_at      timestamptz
);

-- True for the key that sessions of one-time links belong to. Nobody can send it: its hash is random.
ALTER TABLE api_keys ADD COLUMN of_links boolean NOT NULL DEFAULT false;
