//! What is framed by lines stays on its lines, whatever was said: many clients end a line where
//! JSON does not.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{App, KEY, client};
use crate::support::command::{stderr, verbatim};

/// Every end of a line that Python's `str.splitlines` knows, and a few that look like one.
const SAID: &str =
    "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\u{1c}g\u{1d}h\u{1e}i\nj\r\nk “l” \u{2027}\u{86}";
const SESSION: &str = "s\u{2028}1\u{85}";

async fn talk() -> App {
    let app = App::start().await;
    let body = json!({
        "event_type": "chat.push", "agent_id": "A\u{2029}", "timestamp": 1_790_607_000,
        "data": { "session_id": SESSION, "role": "user", "message": SAID },
    });
    assert_eq!(app.deliver(body.to_string()).await.status, 200);
    app.drained().await;
    app
}

/// Lines as the least careful of clients splits them.
fn split(text: &str) -> Vec<&str> {
    let ends = |c| "\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}".contains(c);
    text.split(ends).filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn a_row_is_a_line() {
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
        assert!(row.get("message").is_none_or(|message| message == SAID), "{path}");
    }
}

#[tokio::test]
async fn a_file_of_the_export_has_a_line_a_row_whoever_sent_it() {
    let app = talk().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("rows.jsonl");
    let output = ["export", "messages", "--url", &app.address, "--key", KEY, "--output"];
    let output = verbatim(&[&output[..], &[path.to_str().unwrap()]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(split(&text).len(), 1, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["message"], SAID);
}

#[tokio::test]
async fn an_event_s_data_is_a_line() {
    let app = App::start().await;
    let request = client().get(format!("{}/v1/stream", app.address)).bearer_auth(KEY);
    let mut stream = request.send().await.unwrap();
    let body = json!({
        "event_type": "chat.push", "agent_id": "A", "timestamp": 1_790_607_000,
        "data": { "session_id": "s", "role": "user", "message": SAID },
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
    assert!(data.iter().any(|event| event["message"] == SAID), "{text}");
    for line in split(&text) {
        let field = line.split(": ").next().unwrap();
        assert!(["retry", "id", "event", "data", ""].contains(&field), "{line}");
    }
}
