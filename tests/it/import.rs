//! `verbatim import` against the real service, and against a fake one that rejects.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::header::{CONNECTION, RETRY_AFTER};
use actix_web::{HttpResponse, web};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin};
use verbatim::clock::Clock;

use crate::support::app::{App, SECRET, now};
use crate::support::command::{command, figure, serve, stderr, stdout, verbatim};
use crate::support::samples::SAMPLES;

/// Test delivery of the dashboard.
const TEST: &str = include_str!("../payloads/test.json");
/// Text that no log and no output may contain.
const PRIVATE_TEXT: &str = "zebra-crossing-at-noon";

fn samples() -> Vec<&'static str> {
    SAMPLES.into_iter().chain([TEST]).map(str::trim_end).collect()
}

fn chat_push(session: &str, text: &str, at: Option<i64>) -> String {
    let mut body = json!({ "event_type": "chat.push", "agent_id": "A",
        "data": { "session_id": session, "role": "user", "message": text } });
    if let Some(at) = at {
        body["timestamp"] = at.into();
    }
    body.to_string()
}

/// Folder with files to import.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a file, and returns its path.
    fn with(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn lines(&self, name: &str, lines: &[impl AsRef<str>]) -> String {
        let lines: Vec<_> = lines.iter().map(AsRef::as_ref).collect();
        self.with(name, lines.join("\n"))
    }
}

async fn import(url: &str, more: &[&str]) -> Output {
    verbatim(&[&["import", "--url", url, "--secret", SECRET], more].concat()).await
}

/// Starts the command with a pipe as standard input.
fn spawn(args: &[&str]) -> (Child, ChildStdin) {
    let mut child = command(args)
        .env("VERBATIM_WEBHOOK_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

/// Returns the numbers of lines read, accepted, unreadable and too large.
fn figures(output: &Output) -> [usize; 4] {
    let table = stdout(output);
    assert!(!table.contains("not answered"), "{table}{}", stderr(output));
    ["lines read", "accepted", "unreadable", "too large"].map(|name| figure(&table, name))
}

/// Conversations without the fields that depend on the time of arrival.
async fn conversations(app: &App) -> Value {
    app.drained().await;
    let mut sessions = app.get("/v1/sessions?include=messages").await.json();
    let sessions = sessions["data"].take();
    without_fields(sessions, &["received_at"])
}

fn without_fields(value: Value, names: &[&str]) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, _)| !names.contains(&name.as_str()));
            kept.map(|(name, value)| (name, without_fields(value, names))).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| without_fields(item, names)).collect(),
        other => other,
    }
}

#[actix_web::test]
async fn import_gives_the_same_conversations_as_live_deliveries() {
    let live = App::start().await;
    for sample in samples() {
        assert_eq!(live.deliver(sample).await.status, 200);
    }
    let app = App::start().await;
    let files = Files::new();
    let file = files.lines("log.jsonl", &samples());
    for _ in 0..2 {
        let output = import(&app.address, &[&file]).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(figures(&output), [10, 10, 0, 0]);
        assert_eq!(stderr(&output), "");
    }
    let imported = conversations(&app).await;
    assert_eq!(imported.as_array().unwrap().len(), 4);
    assert_eq!(imported, conversations(&live).await);
    let log = app.log().await;
    let count = |outcome: &str| log.iter().filter(|(is, _)| is == outcome).count();
    assert_eq!((count("stored"), count("duplicate"), count("test")), (9, 9, 2));
}

#[actix_web::test]
async fn several_files_compressed_files_and_standard_input_are_imported() {
    let app = App::start().await;
    let files = Files::new();
    let samples = samples();
    let text = |samples: &[&str], end: &str| samples.join(end);
    let plain = files.with("a.jsonl", text(&samples[..3], "\n"));
    let windows =
        files.with("b.jsonl", format!("\u{feff}{}\r\n\r\n", text(&samples[3..5], "\r\n\r\n")));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text(&samples[5..7], "\n").as_bytes()).unwrap();
    let gzip = files.with("c", gzip.finish().unwrap());
    let zstd = files.with("d.log", zstd::encode_all(samples[7].as_bytes(), 0).unwrap());

    let all = ["import", "--url", &app.address, &plain, &windows, "-", &gzip, &zstd];
    let (child, mut stdin) = spawn(&all);
    stdin.write_all(text(&samples[8..], "\n").as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(figures(&output), [10, 10, 0, 0], "{}", stderr(&output));
    app.drained().await;

    // Every byte is the same.
    let mut bodies: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM deliveries")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    bodies.sort_unstable();
    let mut expected: Vec<_> = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    expected.sort_unstable();
    assert_eq!(bodies, expected);
}

