//! JSON shape of `/v1/browser-session`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::auth::grant::Grant;
use crate::api::views::timestamp::Timestamp;
use crate::store::browser_sessions::BrowserSessionRow;
use crate::store::keys::Scope;

/// Rights of a caller, and the end of its browser session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrowserSession {
    /// ID of the key that signed in; null for the key of the settings.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    key_id: Option<Uuid>,
    /// Name of the key; null for the key of the settings.
    #[schema(example = "dashboard")]
    key_name: Option<String>,
    /// Scopes of the key; `admin` includes all others.
    #[schema(example = json!(["read"]))]
    scopes: Vec<&'static str>,
    /// Agents that the key is bound to; null for every agent.
    #[schema(example = json!(["A80HVD8577"]))]
    agents: Option<Vec<String>>,
    /// Latest end: that of the session or of its key, whichever comes first. Null where a key that
    /// never expires came in a header.
    #[schema(example = "2026-12-27T09:30:00.000000Z")]
    expires_at: Option<Timestamp>,
    /// End of the session unless it is used before; null where a key came in a header.
    #[schema(example = "2026-09-29T02:54:13.000000Z")]
    idle_expires_at: Option<Timestamp>,
}

impl BrowserSession {
    /// Describes what a key allows, and the session that it signed in.
    pub(crate) fn new(grant: &Grant, session: Option<&BrowserSessionRow>) -> Self {
        let expires_at = earliest(session.map(|session| session.expires_at), grant.expires_at());
        let idle = session.map(BrowserSessionRow::idle_expires_at);
        Self {
            key_id: grant.id(),
            key_name: grant.name().map(str::to_owned),
            scopes: grant.scopes().iter().map(|scope: &Scope| scope.as_str()).collect(),
            agents: grant.agents().map(<[_]>::to_vec),
            expires_at: expires_at.map(Timestamp),
            idle_expires_at: idle.and_then(|idle| earliest(Some(idle), expires_at)).map(Timestamp),
        }
    }
}

fn earliest(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
