-- Keys that cursors are sealed with, shared by every service on the database.

-- A few rows: the newest key seals, older ones still open what they sealed. A copy of the database
-- holds them, so cursors survive a restore.
CREATE TABLE cursor_keys (
    id         uuid        PRIMARY KEY,
    -- 256 random bits.
    secret     bytea       NOT NULL CHECK (octet_length(secret) = 32),
    created_at timestamptz NOT NULL
);
