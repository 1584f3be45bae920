//! JSON shapes of `/v1/keys`.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::store::keys::KeyRow;

/// A new key, with the key itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeKey {
    /// The key itself, which is shown only here.
    #[schema(example = "vb_4f6uXq0mJ7yR2cV9tB1nK8sD3hL5wE6a")]
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) about: Key,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            agents: row.agent_ids,
            created_at: Timestamp(row.created_at),
            expires_at: row.expires_at.map(Timestamp),
            revoked_at: row.revoked_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
            made_by: row.made_by,
        }
    }
}

/// A key, without the secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// Id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    pub(crate) id: Uuid,
    /// Name.
    #[schema(example = "dashboard")]
    pub(crate) name: String,
    /// Scopes.
    #[schema(example = json!(["read"]))]
    pub(crate) scopes: Vec<String>,
    /// The agents that it is bound to; `null` is every agent.
    #[schema(example = json!(["A80HVD8577"]))]
    pub(crate) agents: Option<Vec<String>>,
    /// Time of its creation.
    #[schema(example = "2026-07-01T09:30:00.000000Z")]
    pub(crate) created_at: Timestamp,
    /// End of its validity; `null` for never.
    #[schema(example = "2026-12-27T09:30:00.000000Z")]
    pub(crate) expires_at: Option<Timestamp>,
    /// Time of its revocation; `null` without one.
    #[schema(example = json!(null))]
    pub(crate) revoked_at: Option<Timestamp>,
    /// Time of the last use, to the minute.
    pub(crate) last_used_at: Option<Timestamp>,
    /// The id of the key that made it; `null` for the key of the settings, the command line, a key that
    /// the caller does not see, or an unknown one.
    #[schema(example = json!(null))]
    pub(crate) made_by: Option<Uuid>,
}
