//! `/metrics`, for Prometheus. It needs a key with the scope `analytics`, whose figures these are.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};

use crate::api::resources::health::Health;
use crate::api::{ApiState, Caller};
use crate::postgres::SchemaState;
use crate::problem::responses::{Errors, KeyErrors};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;
use crate::telemetry::metrics::{ReplicaLag, State};

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "Service",
    responses((status = 200, description = "Prometheus' text format.", content_type = "text/plain",
        body = String, example = "verbatim_postgres_up 1\n"),
        Errors<KeyErrors>),
    security(("key" = ["analytics"])))]
pub(crate) async fn show(
    caller: Caller,
    health: web::Data<Health>,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    if caller.agents().is_some() {
        let detail = "These figures are of all agents, and this key is bound to some.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let (standing, metrics) = (health.standing(), &health.metrics);
    metrics.state.show(&State {
        inbox_writable: standing.writable,
        inbox_deliveries: standing.depth.deliveries,
        inbox_bytes: standing.depth.bytes,
        inbox_quota_bytes: health.inbox_quota_bytes,
        inbox_oldest_age_seconds: standing.oldest_age_seconds,
        postgres_up: standing.database_health.reachable,
        schema_current: standing.schema == SchemaState::Current,
        search_lag_entries: standing.search.map(|search| search.lag_entries),
        search_rebuild_entries: standing
            .search
            .and_then(|search| search.rebuild)
            .map(|rebuild| rebuild.of_entries - rebuild.done_entries),
        search_lag_seconds: standing.search.map(|search| search.lag_seconds),
        figures_lag_entries: standing.figures.map(|figures| figures.lag_entries),
        figures_lag_seconds: standing.figures.map(|figures| figures.lag_seconds),
        connections: state.store.connections(),
        replica: standing.replica.map_or_else(ReplicaLag::default, |standby| ReplicaLag {
            used: standby.used,
            seconds: standby.lag_seconds,
            bytes: standby.lag_bytes,
        }),
        last_received_at: metrics.webhook.last_received_at(),
        last_test_at: metrics.webhook.last_test_at(),
    });
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).body(metrics.render()))
}
