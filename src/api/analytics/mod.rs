//! `GET /v1/analytics/…`: figures about conversations, without any text.

mod distribution;
mod frame;
mod heatmap;
mod request;
mod summary;
mod timeseries;
mod top;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

pub(super) use distribution::{__path_distribution, distribution};
pub(super) use heatmap::{__path_heatmap, heatmap};
pub(super) use summary::{__path_summary, summary};
pub(super) use timeseries::{__path_timeseries, timeseries};
pub(super) use top::{__path_top, top};

use crate::api::answer::Answer;
use crate::api::query;
use crate::api::views::analytics::Catalog;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::store::keys::Scope;

/// Most rows of an answer, groups included.
const MOST_ROWS: usize = 5_000;
/// Media type of rows alone.
const CSV: &str = "text/csv; charset=utf-8; header=present";

/// Parameters of the catalogue: none.
#[derive(Deserialize)]
struct CatalogQuery {}

/// The catalogue: every metric with its definition, unit, statistics and groups.
#[utoipa::path(get, path = "/v1/analytics/catalog", tag = "Analytics",
    responses((status = 200, description = "Metrics.", body = Catalog), (status = 304)),
    security(("key" = ["analytics"])))]
pub(super) async fn catalog(req: HttpRequest, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    let CatalogQuery {} = query::read(&req)?;
    Ok(Answer::of(&Catalog::new())?.tagged(&req))
}
