//! `POST /v1/deliveries/retry`, `GET /v1/jobs`, `GET` and `DELETE` of `/v1/jobs/{id}`: retrying all
//! deliveries in quarantine that filters let through.
//!
//! A key that is bound to agents sees the jobs of keys that see no more than it does.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::query::invalid::invalid;
use crate::api::query::list;
use crate::api::query::parameters::{InZone, Paging};
use crate::api::query::path::path_id;
use crate::api::query::read::{And, read, read_nothing};
use crate::api::resources::deliveries::DeliveryQuery;
use crate::api::views::jobs::{Job, Plan};
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::domain::{DeliveryId, Outcome};
use crate::jobs::bulk_retry::MAX_COUNTED;
use crate::problem::responses::{ApiErrors, Conflict, Errors, InvalidCursor, NotFound};
use crate::problem::{Code, Problem};
use crate::store::jobs::{Cancelled, MAX_OPEN, NewJob, RetryFilter};
use crate::store::keys::Scope;
use crate::store::{Order, Position};

/// Parameters of a bulk retry, beside the filters of `/v1/deliveries`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetryQuery {
    /// `true` counts the matches and retries nothing.
    #[param(example = true)]
    plan: Option<bool>,
}

/// Retries all deliveries in quarantine that the filters let through.
///
/// The filters are those of `/v1/deliveries`. The answer is a job, whose progress is at
/// `/v1/jobs/{id}`; it continues after a restart. Up to 10 jobs wait or run at a time.
#[utoipa::path(post, path = "/v1/deliveries/retry", tag = "Deliveries",
    params(InZone, DeliveryQuery, RetryQuery),
    responses((status = 200, description = "With `plan`: what matches.", body = Plan),
        (status = 202, description = "The job.", body = Job),
        Errors<(ApiErrors, Conflict)>),
    security(("key" = ["admin"])))]
pub(crate) async fn retry_all(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let And(_, And(query, retry)): And<InZone, And<DeliveryQuery, RetryQuery>> = read(&req)?;
    let wanted = query.filter(&caller);
    if wanted.outcomes.as_ref().is_some_and(|all| !all.contains(&Outcome::Quarantined)) {
        return Err(invalid("outcome", "is `quarantined`, since nothing else can be retried"));
    }
    let wanted = RetryFilter::from(wanted);
    if retry.plan.unwrap_or(false) {
        let matches = state.store.count_quarantined(&wanted, None, MAX_COUNTED).await?;
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
            "{MAX_OPEN} jobs wait or run already. Wait until one of them has ended, or cancel one."
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
    responses((status = 200, description = "Jobs.", body = Page<Job>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["admin"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let ((), list) = list::read(&req, Order::Desc, &caller, &state).await?;
    let mut rows = state.store.list_jobs(caller.agents(), &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.created_at, key: row.id });
    Ok(page::answer(req.uri(), rows.into_iter().map(Job::from).collect(), next)?.into())
}

/// A job and its progress.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "Deliveries",
    responses((status = 200, description = "The job.", body = Job),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["admin"])))]
pub(crate) async fn show(
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
        Errors<(ApiErrors, NotFound, Conflict)>),
    security(("key" = ["admin"])))]
pub(crate) async fn cancel(
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
    read_nothing(req)?;
    Uuid::try_parse(&path_id(req)?).map_err(|_| none())
}

fn none() -> Problem {
    Problem::new(Code::NotFound, "There is no such job, or not any more.")
}
