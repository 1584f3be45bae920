//! Cross-origin requests: which origins may read answers in a browser, and with which requests.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use verbatim::config::{CorsOrigins, ServeArgs, Settings};

use crate::support::app::{App, KEY, client};

const LISTED: &str = "https://app.example.com";

async fn serving(list: Option<&str>) -> App {
    let args =
        ServeArgs { cors_origin: list.map(|list| list.parse().unwrap()), ..ServeArgs::default() };
    let origins: CorsOrigins = Settings::resolve(args).unwrap().cors_origins;
    App::start_with(|settings| settings.cors_origins = origins).await
}

async fn request(app: &App, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client().request(method, format!("{}{path}", app.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn preflight(app: &App, path: &str, origin: &str) -> Response {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization,last-event-id"),
    ];
    request(app, "OPTIONS", path, &headers).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

fn allowed(response: &Response) -> Option<&str> {
    assert_eq!(header(response.headers(), "access-control-allow-credentials"), None);
    header(response.headers(), "access-control-allow-origin")
}

fn varies(response: &Response) -> bool {
    let mut all = response.headers().get_all("vary").iter();
    all.any(|value| value.to_str().unwrap().eq_ignore_ascii_case("origin"))
}

/// Returns true if the list in a header contains all of `wanted`.
fn lists(headers: &HeaderMap, name: &str, wanted: &[&str]) -> bool {
    let all = header(headers, name).unwrap().to_ascii_lowercase();
    let all: Vec<_> = all.split(',').map(str::trim).collect();
    wanted.iter().all(|one| all.contains(&one.to_ascii_lowercase().as_str()))
}

#[tokio::test]
async fn preflight_is_answered_without_a_key() {
    let app = serving(Some("http://localhost:3000,https://app.example.com")).await;
    for path in ["/v1/sessions", "/v1/stream", "/v1/keys", "/readyz", "/nothing"] {
        let answer = preflight(&app, path, LISTED).await;
        assert_eq!(answer.status(), 204, "{path}");
        assert_eq!(allowed(&answer), Some(LISTED));
        assert!(varies(&answer));
        let headers = answer.headers();
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE"];
        assert!(lists(headers, "access-control-allow-methods", &methods));
        let sent = ["Authorization", "X-API-Key", "Last-Event-ID", "If-None-Match", "Content-Type"];
        assert!(lists(headers, "access-control-allow-headers", &sent));
        assert!(headers.contains_key("access-control-max-age"));
        assert!(headers.contains_key("x-request-id"));
    }
    let other = preflight(&app, "/v1/sessions", "https://evil.example").await;
    assert_eq!((allowed(&other), varies(&other)), (None, true));
    assert!(!other.headers().contains_key("access-control-allow-headers"));
}

#[tokio::test]
async fn listed_origin_can_read_every_answer_and_error() {
    let app = serving(Some(LISTED)).await;
    let key = ("X-API-Key", KEY);
    for (method, path, key, status) in [
        ("GET", "/v1/sessions", key, 200),
        ("GET", "/healthz", key, 200),
        ("GET", "/v1/sessions", ("X-API-Key", "wrong"), 401),
        ("GET", "/v1/sessions/none", key, 404),
        ("GET", "/nothing", key, 404),
        ("GET", "/v1/sessions?limit=0", key, 400),
        ("PATCH", "/v1/sessions", key, 405),
        ("OPTIONS", "/v1/sessions", key, 405),
        ("GET", "/v1/export/messages", key, 200),
    ] {
        let answer = request(&app, method, path, &[key, ("Origin", LISTED)]).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(allowed(&answer), Some(LISTED), "{method} {path}");
        assert!(varies(&answer), "{method} {path}");
        let exposed = ["Link", "ETag", "X-Request-Id", "Retry-After"];
        assert!(lists(answer.headers(), "access-control-expose-headers", &exposed), "{path}");
        let other = request(&app, method, path, &[key, ("Origin", "http://app.example.com")]).await;
        assert_eq!((other.status(), allowed(&other)), (answer.status(), None), "{method} {path}");
        let none = request(&app, method, path, &[key]).await;
        assert_eq!((allowed(&none), varies(&none)), (None, true), "{method} {path}");
    }
    // An answer without an end.
    let stream = request(&app, "GET", "/v1/stream", &[key, ("Origin", LISTED)]).await;
    assert_eq!((stream.status().as_u16(), allowed(&stream)), (200, Some(LISTED)));
}

#[tokio::test]
async fn webhook_has_no_cors_headers() {
    for list in [LISTED, "*"] {
        let app = serving(Some(list)).await;
        for path in ["/webhook", "/webhook/", "/webhook/kiosk"] {
            let options = preflight(&app, path, LISTED).await;
            assert_eq!((allowed(&options), varies(&options)), (None, false), "{path}");
            assert!(!options.status().is_success(), "{path}");
            let answer = request(&app, "POST", path, &[("Origin", LISTED)]).await;
            assert_eq!((allowed(&answer), varies(&answer)), (None, false), "{path}");
        }
    }
}

#[tokio::test]
async fn answers_have_no_cors_headers_by_default() {
    let app = serving(None).await;
    let options = preflight(&app, "/v1/sessions", LISTED).await;
    assert_eq!(
        (options.status().as_u16(), allowed(&options), varies(&options)),
        (405, None, false)
    );
    let answer =
        request(&app, "GET", "/v1/sessions", &[("X-API-Key", KEY), ("Origin", LISTED)]).await;
    assert_eq!((answer.status().as_u16(), allowed(&answer)), (200, None));
    assert!(!varies(&answer));
}

#[tokio::test]
async fn star_allows_every_origin_without_credentials() {
    let app = serving(Some("*")).await;
    let options = preflight(&app, "/v1/sessions", "https://any.example").await;
    assert_eq!((options.status().as_u16(), allowed(&options)), (204, Some("*")));
    let answer = request(&app, "GET", "/v1/sessions", &[("X-API-Key", KEY)]).await;
    assert_eq!((allowed(&answer), varies(&answer)), (Some("*"), false));
}
