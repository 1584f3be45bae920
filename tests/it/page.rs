//! The web page: its paths, its files, and its security headers.

use std::path::{Path, PathBuf};

use reqwest::{Client, Response};

use crate::support::app::App;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Client without redirects and without decompression.
fn client() -> Client {
    let _ = crate::support::app::client();
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn request(app: &App, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client().request(method, format!("{}{path}", app.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist")
}

/// Every file of the page, with its path from `web/dist`.
fn files() -> Vec<(String, Vec<u8>)> {
    let (mut folders, mut files) = (vec![dist()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dist()).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files
}

#[tokio::test]
async fn page_opens_at_each_of_its_paths() {
    let app = App::start().await;
    let index = std::fs::read(dist().join("index.html")).unwrap();
    for path in [
        "/",
        "/conversations",
        "/conversations/01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64",
        "/conversations/A80HVD8577_5f3c1a?message=1",
        "/conversations/5f3c1a/print",
        "/overview?period=last_7d",
        "/deliveries",
        "/deliveries/01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64",
        "/setup",
        "/health",
        "/keys",
        "/retention",
        "/sign-in",
        "/wall",
        "/gallery",
    ] {
        let answer = request(&app, "GET", path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&answer, "cache-control"), "no-cache");
        assert_eq!(header(&answer, "set-cookie"), "");
        assert_eq!(answer.bytes().await.unwrap(), index, "{path}");
        let head = request(&app, "HEAD", path, &[]).await;
        assert_eq!(
            (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
            (200, index.len().to_string().as_str())
        );
        assert_eq!(head.bytes().await.unwrap(), "");
    }
}

#[tokio::test]
async fn other_paths_are_not_answered_with_the_page() {
    let app = App::start().await;
    for path in [
        "/nothing",
        "/v1",
        "/v1/nothing",
        "/conversations/a/b",
        "/overview/x",
        "/keys/",
        "/index.htm",
    ] {
        let answer = request(&app, "GET", path, &[("Accept", "text/html")]).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{path}");
    }
    for path in
        ["/assets/none-4f6u.js", "/assets/", "/assets/../index.html.none", "/assets/%2e%2e/x"]
    {
        let answer = request(&app, "GET", path, &[]).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{path}");
        assert_eq!(
            header(&answer, "cache-control"),
            "no-store",
            "a later version may have the file"
        );
    }
    for method in ["POST", "PUT", "DELETE"] {
        for path in ["/", "/conversations", "/assets/none.js"] {
            let answer = request(&app, method, path, &[]).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "GET, HEAD"));
            assert_eq!(header(&answer, "content-type"), "application/problem+json");
        }
    }
    assert_eq!(request(&app, "GET", "/docs", &[]).await.status(), 200);
    assert_eq!(request(&app, "GET", "/v1/keys", &[]).await.status(), 401, "the API's own path");
}

#[tokio::test]
async fn page_runs_only_its_own_scripts_and_in_no_frame() {
    let app = App::start().await;
    for path in ["/", "/sign-in", "/conversations/1"] {
        let answer = request(&app, "GET", path, &[]).await;
        for (name, value) in [
            ("content-security-policy", POLICY),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(&answer, name), value, "{path} {name}");
        }
        assert!(header(&answer, "permissions-policy").starts_with("camera=(), microphone=()"));
    }
    let page = std::fs::read_to_string(dist().join("index.html")).unwrap();
    for inline in ["<style", "style=", "onload=", "onclick=", "javascript:"] {
        assert!(!page.contains(inline), "the policy forbids {inline}");
    }
    for script in page.split("<script").skip(1) {
        assert!(
            script.split('>').next().unwrap().contains("src=\"/"),
            "an inline script: {script}"
        );
    }
}

#[tokio::test]
async fn no_parameter_redirects_to_another_site() {
    let app = App::start().await;
    for path in [
        "/?next=https://evil.test",
        "/sign-in?next=https://evil.test",
        "/sign-in?redirect=//evil.test",
        "/sign-in?return_to=%2F%2Fevil.test",
        "//evil.test",
        "//evil.test/%2e%2e",
        "/\\evil.test",
    ] {
        let answer = request(&app, "GET", path, &[]).await;
        let status = answer.status().as_u16();
        assert!(matches!(status, 200 | 400 | 404), "{path} {status}");
        assert_eq!(header(&answer, "location"), "", "{path}");
        assert_eq!(header(&answer, "refresh"), "", "{path}");
        assert!(!answer.text().await.unwrap().contains("evil.test"), "{path}");
    }
}

#[tokio::test]
async fn each_file_is_served_in_its_available_encodings() {
    let app = App::start().await;
    let files = files();
    let has = |name: &str| files.iter().any(|(other, _)| other == name);
    for (name, bytes) in &files {
        let (plain, coding) = match name.rsplit_once('.') {
            Some((plain, "br")) if has(plain) => (plain, "br"),
            Some((plain, "gz")) if has(plain) => (plain, "gzip"),
            _ => (name.as_str(), ""),
        };
        let accepted = if coding.is_empty() { "identity" } else { coding };
        let answer =
            request(&app, "GET", &format!("/{plain}"), &[("Accept-Encoding", accepted)]).await;
        if plain == "index.html" {
            assert_eq!(answer.status(), 404, "served at the page's paths only");
            continue;
        }
        assert_eq!((answer.status().as_u16(), header(&answer, "content-encoding")), (200, coding));
        assert_eq!(header(&answer, "vary"), "Accept-Encoding");
        let immutable = header(&answer, "cache-control") == "public, max-age=31536000, immutable";
        assert_eq!(immutable, plain.starts_with("assets/"), "{plain}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_ne!(header(&answer, "content-type"), "application/octet-stream", "{plain}");
        assert!(answer.bytes().await.unwrap() == bytes.as_slice(), "{name}");
    }
}

#[tokio::test]
async fn unchanged_page_is_answered_304() {
    let app = App::start().await;
    let first = request(&app, "GET", "/", &[("Accept-Encoding", "identity")]).await;
    let tag = header(&first, "etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    let known = [("If-None-Match", tag.as_str()), ("Accept-Encoding", "identity")];
    for path in ["/", "/conversations"] {
        let again = request(&app, "GET", path, &known).await;
        assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.as_str()));
        assert_eq!(header(&again, "cache-control"), "no-cache");
    }
    let other = request(&app, "GET", "/", &[("If-None-Match", "\"other\"")]).await;
    assert_eq!(other.status(), 200);
}
