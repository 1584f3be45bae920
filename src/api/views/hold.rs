//! JSON shape of `/v1/holds`.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::store::holds::HoldRow;

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        Self {
            id: row.id,
            agent_id: row.agent_id,
            session_id: row.sender_session_id,
            source: row.source,
            created_at: Timestamp(row.created_at),
            made_by: row.made_by,
        }
    }
}

/// A hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hold {
    /// Id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// The agent.
    #[schema(example = "A80HVD8577")]
    agent_id: String,
    /// The sender's id of the session; `null` for all sessions of the agent.
    #[schema(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
    /// The source that delivered it; `null` for an agent.
    #[schema(example = "default")]
    source: Option<String>,
    /// Time of its creation.
    #[schema(example = "2026-07-01T09:30:00.000000Z")]
    created_at: Timestamp,
    /// The id of the key that created it; `null` for the key of the settings, and for one that the caller
    /// does not see. A key that is bound to agents cannot end such a hold.
    #[schema(example = json!(null))]
    made_by: Option<Uuid>,
}
