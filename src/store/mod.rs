//! All SQL on Postgres, a file a noun.

pub mod ingest;
