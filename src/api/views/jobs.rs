//! JSON shapes of `/v1/jobs`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::store::jobs::{JobRow, RetryFilter};

/// Work that a request began.
#[derive(Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// `retry_deliveries`.
    #[schema(example = "retry_deliveries")]
    kind: String,
    /// `waiting`, `running`, `finished` or `cancelled`.
    #[schema(example = "running")]
    state: String,
    /// Deliveries that it retries.
    filter: JobFilter,
    /// Time of the request.
    #[schema(example = "2026-07-01T09:30:00.000000Z")]
    created_at: Timestamp,
    /// Time of its begin; null before that.
    #[schema(example = "2026-09-28T14:52:40.250000Z")]
    started_at: Option<Timestamp>,
    /// Time of its end; null before that.
    #[schema(example = json!(null))]
    finished_at: Option<Timestamp>,
    /// Deliveries that matched when it began, counted up to 1,000,000; null before that.
    #[schema(example = 1_200)]
    total: Option<i64>,
    /// Deliveries that it has retried.
    #[schema(example = 400)]
    done: i64,
    /// Retried deliveries that are out of quarantine.
    #[schema(example = 398)]
    stored: i64,
    /// Retried deliveries that stayed in quarantine.
    #[schema(example = 2)]
    still_quarantined: i64,
    /// Reason why the last of them stayed.
    #[schema(example = "the field data.session_id: it is missing")]
    last_error: Option<String>,
}

/// Filters of the request; null where there was none.
#[derive(Default, Serialize, ToSchema)]
struct JobFilter {
    /// Naming one of these agents.
    #[schema(example = json!(["A80HVD8577"]))]
    agent_ids: Option<Vec<String>>,
    /// Of this conversation.
    #[schema(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
    /// Let in by this source.
    #[schema(example = "default")]
    source: Option<String>,
    /// The sender's name for the event.
    #[schema(example = "chat.push")]
    event_type: Option<String>,
    /// With this text in the reason.
    #[schema(example = "session_id")]
    reason: Option<String>,
    /// Arrived later than this.
    #[schema(example = "2026-09-28T00:00:00Z")]
    received_after: Option<Timestamp>,
    /// Arrived earlier than this.
    #[schema(example = "2026-09-29T00:00:00Z")]
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

/// Size of a job before it is begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct Plan {
    /// Deliveries in quarantine that match, counted up to 1,000,000.
    #[schema(example = 1_200)]
    pub(crate) matches: i64,
}
