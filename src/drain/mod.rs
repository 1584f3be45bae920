//! Writes deliveries from the inbox to Postgres: batches, retries, quarantine.
//!
//! The module owns its connections, one for each worker, outside the pool. A future that uses one
//! is never dropped without it. The module decides if an error is the fault of a delivery or of the
//! database. It contains no SQL on conversations, which is in `store`.

pub mod attempts;
mod connection;
pub mod direct;
mod failure;
pub mod retry;
pub mod worker;
mod write;
