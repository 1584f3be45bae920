//! Both ways through real proxies with their default settings, and what they pass on.

use std::process::Command;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{App, KEY, SECRET, client, sign};
use crate::support::programs::{Running, free_port, program};

/// How long anything may take through a proxy.
const PATIENCE: Duration = Duration::from_secs(20);
/// The path under which the proxies serve us, besides the root.
const PREFIX: &str = "/records";

fn said(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

/// A proxy in front of a service.
struct Proxy {
    url: String,
    _running: Running,
    _folder: TempDir,
}

/// nginx, with no setting but where to pass requests. Behind `/records` the slash that many
/// configurations double is doubled.
fn nginx(upstream: &str) -> Option<Proxy> {
    let (program, folder, port) = (program("nginx")?, TempDir::new().unwrap(), free_port());
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;
         events {{}}
         http {{
             access_log off;
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;
             server {{
                 listen 127.0.0.1:{port};
                 location / {{ proxy_pass {upstream}; }}
                 location {PREFIX} {{ proxy_pass {upstream}/; }}
             }}
         }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
    let mut command = Command::new(program);
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]);
    let running = Running::start(command, port);
    Some(Proxy { url: format!("http://127.0.0.1:{port}"), _running: running, _folder: folder })
}

/// Caddy, likewise.
fn caddy(upstream: &str) -> Option<Proxy> {
    let (program, folder, port) = (program("caddy")?, TempDir::new().unwrap(), free_port());
    let configuration = format!(
        "{{
             admin off
             auto_https off
             log {{
                 level ERROR
             }}
         }}
         http://:{port} {{
             bind 127.0.0.1
             handle_path {PREFIX}/* {{
                 reverse_proxy {upstream}
             }}
             handle {{
                 reverse_proxy {upstream}
             }}
         }}"
    );
    let file = folder.path().join("Caddyfile");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(name, folder.path());
    }
    let running = Running::start(command, port);
    Some(Proxy { url: format!("http://127.0.0.1:{port}"), _running: running, _folder: folder })
}

/// Sends bytes as they are, and reads until the other end closes or the answer is whole.
async fn raw(address: &str, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    let read =
        async { while !is_whole(&answer) && stream.read_buf(&mut answer).await.unwrap() > 0 {} };
    let read = tokio::time::timeout(PATIENCE, read).await;
    assert!(read.is_ok(), "no end: {}", String::from_utf8_lossy(&answer));
    String::from_utf8(answer).unwrap()
}

/// By its length, where it has one.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        head.to_lowercase().lines().any(|line| {
            let length = line.strip_prefix("content-length: ");
            length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
        })
    })
}

fn status(answer: &str) -> u16 {
    answer[9..12].parse().unwrap()
}

/// A delivery with further lines in its head.
fn delivery(path: &str, version: &str, lines: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/{version}\r\nHost: h\r\n{lines}X-bitHuman-Signature: {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        sign(SECRET, body.as_bytes()),
        body.len()
    )
}

#[actix_web::test]
async fn a_wish_for_another_protocol_is_ignored() {
    let app = App::start().await;
    for (number, lines) in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: upgrade\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let answer =
            raw(&app.address, delivery("/webhook", "1.1", lines, &said(&number.to_string()))).await;
        assert_eq!(status(&answer), 200, "{lines}: {answer}");
        let reads =
            format!("GET /v1/agents HTTP/1.1\r\nHost: h\r\nX-API-Key: {KEY}\r\n{lines}\r\n");
        let answer = raw(&app.address, reads).await;
        assert!(answer.ends_with('}') && !answer.contains("chunked"), "{answer}");
    }
    // In chunks, and a body that is shorter than it says.
    let body = said("chunks");
    let signature = sign(SECRET, body.as_bytes());
    let head = "POST /webhook HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let chunks = format!(
        "{head}X-bitHuman-Signature: {signature}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(status(&raw(&app.address, chunks).await), 200);
    assert_eq!(app.log().await.len(), 6);
}

#[actix_web::test]
async fn an_answer_to_http_1_0_ends_with_its_connection_and_is_not_chunked() {
    let app = App::start().await;
    app.deliver(said("one")).await;
    app.drained().await;
    for path in
        ["/v1/export/messages?format=jsonl", "/v1/sessions/s/transcript?format=txt", "/healthz"]
    {
        for line in ["", "Connection: keep-alive\r\n"] {
            if path == "/healthz" && !line.is_empty() {
                continue; // Its length is known, so that it may be kept alive.
            }
            let request = format!("GET {path} HTTP/1.0\r\nX-API-Key: {KEY}\r\n{line}\r\n");
            let answer = raw(&app.address, request).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(status(&answer), 200, "{answer}");
            assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
            assert!(body.contains("one") || path == "/healthz", "{body}");
            assert!(!body.starts_with(|c: char| c.is_ascii_hexdigit()), "a chunk's size: {body}");
        }
    }
}

#[actix_web::test]
async fn a_post_of_http_1_0_needs_no_length_where_it_has_no_body() {
    let app = App::start().await;
    let id = quarantined(&app).await;
    let retry = format!("POST /v1/deliveries/{id}/retry HTTP/1.0\r\nX-API-Key: {KEY}\r\n\r\n");
    assert_eq!(status(&raw(&app.address, retry).await), 422, "it was read and tried");
    let unsigned = raw(&app.address, "POST /webhook HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&unsigned), 401);
    assert!(unsigned.contains("request_id"), "{unsigned}");
    let signed = delivery("/webhook", "1.0", "", &said("old"));
    assert_eq!(status(&raw(&app.address, signed).await), 200);
}

#[actix_web::test]
async fn a_slash_that_a_proxy_doubles_leads_nowhere_else() {
    let app = App::start().await;
    for (number, path) in
        ["//webhook", "///webhook/", "/webhook//", "//webhook//default"].into_iter().enumerate()
    {
        let lines = "Connection: close\r\n";
        let sent = delivery(path, "1.1", lines, &said(&number.to_string()));
        assert_eq!(status(&raw(&app.address, sent).await), 200, "{path}");
    }
    app.drained().await;
    for (path, status) in [
        ("//v1/agents", 200),
        ("//v1//sessions?limit=1", 200),
        ("//healthz", 200),
        ("/v1/agents//sessions", 404),
        ("/v1/sessions//messages", 404),
    ] {
        assert_eq!(app.get(path).await.status, status, "{path}");
    }
}

/// The id of a delivery that cannot be read.
async fn quarantined(app: &App) -> String {
    assert_eq!(app.deliver("[]").await.status, 422);
    app.drained().await;
    let list = app.get("/v1/deliveries?outcome=quarantined").await.json();
    list["data"][0]["id"].as_str().unwrap().to_owned()
}

/// Everything that a sender and a reader do, through a proxy.
async fn both_ways(app: &App, proxy: &Proxy) {
    let (http, mut sent) = (client(), 0);
    for base in [proxy.url.clone(), format!("{}{PREFIX}", proxy.url)] {
        for lines in [
            "",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            "Connection: keep-alive\r\nUpgrade: websocket\r\n",
        ] {
            sent += 1;
            let body = said(&format!("message {sent}"));
            let path = format!("{}/webhook", base.strip_prefix(&proxy.url).unwrap());
            let lines = if lines.is_empty() { "Connection: close\r\n" } else { lines };
            let request = delivery(&path, "1.1", lines, &body);
            let mut stream =
                TcpStream::connect(proxy.url.trim_start_matches("http://")).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; 12];
            let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await;
            read.expect("an answer in time").unwrap();
            assert_eq!(answer, b"HTTP/1.1 200", "{base} {lines}");
        }
        // From a client that does not know the length before.
        sent += 1;
        let body = said(&format!("message {sent}"));
        let path = base.strip_prefix(&proxy.url).unwrap();
        let chunks = format!(
            "POST {path}/webhook HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             X-bitHuman-Signature: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{body}\r\n0\r\n\r\n",
            sign(SECRET, body.as_bytes()),
            body.len()
        );
        assert_eq!(status(&raw(&proxy.url, chunks).await), 200);
        // A POST without a body, and without a length.
        let id = quarantined(app).await;
        let retry = format!(
            "POST {path}/v1/deliveries/{id}/retry HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             X-API-Key: {KEY}\r\n\r\n"
        );
        assert_eq!(status(&raw(&proxy.url, retry).await), 422);
    }
    app.drained().await;
    for base in [proxy.url.clone(), format!("{}{PREFIX}", proxy.url)] {
        read_back(&http, &base, sent).await;
    }
}

async fn read_back(http: &reqwest::Client, base: &str, sent: usize) {
    let get = |url: Url| http.get(url).bearer_auth(KEY).timeout(PATIENCE).send();
    // Along the links, which lead on under the proxy's path.
    let start = format!("{base}/v1/sessions/s/messages?limit=3");
    let (mut next, mut met) = (Some(Url::parse(&start).unwrap()), Vec::new());
    while let Some(url) = next {
        assert!(url.as_str().starts_with(base), "{url}");
        let page = get(url.clone()).await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{url}");
        next = page.headers().get("link").map(|link| {
            let link = link.to_str().unwrap().strip_prefix('<').unwrap();
            url.join(link.split('>').next().unwrap()).unwrap()
        });
        let page: Value = page.json().await.unwrap();
        met.extend(page["data"].as_array().unwrap().iter().map(|row| row["message"].to_string()));
    }
    met.sort_unstable();
    met.dedup();
    assert_eq!(met.len(), sent, "{met:?}");
    // As a stream that has an end.
    let export = format!("{base}/v1/export/messages?format=jsonl");
    let export = get(Url::parse(&export).unwrap()).await.unwrap().text().await.unwrap();
    assert_eq!(export.lines().count(), sent);
    assert!(export.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{export}");
    // The page's link to the document, and the document's to the service.
    let docs = Url::parse(&format!("{base}/docs")).unwrap();
    let page = get(docs.clone()).await.unwrap().text().await.unwrap();
    let link = page.split("href=\"").find(|part| part.starts_with("openapi.json")).unwrap();
    let document = docs.join(link.split('"').next().unwrap()).unwrap();
    let described: Value = get(document.clone()).await.unwrap().json().await.unwrap();
    let server = document.join(described["servers"][0]["url"].as_str().unwrap()).unwrap();
    assert_eq!(server.as_str(), format!("{base}/"));
    // And one without an end, of which the first event comes at once.
    let stream = Url::parse(&format!("{base}/v1/stream")).unwrap();
    let stream = http.get(stream).bearer_auth(KEY).send();
    let mut answer = tokio::time::timeout(PATIENCE, stream).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let first = tokio::time::timeout(PATIENCE, answer.chunk()).await;
    first.expect("the stream is not held back").unwrap().unwrap();
}

#[actix_web::test]
async fn both_ways_are_open_behind_nginx_with_its_defaults() {
    let app = App::start().await;
    let Some(proxy) = nginx(&app.address) else { return };
    both_ways(&app, &proxy).await;
}

#[actix_web::test]
async fn both_ways_are_open_behind_caddy_with_its_defaults() {
    let app = App::start().await;
    let Some(proxy) = caddy(&app.address) else { return };
    both_ways(&app, &proxy).await;
}
