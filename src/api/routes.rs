//! Every route of the API, on one screen.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, ResponseError as _,
    Route, guard, web,
};

use crate::api::answers::pieces::hold_large_answer;
use crate::api::answers::reads::{add_position, confirm_preference};
use crate::api::openapi::document;
use crate::api::resources::{
    agents, alerts, analytics, browser_session, changes, deliveries, docs, erasures, export,
    health, holds, jobs, keys, messages, metrics, retention, saved_views, search, sessions, setup,
    stream, transcript, visits,
};
use crate::problem::{Code, Problem};

/// Registers the API; `web::Data<ApiState>` must be among the application's data, and for
/// `/readyz` and `/metrics` also `web::Data<Health>`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    // Paths are tried in this order: the most frequent one comes first.
    cfg.service(at("/v1/sessions/{session_id}/messages").get(messages::list))
        .service(at("/v1/agents").get(agents::list))
        .service(at("/v1/agents/{agent_id}").get(agents::show).delete(erasures::agent))
        .service(at("/v1/agents/{agent_id}/sessions").get(sessions::list_of_agent))
        .service(at("/v1/sessions").get(sessions::list))
        .service(at("/v1/sessions/{session_id}").get(sessions::show).delete(erasures::session))
        .service(at("/v1/sessions/{session_id}/transcript").get(transcript::show))
        .service(at("/v1/sessions/{session_id}/visits").get(visits::list))
        .service(at("/v1/analytics/catalog").get(analytics::catalog))
        .service(at("/v1/analytics/summary").get(analytics::summary))
        .service(at("/v1/analytics/timeseries").get(analytics::timeseries))
        .service(at("/v1/analytics/distribution").get(analytics::distribution))
        .service(at("/v1/analytics/heatmap").get(analytics::heatmap))
        .service(at("/v1/analytics/top").get(analytics::top))
        .service(at("/v1/alerts").get(alerts::list))
        .service(at("/v1/alerts/history").get(alerts::history))
        .service(at("/v1/changes").get(changes::list))
        .service(at("/v1/stream").get(stream::listen))
        .service(at("/v1/search").get(search::list))
        .service(at("/v1/export/messages").get(export::messages))
        .service(at("/v1/export/sessions").get(export::sessions))
        .service(at("/v1/erasures").get(erasures::list))
        .service(at("/v1/erasures/{id}").get(erasures::show))
        .service(at("/v1/deliveries").get(deliveries::list))
        .service(at("/v1/deliveries/retry").post(jobs::retry_all))
        .service(at("/v1/deliveries/{id}").get(deliveries::show))
        .service(at("/v1/deliveries/{id}/retry").post(deliveries::retry_one))
        .service(at("/v1/jobs").get(jobs::list))
        .service(at("/v1/jobs/{id}").get(jobs::show).delete(jobs::cancel))
        .service(at("/v1/setup").get(setup::show))
        .service(at("/v1/setup/test").post(setup::test))
        .service(at("/v1/holds").get(holds::list))
        .service(at("/v1/retention").get(retention::show))
        .service(at("/v1/agents/{agent_id}/hold").put(holds::agent).delete(holds::release_agent))
        .service(
            at("/v1/sessions/{session_id}/hold").put(holds::session).delete(holds::release_session),
        )
        .service(at("/v1/views").get(saved_views::list))
        .service(at("/v1/views/{name}").put(saved_views::save).delete(saved_views::delete))
        .service(at("/v1/keys").get(keys::list).post(keys::create))
        .service(at("/v1/keys/{id}").delete(keys::revoke))
        .service(
            at("/v1/browser-session")
                .get(browser_session::show)
                .post(browser_session::create)
                .delete(browser_session::delete),
        )
        .service(at("/healthz").get(health::alive))
        .service(at("/readyz").get(health::ready))
        .service(at("/metrics").get(metrics::show))
        .service(at("/openapi.json").get(document::show))
        .service(at("/docs").get(|| async { docs::show(document::document()) }))
        .default_service(web::to(no_such_path));
}

/// A path and its methods. Other methods are rejected with a list of these.
struct At {
    resource: Resource,
    allowed: Vec<&'static str>,
}

fn at(path: &str) -> At {
    At { resource: web::resource(path), allowed: Vec::new() }
}

impl At {
    /// Adds GET, and HEAD, whose body the server omits.
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let reads = guard::Any(guard::Get()).or(guard::Head());
        self.with(&["GET", "HEAD"], web::route().guard(reads).to(held(handler, false)))
    }

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["POST"], web::post().to(held(handler, true)))
    }

    fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["PUT"], web::put().to(held(handler, true)))
    }

    fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["DELETE"], web::delete().to(held(handler, true)))
    }

    fn with(mut self, methods: &[&'static str], route: Route) -> Self {
        self.allowed.extend(methods);
        Self { resource: self.resource.route(route), ..self }
    }
}

impl HttpServiceFactory for At {
    fn register(self, config: &mut AppService) {
        let allowed = self.allowed.join(", ");
        let refuse = web::to(move |req: HttpRequest| {
            let refused = refuse_method(&req, &allowed);
            async move { refused }
        });
        self.resource.default_service(refuse).register(config);
    }
}

/// Wraps a handler: adds headers about the servers that answers are read from, and the limit on large
/// answers. A middleware would need one more boxed future of many kilobytes for each request.
fn held<F, Args>(
    handler: F,
    is_change: bool,
) -> impl Handler<(HttpRequest, Args), Output = HttpResponse>
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    move |req: HttpRequest, args: Args| {
        let handler = handler.clone();
        async move {
            let mut answer = handler.call(args).await.respond_to(&req).map_into_boxed_body();
            if is_change {
                // Boxed: otherwise it takes room in the futures of reads, too.
                Box::pin(add_position(&req, &mut answer)).await;
            } else {
                confirm_preference(&req, &mut answer);
            }
            hold_large_answer(&req, answer).await
        }
    }
}

fn refuse_method(req: &HttpRequest, allowed: &str) -> HttpResponse {
    let detail = format!("{} is not possible here. Possible: {allowed}.", req.method());
    let mut response = Problem::new(Code::MethodNotAllowed, detail).error_response();
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

async fn no_such_path(req: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = if req.path().len() > 1 && req.path().ends_with('/') {
        "There is nothing at this path. No path but the webhook's ends with a slash; leave it out."
    } else {
        "There is nothing at this path. /docs shows what there is."
    };
    Err(Problem::new(Code::NotFound, detail))
}
