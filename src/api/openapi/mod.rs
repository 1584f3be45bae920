//! `/openapi.json`: what the API takes and gives, as `OpenAPI` 3.1.
//!
//! What is peculiar to a route stands as an annotation at its handler. What holds for many is added
//! here: the ids in paths, the errors, the headers, the ways to send a key, and an example of
//! everything ([`complete`], [`errors`], [`examples`]). Its copy at the top of the repository is
//! held against the code by a test.

mod complete;
mod errors;
mod examples;
mod shared;
mod webhook;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde_json::Value;
use utoipa::OpenApi;

pub(super) use shared::{
    AgentId, Expiry, ForSheets, InZone, Paging, ScopeName, Selectors, SessionFilters, Time,
    ViewQuery,
};

use crate::api::{
    agents, alerts, analytics, browser_session, changes, deliveries, docs, erase, export, health,
    holds, jobs, keys, messages, metrics, retention, saved_views, search, sessions, setup, stream,
    transcript, visits,
};
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
    // What stands in parameters alone; what stands in bodies is found.
    components(schemas(Time)),
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
        erase::session,
        erase::agent,
        erase::list,
        erase::show,
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
    let document = complete::complete(Routes::openapi());
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    (document, text)
});

/// The document.
pub(super) fn document() -> &'static Value {
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
pub(super) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi())
}
