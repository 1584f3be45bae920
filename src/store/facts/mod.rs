//! Facts: what each message, session, join and session end counts for in figures. A follower of the
//! journal keeps them; what they mean is `analytics`' business.
//!
//! Facts are a function of what is stored and of the rules, so they are computed anew for whatever
//! the journal names, however often it does, and end up the same in any order. Whoever writes or
//! removes them holds `facts_position`: so what an erasure removes cannot come back with a batch
//! that was read before.

mod activity;
mod check;
mod days;
mod follow;
mod forget;
mod gaps;
mod presence;
mod rebuild;
mod rows;
mod said;
mod sessions;
mod windows;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::domain::Roles;
use crate::domain::visits::VisitGaps;

pub use check::{CheckReport, check};
pub use follow::{FactsLag, Followed, follow_next, is_unfollowed, read_head, read_lag};
pub(super) use forget::forget_sessions;
pub use rebuild::{Step, rebuild_activity, rebuild_sessions};

/// Grows with every change of what facts are, so that they are computed anew.
const VERSION: u32 = 1;

/// Waits for the right to change facts. It comes before the transaction's snapshot, and before every
/// other lock: a batch of the follower's must not keep those waiting who hold what ingest needs.
pub(super) const HOLD: &str = "LOCK TABLE facts_position IN EXCLUSIVE MODE";
/// The same without waiting.
const TRY_HOLD: &str = "LOCK TABLE facts_position IN EXCLUSIVE MODE NOWAIT";

/// What facts depend on beside what is stored.
#[derive(Clone, Debug)]
pub struct FactRules {
    /// Longest silence within a visit.
    pub visit_gaps: VisitGaps,
    /// Whose roles count as the assistant's.
    pub roles: Roles,
}

impl FactRules {
    /// Rules of a service with these settings.
    #[must_use]
    pub fn of(visit_gaps: &VisitGaps, roles: &Roles) -> Self {
        Self { visit_gaps: visit_gaps.clone(), roles: roles.clone() }
    }

    /// Hash of all that changes facts.
    fn fingerprint(&self) -> String {
        let (usual, by_agent) = self.visit_gaps.parts();
        let by_agent: BTreeMap<_, _> = by_agent.iter().collect();
        let text = format!("{VERSION} {usual:?} {by_agent:?} {:?}", self.roles.assistant());
        hex::encode(Sha256::digest(text))
    }
}
