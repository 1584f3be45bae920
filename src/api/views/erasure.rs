//! JSON shape of the receipts of erasures.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::store::erase::{Receipt, Tally};
use crate::store::journal::ErasureKind;

/// Receipt of an erasure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct Erased<'a> {
    /// The id of the receipt.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// `session` or `agent`.
    #[schema(value_type = String)]
    #[schema(example = "session")]
    kind: ErasureKind,
    /// The agent.
    #[schema(example = "A80HVD8577")]
    agent_id: &'a str,
    /// The sender's id of the session; `null` for an agent with all its sessions.
    #[schema(example = "A80HVD8577_5f3c1a")]
    session_id: Option<&'a str>,
    /// The source that delivered it; `null` for an agent.
    #[schema(example = "default")]
    source: Option<&'a str>,
    /// Time up to which events are not stored again.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    erased_at: Timestamp,
    /// Time at which everything was erased; `null` while it is in progress.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    finished_at: Option<Timestamp>,
    /// Erased rows by table.
    #[schema(value_type = Object)]
    rows: &'a Tally,
}

impl<'a> From<&'a Receipt> for Erased<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        let session = receipt.session.as_ref();
        Self {
            id: receipt.id,
            kind: receipt.kind,
            agent_id: &receipt.agent_id,
            session_id: session.map(|session| session.session_id.as_str()),
            source: session.map(|session| session.source.as_str()),
            erased_at: Timestamp(receipt.erased_at),
            finished_at: receipt.finished_at.map(Timestamp),
            rows: &receipt.rows,
        }
    }
}
