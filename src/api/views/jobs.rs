//! JSON shapes of `/v1/jobs`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::timestamp::Timestamp;
use crate::store::jobs::{JobRow, RetryFilter};

/// Work that a request began.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Job {
    /// Its id.
    id: Uuid,
    /// `retry_deliveries`.
    #[schema(example = "retry_deliveries")]
    kind: String,
    /// `waiting`, `running`, `finished` or `cancelled`.
    #[schema(example = "running")]
    state: String,
    /// Which deliveries it retries.
    filter: JobFilter,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it began; null before that.
    started_at: Option<Timestamp>,
    /// When it ended; null before that.
    #[schema(example = json!(null))]
    finished_at: Option<Timestamp>,
    /// Deliveries that matched when it began, counted up to 1,000,000; null before that.
    #[schema(example = 1_200)]
    total: Option<i64>,
    /// Deliveries that it has retried.
    #[schema(example = 400)]
    done: i64,
    /// Those of them that are out of quarantine.
    #[schema(example = 398)]
    stored: i64,
    /// Those of them that stayed there.
    #[schema(example = 2)]
    still_quarantined: i64,
    /// Why the last one stayed.
    #[schema(example = "the field data.session_id: it is missing")]
    last_error: Option<String>,
}

/// Filters of the request; null where there was none.
#[derive(Default, Serialize, ToSchema)]
struct JobFilter {
    /// Naming one of these agents.
    agent_ids: Option<Vec<String>>,
    /// Of this conversation.
    session_id: Option<String>,
    /// Let in by this source.
    source: Option<String>,
    /// The sender's name for the event.
    event_type: Option<String>,
    /// With this text in the reason.
    #[schema(example = "session_id")]
    reason: Option<String>,
    /// Arrived later than this.
    received_after: Option<Timestamp>,
    /// Arrived earlier than this.
    received_before: Option<Timestamp>,
}

impl From<RetryFilter> for JobFilter {
    fn from(filter: RetryFilter) -> Self {
        let time = |at: Option<DateTime<Utc>>| at.map(Timestamp);
        Self {
            agent_ids: filter.agents,
            session_id: filter.session_id,
            source: filter.source,
            event_type: filter.event_type,
            reason: filter.reason,
            received_after: time(filter.received_after),
            received_before: time(filter.received_before),
        }
    }
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let progress = row.progress();
        let filter: Option<RetryFilter> = serde_json::from_str(&row.filter).ok();
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            filter: filter.map(JobFilter::from).unwrap_or_default(),
            created_at: Timestamp(row.created_at),
            started_at: row.started_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
            total: progress.total,
            done: progress.done,
            stored: progress.stored,
            still_quarantined: progress.still_quarantined,
            last_error: progress.last_error,
        }
    }
}

/// What a job would do.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Plan {
    /// Deliveries in quarantine that match, counted up to 1,000,000.
    #[schema(example = 1_200)]
    pub(in crate::api) matches: i64,
}
