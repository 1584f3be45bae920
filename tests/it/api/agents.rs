//! `GET /v1/agents` and `GET /v1/agents/{agent_id}`.

use serde_json::json;

use super::app::{TestApi, at};
use super::rows::Row;

#[actix_web::test]
async fn agents_are_listed_latest_active_first() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    Row { active: at(-30), ..Row::new("early", "s1") }.store(pool).await;
    Row::new("late", "s2").store_with(pool, &[("user", "hello")]).await;

    let answer = api.get("/v1/agents").await;
    assert_eq!(
        answer.json(),
        json!({
            "data": [
                {
                    "agent_id": "late",
                    "session_count": 1,
                    "message_count": 1,
                    "first_seen_at": "2026-09-28T14:53:13.000000Z",
                    "last_activity_at": "2026-09-28T14:54:13.000000Z",
                },
                {
                    "agent_id": "early",
                    "session_count": 1,
                    "message_count": 0,
                    "first_seen_at": "2026-09-28T14:53:13.000000Z",
                    "last_activity_at": "2026-09-28T14:53:43.000000Z",
                },
            ],
            "next_cursor": null,
            "has_more": false,
        })
    );
    assert_eq!(api.get("/v1/agents?order=asc").await.column("agent_id"), ["early", "late"]);
}

#[actix_web::test]
async fn agent_is_shown_and_unknown_agent_is_not_found() {
    let api = TestApi::start().await;
    Row::new("A12", "s1").store(api.database.pool()).await;
    let answer = api.get("/v1/agents/A12").await;
    assert_eq!((answer.status, &answer.json()["agent_id"]), (200, &json!("A12")));
    assert_eq!(api.get("/v1/agents/a12").await.code(), "not_found");
    assert_eq!(api.get("/v1/agents/a12/sessions").await.code(), "not_found");
}

#[actix_web::test]
async fn sessions_of_agent_are_listed_without_those_of_others() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    Row { active: at(-5), ..Row::new("A", "first") }.store(pool).await;
    Row::new("A", "second").store(pool).await;
    Row::new("B", "other").store(pool).await;
    assert_eq!(api.get("/v1/agents/A/sessions").await.column("session_id"), ["second", "first"]);
    assert_eq!(
        api.get("/v1/agents/A/sessions?order=asc").await.column("session_id"),
        ["first", "second"]
    );
    let none = api.get("/v1/agents/A/sessions?min_messages=1").await;
    assert!(none.column("id").is_empty(), "an empty list does not mean that the agent is missing");
    assert_eq!(api.get("/v1/agents/A/sessions?agent_id=B").await.code(), "invalid_parameter");
}
