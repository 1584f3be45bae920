//! Visit gaps, which divide a session that serves many visitors into visits.

use std::collections::HashMap;
use std::time::Duration;

/// Silence after which the next speaker is a new visitor, by agent: a kiosk needs a shorter gap
/// than a hotline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitGaps {
    usual: Duration,
    by_agent: HashMap<String, Duration>,
}

impl VisitGaps {
    /// Default gap: longer than people think before they answer, shorter than a quiet hour of a
    /// kiosk.
    pub const DEFAULT: Duration = Duration::from_mins(5);

    /// Creates gaps: one for all agents, and those of single agents.
    #[must_use]
    pub fn new(usual: Duration, by_agent: HashMap<String, Duration>) -> Self {
        Self { usual, by_agent }
    }

    /// Returns the gap for all agents, and those of single agents.
    #[must_use]
    pub fn parts(&self) -> (Duration, &HashMap<String, Duration>) {
        (self.usual, &self.by_agent)
    }

    /// Returns the longest silence within a visit to an agent.
    #[must_use]
    pub fn of(&self, agent_id: &str) -> Duration {
        self.by_agent.get(agent_id).copied().unwrap_or(self.usual)
    }
}

impl Default for VisitGaps {
    /// Returns [`Self::DEFAULT`] for all agents.
    fn default() -> Self {
        Self::new(Self::DEFAULT, HashMap::new())
    }
}
