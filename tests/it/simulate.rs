//! `verbatim simulate` and `verbatim verify` against a fake receiver and a fake API.

use std::collections::HashMap;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::SecondsFormat;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::command::{figure, serve, stderr, stdout, verbatim};

const SECRET: &str = "the new one";
/// Secrets during a rotation, as configured at a receiver.
const SECRETS: &str = "the new one, the old one";
const KEY: &str = "key-for-the-read-api";

/// Fake receiver: its requests, and its answers.
struct Receiver {
    requests: Mutex<Vec<(HttpRequestHead, Vec<u8>)>>,
    /// Returns the status for the nth attempt of the same bytes.
    answer: fn(attempt: usize, body: &Value) -> u16,
}

struct HttpRequestHead {
    signature: Option<String>,
    api_keys: Vec<String>,
    path: String,
}

impl Receiver {
    fn start(answer: fn(usize, &Value) -> u16) -> (Arc<Self>, String, ServerHandle) {
        let receiver = Arc::new(Self { requests: Mutex::default(), answer });
        let shared = web::Data::from(Arc::clone(&receiver));
        let (url, handle) = serve(move |config| {
            config.app_data(shared.clone()).default_service(web::to(receive));
        });
        (receiver, url, handle)
    }

    /// Each distinct body with its number of attempts, in the order of first attempts.
    fn bodies(&self) -> Vec<(Value, usize)> {
        let mut bodies: Vec<(Vec<u8>, usize)> = Vec::new();
        for (_, body) in self.requests.lock().unwrap().iter() {
            match bodies.iter_mut().find(|(known, _)| known == body) {
                Some((_, attempts)) => *attempts += 1,
                None => bodies.push((body.clone(), 1)),
            }
        }
        let parsed = |(body, n): (Vec<u8>, usize)| (serde_json::from_slice(&body).unwrap(), n);
        bodies.into_iter().map(parsed).collect()
    }
}

async fn receive(
    request: HttpRequest,
    body: web::Bytes,
    receiver: web::Data<Receiver>,
) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap().to_owned();
    let head = HttpRequestHead {
        signature: request.headers().get("X-bitHuman-Signature").map(text),
        api_keys: request.headers().get_all("X-API-Key").map(text).collect(),
        path: request.path().to_owned(),
    };
    let parsed = serde_json::from_slice(&body).unwrap();
    let mut requests = receiver.requests.lock().unwrap();
    let attempt = 1 + requests.iter().filter(|(_, known)| known[..] == body[..]).count();
    requests.push((head, body.to_vec()));
    let status = (receiver.answer)(attempt, &parsed);
    HttpResponse::build(status.try_into().unwrap()).body("{\"status\":\"ok\"}")
}

fn ledger_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[actix_web::test]
async fn generation_b_signs_and_retries_failed_deliveries() {
    // The first attempt of each room.join fails.
    let (receiver, url, _server) =
        Receiver::start(
            |attempt, body| {
                if body["event_type"] == "room.join" && attempt == 1 { 503 } else { 201 }
            },
        );
    let folder = TempDir::new().unwrap();
    let ledger = folder.path().join("ledger.jsonl");
    let url = format!("{url}/webhook/kiosks");
    let args = ["simulate", "--url", &url, "--secret", SECRETS, "--header", "X-API-Key: one: two"];
    let more = ["--sessions", "12", "--concurrency", "12", "--seed", "3", "--ledger"];
    let output = verbatim(&[&args[..], &more, &[ledger.to_str().unwrap()]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));

    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    for (head, body) in receiver.requests.lock().unwrap().iter() {
        let expected = hex::encode(keyed.clone().chain_update(body).finalize().into_bytes());
        assert_eq!(head.signature.as_deref(), Some(&*format!("sha256={expected}")));
        assert_eq!(head.api_keys, ["one: two"]);
        assert_eq!(head.path, "/webhook/kiosks");
    }
    let bodies = receiver.bodies();
    for (body, attempts) in &bodies {
        assert_eq!(*attempts, if body["event_type"] == "room.join" { 2 } else { 1 });
    }
    let joins = bodies.iter().filter(|(_, attempts)| *attempts == 2).count();
    let table = stdout(&output);
    assert_eq!(figure(&table, "sessions"), 12);
    assert_eq!(figure(&table, "deliveries attempted"), bodies.len());
    assert_eq!(figure(&table, "answered"), bodies.len());
    assert_eq!(figure(&table, "given up"), 0);
    assert_eq!(figure(&table, "503"), joins);
    assert_eq!(figure(&table, "201"), bodies.len());
    assert!(!table.contains(SECRET) && !stderr(&output).contains(SECRET));
    assert_ledger_matches(&ledger, &receiver);
}

