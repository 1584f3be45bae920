//! `verbatim export` against the real service, and against one that breaks connections.

use std::process::Output;
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{App, KEY};
use crate::support::command::{figure, serve, stderr, stdout, verbatim};

/// Number of messages.
const MESSAGES: usize = 7;

async fn talk() -> App {
    let app = App::start().await;
    for number in 0..MESSAGES {
        let body = json!({
            "event_type": "chat.push", "agent_id": "A", "timestamp": 1_790_607_000 + number,
            "data": { "session_id": format!("s{}", number % 2), "role": "user",
                "message": format!("=\"{number}\",\ncursor") },
        });
        assert_eq!(app.deliver(body.to_string()).await.status, 200);
    }
    app.drained().await;
    app
}

async fn export(url: &str, output: &str, more: &[&str]) -> Output {
    let args = ["--url", url, "--key", KEY, "--output", output];
    verbatim(&[&["export"], &more[..1], &args, &more[1..]].concat()).await
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_format_is_written_as_served_and_without_progress_output() {
    let app = talk().await;
    let folder = TempDir::new().unwrap();
    for (what, count) in [("messages", MESSAGES), ("sessions", 2)] {
        for format in ["jsonl", "csv", "parquet"] {
            let path = folder.path().join(format!("{what}.{format}"));
            // An existing file is replaced.
            std::fs::write(&path, "old").unwrap();
            let more = [what, "--format", format];
            let output = export(&app.address, path.to_str().unwrap(), &more).await;
            assert!(output.status.success(), "{}", stderr(&output));
            assert_eq!(stderr(&output), "", "no progress outside a terminal");
            assert_eq!(figure(&stdout(&output), what), count);
            let written = std::fs::read(&path).unwrap();
            if format == "parquet" {
                let reader = SerializedFileReader::new(Bytes::from(written)).unwrap();
                assert_eq!(reader.get_row_iter(None).unwrap().count(), count);
                continue;
            }
            let requested = format!("/v1/export/{what}?format={format}");
            assert_eq!(
                String::from_utf8(written).unwrap(),
                app.get(&requested).await.text,
                "{requested}"
            );
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 6, "only the exported files");
}

#[tokio::test]
async fn csv_is_written_as_served() {
    let app = talk().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sheet.csv").to_str().unwrap().to_owned();
    let csv = ["messages", "--format", "csv"];
    for (flags, query) in [
        (&["--bom"] as &[&str], "bom=true"),
        (&["--no-formula-guard"], "formula_guard=false"),
        (&["--bom", "--max-cell-chars", "100"], "bom=true&max_cell_chars=100"),
        (&["--after", "2026-09-28", "--tz", "Asia/Tokyo"], "after=2026-09-28&tz=Asia/Tokyo"),
    ] {
        let output = export(&app.address, &path, &[&csv[..], flags].concat()).await;
        assert!(output.status.success(), "{}", stderr(&output));
        let written = std::fs::read_to_string(&path).unwrap();
        let requested = format!("/v1/export/messages?format=csv&{query}");
        // The test's client removes the byte order mark.
        let sent = app.get(&requested).await.text;
        assert_eq!(written.trim_start_matches('\u{FEFF}'), sent.trim_start_matches('\u{FEFF}'));
        assert_eq!(written.starts_with('\u{FEFF}'), flags.contains(&"--bom"), "{flags:?}");
    }
    let wrong = export(&app.address, &path, &["messages", "--bom"]).await;
    assert!(
        !wrong.status.success() && stderr(&wrong).contains("--format csv"),
        "{}",
        stderr(&wrong)
    );
}

#[tokio::test]
async fn filters_are_sent() {
    let app = talk().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("out").to_str().unwrap().to_owned();
    for (more, count) in [
        (&["messages", "--session-id", "s1", "--role", "user"][..], 3),
        (&["messages", "--agent-id", "A", "--agent-id", "B", "--after", "1790607004"], 2),
        (&["messages", "--before", "2026-09-28T14:50:01Z", "--source", "default"], 1),
        (&["sessions", "--min-messages", "4", "--opened-by", "chat.push"], 1),
        (&["sessions", "--status", "ended"], 0),
    ] {
        let output = export(&app.address, &path, more).await;
        assert!(output.status.success(), "{more:?}: {}", stderr(&output));
        assert_eq!(lines(&std::fs::read_to_string(&path).unwrap()).len(), count, "{more:?}");
    }
    let wrong = export(&app.address, &path, &["sessions", "--status", "dead"]).await;
    assert!(!wrong.status.success());
    assert!(stderr(&wrong).contains("400"), "{}", stderr(&wrong));
}

/// Service with these rows that breaks connections and rejects requests.
struct Breaking {
    rows: Vec<String>,
    /// Requested cursors.
    requested: Mutex<Vec<Option<String>>>,
}

async fn breaks(request: HttpRequest, service: web::Data<Breaking>) -> HttpResponse {
    const SENT: usize = 3;
    let url = reqwest::Url::parse(&format!("http://x{}", request.uri())).unwrap();
    let cursor = url.query_pairs().find(|(name, _)| name == "cursor");
    let cursor = cursor.map(|(_, value)| value.into_owned());
    let mut requested = service.requested.lock().unwrap();
    requested.push(cursor.clone());
    match requested.len() {
        // Some rows, and half of another.
        1 => {
            let some = service.rows[..SENT].concat() + &service.rows[SENT][..9];
            let cut = async {
                // Send the rows before the break.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            };
            let some = stream::iter([Ok(Bytes::from(some))]);
            HttpResponse::Ok().streaming(some.chain(stream::once(cut)))
        }
        2 => HttpResponse::Forbidden().body(r#"{"detail":"not now"}"#),
        _ => {
            let cursor = format!("\"cursor\":\"{}\"", cursor.expect("a cursor"));
            let position = service.rows.iter().position(|row| row.contains(&cursor)).unwrap();
            HttpResponse::Ok().body(service.rows[position + 1..].concat())
        }
    }
}

#[actix_web::test]
async fn interrupted_export_resumes_and_writes_a_whole_file_or_none() {
    let app = talk().await;
    let plain = app.get("/v1/export/messages").await.text;
    let sheet = app.get("/v1/export/messages?format=csv").await.text;
    let with_cursors = app.get("/v1/export/messages?with_cursor=true").await.text;
    let rows: Vec<String> = with_cursors.split_inclusive('\n').map(str::to_owned).collect();
    let cursors: Vec<_> = lines(&with_cursors).iter().map(|row| row["cursor"].clone()).collect();
    for (format, expected) in [("jsonl", &plain), ("csv", &sheet)] {
        let service = Arc::new(Breaking { rows: rows.clone(), requested: Mutex::default() });
        let shared = web::Data::from(Arc::clone(&service));
        let (url, _) = serve(move |config| {
            config.app_data(shared.clone()).default_service(web::to(breaks));
        });
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("out");
        let output = path.to_str().unwrap();

        let cut = export(&url, output, &["messages", "--format", format]).await;
        assert!(!cut.status.success());
        assert!(stderr(&cut).contains("3 rows are in"), "{}", stderr(&cut));
        assert!(!path.exists(), "no partial file");

        let again = export(&url, output, &["messages", "--format", format]).await;
        assert!(!again.status.success());
        assert!(stderr(&again).contains("--resume"), "{}", stderr(&again));
        let other = export(&url, output, &["messages", "--resume", "--role", "user"]).await;
        assert!(!other.status.success());
        assert!(stderr(&other).contains("other filters"), "{}", stderr(&other));

        let rest = export(&url, output, &["messages", "--format", format, "--resume"]).await;
        assert!(rest.status.success(), "{}", stderr(&rest));
        assert_eq!(figure(&stdout(&rest), "messages"), MESSAGES);
        assert_eq!(&std::fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other file");

        let requested = service.requested.lock().unwrap().clone();
        let third = cursors[2].as_str().map(str::to_owned);
        assert_eq!(requested, [None, third.clone(), third], "resumed after the last whole row");
    }
}
