//! Who fails to show credentials too often, and what no answer goes without.

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

/// Failures of an address that are answered in full, each minute.
const TOLD: usize = 20;

fn said(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

/// A delivery that somebody else signed, with further lines in its head.
fn forged(lines: &str) -> Vec<u8> {
    let body = said("forged");
    let head = wire::head(b"something else", &format!("{lines}Content-Length: {}", body.len()));
    (head + &body).into_bytes()
}

/// Sends requests over one connection, ten at a time without waiting in between, and reads their
/// answers: status and code. (Of more than sixteen at a time actix-web forgets some.)
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

/// What many failures in a row are answered with.
fn expected(count: usize, code: &str) -> Vec<(u16, String)> {
    let answer = |n| if n < TOLD { (401, code.to_owned()) } else { (429, "rate_limited".into()) };
    (0..count).map(answer).collect()
}

#[actix_web::test]
async fn a_flood_of_wrong_signatures_leaves_the_good_ones_alone() {
    let app = App::start().await;
    let good = (0..50).map(|n| wire::delivery(&said(&format!("good {n}"))));
    // Of seven requests the last is a good one.
    let all = good.flat_map(|good| std::iter::repeat_n(forged(""), 6).chain([good]));
    let answers = exchange(&app, all).await;
    let (good, wrong): (Vec<_>, Vec<_>) =
        answers.into_iter().enumerate().partition(|(n, _)| n % 7 == 6);
    assert!(good.iter().all(|(_, (status, _))| *status == 200), "{good:?}");
    let wrong: Vec<_> = wrong.into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(wrong, expected(300, "invalid_signature"));
    assert_eq!(app.log().await.len(), 50, "nothing is stored of the flood");

    app.clock.set(app.clock.now() + TimeDelta::seconds(60));
    let answers = exchange(&app, [forged("")]).await;
    assert_eq!(answers[0].0, 401, "a minute later it is told again");
}

#[actix_web::test]
async fn a_listed_proxy_is_believed_and_nobody_else() {
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
    assert_eq!(the_same[0].0, 429, "the same client, whatever it says");
}

async fn ask(app: &App, key: &str) -> Answer {
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
async fn a_flood_of_wrong_keys_leaves_the_good_ones_alone() {
    let app = App::start().await;
    let seldom = make_key(&app).await;
    // Some could be ours by their form, and some could not.
    let wrong = (0..300).map(|n| if n % 2 == 0 { generate_key() } else { "guessed".to_owned() });
    let requests = wrong.map(|key| {
        format!("GET /v1/agents HTTP/1.1\r\nHost: h\r\nX-API-Key: {key}\r\n\r\n").into_bytes()
    });
    assert_eq!(exchange(&app, requests).await, expected(300, "invalid_key"));
    assert_eq!(app.get_with("/v1/agents", &[]).await.code(), "rate_limited", "none is no better");
    assert_eq!(ask(&app, KEY).await.status, 200);
    assert_eq!(ask(&app, &seldom).await.status, 200, "one that nobody has used before");

    // One that was made an instant ago, by this service or another, in the midst of the flood.
    for _ in 0..5 {
        let wrong = futures_util::future::join_all(
            (0..20).map(async |_| ask(&app, &generate_key()).await.status),
        );
        let right = async {
            let new = make_key(&app).await;
            ask(&app, &new).await.status
        };
        let (wrong, right) = futures_util::future::join(wrong, right).await;
        assert!(wrong.iter().all(|status| *status == 429), "{wrong:?}");
        assert_eq!(right, 200);
    }
}

#[actix_web::test]
async fn no_answer_goes_without_the_headers_that_keep_browsers_safe() {
    let app = App::start().await;
    let answers = [
        (app.deliver(said("hello")).await, 200, None),
        (app.post("/webhook", said("hello"), &[]).await, 401, None),
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
        assert_eq!(header("strict-transport-security"), None, "that is the TLS server's to say");
    }
}

/// A process, so that its log is its own: with `trusted-proxies` from the environment.
#[test]
fn the_log_names_the_client_and_counts_what_it_passes_over() {
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
    let (mut told, mut passed_over) = (0_usize, 0_usize);
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
            "401" => told += 1,
            "429" => passed_over += 1,
            status => panic!("{status}"),
        }
    }
    let pid = nix::unistd::Pid::from_raw(process.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(process.wait().unwrap().success());

    // The minute may have ended in between, and two of them be counted.
    assert!(told <= 2 * TOLD && passed_over >= 60 - 2 * TOLD);
    let log = std::fs::read_to_string(data.path().join("log")).unwrap();
    let log: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines = |message: &str| -> Vec<_> {
        let begins = |line: &&serde_json::Value| {
            line["message"].as_str().is_some_and(|text| text.starts_with(message))
        };
        log.iter().filter(begins).collect()
    };
    for message in ["answered", "a delivery was refused"] {
        let lines = lines(message);
        assert_eq!(lines.len(), told, "{message}");
        assert!(lines.iter().all(|line| line["client"] == "198.51.100.77"), "{message}");
    }
    let limits = lines("many wrong credentials");
    assert!((1..=2).contains(&limits.len()) && limits[0]["client"] == "198.51.100.77");
    let reports = lines("failed authentications were answered 429");
    let counted: u64 = reports.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, passed_over as u64);
}
