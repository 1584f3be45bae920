//! `GET /v1/retention`: ages of conversations and deliveries, and the next deletion.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Days, NaiveTime, Utc};
use tokio::time::timeout;

use crate::api::answers::answer::Answer;
use crate::api::answers::needs::Needs;
use crate::api::query::read::read_nothing;
use crate::api::resources::setup::{SetupState, require_unbound_admin};
use crate::api::views::retention::{KeptFor, PlannedRows, Retention};
use crate::api::views::timestamp::Timestamp;
use crate::api::{ApiState, Caller};
use crate::config::{AgeLimits, RetentionRules};
use crate::jobs::retention::plan::plan;
use crate::problem::Problem;
use crate::problem::responses::{ApiErrors, Errors};
use crate::store::Store;

/// Limit on the time to count the rows of the next deletion: in a large database it takes too long.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);
const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// Age limits of conversations and of the log of deliveries by source, and the rows of the next deletion.
///
/// This deletes nothing. Held rows are not deleted and not counted. A key that is bound to agents is
/// rejected.
#[utoipa::path(get, path = "/v1/retention", tag = "Keeping",
    responses((status = 200, description = "Age limits, and rows of the next deletion.", body = Retention), (status = 304),
        Errors<ApiErrors>),
    security(("key" = ["admin"])))]
pub(crate) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
    setup: web::Data<SetupState>,
) -> Result<HttpResponse, Problem> {
    require_unbound_admin(&caller)?;
    read_nothing(&req)?;
    let sources: Vec<String> =
        setup.test_sender.sources().iter().map(|source| source.name.to_string()).collect();
    let (state, keep) = (state.into_inner(), setup.keep.clone());
    let reads = state.reads.clone();
    let read = move || read(state.store.clone(), state.clock.now(), keep.clone(), sources.clone());
    let answer = reads.answer(&req, caller.agents(), Needs::default(), read).await?;
    Ok(answer.tagged(&req))
}

async fn read(
    store: Store,
    now: DateTime<Utc>,
    keep: RetentionRules,
    sources: Vec<String>,
) -> Result<Answer, Problem> {
    let ends = !keep.messages.is_unlimited() || !keep.deliveries.is_unlimited();
    let next = if ends { next_midnight(now) } else { None };
    let planned = match next {
        Some(next) => timeout(COUNTED_WITHIN, plan(&store, next, &keep)).await.ok().transpose()?,
        None => Some(Vec::new()),
    };
    let plan = planned.map(|rows| {
        rows.into_iter()
            .map(|old| PlannedRows {
                table: old.table.to_owned(),
                source: old.source,
                rows: old.rows,
            })
            .collect()
    });
    Answer::of(&Retention {
        as_of: Timestamp(now),
        keep_messages: kept(&keep.messages, &sources),
        keep_deliveries: kept(&keep.deliveries, &sources),
        next_run_at: next.map(Timestamp),
        plan,
    })
}

/// Returns the time at which a further day expires.
fn next_midnight(now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = now.date_naive().checked_add_days(Days::new(1))?;
    Some(next.and_time(NaiveTime::MIN).and_utc())
}

fn kept(ages: &AgeLimits, sources: &[String]) -> Vec<KeptFor> {
    let age = |source: &String| ages.of_sources.get(source).copied().unwrap_or(ages.usual);
    let days = |source| age(source).map(|age| age.as_secs() / SECONDS_OF_A_DAY);
    sources.iter().map(|source| KeptFor { source: source.clone(), days: days(source) }).collect()
}
