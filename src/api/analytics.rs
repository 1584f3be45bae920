//! `GET /v1/analytics/…`: figures about conversations, without any text.

use actix_web::{HttpRequest, HttpResponse};

use super::Caller;
use super::answer::Answer;
use super::params::Params;
use super::views::analytics::Catalog;
use crate::problem::Problem;
use crate::store::keys::Scope;

/// The catalogue: every metric with its definition, unit, statistics and groups.
#[utoipa::path(get, path = "/v1/analytics/catalog", tag = "Analytics",
    responses((status = 200, description = "Metrics.", body = Catalog), (status = 304)),
    security(("key" = ["analytics"])))]
pub(super) async fn catalog(req: HttpRequest, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    Params::parse(&req, &[], &[])?;
    Ok(Answer::of(&Catalog::new())?.tagged(&req))
}
