//! Shares of one client and one key in limited resources.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::app::{Answer, App, KEY, SECRET, client, sign};
use crate::support::captured::Process;
use crate::support::database::TestDatabase;

/// Size of a message near the limit, in bytes.
const LARGE: usize = 900_000;
/// Memory limit of answers over all connections.
const ANSWERS_BYTES: usize = 128 << 20;
/// Memory of answers under construction: two threads, each with a page of rows, its JSON, and the
/// previous buffer of the JSON.
const CONSTRUCTION_BYTES: usize = 80 << 20;

fn chat_push(session: &str, second: usize, text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": session, "timestamp": 1_790_607_253 + second,
        "data": { "session_id": session, "role": "user", "message": text } })
    .to_string()
}

fn large(session: &str, second: usize) -> String {
    chat_push(session, second, &format!("{second} {}", "lorem ipsum ".repeat(LARGE / 12)))
}

/// Requests a path, and reads only the first line of the answer. The receive buffer is small.
async fn request(address: &str, key: &str, path: &str) -> (TcpStream, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let address = address.trim_start_matches("http://").parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-API-Key: {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    (stream, std::str::from_utf8(&line[9..]).unwrap().parse().unwrap())
}

/// Reads to the end of the connection, and returns the number of bytes.
async fn rest(stream: &mut TcpStream) -> usize {
    let (mut bytes, mut piece) = (0, vec![0; 1 << 20]);
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        bytes += count;
    }
    bytes
}

async fn make_key(app: &App, about: serde_json::Value) -> serde_json::Value {
    let made = app.post("/v1/keys", about.to_string(), &[("X-API-Key", KEY)]).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()
}

fn text(made: &serde_json::Value, name: &str) -> String {
    made[name].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn unread_pages_stay_within_the_memory_limit() {
    let database = TestDatabase::create().await;
    let service = Process::start(&[("DATABASE_URL", &database.url())]);
    let client = client();
    let deliver = async |body: String| {
        let request = client.post(format!("{}/webhook", service.address));
        let request = request.header("X-bitHuman-Signature", sign(SECRET, body.as_bytes()));
        assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    };
    for second in 0..10 {
        deliver(large("hog", second)).await;
    }
    deliver(chat_push("small", 0, "hello")).await;
    let get = async |key: String, path: &str| {
        let request = client.get(format!("{}{path}", service.address)).bearer_auth(key);
        Answer::of(request.send().await.unwrap()).await
    };
    while get(KEY.to_owned(), "/v1/agents").await.json()["data"].as_array().map(Vec::len) != Some(2)
        || get(KEY.to_owned(), "/v1/sessions/hog").await.json()["message_count"] != 10
    {
        tokio::task::yield_now().await;
    }
    let make = async |scopes: &[&str], agent: &str| {
        let body = json!({ "name": agent, "scopes": scopes, "agents": [agent] }).to_string();
        let request = client.post(format!("{}/v1/keys", service.address)).bearer_auth(KEY);
        let made = Answer::of(request.body(body).send().await.unwrap()).await.json();
        text(&made, "key")
    };
    let (hog, other) = (make(&["read"], "hog").await, make(&["read"], "hog").await);
    let before = service.resident_bytes();

    let mut unread = Vec::new();
    let mut statuses = Vec::new();
    for n in 0..24 {
        let path = format!("/v1/sessions/hog/messages?limit={}", 20 + n);
        let (stream, status) = request(&service.address, &hog, &path).await;
        unread.push(stream);
        statuses.push(status);
    }
    let served = statuses.iter().take_while(|status| **status == 200).count();
    assert_eq!(served, 7, "half of the limit: {statuses:?}");
    assert!(statuses[served..].iter().all(|status| *status == 429), "{statuses:?}");
    let held = service.resident_bytes().saturating_sub(before);
    assert!(held < ANSWERS_BYTES + CONSTRUCTION_BYTES, "{} MiB", held >> 20);

    // Other keys are served, and so are small answers to the same key.
    let page = get(other, "/v1/sessions/hog/messages").await;
    assert_eq!(page.json()["data"].as_array().unwrap().len(), 10);
    assert_eq!(get(hog.clone(), "/v1/sessions/hog").await.status, 200);
    let refused = get(hog.clone(), "/v1/sessions/hog/messages").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.headers["retry-after"], "5");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("ask for less at once"), "{detail}");

    // A started answer is sent completely, and then releases its share.
    let mut first = unread.remove(0);
    let length = page.text.len();
    let mut bytes = 0;
    let mut piece = vec![0; 1 << 20];
    while bytes < length {
        bytes += first.read(&mut piece).await.unwrap();
    }
    while get(hog.clone(), "/v1/sessions/hog/messages").await.status != 200 {
        tokio::task::yield_now().await;
    }
    drop(unread);
    tokio::task::spawn_blocking(|| service.stop()).await.unwrap();
}

