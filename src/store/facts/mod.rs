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
mod sessions;
mod visits;
mod windows;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::domain::Roles;
use crate::domain::visits::VisitGaps;

pub use check::{CheckReport, check};
pub(super) use delete::forget_sessions;
pub use follow::{FactsLag, Followed, follow_next, never_followed, read_head, read_lag};
pub use rebuild::{Step, rebuild_activity, rebuild_sessions};

/// Version of the definition of facts. Increment it with every change, so that they are recomputed.
const VERSION: u32 = 1;

/// Locks facts for changes, and waits for the lock. It must come before the transaction's snapshot
/// and before every other lock: a holder of locks that ingest needs must not wait for the follower.
pub(super) const LOCK_FACTS: &str = "LOCK TABLE facts_position IN EXCLUSIVE MODE";
/// Locks facts for changes, or fails at once.
const TRY_LOCK_FACTS: &str = "LOCK TABLE facts_position IN EXCLUSIVE MODE NOWAIT";

/// Rules on which facts depend, besides the stored rows.
#[derive(Clone, Debug)]
pub struct FactRules {
    /// Longest silence within a visit.
    pub visit_gaps: VisitGaps,
    /// Roles that count as the assistant's.
    pub roles: Roles,
}

impl FactRules {
    /// Returns the rules of a service with these settings.
    #[must_use]
    pub fn of(visit_gaps: &VisitGaps, roles: &Roles) -> Self {
        Self { visit_gaps: visit_gaps.clone(), roles: roles.clone() }
    }

    /// Returns a hash of everything that changes facts.
    fn fingerprint(&self) -> String {
        let (usual, by_agent) = self.visit_gaps.parts();
        let by_agent: BTreeMap<_, _> = by_agent.iter().collect();
        let text = format!("{VERSION} {usual:?} {by_agent:?} {:?}", self.roles.assistant());
        hex::encode(Sha256::digest(text))
    }
}
