//! JSON of `GET /v1/retention`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::timestamp::Timestamp;

/// How long things are kept, and what goes next.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::api) struct Retention {
    /// Time of the answer.
    pub(in crate::api) as_of: Timestamp,
    /// Conversations, by source.
    pub(in crate::api) keep_messages: Vec<KeptFor>,
    /// The log of deliveries, by source.
    pub(in crate::api) keep_deliveries: Vec<KeptFor>,
    /// Midnight (UTC) after which the next whole day goes, within an hour; null where everything is
    /// kept.
    pub(in crate::api) next_run_at: Option<Timestamp>,
    /// Rows that are over age at `next_run_at`; null where counting them takes too long.
    #[schema(example = json!([{ "table": "messages", "source": "default", "rows": 1200 }]))]
    pub(in crate::api) plan: Option<Vec<PlannedRows>>,
}

/// How long things of a source are kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::api) struct KeptFor {
    /// The source.
    #[schema(example = "default")]
    pub(in crate::api) source: String,
    /// Whole days; null is for ever.
    #[schema(example = 30)]
    pub(in crate::api) days: Option<u64>,
}

/// Rows of a source that are over age.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::api) struct PlannedRows {
    /// `sessions`, `messages` or `deliveries`.
    #[schema(example = "messages")]
    pub(in crate::api) table: String,
    /// The source.
    #[schema(example = "default")]
    pub(in crate::api) source: String,
    /// Number of rows.
    pub(in crate::api) rows: i64,
}
