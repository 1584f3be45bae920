//! Line framing of CSV, JSON lines and events. Many clients split lines at characters that JSON
//! does not escape.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{App, KEY, client};
use crate::support::command::{stderr, verbatim};

/// Every line boundary of Python's `str.splitlines`, and a few similar characters.
const TEXT: &str =
    "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\u{1c}g\u{1d}h\u{1e}i\nj\r\nk “l” \u{2027}\u{86}";
const SESSION: &str = "s\u{2028}1\u{85}";

async fn talk() -> App {
    let app = App::start().await;
    let body = json!({
        "event_type": "chat.push", "agent_id": "A\u{2029}", "timestamp": 1_790_607_000,
        "data": { "session_id": SESSION, "role": "user", "message": TEXT },
    });
    assert_eq!(app.deliver(body.to_string()).await.status, 200);
    app.drained().await;
    app
}

/// Splits lines as the least careful clients do.
fn split(text: &str) -> Vec<&str> {
    let ends = |c| "\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}".contains(c);
    text.split(ends).filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn each_row_is_one_line() {
    let app = talk().await;
    let session = "s%E2%80%A81%C2%85";
    for path in [
        "/v1/export/messages",
        "/v1/export/messages?with_cursor=true",
        "/v1/export/sessions",
        &format!("/v1/sessions/{session}/transcript?format=jsonl"),
    ] {
        let text = app.get(path).await.text;
        let lines = split(&text);
        assert_eq!(lines.len(), 1, "{path}: {text}");
        let row: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(row["session_id"], SESSION, "{path}");
        assert!(row.get("message").is_none_or(|message| message == TEXT), "{path}");
    }
}

#[tokio::test]
async fn exported_file_has_one_line_per_row_for_any_sender() {
    let app = talk().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("rows.jsonl");
    let output = ["export", "messages", "--url", &app.address, "--key", KEY, "--output"];
    let output = verbatim(&[&output[..], &[path.to_str().unwrap()]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(split(&text).len(), 1, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["message"], TEXT);
}

#[tokio::test]
async fn data_of_an_event_is_one_line() {
    let app = App::start().await;
    let request = client().get(format!("{}/v1/stream", app.address)).bearer_auth(KEY);
    let mut stream = request.send().await.unwrap();
    let body = json!({
        "event_type": "chat.push", "agent_id": "A", "timestamp": 1_790_607_000,
        "data": { "session_id": "s", "role": "user", "message": TEXT },
    });
    assert_eq!(app.deliver(body.to_string()).await.status, 200);
    let mut text = String::new();
    while !text.contains("event: message") || !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let data: Vec<_> =
        split(&text).into_iter().filter_map(|line| line.strip_prefix("data: ")).collect();
    let data: Vec<Value> =
        data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    assert!(data.iter().any(|event| event["message"] == TEXT), "{text}");
    for line in split(&text) {
        let field = line.split(": ").next().unwrap();
        assert!(["retry", "id", "event", "data", ""].contains(&field), "{line}");
    }
}
