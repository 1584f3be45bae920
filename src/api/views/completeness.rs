//! JSON shape of a session's completeness.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::domain::completeness::Finding;

/// Completeness of a conversation, with the signs that something is missing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Completeness {
    /// True without a flag that something may be missing. `out_of_order` and `undated` concern only the
    /// order.
    #[schema(example = false)]
    pub(crate) complete: bool,
    /// Examined messages, from the first one; at most 100,000.
    #[schema(example = 8)]
    pub(crate) examined_messages: i64,
    /// Signs that something is missing, or that the order is wrong.
    pub(crate) flags: Vec<Flag>,
}

/// Sign that something is missing, or that the order is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Flag {
    /// `no_join`, `one_sided`, `repeated_user_turn`, `altered`, `out_of_order` or `undated`.
    #[schema(example = "no_join")]
    pub(crate) flag: &'static str,
    /// Reason, for people.
    #[schema(example = "No room.join came, so what was said at the beginning may be missing.")]
    pub(crate) reason: String,
    /// Number of messages with it, if it concerns messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pub(crate) count: Option<i64>,
    /// The first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<Place>,
}

/// Message with a sign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Place {
    /// Its id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    pub(crate) id: Uuid,
    /// Its time.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    pub(crate) timestamp: Timestamp,
}

impl From<Finding> for Flag {
    fn from(finding: Finding) -> Self {
        let Finding { flag, reason, places } = finding;
        let first = places.as_ref().and_then(|places| places.first);
        Self {
            flag: flag.as_str(),
            reason,
            count: places.map(|places| places.count),
            first: first.map(|(at, id)| Place { id, timestamp: Timestamp(at) }),
        }
    }
}