#[actix_web::test]
async fn unreadable_lines_are_reported_by_place_and_written_to_a_file() {
    let app = App::start().await;
    let files = Files::new();
    let broken = [
        format!("{{\"torn\": \"{PRIVATE_TEXT}"),
        format!(" {{\"event_type\":\"chat.push\",\"agent_id\":\"A\",\"{PRIVATE_TEXT}\":1}}"),
        PRIVATE_TEXT.to_owned(),
    ];
    let file = files.lines("log.jsonl", &[&broken[0], "", samples()[0], &broken[1], &broken[2]]);
    let rejected = files.path("rejected.jsonl");
    let output = import(&app.address, &[&file, "--rejected", &rejected]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(figures(&output), [4, 1, 3, 0]);
    let printed = stderr(&output);
    for (place, reason) in [
        (1, "The field body: it is not JSON"),
        (4, "The field data.session_id: it is missing"),
        (5, "The field body: it is not JSON"),
    ] {
        assert!(printed.contains(&format!("{file}:{place}: {reason}")), "{printed}");
    }
    assert!(!printed.contains(PRIVATE_TEXT), "{printed}");
    let kept = std::fs::read_to_string(&rejected).unwrap();
    let (mut lines, mut expected): (Vec<_>, Vec<_>) =
        (kept.lines().collect(), broken.iter().map(String::as_str).collect());
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);

    // The file of rejected lines is not overwritten.
    let again = import(&app.address, &[&rejected, "--rejected", &rejected]).await;
    assert!(stderr(&again).contains("--rejected needs a new file"), "{}", stderr(&again));
    assert_eq!(std::fs::read_to_string(&rejected).unwrap(), kept);

    std::fs::write(&rejected, samples()[1]).unwrap();
    let more = files.path("more.jsonl");
    let output = import(&app.address, &[&rejected, "--rejected", &more]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!Path::new(&more).exists(), "nothing was rejected");
}

