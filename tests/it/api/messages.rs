//! `GET /v1/sessions/{session_id}/messages`.

use super::app::{TestApi, at};
use super::rows::{Row, insert_message};

#[actix_web::test]
async fn message_has_its_documented_shape() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let session = Row::new("A12", "sess_1").store(pool).await;
    let id = insert_message(pool, session, at(-30), "user", "Grüße 🦊 \"\u{7f}\"").await;

    let answer = api.get("/v1/sessions/sess_1/messages").await;
    let expected = format!(
        r#"{{"data":[{{"id":"{id}","session_id":"sess_1","agent_id":"A12","role":"user","#
    ) + r#""message":"Grüße 🦊 \""#
        + "\u{7f}"
        + r#"\"","timestamp":"2026-09-28T14:53:43.000000Z","#
        + r#""sent_at":"2026-09-28T14:53:43.000000Z","received_at":"2026-09-28T14:53:44.000000Z"}],"#
        + r#""next_cursor":null,"has_more":false}"#;
    assert_eq!(answer.text(), expected);
    let by_id = api.get(&format!("/v1/sessions/{session}/messages")).await;
    assert_eq!(by_id.text(), expected, "`session_id` is the sender's for either ID in the path");
}

#[actix_web::test]
async fn altered_and_undated_messages_are_flagged() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let session = Row::new("A", "s").store(pool).await;
    insert_message(pool, session, at(-30), "user", "a\u{FFFD}b").await;
    insert_message(pool, session, at(-20), "user", "plain").await;
    sqlx::query("UPDATE messages SET undated = true, sent_at = NULL WHERE message = 'plain'")
        .execute(pool)
        .await
        .unwrap();
    let data = api.get("/v1/sessions/s/messages").await.json()["data"].clone();
    assert_eq!((&data[0]["altered"], data[0].get("undated")), (&true.into(), None));
    assert_eq!((data[1].get("altered"), &data[1]["undated"]), (None, &true.into()));
    assert!(data[1]["sent_at"].is_null());
}

#[actix_web::test]
async fn messages_are_filtered_and_ordered() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let talk = [("user", "0"), ("assistant", "1"), ("user", "2"), ("narrator", "3"), ("user", "4")];
    Row::new("A", "s").store_with(pool, &talk).await;
    for (query, expected) in [
        ("", &["0", "1", "2", "3", "4"] as &[_]),
        ("order=desc", &["4", "3", "2", "1", "0"]),
        ("role=user", &["0", "2", "4"]),
        ("role=User", &["0", "2", "4"]),
        ("role=ASSISTANT", &["1"]),
        ("role=agent", &[]),
        ("role=narrator&order=desc", &["3"]),
        ("after=2026-09-28T14:53:14Z", &["2", "3", "4"]),
        ("before=2026-09-28T14:53:14Z", &["0"]),
        ("before=1790607194.5", &["0", "1"]),
        ("after=1790607193&before=1790607197&role=user", &["2"]),
        ("after=2030-01-01T00:00:00Z", &[]),
        ("agent_id=A&source=default&limit=2", &["0", "1"]),
    ] {
        let answer = api.get(&format!("/v1/sessions/s/messages?{query}")).await;
        assert_eq!(answer.column("message"), expected, "{query}");
    }
    let elsewhere = api.get("/v1/sessions/s/messages?agent_id=B").await;
    assert_eq!(elsewhere.code(), "not_found");
}

#[actix_web::test]
async fn session_without_messages_is_an_empty_conversation() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    assert!(api.get("/v1/sessions/s/messages").await.column("id").is_empty());
}

#[actix_web::test]
async fn conversation_is_complete_across_partitions() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    for (name, from, to) in [
        ("a", "2026-09-01", "2026-09-15"),
        ("b", "2026-09-15", "2026-10-01"),
        ("c", "2026-10-01", "2026-11-01"),
    ] {
        let sql = format!(
            "CREATE TABLE messages_{name} PARTITION OF messages FOR VALUES FROM ('{from}') TO ('{to}')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap();
    }
    let day = 86_400;
    let session = Row { started: at(-20 * day), ..Row::new("A", "s") }.store(pool).await;
    for (days, text) in [(-20, "0"), (-14, "1"), (-13, "2"), (0, "3"), (3, "4"), (90, "5")] {
        insert_message(pool, session, at(days * day), "user", text).await;
    }
    let expected = ["0", "1", "2", "3", "4", "5"];
    for limit in [1, 2, 4, 500] {
        let path = format!("/v1/sessions/s/messages?limit={limit}");
        assert_eq!(api.walk(&path, "message").await, expected);
        let mut backwards = api.walk(&format!("{path}&order=desc"), "message").await;
        backwards.reverse();
        assert_eq!(backwards, expected);
    }
}

#[actix_web::test]
async fn page_of_long_messages_is_shorter_than_its_limit_and_none_is_skipped() {
    let api = TestApi::start().await;
    let texts: Vec<String> = (0..20).map(|n| format!("{n} {}", "x".repeat(1 << 20))).collect();
    let said: Vec<(&str, &str)> = texts.iter().map(|text| ("user", text.as_str())).collect();
    Row { started: at(-60), ..Row::new("A", "s") }.store_with(api.database.pool(), &said).await;
    for (order, backwards) in [("asc", false), ("desc", true)] {
        let list = format!("/v1/sessions/s/messages?limit=500&order={order}");
        let first = api.get(&list).await;
        assert!(first.body.len() < 11 << 20, "{} bytes", first.body.len());
        assert!(first.header("link").is_some());
        assert_eq!(first.json()["has_more"], true);
        let mut seen = api.walk(&list, "message").await;
        if backwards {
            seen.reverse();
        }
        assert!(seen == texts, "each once, in order");
    }
}
