//! Background jobs. Each has a loop, and a `run_once` that tests call.

pub mod agent_journal;
pub mod alerts;
pub mod bulk_retry;
pub mod database_health;
pub mod facts;
pub mod indexer;
pub mod partitions;
mod pause;
pub mod replica;
pub mod retention;