#[actix_web::test]
async fn oversized_lines_are_reported_and_skipped() {
    let app = App::start_with(|settings| settings.max_body_bytes = 1_000).await;
    let files = Files::new();
    let sized = |size: usize| chat_push("large", &"x".repeat(size), Some(now().timestamp()));
    let lines = [sized(2_000), sized(40_000), sized(4_000_000), sized(10)];
    let file = files.lines("log.jsonl", &lines);
    let output = import(&app.address, &[&file, "--max-line", "30kB"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(figures(&output), [4, 1, 0, 3], "{}", stderr(&output));
    let printed = stderr(&output);
    assert!(printed.contains(&format!("{file}:1: A delivery has 1000 bytes at most")), "{printed}");
    for number in [2, 3] {
        assert!(printed.contains(&format!("{file}:{number}: longer than --max-line")), "{printed}");
    }
}

#[actix_web::test]
async fn erased_conversation_is_not_imported_again() {
    let app = App::start().await;
    let at = now().timestamp();
    let gone = [chat_push("gone", PRIVATE_TEXT, Some(at)), chat_push("gone", PRIVATE_TEXT, None)];
    let stays = chat_push("stays", "everybody may know", Some(at));
    for body in gone.iter().chain([&stays]) {
        assert_eq!(app.deliver(body.as_str()).await.status, 200);
    }
    app.drained().await;
    assert_eq!(app.get("/v1/sessions/gone").await.json()["message_count"], 2);
    assert_eq!(app.ask("DELETE", "/v1/sessions/gone").await.status, 200);

    // A copy may hold messages that this service never received.
    app.clock.set(now() + TimeDelta::days(1));
    let files = Files::new();
    let [dated, undated] = gone;
    let older = chat_push("gone", &format!("{PRIVATE_TEXT} before"), Some(at - 100));
    let file = files.lines("log.jsonl", &[dated, undated, older, stays]);
    let output = import(&app.address, &[&file]).await;
    assert_eq!(figures(&output), [4, 4, 0, 0], "{}", stderr(&output));
    app.drained().await;
    assert_eq!(app.get("/v1/sessions/gone").await.status, 404);
    assert_eq!(app.get("/v1/sessions/stays").await.json()["message_count"], 1);
    let log = app.log().await;
    let erased = log.iter().filter(|(_, reason)| reason.as_deref() == Some("it was erased"));
    assert_eq!(erased.count(), 3, "{log:?}");
}

#[actix_web::test]
async fn log_of_deliveries_is_imported_into_another_service() {
    let first = App::start().await;
    let id = [("X-BitHuman-Delivery", "dlv-1")];
    assert_eq!(first.deliver_with(samples()[8], &id).await.status, 200);
    assert_eq!(first.deliver(samples()[4]).await.status, 200);
    first.drained().await;
    let mut lines = Vec::new();
    for delivery in first.get("/v1/deliveries").await.json()["data"].as_array().unwrap() {
        let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
        lines.push(first.get(&path).await.text);
    }
    let second = App::start().await;
    let files = Files::new();
    let file = files.lines("log.jsonl", &lines);
    for app in [&second, &first] {
        let output = import(&app.address, &[&file]).await;
        assert_eq!(figures(&output), [2, 2, 0, 0], "{}", stderr(&output));
    }
    assert_eq!(conversations(&second).await, conversations(&first).await);
    let outcomes = |log: Vec<(String, Option<String>)>| -> Vec<String> {
        log.into_iter().map(|(outcome, _)| outcome).collect()
    };
    assert_eq!(outcomes(second.log().await), ["stored", "stored"]);
    let mut known = outcomes(first.log().await);
    known.sort_unstable();
    assert_eq!(known, ["duplicate", "duplicate", "stored", "stored"], "also by the sender's ID");
}

#[actix_web::test]
async fn source_that_requires_a_fresh_signature_gets_one() {
    let app = App::start_with(|settings| settings.sources[0].strict_timestamps = true).await;
    app.clock.set(Clock::system().now());
    let files = Files::new();
    let file = files.lines("log.jsonl", &samples());
    let output = import(&format!("{}/webhook/", app.address), &[&file]).await;
    assert_eq!(figures(&output), [10, 10, 0, 0], "{}", stderr(&output));
}

/// Service with a set answer to the nth request for the same bytes.
struct Fake {
    requests: Mutex<Vec<(Instant, web::Bytes)>>,
    answer: fn(usize) -> HttpResponse,
}

impl Fake {
    fn start(answer: fn(usize) -> HttpResponse) -> (Arc<Self>, String, ServerHandle) {
        let fake = Arc::new(Self { requests: Mutex::default(), answer });
        let shared = web::Data::from(Arc::clone(&fake));
        let (url, handle) = serve(move |config| {
            config.app_data(shared.clone()).default_service(web::to(receive));
        });
        (fake, url, handle)
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn receive(body: web::Bytes, fake: web::Data<Fake>) -> HttpResponse {
    let mut requests = fake.requests.lock().unwrap();
    requests.push((Instant::now(), body.clone()));
    (fake.answer)(requests.iter().filter(|(_, known)| *known == body).count())
}

#[actix_web::test]
async fn import_waits_for_retry_after() {
    let (fake, url, _server) = Fake::start(|attempt| match attempt {
        1 => HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).finish(),
        2 => HttpResponse::TooManyRequests().insert_header((CONNECTION, "close")).finish(),
        _ => HttpResponse::Ok().finish(),
    });
    let files = Files::new();
    let file = files.lines("log.jsonl", &["{\"one\":1}"]);
    let output = import(&url, &[&file]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(figures(&output), [1, 1, 0, 0]);
    let requests = fake.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert!(requests[1].0 - requests[0].0 >= Duration::from_secs(1), "Retry-After is honoured");
    assert!(requests[2].0 - requests[1].0 >= Duration::from_millis(500));
    let printed = "waiting for the service, at most 10m: status 429\n";
    assert_eq!(stderr(&output), printed);
}

#[actix_web::test]
async fn unavailable_service_ends_the_run() {
    let files = Files::new();
    let file = files.lines("log.jsonl", &samples());
    let output = import("http://127.0.0.1:9", &[&file, "--patience", "1s"]).await;
    assert_eq!(output.status.code(), Some(1));
    let printed = stderr(&output);
    let reason = format!(
        "{file}:1: not delivered within 1s: connection refused: nothing listens at \
         http://127.0.0.1:9/webhook"
    );
    assert!(printed.ends_with(&format!("verbatim: {reason}\n")), "{printed}");
    assert_eq!(figure(&stdout(&output), "not answered"), 1);
}

#[actix_web::test]
async fn wrong_credentials_end_the_run_after_one_attempt() {
    let app = App::start().await;
    let files = Files::new();
    let file = files.lines("log.jsonl", &samples());
    let wrong = ["import", "--url", &app.address, "--secret", "hunter2", &file];
    let output = verbatim(&wrong).await;
    assert_eq!(output.status.code(), Some(1));
    let printed = stderr(&output);
    assert!(printed.starts_with("verbatim: The signature does not match"), "{printed}");
    assert!(printed.ends_with("Check --secret and --header.\n"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert_eq!(figure(&stdout(&output), "lines read"), 1);

    let output = import(&format!("{}/webhook/nowhere", app.address), &[&file]).await;
    let printed = stderr(&output);
    assert!(printed.contains("no webhook at") && printed.contains("No source"), "{printed}");
}

#[actix_web::test]
async fn file_of_another_kind_does_not_fill_the_quarantine() {
    let (fake, url, _server) = Fake::start(|_| HttpResponse::UnprocessableEntity().finish());
    let files = Files::new();
    let lines: Vec<_> = (0..2_000).map(|number| format!("{{\"row\":{number}}}")).collect();
    let file = files.lines("export.jsonl", &lines);
    let output = import(&url, &[&file]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is this the right file?"), "{}", stderr(&output));
    assert!((100..200).contains(&fake.count()), "{}", fake.count());
}

#[actix_web::test]
async fn truncated_file_is_reported_after_its_readable_lines() {
    let (fake, url, _server) = Fake::start(|_| HttpResponse::Ok().finish());
    let files = Files::new();
    let lines: Vec<_> = (0..50_000).map(|number| format!("{{\"row\":{number}}}\n")).collect();
    let whole = zstd::encode_all(lines.concat().as_bytes(), 0).unwrap();
    let cut = files.with("cut.zst", &whole[..whole.len() / 50]);
    let output = import(&url, &[&cut, &files.lines("next.jsonl", &["{}"])]).await;
    assert_eq!(output.status.code(), Some(1));
    let printed = stderr(&output);
    assert!(printed.contains(&format!("{cut} cannot be read after line ")), "{printed}");
    assert_eq!(figure(&stdout(&output), "accepted"), fake.count());

    for (name, reason) in [("nowhere", "cannot read "), ("", "is a folder")] {
        let output = import(&url, &[&cut, &files.path(name)]).await;
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
        assert_eq!(stdout(&output), "", "reported before anything is sent");
    }
}

#[actix_web::test]
async fn interrupted_run_reports_its_progress_while_input_is_silent() {
    let (fake, url, _server) = Fake::start(|_| HttpResponse::ServiceUnavailable().finish());
    let (child, mut stdin) = spawn(&["import", "--url", &url, "-"]);
    stdin.write_all(b"{\"one\":1}\n").await.unwrap();
    let requests = async {
        while fake.count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), requests).await.unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("interrupted"), "{}", stderr(&output));
    assert_eq!(figure(&stdout(&output), "not answered"), 1);
}

#[actix_web::test]
async fn file_written_by_powershell_or_an_editor_is_imported() {
    let (app, files) = (App::start().await, Files::new());
    let lines: Vec<_> = (0..40)
        .map(|number| {
            chat_push(
                "s",
                &format!("\u{9000}\u{6b3e} \u{1f600} h\u{e9} {number}"),
                Some(1_790_000_000 + number),
            )
        })
        .collect();
    let text = lines.join("\r\n");
    let marked: String = ["\u{feff}", &text].concat();
    let le: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let be: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (name, bytes, new) in
        [("le", le.clone(), 40), ("be", be, 0), ("mark", marked.into_bytes(), 0)]
    {
        let file = files.with(name, bytes);
        let output = import(&app.address, &[&file]).await;
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(figure(&stdout(&output), "accepted"), 40, "{name}: {}", stdout(&output));
        app.drained().await;
        let stored = app.log().await.iter().filter(|(outcome, _)| outcome == "stored").count();
        assert_eq!(stored, 40, "{name}: {new} new");
    }
    let cut = files.with("cut", &le[..le.len() - 1]);
    let output = import(&app.address, &[&cut]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("middle of a character"), "{}", stderr(&output));
    assert!(!app.log().await.iter().any(|(outcome, _)| outcome == "quarantined"));
}
