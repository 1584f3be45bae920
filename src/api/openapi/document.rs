//! The document of all routes, and its route.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde_json::Value;
use utoipa::OpenApi;

use super::complete::complete;
use crate::api::query::time::Time;
use crate::api::resources::{
    agents, alerts, analytics, browser_session, changes, deliveries, docs, erasures, export,
    health, holds, jobs, keys, messages, metrics, retention, saved_views, search, sessions, setup,
    stream, transcript, visits,
};
use crate::problem::{Code, Problem};
use crate::webhook::handler;

/// Every route that is documented, in the order of their tags.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Verbatim",
        description = include_str!("introduction.md"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "./", description = "This service.")),
    tags(
        (name = "Conversations", description = "Who spoke with whom, when, and what was said."),
        (name = "Analytics", description = "How many, how long, and when: figures without any text."),
        (name = "Alerts", description = "What fires, and what has fired."),
        (name = "Export", description = "All of it as files."),
        (name = "Keeping", description = "What is erased, and what is held."),
        (name = "Deliveries", description = "What arrived, and what became of it."),
        (name = "Set-up", description = "How sources are set up, and whether it works."),
        (name = "Views", description = "Filters that a key has saved."),
        (name = "Keys", description = "Who may ask for what."),
        (name = "Browser sessions", description = "Sign-in of a browser with a key, for a cookie."),
        (name = "Webhook", description = "The way in."),
        (name = "Service", description = "For machines and their keepers."),
    ),
    // Schemas of parameters; those of bodies are found.
    components(schemas(Time, Problem, Code)),
    paths(
        agents::list,
        agents::show,
        sessions::list_of_agent,
        sessions::list,
        sessions::show,
        messages::list,
        transcript::show,
        visits::list,
        search::list,
        analytics::catalog,
        analytics::summary,
        analytics::timeseries,
        analytics::distribution,
        analytics::heatmap,
        analytics::top,
        alerts::list,
        alerts::history,
        changes::list,
        stream::listen,
        export::messages,
        export::sessions,
        erasures::session,
        erasures::agent,
        erasures::list,
        erasures::show,
        holds::list,
        holds::session,
        holds::release_session,
        holds::agent,
        holds::release_agent,
        retention::show,
        deliveries::list,
        deliveries::show,
        deliveries::retry_one,
        jobs::retry_all,
        jobs::list,
        jobs::show,
        jobs::cancel,
        setup::show,
        setup::test,
        saved_views::list,
        saved_views::save,
        saved_views::delete,
        keys::list,
        keys::create,
        keys::revoke,
        browser_session::create,
        browser_session::show,
        browser_session::delete,
        handler::receive,
        health::alive,
        health::ready,
        metrics::show,
        show,
        docs::show,
    ),
)]
struct Routes;

/// The document, and the same as text. It is made once, and is the same in every process.
static DOCUMENT: LazyLock<(Value, String)> = LazyLock::new(|| {
    let document = complete(Routes::openapi());
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    (document, text)
});

/// The document.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT.0
}

/// The document as text, indented, as it is served.
#[must_use]
pub fn openapi() -> &'static str {
    &DOCUMENT.1
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "Service",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"}))))]
pub(crate) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi())
}
