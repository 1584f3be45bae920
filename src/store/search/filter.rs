//! Filter of a search.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::sessions::SessionFilter;

/// Messages to search.
#[derive(Clone, Debug, Default)]
pub struct SearchFilter {
    /// Only these agents; `None` is all agents.
    pub agents: Option<Vec<String>>,
    /// Only these sessions, by our IDs.
    pub sessions: Option<Vec<Uuid>>,
    /// Only this source.
    pub source: Option<String>,
    /// Only these roles, in lower case.
    pub roles: Option<Vec<String>>,
    /// Only sessions of this room, status, opening, silence and flags. Other members have no
    /// effect.
    pub about: Option<SessionFilter>,
    /// Only later than this.
    pub after: Option<DateTime<Utc>>,
    /// Only earlier than this.
    pub before: Option<DateTime<Utc>>,
}
