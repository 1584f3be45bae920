//! Every route of the API, on one screen.

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{FromRequest, guard, web};
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder, ResponseError as _};

use super::{agents, changes, messages, sessions, stream, transcript};
use crate::problem::{Code, Problem};

/// Registers the API; `web::Data<ApiState>` must be among the application's data.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(get("/v1/agents", agents::list))
        .service(get("/v1/agents/{agent_id}", agents::show))
        .service(get("/v1/agents/{agent_id}/sessions", sessions::list_of_agent))
        .service(get("/v1/sessions", sessions::list))
        .service(get("/v1/sessions/{session_id}", sessions::show))
        .service(get("/v1/sessions/{session_id}/messages", messages::list))
        .service(get("/v1/sessions/{session_id}/transcript", transcript::show))
        .service(get("/v1/changes", changes::list))
        .service(get("/v1/stream", stream::listen))
        .default_service(web::to(no_such_path));
}

/// A resource that can be read, and nothing else. A HEAD is a GET without the body, which the
/// server leaves out.
fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let reads = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path)
        .route(web::route().guard(reads).to(handler))
        .default_service(web::to(only_get))
}

async fn only_get(req: HttpRequest) -> HttpResponse {
    let detail = format!("{} is not possible here: GET and HEAD are.", req.method());
    let mut response = Problem::new(Code::MethodNotAllowed, detail).error_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

async fn no_such_path() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound, "There is nothing at this path."))
}
