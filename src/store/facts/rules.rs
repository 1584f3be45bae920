//! Rules on which facts depend.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::domain::Roles;
use crate::domain::visits::VisitGaps;

/// Version of the definition of facts. Increment it with every change, so that they are recomputed.
const VERSION: u32 = 1;

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
    pub(super) fn fingerprint(&self) -> String {
        let (usual, by_agent) = self.visit_gaps.parts();
        let by_agent: BTreeMap<_, _> = by_agent.iter().collect();
        let text = format!("{VERSION} {usual:?} {by_agent:?} {:?}", self.roles.assistant());
        hex::encode(Sha256::digest(text))
    }
}