fn assert_ledger_matches(ledger: &Path, receiver: &Receiver) {
    let hashes: HashMap<String, Value> = receiver
        .requests
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| (hex::encode(Sha256::digest(body)), serde_json::from_slice(body).unwrap()))
        .collect();
    let lines = ledger_lines(ledger);
    assert_eq!(lines.len(), hashes.len());
    for line in lines {
        let body = &hashes[line["sha256"].as_str().unwrap()];
        assert_eq!(line["agent_id"], body["agent_id"]);
        assert_eq!(line["session_id"], body["data"]["session_id"]);
        assert_eq!(line.get("message"), body["data"].get("message"));
        assert_eq!(line["timestamp"], body["timestamp"]);
    }
}

#[actix_web::test]
async fn generation_d_is_not_signed_and_not_retried_and_only_200_is_success() {
    let (receiver, url, _server) =
        Receiver::start(|_, body| if body["event_type"] == "room.join" { 204 } else { 200 });
    let folder = TempDir::new().unwrap();
    let ledger = folder.path().join("ledger.jsonl");
    let args = ["simulate", "--url", &url, "--contract", "d", "--secret", SECRET];
    let more = ["--sessions", "6", "--seed", "1", "--ledger", ledger.to_str().unwrap()];
    let output = verbatim(&[&args[..], &more].concat()).await;

    let bodies = receiver.bodies();
    assert!(bodies.iter().all(|(_, attempts)| *attempts == 1));
    assert!(receiver.requests.lock().unwrap().iter().all(|(head, _)| head.signature.is_none()));
    let joins = bodies.iter().filter(|(body, _)| body["event_type"] == "room.join").count();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(figure(&stdout(&output), "given up"), joins);
    assert_eq!(ledger_lines(&ledger).len(), bodies.len() - joins);
}

