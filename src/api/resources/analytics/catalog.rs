//! `GET /v1/analytics/catalog`: all metrics.

use actix_web::{HttpRequest, HttpResponse};

use crate::api::Caller;
use crate::api::answers::answer::Answer;
use crate::api::query::read::read_nothing;
use crate::api::views::analytics::Catalog;
use crate::problem::Problem;
use crate::problem::responses::{ApiErrors, Errors};
use crate::store::keys::Scope;

/// The catalogue: every metric with its definition, unit, statistics and groups.
#[utoipa::path(get, path = "/v1/analytics/catalog", tag = "Analytics",
    responses((status = 200, description = "Metrics.", body = Catalog), (status = 304),
        Errors<ApiErrors>),
    security(("key" = ["analytics"])))]
pub(crate) async fn catalog(req: HttpRequest, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    read_nothing(&req)?;
    Ok(Answer::of(&Catalog::new())?.tagged(&req))
}
