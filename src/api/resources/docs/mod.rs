//! `/docs`: the document of all routes as a page, without scripts and without files of other hosts.

mod parts;

use std::fmt::Write as _;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use parts::{curl, escape, example, inline, parameters, resolve, responses, text};

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
    let (page, policy) = PAGE.get_or_init(|| (page(document), policy()));
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

fn page(document: &Value) -> String {
    let (mut nav, mut main) = (String::new(), String::new());
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        // Writing to a string does not fail.
        let _ = write!(nav, "<h2>{}</h2><ul>", escape(name));
        let _ = write!(
            main,
            "<section class=tag><h2>{}</h2><p>{}</p>",
            escape(name),
            inline(text(&tag["description"]))
        );
        for operation in operations(document, name) {
            let _ = write!(
                nav,
                "<li><a href=\"#{}\"><b class={1}>{1}</b> {2}</a></li>",
                operation.anchor(),
                operation.method,
                breakable(operation.path)
            );
            main.push_str(&section(document, &operation));
        }
        nav.push_str("</ul>");
        main.push_str("</section>");
    }
    let info = &document["info"];
    let (title, version) = (escape(text(&info["title"])), escape(text(&info["version"])));
    let mut introduction = String::new();
    for paragraph in text(&info["description"]).split("\n\n") {
        let _ = write!(introduction, "<p>{}</p>", inline(paragraph));
    }
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>{title} API</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <style>{STYLE}</style></head><body>\
         <header><h1>{title} <small>{version}</small></h1>\
         <p>For machines: <a href=\"openapi.json\">openapi.json</a></p></header>\
         <nav aria-label=\"Routes\"><details><summary>Routes</summary>{nav}</details>\
         <div class=wide>{nav}</div></nav><main>{introduction}{main}</main></body></html>"
    )
}

/// Returns a path that may break after each slash.
fn breakable(path: &str) -> String {
    escape(path).replace('/', "/<wbr>")
}

fn section(document: &Value, operation: &Operation<'_>) -> String {
    let Operation { method, path, value } = operation;
    let anchor = operation.anchor();
    let summary = text(&value["summary"]).trim_end_matches('.');
    let mut out = format!(
        "<article id=\"{anchor}\"><h3><a href=\"#{anchor}\">{}</a></h3>\
         <p class=route><b class={method}>{method}</b> <code>{}</code></p>",
        inline(summary),
        breakable(path)
    );
    for paragraph in text(&value["description"]).split("\n\n").filter(|text| !text.is_empty()) {
        let _ = write!(out, "<p>{}</p>", inline(paragraph));
    }
    if value["security"].as_array().is_none_or(Vec::is_empty) {
        out.push_str("<p>Needs no key.</p>");
    }
    let params: Vec<_> = value["parameters"].as_array().into_iter().flatten().collect();
    let params: Vec<_> = params.into_iter().map(|param| resolve(document, param)).collect();
    out.push_str(&parameters(document, &params));
    let body = &value["requestBody"]["content"]["application/json"];
    if let Some(example) = example(body) {
        let _ = write!(out, "<h4>Body</h4><pre>{}</pre>", escape(&example));
        out.push_str(&parts::members(document, &body["schema"]));
    }
    let _ = write!(
        out,
        "<h4>Try it</h4><pre class=copy>{}</pre>",
        escape(&curl(method, path, value, &params))
    );
    out.push_str(&responses(document, &value["responses"]));
    out.push_str("</article>");
    out
}
