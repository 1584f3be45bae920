//! JSON of `GET /v1/retention`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::timestamp::Timestamp;

/// Age limits of rows, and the next deletion.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Retention {
    /// Time of the answer.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) as_of: Timestamp,
    /// Conversations, by source.
    pub(crate) keep_messages: Vec<KeptFor>,
    /// The log of deliveries, by source.
    pub(crate) keep_deliveries: Vec<KeptFor>,
    /// Midnight (UTC) after which the next whole day goes, within an hour; null where everything is
    /// kept.
    pub(crate) next_run_at: Option<Timestamp>,
    /// Rows that expire at `next_run_at`; null if counting them takes too long.
    #[schema(example = json!([{ "table": "messages", "source": "default", "rows": 1200 }]))]
    pub(crate) plan: Option<Vec<PlannedRows>>,
}

/// Age of a source's rows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct KeptFor {
    /// The source.
    #[schema(example = "default")]
    pub(crate) source: String,
    /// Whole days; null is for ever.
    #[schema(example = 30)]
    pub(crate) days: Option<u64>,
}

/// Rows of a source that expire.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PlannedRows {
    /// `sessions`, `messages` or `deliveries`.
    #[schema(example = "messages")]
    pub(crate) table: String,
    /// The source.
    #[schema(example = "default")]
    pub(crate) source: String,
    /// Number of rows.
    #[schema(example = json!({ "messages": 8, "sessions": 1, "deliveries": 9 }))]
    pub(crate) rows: i64,
}
