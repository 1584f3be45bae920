//! Ingest and read API behind real proxies with default settings, and typical requests of proxies.

use std::process::Command;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{App, KEY, SECRET, client, sign};
use crate::support::programs::{Running, free_port, program};

/// Longest wait for any answer through a proxy.
const PROXY_TIMEOUT: Duration = Duration::from_secs(20);
/// Path under which the proxies serve the service, besides the root.
const PREFIX: &str = "/records";

fn chat_push(text: &str) -> String {
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

/// nginx with only `proxy_pass` set. Requests below `/records` are passed on with a double slash,
/// as many configurations do.
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

/// Caddy with only `reverse_proxy` set.
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

/// Sends bytes unchanged, and reads until the connection closes or the answer is complete.
async fn raw(address: &str, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    let read =
        async { while !is_whole(&answer) && stream.read_buf(&mut answer).await.unwrap() > 0 {} };
    let read = tokio::time::timeout(PROXY_TIMEOUT, read).await;
    assert!(read.is_ok(), "incomplete: {}", String::from_utf8_lossy(&answer));
    String::from_utf8(answer).unwrap()
}

/// Returns true if an answer with `Content-Length` is complete.
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

/// Signed delivery with further header lines.
fn delivery(path: &str, version: &str, lines: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/{version}\r\nHost: h\r\n{lines}X-bitHuman-Signature: {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        sign(SECRET, body.as_bytes()),
        body.len()
    )
}

#[actix_web::test]
async fn upgrade_header_is_ignored() {
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
            raw(&app.address, delivery("/webhook", "1.1", lines, &chat_push(&number.to_string())))
                .await;
        assert_eq!(status(&answer), 200, "{lines}: {answer}");
        let reads =
            format!("GET /v1/agents HTTP/1.1\r\nHost: h\r\nX-API-Key: {KEY}\r\n{lines}\r\n");
        let answer = raw(&app.address, reads).await;
        assert!(answer.ends_with('}') && !answer.contains("chunked"), "{answer}");
    }
    // The same with a chunked body.
    let body = chat_push("chunks");
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
async fn http_1_0_answer_is_not_chunked_and_ends_with_the_connection() {
    let app = App::start().await;
    app.deliver(chat_push("one")).await;
    app.drained().await;
    for path in
        ["/v1/export/messages?format=jsonl", "/v1/sessions/s/transcript?format=txt", "/healthz"]
    {
        for line in ["", "Connection: keep-alive\r\n"] {
            if path == "/healthz" && !line.is_empty() {
                continue; // Its length is known, so the connection may stay open.
            }
            let request = format!("GET {path} HTTP/1.0\r\nX-API-Key: {KEY}\r\n{line}\r\n");
            let answer = raw(&app.address, request).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(status(&answer), 200, "{answer}");
            assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
            assert!(body.contains("one") || path == "/healthz", "{body}");
            assert!(!body.starts_with(|c: char| c.is_ascii_hexdigit()), "a chunk size: {body}");
        }
    }
}

#[actix_web::test]
async fn http_1_0_post_without_a_body_needs_no_length() {
    let app = App::start().await;
    let id = quarantined(&app).await;
    let retry = format!("POST /v1/deliveries/{id}/retry HTTP/1.0\r\nX-API-Key: {KEY}\r\n\r\n");
    assert_eq!(status(&raw(&app.address, retry).await), 422, "the retry was executed");
    let unsigned = raw(&app.address, "POST /webhook HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&unsigned), 401);
    assert!(unsigned.contains("request_id"), "{unsigned}");
    let signed = delivery("/webhook", "1.0", "", &chat_push("old"));
    assert_eq!(status(&raw(&app.address, signed).await), 200);
}

#[actix_web::test]
async fn double_slash_reaches_the_same_route() {
    let app = App::start().await;
    for (number, path) in
        ["//webhook", "///webhook/", "/webhook//", "//webhook//default"].into_iter().enumerate()
    {
        let lines = "Connection: close\r\n";
        let sent = delivery(path, "1.1", lines, &chat_push(&number.to_string()));
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

/// Sends an unreadable delivery, and returns its ID.
async fn quarantined(app: &App) -> String {
    assert_eq!(app.deliver("[]").await.status, 422);
    app.drained().await;
    let list = app.get("/v1/deliveries?outcome=quarantined").await.json();
    list["data"][0]["id"].as_str().unwrap().to_owned()
}

/// Sends and reads through a proxy in every way.
async fn send_and_read(app: &App, proxy: &Proxy) {
    let (http, mut sent) = (client(), 0);
    for base in [proxy.url.clone(), format!("{}{PREFIX}", proxy.url)] {
        for lines in [
            "",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            "Connection: keep-alive\r\nUpgrade: websocket\r\n",
        ] {
            sent += 1;
            let body = chat_push(&format!("message {sent}"));
            let path = format!("{}/webhook", base.strip_prefix(&proxy.url).unwrap());
            let lines = if lines.is_empty() { "Connection: close\r\n" } else { lines };
            let request = delivery(&path, "1.1", lines, &body);
            let mut stream =
                TcpStream::connect(proxy.url.trim_start_matches("http://")).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; 12];
            let read = tokio::time::timeout(PROXY_TIMEOUT, stream.read_exact(&mut answer)).await;
            read.expect("an answer in time").unwrap();
            assert_eq!(answer, b"HTTP/1.1 200", "{base} {lines}");
        }
        // A client that does not know the length in advance.
        sent += 1;
        let body = chat_push(&format!("message {sent}"));
        let path = base.strip_prefix(&proxy.url).unwrap();
        let chunks = format!(
            "POST {path}/webhook HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             X-bitHuman-Signature: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{body}\r\n0\r\n\r\n",
            sign(SECRET, body.as_bytes()),
            body.len()
        );
        assert_eq!(status(&raw(&proxy.url, chunks).await), 200);
        // A POST without body and length.
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
    let get = |url: Url| http.get(url).bearer_auth(KEY).timeout(PROXY_TIMEOUT).send();
    // Follow the links, which stay below the proxy's path.
    let start = format!("{base}/v1/sessions/s/messages?limit=3");
    let (mut next, mut found) = (Some(Url::parse(&start).unwrap()), Vec::new());
    while let Some(url) = next {
        assert!(url.as_str().starts_with(base), "{url}");
        let page = get(url.clone()).await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{url}");
        next = page.headers().get("link").map(|link| {
            let link = link.to_str().unwrap().strip_prefix('<').unwrap();
            url.join(link.split('>').next().unwrap()).unwrap()
        });
        let page: Value = page.json().await.unwrap();
        found.extend(page["data"].as_array().unwrap().iter().map(|row| row["message"].to_string()));
    }
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), sent, "{found:?}");
    // A stream with an end.
    let export = format!("{base}/v1/export/messages?format=jsonl");
    let export = get(Url::parse(&export).unwrap()).await.unwrap().text().await.unwrap();
    assert_eq!(export.lines().count(), sent);
    assert!(export.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{export}");
    // The page links the document, and the document links the service.
    let docs = Url::parse(&format!("{base}/docs")).unwrap();
    let page = get(docs.clone()).await.unwrap().text().await.unwrap();
    let link = page.split("href=\"").find(|part| part.starts_with("openapi.json")).unwrap();
    let document = docs.join(link.split('"').next().unwrap()).unwrap();
    let described: Value = get(document.clone()).await.unwrap().json().await.unwrap();
    let server = document.join(described["servers"][0]["url"].as_str().unwrap()).unwrap();
    assert_eq!(server.as_str(), format!("{base}/"));
    // A stream without an end sends its first event at once.
    let stream = Url::parse(&format!("{base}/v1/stream")).unwrap();
    let stream = http.get(stream).bearer_auth(KEY).send();
    let mut answer = tokio::time::timeout(PROXY_TIMEOUT, stream).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let first = tokio::time::timeout(PROXY_TIMEOUT, answer.chunk()).await;
    first.expect("the proxy buffers the stream").unwrap().unwrap();
}

#[actix_web::test]
async fn deliveries_and_reads_work_behind_nginx_with_its_defaults() {
    let app = App::start().await;
    let Some(proxy) = nginx(&app.address) else { return };
    send_and_read(&app, &proxy).await;
}

#[actix_web::test]
async fn deliveries_and_reads_work_behind_caddy_with_its_defaults() {
    let app = App::start().await;
    let Some(proxy) = caddy(&app.address) else { return };
    send_and_read(&app, &proxy).await;
}
