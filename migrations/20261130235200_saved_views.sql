-- Views: filters that somebody saved under a name, for the key that saved them.

SET LOCAL lock_timeout = '10s';

-- The key has everything that a request asks for, so there is no other index.
CREATE TABLE saved_views (
    -- The key's id; the nil UUID for the key of the settings.
    key_id     uuid        NOT NULL,
    name       text        NOT NULL,
    -- The place that it is for, such as one of the page; null for any.
    place      text,
    -- The filters as JSON: a string or an object.
    query      text        NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, name)
);
