//! JSON shape of a session that seems to continue another. Sessions are never merged.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A session of the same agent and source that seems to be a part of the same conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Continuation {
    /// Our id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    pub(crate) id: Uuid,
    /// The sender's id.
    #[schema(example = "A80HVD8577_5f3c1a")]
    pub(crate) session_id: String,
    /// From 0.1 (possible) to 0.95 (almost certain).
    #[schema(example = 0.8)]
    pub(crate) confidence: f64,
    /// Evidence for and against it, for people.
    #[schema(
        example = "This session began with a message and without a join, 10 s after the other one \
            of the same agent and source had fallen silent. Its first message is by the other side \
            than the last one there."
    )]
    pub(crate) reason: String,
}