#[actix_web::test]
async fn one_key_gets_at_most_half_of_the_exports() {
    let app = App::start().await;
    for second in 0..8 {
        assert_eq!(app.deliver(large("s", second)).await.status, 200);
    }
    app.drained().await;
    let about = |name: &str| json!({ "name": name, "scopes": ["export"], "agents": ["s"] });
    let one = text(&make_key(&app, about("one")).await, "key");
    let other = text(&make_key(&app, about("other")).await, "key");
    let mut under_way = Vec::new();
    for expected in [200, 200, 429, 429] {
        let (stream, status) = request(&app.address, &one, "/v1/export/messages").await;
        assert_eq!(status, expected);
        under_way.push(stream);
    }
    let refused = app.get_as(&one, "/v1/export/sessions").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(app.get_as(&other, "/v1/export/sessions").await.status, 200);
    drop(under_way);
    while app.get_as(&one, "/v1/export/sessions").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn long_answers_end_when_their_key_is_revoked() {
    let app = App::start().await;
    for second in 0..8 {
        assert_eq!(app.deliver(large("s", second)).await.status, 200);
    }
    app.drained().await;
    let scopes = json!(["read", "export"]);
    for path in [
        "/v1/sessions/s/transcript?format=txt",
        "/v1/sessions/s/transcript?format=json",
        "/v1/sessions/s/messages",
        "/v1/changes",
        "/v1/export/messages?format=csv",
    ] {
        let whole = app.get(path).await.text.len();
        assert!(whole > 8 * LARGE, "{path}");
        for revoked in [true, false] {
            let about = json!({ "name": "brief", "scopes": scopes, "expires": "1h" });
            let made = make_key(&app, about).await;
            let (mut stream, status) = request(&app.address, &text(&made, "key"), path).await;
            assert_eq!(status, 200, "{path}");
            if revoked {
                let revoked = app.ask("DELETE", &format!("/v1/keys/{}", text(&made, "id"))).await;
                assert_eq!(revoked.status, 204);
            } else {
                app.clock.set(app.clock.now() + chrono::TimeDelta::hours(1));
            }
            let sent = rest(&mut stream).await;
            assert!(sent < whole / 2, "{path}: {sent} of {whole} bytes");
        }
    }
}

#[actix_web::test]
async fn unauthenticated_requests_cannot_fill_the_log() {
    let database = TestDatabase::create().await;
    let service = Process::start(&[("DATABASE_URL", &database.url())]);
    let host = service.address.trim_start_matches("http://").to_owned();
    let send = async |request: &str| {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    };
    for n in 0..150 {
        let path = format!("{n}/{}", "a".repeat(30_000));
        let method = if n % 2 == 0 { "GET" } else { &"M".repeat(3_000) };
        send(&format!("{method} /{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
        send("\0\u{1}\r\n\r\n").await;
    }
    let known = client().get(format!("{}/{}", service.address, "b".repeat(3_000)));
    let known = known.header("X-API-Key", KEY).send().await.unwrap();
    assert_eq!(known.status(), 404);
    let log = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();

    let of = |message: &'static str| log.iter().filter(move |line| line["message"] == message);
    let (answered, malformed) = (of("answered").count(), of("malformed request head").count());
    // A minute may end in between, so lines of two minutes may count.
    assert!(answered > 30 && malformed > 30, "{answered} {malformed}");
    assert!(answered + malformed <= 200, "{answered} {malformed}");
    let counted = of("requests without valid credentials were not logged");
    let counted: u64 = counted.map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(answered + malformed + usize::try_from(counted).unwrap(), 301);
    assert!(log.iter().all(|line| line.to_string().len() < 1_000), "no line is long");
    assert!(log.iter().all(|line| line["level"] != "ERROR"), "{log:#?}");
}
