//! `/docs`: the document of all routes as a page, without scripts and without files of other hosts.

mod parts;

use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use parts::{curl, example, inline, members, parameters, resolve, responses, text};

const STYLE: &str = include_str!("style.css");
/// Methods of paths, in the order of the page.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page, and the policy that allows only its style. Both are the same in every process.
static PAGE: OnceLock<(String, String)> = OnceLock::new();

/// Returns the policy that allows only the page's style.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// This document as a page.
#[utoipa::path(get, path = "/docs", tag = "Service",
    responses((status = 200, description = "A page of HTML.", body = String, content_type = "text/html",
        example = "<!doctype html>…")))]
pub(crate) fn show(document: &'static Value) -> HttpResponse {
    let (page, policy) = PAGE.get_or_init(|| (page(document).into_string(), policy()));
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy.as_str()))
        .body(page.as_str())
}

/// An operation of a path.
struct Operation<'a> {
    method: &'static str,
    path: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    /// Returns the fragment of a link to it.
    fn anchor(&self) -> String {
        text(&self.value["operationId"]).replace('_', "-")
    }
}

/// Returns the operations of a tag.
fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        METHODS
            .into_iter()
            .filter_map(move |method| Some(Operation { method, path, value: item.get(method)? }))
    });
    all.filter(|operation| operation.value["tags"][0] == tag).collect()
}

/// Returns the tags of a document, in its order.
fn tags(document: &Value) -> impl Iterator<Item = &Value> {
    document["tags"].as_array().into_iter().flatten()
}

/// Returns the whole page.
fn page(document: &Value) -> Markup {
    let info = &document["info"];
    let title = text(&info["title"]);
    let routes = routes(document);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " API" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                // The policy has the hash of these bytes.
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) " " small { (text(&info["version"])) } }
                    p { "For machines: " a href="openapi.json" { "openapi.json" } }
                }
                nav aria-label="Routes" {
                    details { summary { "Routes" } (routes) }
                    div.wide { (routes) }
                }
                main {
                    (paragraphs(text(&info["description"])))
                    @for tag in tags(document) { (section(document, tag)) }
                }
            }
        }
    }
}

/// Returns links to all operations, by tag.
fn routes(document: &Value) -> Markup {
    html! {
        @for tag in tags(document) {
            @let name = text(&tag["name"]);
            h2 { (name) }
            ul {
                @for operation in operations(document, name) {
                    li {
                        a href={ "#" (operation.anchor()) } {
                            b.(operation.method) { (operation.method) }
                            " "
                            (breakable(operation.path))
                        }
                    }
                }
            }
        }
    }
}

/// Returns a tag with its operations.
fn section(document: &Value, tag: &Value) -> Markup {
    let name = text(&tag["name"]);
    html! {
        section.tag {
            h2 { (name) }
            p { (inline(text(&tag["description"]))) }
            @for operation in operations(document, name) { (article(document, &operation)) }
        }
    }
}

/// Returns an operation with all its parts.
fn article(document: &Value, operation: &Operation<'_>) -> Markup {
    let Operation { method, path, value } = operation;
    let anchor = operation.anchor();
    let summary = text(&value["summary"]).trim_end_matches('.');
    let params = value["parameters"].as_array().into_iter().flatten();
    let params: Vec<_> = params.map(|param| resolve(document, param)).collect();
    let body = &value["requestBody"]["content"]["application/json"];
    html! {
        article id=(anchor) {
            h3 { a href={ "#" (anchor) } { (inline(summary)) } }
            p.route { b.(method) { (method) } " " code { (breakable(path)) } }
            (paragraphs(text(&value["description"])))
            @if value["security"].as_array().is_none_or(Vec::is_empty) {
                p { "Needs no key." }
            }
            (parameters(document, &params))
            @if let Some(example) = example(body) {
                h4 { "Body" }
                pre { (example) }
                (members(document, &body["schema"]))
            }
            h4 { "Try it" }
            pre.copy { (curl(method, path, value, &params)) }
            (responses(document, &value["responses"]))
        }
    }
}

/// Returns text as paragraphs; an empty line separates two.
fn paragraphs(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            p { (inline(paragraph)) }
        }
    }
}

/// Returns a path that may break after each slash.
fn breakable(path: &str) -> Markup {
    html! {
        @for (index, part) in path.split('/').enumerate() {
            @if index > 0 { "/" wbr; }
            (part)
        }
    }
}
