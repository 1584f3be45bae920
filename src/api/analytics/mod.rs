//! `GET /v1/analytics/…`: figures about conversations, without any text.

mod figures;
mod request;
mod summary;
mod timeseries;

use actix_web::{HttpRequest, HttpResponse};

pub(super) use summary::{__path_summary, summary};
pub(super) use timeseries::{__path_timeseries, timeseries};

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::api::views::analytics::Catalog;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::store::keys::Scope;

/// Most rows of an answer, groups included.
const MOST_ROWS: usize = 5_000;

/// The catalogue: every metric with its definition, unit, statistics and groups.
#[utoipa::path(get, path = "/v1/analytics/catalog", tag = "Analytics",
    responses((status = 200, description = "Metrics.", body = Catalog), (status = 304)),
    security(("key" = ["analytics"])))]
pub(super) async fn catalog(req: HttpRequest, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    Params::parse(&req, &[], &[])?;
    Ok(Answer::of(&Catalog::new())?.tagged(&req))
}

/// Values of a parameter that may repeat; `None` where it is not there.
fn some(values: &[String]) -> Option<&[String]> {
    (!values.is_empty()).then_some(values)
}
