//! Throttling of failed authentications, and security headers of every answer.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use serde_json::json;
use tempfile::TempDir;
use verbatim::store::Store;
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use crate::support::app::{Answer, App, KEY};
use crate::support::wire::{self, Wire};

/// Failures of an address in a minute that are answered in full.
const FULL_ANSWERS: usize = 20;

fn chat_push(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

/// Delivery with another party's signature, and with further header lines.
fn forged(lines: &str) -> Vec<u8> {
    let body = chat_push("forged");
    let head = wire::head(b"something else", &format!("{lines}Content-Length: {}", body.len()));
    (head + &body).into_bytes()
}

/// Sends requests over one connection, ten at a time in a pipeline, and returns status and code of
/// each answer. (actix-web drops some of more than sixteen.)
async fn exchange(app: &App, requests: impl IntoIterator<Item = Vec<u8>>) -> Vec<(u16, String)> {
    let mut wire = Wire::open(app).await;
    let mut answers = Vec::new();
    let requests: Vec<_> = requests.into_iter().collect();
    for ten in requests.chunks(10) {
        wire.write(ten.concat()).await;
        for _ in ten {
            let reply = wire.reply().await;
            let retry_after = reply.header("retry-after").map(|seconds| seconds.parse().unwrap());
            if reply.status == 429 {
                assert!(retry_after.is_some_and(|seconds: u32| (1..=60).contains(&seconds)));
            }
            answers.push((reply.status, reply.code()));
        }
    }
    answers
}

/// Expected answers to `count` failures in a row.
fn expected(count: usize, code: &str) -> Vec<(u16, String)> {
    let answer =
        |n| if n < FULL_ANSWERS { (401, code.to_owned()) } else { (429, "rate_limited".into()) };
    (0..count).map(answer).collect()
}

#[actix_web::test]
async fn flood_of_wrong_signatures_does_not_reject_right_ones() {
    let app = App::start().await;
    let good = (0..50).map(|n| wire::delivery(&chat_push(&format!("good {n}"))));
    // The last of seven requests has a right signature.
    let all = good.flat_map(|good| std::iter::repeat_n(forged(""), 6).chain([good]));
    let answers = exchange(&app, all).await;
    let (good, wrong): (Vec<_>, Vec<_>) =
        answers.into_iter().enumerate().partition(|(n, _)| n % 7 == 6);
    assert!(good.iter().all(|(_, (status, _))| *status == 200), "{good:?}");
    let wrong: Vec<_> = wrong.into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(wrong, expected(300, "invalid_signature"));
    assert_eq!(app.log().await.len(), 50, "no forged delivery is stored");

    app.clock.set(app.clock.now() + TimeDelta::seconds(60));
    let answers = exchange(&app, [forged("")]).await;
    assert_eq!(answers[0].0, 401, "answered in full a minute later");
}

#[actix_web::test]
async fn only_a_listed_proxy_is_trusted() {
    let one = forged("X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n");
    let other = forged("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.2\r\n");
    let listed = App::start_with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let open = App::start().await;
    for app in [&listed, &open] {
        let answers = exchange(app, std::iter::repeat_n(one.clone(), 30)).await;
        assert_eq!(answers, expected(30, "invalid_signature"));
    }
    let another = exchange(&listed, [other.clone()]).await;
    assert_eq!(another[0].0, 401, "another client of the proxy");
    let the_same = exchange(&open, [other]).await;
    assert_eq!(the_same[0].0, 429, "the same client, whatever its header names");
}

async fn list_agents(app: &App, key: &str) -> Answer {
    app.get_with("/v1/agents", &[("X-API-Key", key)]).await
}

async fn make_key(app: &App) -> String {
    let key = generate_key();
    let new = NewKey {
        id: uuid::Uuid::new_v4(),
        name: "a test's",
        hash: KeyHash::of(&key),
        scopes: &[Scope::Read],
        agent_ids: None,
        created_at: app.clock.now(),
        expires_at: None,
        made_by: None,
    };
    Store::new(app.database.pool().clone()).insert_key(&new).await.unwrap();
    key
}

#[actix_web::test]
async fn flood_of_wrong_keys_does_not_reject_right_ones() {
    let app = App::start().await;
    let unused = make_key(&app).await;
    // Half of them have the form of a key.
    let wrong = (0..300).map(|n| if n % 2 == 0 { generate_key() } else { "guessed".to_owned() });
    let requests = wrong.map(|key| {
        format!("GET /v1/agents HTTP/1.1\r\nHost: h\r\nX-API-Key: {key}\r\n\r\n").into_bytes()
    });
    assert_eq!(exchange(&app, requests).await, expected(300, "invalid_key"));
    assert_eq!(
        app.get_with("/v1/agents", &[]).await.code(),
        "rate_limited",
        "no key counts as a wrong key"
    );
    assert_eq!(list_agents(&app, KEY).await.status, 200);
    assert_eq!(list_agents(&app, &unused).await.status, 200, "a key in no cache");

    // A key that this service or another creates during the flood.
    for _ in 0..5 {
        let wrong = futures_util::future::join_all(
            (0..20).map(async |_| list_agents(&app, &generate_key()).await.status),
        );
        let right = async {
            let new = make_key(&app).await;
            list_agents(&app, &new).await.status
        };
        let (wrong, right) = futures_util::future::join(wrong, right).await;
        assert!(wrong.iter().all(|status| *status == 429), "{wrong:?}");
        assert_eq!(right, 200);
    }
}

#[actix_web::test]
async fn every_answer_has_security_headers() {
    let app = App::start().await;
    let answers = [
        (app.deliver(chat_push("hello")).await, 200, None),
        (app.post("/webhook", chat_push("hello"), &[]).await, 401, None),
        (app.get("/v1/agents").await, 200, Some("no-store")),
        (app.get("/v1/sessions/s?nonsense=1").await, 400, Some("no-store")),
        (app.get_with("/v1/agents", &[]).await, 401, Some("no-store")),
        (app.get("/nowhere").await, 404, Some("no-store")),
        (app.get("/healthz").await, 200, Some("no-store")),
    ];
    for (answer, status, cache) in answers {
        assert_eq!(answer.status, status);
        let header = |name| answer.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        let policy = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(header("content-security-policy"), Some(policy));
        assert_eq!(header("cache-control"), cache, "{status}");
        assert_eq!(header("server"), None);
        assert_eq!(header("strict-transport-security"), None, "only the TLS server sets it");
    }
}

/// Runs a process for a separate log, with `trusted-proxies` from the environment.
#[test]
fn log_names_the_client_and_counts_throttled_requests() {
    let data = TempDir::new().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_verbatim"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
        .arg(data.path())
        .env("DATABASE_URL", "postgres://verbatim@127.0.0.1:1/none")
        .env("VERBATIM_TRUSTED_PROXIES", "127.0.0.1, ::1")
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(File::create(data.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let url = lines.find_map(|line| Some(line.split_once("http://")?.1.to_owned())).unwrap();
    let (address, _) = url.split_once('/').unwrap();
    let (mut rejected, mut throttled) = (0_usize, 0_usize);
    for _ in 0..60 {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /webhook HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1, 198.51.100.77\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        match &answer[9..12] {
            "401" => rejected += 1,
            "429" => throttled += 1,
            status => panic!("{status}"),
        }
    }
    let pid = nix::unistd::Pid::from_raw(process.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(process.wait().unwrap().success());

    // A minute may end in between, so failures of two minutes may count.
    assert!(rejected <= 2 * FULL_ANSWERS && throttled >= 60 - 2 * FULL_ANSWERS);
    let log = std::fs::read_to_string(data.path().join("log")).unwrap();
    let log: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines = |message: &str| -> Vec<_> {
        let begins = |line: &&serde_json::Value| {
            line["message"].as_str().is_some_and(|text| text.starts_with(message))
        };
        log.iter().filter(begins).collect()
    };
    for message in ["answered", "webhook delivery rejected"] {
        let lines = lines(message);
        assert_eq!(lines.len(), rejected, "{message}");
        assert!(lines.iter().all(|line| line["client"] == "198.51.100.77"), "{message}");
    }
    let limits = lines("many wrong credentials");
    assert!((1..=2).contains(&limits.len()) && limits[0]["client"] == "198.51.100.77");
    let reports = lines("failed authentications were answered 429");
    let counted: u64 = reports.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, throttled as u64);
}
