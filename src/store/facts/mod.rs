//! Facts: contributions of each message, session, join and session end to figures. A follower of
//! the journal maintains them; `analytics` defines their meaning.
//!
//! Facts are a function of the stored rows and the rules. They are recomputed for everything that
//! the journal names, however often, and the result is the same in any order. Every writer of facts
//! locks `facts_position`, so that a batch that was read before an erasure cannot restore erased
//! facts.

mod activity;
mod check;
mod days;
mod delete;
mod follow;
mod gaps;
mod messages;
mod presence;
mod rebuild;
mod rows;
mod rules;
mod sessions;
mod sums;
mod totals;
mod visits;
mod windows;

pub use check::{CheckReport, check};
pub(super) use delete::forget_sessions;
pub use follow::{FactsLag, Followed, follow_next, never_followed, read_head, read_lag};
pub use rebuild::{Step, rebuild_activity, rebuild_sessions};
pub use rules::FactRules;

/// Locks facts for changes, and waits for the lock. It must come before the transaction's snapshot
/// and before every other lock: a holder of locks that ingest needs must not wait for the follower.
pub(super) const LOCK_FACTS: &str = "LOCK TABLE facts_position IN EXCLUSIVE MODE";
/// Locks facts for changes, or fails at once.
const TRY_LOCK_FACTS: &str = "LOCK TABLE facts_position IN EXCLUSIVE MODE NOWAIT";
