//! `POST /v1/deliveries/retry`, `GET /v1/jobs`, `GET` and `DELETE` of `/v1/jobs/{id}`: retrying all
//! deliveries in quarantine that filters let through.
//!
//! A key that is bound to agents sees the jobs of keys that see no more than it does.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::answer::Answer;
use super::deliveries::filter;
use super::list::{self, LIST_PARAMS, Listing, Page};
use super::openapi::{InZone, Paging, Time};
use super::params::{Params, invalid, path_id};
use super::views::jobs::{Job, Plan};
use super::{ApiState, Caller};
use crate::domain::{DeliveryId, Outcome};
use crate::jobs::bulk_retry::MOST_COUNTED;
use crate::problem::{Code, Problem};
use crate::store::jobs::{Cancelled, MOST_OPEN, NewJob, RetryFilter};
use crate::store::keys::Scope;
use crate::store::{Order, Position};

const JOBS: Listing =
    Listing { scope: Scope::Admin, params: &LIST_PARAMS, repeatable: &[], order: Order::Desc };

/// The filters of `/v1/deliveries`, and `plan`.
const RETRY_PARAMS: [&str; 10] = [
    "plan",
    "outcome",
    "source",
    "event_type",
    "agent_id",
    "session_id",
    "reason",
    "received_after",
    "received_before",
    "tz",
];

/// Retries all deliveries in quarantine that the filters let through.
///
/// The filters are those of `/v1/deliveries`. The answer is a job, whose progress is at
/// `/v1/jobs/{id}`; it goes on after a restart. Up to 10 jobs wait or run at a time.
#[utoipa::path(post, path = "/v1/deliveries/retry", tag = "Deliveries",
    params(InZone,
        ("plan" = Option<bool>, Query, example = true, description = "`true` counts what matches and retries nothing."),
        ("outcome" = Vec<String>, Query, description = "May be left out; only what is `quarantined` is retried."),
        ("source" = Option<String>, Query, description = "Let in by this source."),
        ("event_type" = Option<String>, Query, description = "The sender's name for the event."),
        ("agent_id" = Vec<String>, Query, description = "Naming one of these agents; may repeat."),
        ("session_id" = Option<String>, Query, description = "Of this conversation, by the sender's \
            id or ours."),
        ("reason" = Option<String>, Query, description = "With this text in the reason."),
        ("received_after" = Option<Time>, Query, description = "Arrived later than this."),
        ("received_before" = Option<Time>, Query, description = "Arrived earlier than this.")),
    responses((status = 200, description = "With `plan`: what matches.", body = Plan),
        (status = 202, description = "The job.", body = Job),
        (status = 409, description = "conflict")),
    security(("key" = ["admin"])))]
pub(super) async fn retry_all(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let params = Params::parse(&req, &RETRY_PARAMS, &["outcome", "agent_id"])?;
    let wanted = filter(&params, &caller)?;
    if wanted.outcomes.as_ref().is_some_and(|all| !all.contains(&Outcome::Quarantined)) {
        return Err(invalid("outcome", "is `quarantined`, since nothing else can be retried"));
    }
    let wanted = RetryFilter::from(wanted);
    if params.flag("plan")?.unwrap_or(false) {
        let matches = state.store.count_quarantined(&wanted, None, MOST_COUNTED).await?;
        return Ok(HttpResponse::Ok().json(Plan { matches }));
    }
    let now = state.clock.now();
    let job = NewJob {
        id: DeliveryId::new(now).0,
        key_id: caller.key_id(),
        agents: caller.agents().map(<[_]>::to_vec),
        filter: wanted,
        created_at: now,
    };
    if !state.store.insert_job(&job).await? {
        let detail = format!(
            "{MOST_OPEN} jobs wait or run already. Wait until one of them has ended, or cancel one."
        );
        return Err(Problem::new(Code::Conflict, detail));
    }
    tracing::info!(job = %job.id, "bulk retry requested");
    let row = state.store.find_job(job.id, caller.agents()).await?.ok_or_else(none)?;
    let location = format!("/v1/jobs/{}", job.id);
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(Job::from(row)))
}

/// Jobs, the latest first. They are kept for 30 days after their end.
#[utoipa::path(get, path = "/v1/jobs", tag = "Deliveries", params(Paging),
    responses((status = 200, description = "Jobs.", body = Page<Job>)),
    security(("key" = ["admin"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (_, list) = JOBS.read(&req, &caller, &state).await?;
    let mut rows = state.store.list_jobs(caller.agents(), &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.created_at, key: row.id });
    Ok(list::answer(req.uri(), rows.into_iter().map(Job::from).collect(), next)?.into())
}

/// A job and its progress.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "Deliveries",
    responses((status = 200, description = "The job.", body = Job)),
    security(("key" = ["admin"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let id = named(&req, &caller)?;
    let row = state.store.find_job(id, caller.agents()).await?.ok_or_else(none)?;
    Ok(Answer::of(&Job::from(row))?.into())
}

/// Cancels a job. What it has retried by then stays so.
#[utoipa::path(delete, path = "/v1/jobs/{id}", tag = "Deliveries",
    responses((status = 200, description = "The job, cancelled.", body = Job),
        (status = 409, description = "conflict")),
    security(("key" = ["admin"])))]
pub(super) async fn cancel(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let id = named(&req, &caller)?;
    match state.store.cancel_job(id, caller.agents(), state.clock.now()).await? {
        Cancelled::Yes(row) => {
            tracing::info!(job = %id, "job cancelled");
            Ok(Answer::of(&Job::from(row))?.into())
        }
        Cancelled::Over(row) => {
            let detail = format!("The job is over: it is `{}`.", row.state);
            Err(Problem::new(Code::Conflict, detail))
        }
        Cancelled::NotFound => Err(none()),
    }
}

fn named(req: &HttpRequest, caller: &Caller) -> Result<Uuid, Problem> {
    caller.require(Scope::Admin)?;
    Params::parse(req, &[], &[])?;
    Uuid::try_parse(&path_id(req)?).map_err(|_| none())
}

fn none() -> Problem {
    Problem::new(Code::NotFound, "There is no such job, or not any more.")
}
