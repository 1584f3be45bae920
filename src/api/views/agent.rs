//! JSON shape of agents.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::timestamp::Timestamp;
use crate::store::agents::AgentRow;

/// An agent and its figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Agent {
    /// The sender's code for it.
    #[schema(example = "A80HVD8577")]
    agent_id: String,
    /// Its sessions.
    #[schema(example = 17)]
    session_count: i64,
    /// Messages in them, by anybody.
    #[schema(example = 8)]
    message_count: i64,
    /// Its earliest event.
    #[schema(example = "2026-07-01T09:30:00.000000Z")]
    first_seen_at: Timestamp,
    /// Its latest event.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    last_activity_at: Timestamp,
}

impl From<AgentRow> for Agent {
    fn from(row: AgentRow) -> Self {
        Self {
            agent_id: row.agent_id,
            session_count: row.session_count,
            message_count: row.message_count,
            first_seen_at: Timestamp(row.first_seen_at),
            last_activity_at: Timestamp(row.last_activity_at),
        }
    }
}
