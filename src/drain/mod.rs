//! Inbox → Postgres: batches, patience, and quarantine.
//!
//! It owns its connections, one a worker, outside the pool; no future that uses one is cancelled
//! without dropping the connection with it. It decides which errors are a delivery's fault and
//! which are the database's; the SQL is `store`'s.

pub mod attempts;
mod connection;
pub mod direct;
mod failure;
pub mod retry;
pub mod worker;
mod write;
