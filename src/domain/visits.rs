//! When a session that serves many visitors passes from one to the next.

use std::collections::HashMap;
use std::time::Duration;

/// The silence after which whoever speaks is somebody else, by agent: a kiosk that says goodbye by
/// itself knows sooner than a hotline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitGaps {
    usual: Duration,
    by_agent: HashMap<String, Duration>,
}

impl VisitGaps {
    /// Where nothing is set: longer than people think before they answer, shorter than a kiosk's
    /// quiet hour.
    pub const DEFAULT: Duration = Duration::from_mins(5);

    /// One for all agents, and those of some.
    #[must_use]
    pub fn new(usual: Duration, by_agent: HashMap<String, Duration>) -> Self {
        Self { usual, by_agent }
    }

    /// Returns the gap of all agents, and those of some.
    #[must_use]
    pub fn parts(&self) -> (Duration, &HashMap<String, Duration>) {
        (self.usual, &self.by_agent)
    }

    /// The longest silence within a visit to this agent.
    #[must_use]
    pub fn of(&self, agent_id: &str) -> Duration {
        self.by_agent.get(agent_id).copied().unwrap_or(self.usual)
    }
}

impl Default for VisitGaps {
    /// [`Self::DEFAULT`] for all agents.
    fn default() -> Self {
        Self::new(Self::DEFAULT, HashMap::new())
    }
}
