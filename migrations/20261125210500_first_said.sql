-- The entry of the journal by which a word came into the vocabulary; null, which is before all
-- others, where it was there before this column. Of more words that hold a part of a word than are
-- looked for, the first ones are: new words come behind them, and counts that change move nothing, so
-- that every page of a search looks for the same words.
SET LOCAL lock_timeout = '10s';
ALTER TABLE search_words ADD COLUMN first_seq bigint;