#[actix_web::test]
async fn interrupted_run_reports_its_progress() {
    let (receiver, url, _server) = Receiver::start(|_, _| 200);
    let child = Command::new(env!("CARGO_BIN_EXE_verbatim"))
        .args(["simulate", "--url", &url, "--duration", "10min", "--rate", "200"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while receiver.requests.lock().unwrap().len() < 20 {
        tokio::task::yield_now().await;
    }
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(table.starts_with("interrupted"), "{table}");
    assert!(table.contains("from the scheduled time"), "{table}");
    assert_eq!(figure(&table, "answered"), receiver.requests.lock().unwrap().len());
}

#[actix_web::test]
async fn unusable_settings_are_reported_without_their_secrets() {
    let output = verbatim(&["simulate", "--url", "localhost:8080"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("must begin with http://"), "{}", stderr(&output));

    let header = ["simulate", "--url", "http://127.0.0.1:9/", "--header", "hunter2"];
    let output = verbatim(&header).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "verbatim: --header number 1 has no colon: write 'Name: value'\n");

    let refused = ["simulate", "--url", "http://127.0.0.1:9/", "--contract", "d"];
    let output = verbatim(&[&refused[..], &["--sessions", "1"]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    let table = stdout(&output);
    assert_eq!(figure(&table, "connection refused"), figure(&table, "deliveries attempted"));
}

#[actix_web::test]
async fn rejected_credentials_end_the_run_with_a_hint() {
    for (contract, hint) in [("b", "--url, --secret and --header"), ("d", "is not signed")] {
        let (receiver, url, _server) = Receiver::start(|_, _| 401);
        let args = ["simulate", "--url", &url, "--secret", SECRET, "--contract", contract];
        let output = verbatim(&[&args[..], &["--sessions", "500"]].concat()).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(hint), "{}", stderr(&output));
        assert!(receiver.requests.lock().unwrap().len() < 100);
    }
}

/// Fake read API with the messages of a ledger, in pages of two messages.
struct FakeApi {
    sessions: HashMap<(String, String), Vec<Value>>,
    /// Deliveries in the inbox. Each request of `/readyz` removes one.
    in_inbox: AtomicU64,
    opened_by: &'static str,
}

impl FakeApi {
    fn of(lines: &[Value]) -> Self {
        let mut sessions: HashMap<_, Vec<Value>> = HashMap::new();
        for line in lines {
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            let session = sessions.entry((text("agent_id"), text("session_id"))).or_default();
            if line["event_type"] == "chat.push" {
                let (role, message) = (text("role"), text("message"));
                let at = timestamp(&line["timestamp"].to_string());
                session.push(json!({"role": role, "message": message, "timestamp": at}));
            }
        }
        Self { sessions, in_inbox: AtomicU64::new(0), opened_by: "room.join" }
    }

    fn longest(&mut self) -> &mut Vec<Value> {
        self.sessions.values_mut().max_by_key(|messages| messages.len()).unwrap()
    }

    fn start(self) -> (String, ServerHandle) {
        let shared = web::Data::new(self);
        serve(move |config| {
            config
                .app_data(shared)
                .route("/readyz", web::get().to(ready))
                .route("/v1/sessions/{id}", web::get().to(session))
                .route("/v1/sessions/{id}/messages", web::get().to(messages));
        })
    }
}

fn timestamp(seconds: &str) -> String {
    let at = verbatim::domain::time::from_number(seconds).unwrap();
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

type Query = web::Query<HashMap<String, String>>;

fn is_allowed(request: &HttpRequest) -> bool {
    let held = request.headers().get("Authorization").map(|value| value.to_str().unwrap());
    held == Some(&format!("Bearer {KEY}"))
}

fn find(api: &FakeApi, id: &web::Path<String>, query: &Query) -> Option<Vec<Value>> {
    api.sessions.get(&(query["agent_id"].clone(), id.to_string())).cloned()
}

async fn session(
    request: HttpRequest,
    id: web::Path<String>,
    query: Query,
    api: web::Data<FakeApi>,
) -> HttpResponse {
    if !is_allowed(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    // Deliveries in the inbox cannot be read yet.
    if api.in_inbox.load(Ordering::Relaxed) > 0 {
        return HttpResponse::NotFound().finish();
    }
    let Some(messages) = find(&api, &id, &query) else {
        return HttpResponse::NotFound().finish();
    };
    let count = messages.len();
    HttpResponse::Ok().json(json!({"opened_by": api.opened_by, "message_count": count}))
}

async fn ready(api: web::Data<FakeApi>) -> HttpResponse {
    let count = api.in_inbox.load(Ordering::Relaxed);
    api.in_inbox.store(count.saturating_sub(1), Ordering::Relaxed);
    HttpResponse::ServiceUnavailable().json(json!({"inbox": {"deliveries": count}}))
}

async fn messages(id: web::Path<String>, query: Query, api: web::Data<FakeApi>) -> HttpResponse {
    assert_eq!((&*query["limit"], &*query["order"]), ("500", "asc"));
    let messages = find(&api, &id, &query).unwrap();
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let page: Vec<_> = messages.iter().skip(from).take(2).collect();
    let next = (from + 2 < messages.len()).then(|| (from + 2).to_string());
    HttpResponse::Ok().json(json!({"data": page, "has_more": next.is_some(), "next_cursor": next}))
}

/// Returns a ledger of `simulate`, and its lines.
async fn ledger(folder: &TempDir) -> (String, Vec<Value>) {
    let (_, url, _server) = Receiver::start(|_, _| 200);
    let path = folder.path().join("ledger.jsonl");
    let args = ["simulate", "--url", &url, "--contract", "d", "--sessions", "30", "--seed", "2"];
    let output = verbatim(&[&args[..], &["--ledger", path.to_str().unwrap()]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    (path.to_str().unwrap().to_owned(), ledger_lines(&path))
}

async fn verify(ledger: &str, url: &str, key: &str) -> Output {
    verbatim(&["verify", "--ledger", ledger, "--url", url, "--key", key]).await
}

#[actix_web::test]
async fn ledger_with_each_delivery_stored_once_verifies() {
    let folder = TempDir::new().unwrap();
    let (ledger, lines) = ledger(&folder).await;
    let (url, _server) = FakeApi::of(&lines).start();
    let output = verify(&ledger, &url, KEY).await;
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{table}{}", stderr(&output));
    assert_eq!(figure(&table, "sessions"), 30);
    assert_eq!(figure(&table, "deliveries checked"), lines.len());
    assert_eq!(figure(&table, "missing"), 0);
    assert_eq!(figure(&table, "duplicates"), 0);
}

#[actix_web::test]
async fn verify_waits_for_the_inbox_within_its_limit() {
    let folder = TempDir::new().unwrap();
    let (ledger, lines) = ledger(&folder).await;
    let (url, _server) = FakeApi { in_inbox: 3.into(), ..FakeApi::of(&lines) }.start();
    let output = verify(&ledger, &url, KEY).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));

    let (url, _server) = FakeApi { in_inbox: 1_000_000.into(), ..FakeApi::of(&lines) }.start();
    let args = ["verify", "--ledger", &ledger, "--url", &url, "--key", KEY, "--patience", "0s"];
    let output = verbatim(&args).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("1,000,000 deliveries are still in"), "{}", stderr(&output));
    let table = stdout(&output);
    assert_eq!(figure(&table, "missing"), lines.len());
    let listed = table.lines().filter(|line| line.starts_with("  {")).count();
    assert_eq!(listed, lines.len());
}

#[actix_web::test]
async fn empty_ledger_is_rejected() {
    let folder = TempDir::new().unwrap();
    let ledger = folder.path().join("ledger.jsonl");
    std::fs::write(&ledger, "").unwrap();
    let output = verify(ledger.to_str().unwrap(), "http://127.0.0.1:9/", KEY).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no delivery in"), "{}", stderr(&output));
}

#[actix_web::test]
async fn missing_messages_are_listed() {
    let folder = TempDir::new().unwrap();
    let (ledger, lines) = ledger(&folder).await;
    let mut api = FakeApi::of(&lines);
    let lost = api.longest().remove(3);
    let (url, _server) = api.start();
    let output = verify(&ledger, &url, KEY).await;
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert_eq!(figure(&table, "missing"), 1);
    assert_eq!(figure(&table, "duplicates"), 0);
    assert!(table.contains(lost["message"].as_str().unwrap()), "{table}");
}

#[actix_web::test]
async fn missing_session_or_join_is_reported() {
    let folder = TempDir::new().unwrap();
    let (ledger, lines) = ledger(&folder).await;
    let joins = lines.iter().filter(|line| line["event_type"] == "room.join").count();
    let (url, _server) = FakeApi { opened_by: "chat.push", ..FakeApi::of(&lines) }.start();
    let output = verify(&ledger, &url, KEY).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(figure(&stdout(&output), "missing"), joins);
    let table = stdout(&output);
    assert_eq!(table.lines().filter(|line| line.contains("room.join")).count(), joins);

    let (url, _server) = FakeApi::of(&[]).start();
    let output = verify(&ledger, &url, KEY).await;
    assert_eq!(figure(&stdout(&output), "missing"), lines.len());
}

#[actix_web::test]
async fn duplicate_message_is_reported_as_doubled() {
    let folder = TempDir::new().unwrap();
    let (ledger, lines) = ledger(&folder).await;
    let mut api = FakeApi::of(&lines);
    let twice = api.longest()[0].clone();
    api.longest().push(twice);
    let (url, _server) = api.start();
    let output = verify(&ledger, &url, KEY).await;
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert_eq!(figure(&table, "missing"), 0);
    assert_eq!(figure(&table, "duplicates"), 1);
}

#[actix_web::test]
async fn wrong_key_and_unreachable_api_have_different_errors() {
    let folder = TempDir::new().unwrap();
    let (ledger, lines) = ledger(&folder).await;
    let (url, _server) = FakeApi::of(&lines).start();
    let output = verify(&ledger, &url, "a-wrong-key").await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "verbatim: the API key is not valid (401)\n");
    let output = verify(&ledger, "http://127.0.0.1:9", KEY).await;
    assert_eq!(
        stderr(&output),
        "verbatim: connection refused: nothing listens at http://127.0.0.1:9/\n"
    );
}
