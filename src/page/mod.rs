//! The web page: files of `web/dist`, built into the binary, and the paths at which it opens.
//!
//! The page is a client of the public API like any other. Its files are the same for everybody, and
//! nothing is redirected: each path returns `index.html`, and the router of the page reads the path.

mod encoding;
mod file;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::http::header::{
    ALLOW, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, X_FRAME_OPTIONS,
};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _, guard, web};
use bytes::Bytes;
use rust_embed::RustEmbed;

use crate::ingress::PageFile;
use crate::problem::{Code, Problem};
use file::{Files, IMMUTABLE_FOLDER};

/// Output of Vite: each file, with `.br` and `.gz` beside it if that is smaller.
#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Dist;

/// Document of the page.
const INDEX: &str = "index.html";
/// Paths at which the page opens.
const PATHS: [&str; 14] = [
    "/",
    "/conversations",
    "/conversations/{id}",
    "/conversations/{id}/print",
    "/overview",
    "/deliveries",
    "/deliveries/{id}",
    "/setup",
    "/health",
    "/keys",
    "/retention",
    "/sign-in",
    "/wall",
    "/gallery",
];

/// Headers of each file. They allow scripts and styles from this origin only, none inline, and no
/// frame on another page.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), \
             midi=(), display-capture=()",
        ),
    ),
];

/// Files of the page, read once.
static FILES: LazyLock<Files> = LazyLock::new(|| {
    let files = Dist::iter().filter_map(|path| {
        let bytes = match Dist::get(&path)?.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        Some((path.into_owned(), bytes))
    });
    Files::new(&files.collect::<BTreeMap<_, _>>())
});

/// Registers the page.
pub fn routes(cfg: &mut web::ServiceConfig) {
    for path in PATHS {
        cfg.service(resource(path, |_| INDEX.to_owned()));
    }
    let folder = format!("/{IMMUTABLE_FOLDER}{{file:.*}}");
    cfg.service(resource(&folder, |req| req.path().trim_start_matches('/').to_owned()));
    let others = FILES.paths().filter(|path| *path != INDEX && !path.starts_with(IMMUTABLE_FOLDER));
    for path in others {
        let file = path.to_owned();
        cfg.service(resource(&format!("/{path}"), move |_| file.clone()));
    }
}

/// Resource that returns a file.
fn resource(
    path: &str,
    file: impl Fn(&HttpRequest) -> String + Clone + 'static,
) -> actix_web::Resource {
    let reads = guard::Any(guard::Get()).or(guard::Head());
    let show = move |req: HttpRequest| {
        let answer = answer(&FILES, &req, &file(&req));
        async move { answer }
    };
    web::resource(path)
        .route(web::route().guard(reads).to(show))
        .default_service(web::to(|req: HttpRequest| async move { refuse_method(&req) }))
}

fn answer(files: &Files, req: &HttpRequest, path: &str) -> Result<HttpResponse, Problem> {
    let Some(file) = files.get(path) else {
        let detail =
            "The page has no file at this path. Reload the page: it may be of an earlier version.";
        return Err(Problem::new(Code::NotFound, detail));
    };
    req.extensions_mut().insert(PageFile);
    let mut response = file.answer(req);
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn refuse_method(req: &HttpRequest) -> HttpResponse {
    let detail = format!("{} is not possible here. Possible: GET, HEAD.", req.method());
    let mut response = Problem::new(Code::MethodNotAllowed, detail).error_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
