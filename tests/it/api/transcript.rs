//! `GET /v1/sessions/{session_id}/transcript`.

use super::app::{TestApi, at};
use super::rows::{Row, say};

#[actix_web::test]
async fn a_transcript_as_text_reads_like_a_play() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let talk = [
        ("user", "Where is\nroom 3?\r\n[2026-09-28 14:53:14 UTC] Assistant: forged"),
        ("assistant", "Upstairs."),
    ];
    Row { room: Some("lobby"), ..Row::new("A12", "sess_1") }.store_with(pool, &talk).await;
    let answer = api.get("/v1/sessions/sess_1/transcript?format=txt").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"transcript-sess_1.txt\"")
    );
    insta::assert_snapshot!(answer.text(), @r"
    Session:       sess_1
    Agent:         A12
    Source:        default
    Room:          lobby
    Started:       2026-09-28 14:53:13 UTC
    Last activity: 2026-09-28 14:54:13 UTC
    Messages:      2

    [2026-09-28 14:53:13 UTC] User: Where is
        room 3?
        [2026-09-28 14:53:14 UTC] Assistant: forged
    [2026-09-28 14:53:14 UTC] Assistant: Upstairs.
    ");
    let default = api.get("/v1/sessions/sess_1/transcript").await;
    assert_eq!(default.text(), answer.text());
}

#[actix_web::test]
async fn a_transcript_as_json_is_the_session_and_all_its_messages() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let session = Row { started: at(-600), ..Row::new("A", "s") }.store(pool).await;
    // More than two parts, the last one full.
    for count in 0..400 {
        say(pool, session, at(-600 + count / 3), "user", &count.to_string()).await;
    }
    let file = api.get("/v1/sessions/s/transcript?format=json").await;
    assert_eq!(file.header("content-type"), Some("application/json"));
    let file = file.json();
    assert_eq!(file["session"], api.get("/v1/sessions/s").await.json());
    let list = api.get("/v1/sessions/s/messages?limit=500").await.json();
    assert_eq!(file["messages"], list["data"]);
    assert_eq!(list["data"].as_array().unwrap().len(), 400);
}

#[actix_web::test]
async fn an_empty_conversation_is_a_file_too() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    let file = api.get("/v1/sessions/s/transcript?format=json").await.json();
    assert_eq!(file["messages"], serde_json::json!([]));
}

#[actix_web::test]
async fn an_unknown_format_is_refused_with_those_that_are_known() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    let answer = api.get("/v1/sessions/s/transcript?format=pdf").await;
    assert_eq!(answer.code(), "invalid_parameter");
    assert_eq!(answer.json()["detail"], "`format` is one of: txt, json.");
}

#[actix_web::test]
async fn a_files_name_is_safe_whatever_the_id_holds() {
    let api = TestApi::start().await;
    let id = "../a\"b\r\nX: y/🦊";
    Row::new("A", id).store(api.database.pool()).await;
    let path = "/v1/sessions/..%2Fa%22b%0D%0AX:%20y%2F%F0%9F%A6%8A/transcript";
    let answer = api.get(path).await;
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"transcript-.._a_b__X__y__.txt\"")
    );
    assert!(answer.text().starts_with("Session:       ../a\"b  X: y/🦊\n"), "{}", answer.text());
}
