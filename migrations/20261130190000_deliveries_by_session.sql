-- GET /v1/deliveries?session_id=…: the deliveries of one session, a few among millions.
--
-- A b-tree would be written for every delivery, at another place of the index each time. This one
-- holds a Bloom filter for each 32 pages: made once, when the pages are full, by the job that makes
-- partitions and by vacuum. Whoever asks for one session reads the filters, and the few pages that
-- may have it.
--
-- On the parent alone, so that no lock is held while days are read: those that are made from now on
-- get theirs, and those that were logged before are looked through.
CREATE INDEX deliveries_by_session ON ONLY deliveries
    USING brin (session_id uuid_bloom_ops (n_distinct_per_range = 1000))
    WITH (pages_per_range = 32);
