-- The log of deliveries becomes a list that can be read.

-- This rebuilds the key of every partition there is. Nothing has been released with the old one.
SET LOCAL lock_timeout = '30s';

-- GET /v1/deliveries walks the key, and pays for no index of its own: time first, as the list runs.
-- GET /v1/deliveries/{id} finds its row by it too: an id begins with the millisecond of its arrival,
-- which bounds the partition and the range.
ALTER TABLE deliveries
    DROP CONSTRAINT deliveries_pkey,
    ADD PRIMARY KEY (received_at, id);

-- GET /v1/deliveries?outcome=…: what went another way than usual, a few among millions. Retention
-- asks it whether anything of a day is in quarantine.
CREATE INDEX deliveries_not_stored ON deliveries (outcome, received_at, id)
    WHERE outcome <> 'stored';
