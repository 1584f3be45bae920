//! Invalid requests.

use super::app::{BOOTSTRAP, TestApi};
use super::rows::Row;

#[actix_web::test]
async fn unknown_parameter_is_named_with_the_known_ones() {
    let api = TestApi::start().await;
    let answer = api.get("/v1/agents?agentid=A").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"));
    assert_eq!(
        answer.json()["detail"],
        "There is no parameter \"agentid\" here. Known are: limit, cursor, order."
    );
    let answer = api.get("/v1/agents/A?limit=1").await;
    assert_eq!(answer.json()["detail"], "There is no parameter \"limit\" here. Known are: none.");
}

#[actix_web::test]
async fn invalid_value_is_rejected_with_the_valid_values() {
    let api = TestApi::start().await;
    for (query, detail) in [
        ("limit=0", "`limit` is a whole number from 1 to 500."),
        ("limit=501", "`limit` is a whole number from 1 to 500."),
        ("limit=abc", "`limit` is a whole number from 1 to 500."),
        ("limit=1.5", "`limit` is a whole number from 1 to 500."),
        ("limit=99999999999999999999", "`limit` is a whole number from 1 to 500."),
        ("limit=1&limit=2", "`limit` comes too often."),
        ("order=up", "`order` is one of: asc, desc."),
        ("status=dead", "`status` is one of: live, idle, ended."),
        ("opened_by=me", "`opened_by` is one of: room.join, chat.push."),
        ("include=all", "`include` is one of: messages, first_user_message, flags."),
        ("agent_id=", "`agent_id` is empty; leave it out instead."),
        ("agent_id=%00", "`agent_id` holds U+0000, which no stored text does."),
        ("room_name=%FF", "`room_name` is not UTF-8."),
        ("%FF=1", "A parameter's name is not UTF-8."),
        ("min_messages=-1", "`min_messages` is a whole number from 0 to 9223372036854775807."),
        (
            "active_after=yesterday",
            "`active_after` is a date (2026-09-28), a time as RFC 3339 (2026-09-28T14:54:13Z), or Unix \
             seconds (1790607253.5).",
        ),
    ] {
        let answer = api.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{query}");
        assert_eq!(answer.json()["detail"], detail, "{query}");
    }
    let many = "agent_id=A&".repeat(201);
    assert_eq!(api.get(&format!("/v1/sessions?{many}")).await.code(), "invalid_parameter");
}

#[actix_web::test]
async fn time_bound_may_be_outside_all_stored_times() {
    let api = TestApi::start().await;
    Row::new("A", "s").store_with(api.database.pool(), &[("user", "hello")]).await;
    let early = ["0", "-1", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z"];
    let late =
        ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-14:00", "5e9", "99999999999999"];
    for (path, after, before) in [
        ("/v1/sessions", "started_after", "started_before"),
        ("/v1/sessions", "active_after", "active_before"),
        ("/v1/sessions/s/messages", "after", "before"),
        ("/v1/search?q=hello", "after", "before"),
        ("/v1/export/messages", "after", "before"),
        ("/v1/export/sessions", "started_after", "started_before"),
        ("/v1/deliveries", "received_after", "received_before"),
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let all = api.get(path).await;
        for (times, lets_through, keeps_out) in
            [(&early[..], after, before), (&late, before, after)]
        {
            for time in times {
                let answer = api.get(&format!("{path}{mark}{lets_through}={time}")).await;
                assert_eq!(answer.status, 200, "{path} {time}: {}", answer.text());
                assert_eq!(answer.text(), all.text(), "{path} {time}");
                let answer = api.get(&format!("{path}{mark}{keeps_out}={time}")).await;
                assert_eq!(answer.status, 200, "{path} {time}: {}", answer.text());
                assert!(!answer.text().contains("\"A\""), "{path} {time}: {}", answer.text());
            }
        }
    }
}

#[actix_web::test]
async fn id_of_any_characters_works_in_a_path() {
    let api = TestApi::start().await;
    let ids = [
        ("a%2Fb", "a/b"),
        ("%2Fleading%2F", "/leading/"),
        ("with%20space", "with space"),
        ("100%25", "100%"),
        ("%252F", "%2F"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("%F0%9F%A6%8A", "🦊"),
        ("..", ".."),
        ("%2e%2e", ".."),
        (".", "."),
        ("a..b;c=d:e@f,g!$&'()*", "a..b;c=d:e@f,g!$&'()*"),
        ("line%0Abreak%3F%23", "line\nbreak?#"),
        ("%C3%A9", "é"),
    ];
    let mut stored = std::collections::HashSet::new();
    for (_, id) in ids {
        if stored.insert(id) {
            Row::new(id, id).store_with(api.database.pool(), &[("user", id)]).await;
        }
    }
    for (path, id) in ids {
        let agent = api.get(&format!("/v1/agents/{path}")).await;
        assert_eq!(agent.json()["agent_id"], id, "{path}");
        let sessions = api.get(&format!("/v1/agents/{path}/sessions")).await;
        assert_eq!(sessions.column("session_id"), [id], "{path}");
        let session = api.get(&format!("/v1/sessions/{path}")).await;
        assert_eq!(session.json()["session_id"], id, "{path}");
        let messages = api.get(&format!("/v1/sessions/{path}/messages")).await;
        assert_eq!(messages.column("message"), [id], "{path}");
        let transcript = api.get(&format!("/v1/sessions/{path}/transcript?format=json")).await;
        assert_eq!(transcript.json()["session"]["session_id"], id, "{path}");
    }
}

#[actix_web::test]
async fn invalid_bytes_are_never_an_internal_error() {
    let api = TestApi::start().await;
    for id in ["%00", "a%00b", "%FF", "%C3%28", "%ED%A0%80", "%", "%zz", "%F0%9F"] {
        for path in [
            "agents/{}",
            "agents/{}/sessions",
            "sessions/{}",
            "sessions/{}/messages",
            "sessions/{}/transcript",
        ] {
            let path = format!("/v1/{}", path.replace("{}", id));
            assert_eq!(api.get(&path).await.code(), "not_found", "{path}");
        }
    }
}

#[actix_web::test]
async fn unknown_path_and_wrong_method_are_problems() {
    let api = TestApi::start().await;
    for path in
        ["/", "/v1", "/v1/nothing", "/v1/agents/", "/v1/sessions/a/b", "/v2/agents", "/v1//agents"]
    {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
    }
    for path in ["/v1/agents", "/v1/sessions/a/transcript", "/v1/sessions/a/messages"] {
        for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
            let answer = api.send(method, path, &[("X-API-Key", BOOTSTRAP)]).await;
            assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
}

#[actix_web::test]
async fn head_request_is_a_get_without_its_body() {
    let api = TestApi::start().await;
    let answer = api.send("HEAD", "/v1/agents", &[("X-API-Key", BOOTSTRAP)]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[actix_web::test]
async fn request_keeps_its_id_or_gets_one() {
    let api = TestApi::start().await;
    let long = "x".repeat(65);
    for (given, kept) in [
        ("trace-1", true),
        (&long[..64], true),
        (&long, false),
        ("with space", false),
        ("umläut", false),
        ("", false),
    ] {
        let answer = api.send("GET", "/v1/nothing", &[("X-Request-Id", given)]).await;
        assert_eq!(answer.code(), "not_found");
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(id == given, kept, "{given}");
        assert_eq!(!kept, uuid::Uuid::try_parse(id).is_ok(), "{id}");
    }
    let answer = api.get("/v1/agents").await;
    assert!(answer.header("x-request-id").is_some());
}

#[actix_web::test]
async fn errors_of_framework_and_handlers_are_problems() {
    let api = TestApi::start().await;
    assert_eq!(api.get("/query?number=many").await.code(), "invalid_parameter");
    let answer = api.get("/panic").await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(!answer.text().contains("on purpose"), "{}", answer.text());
    assert_eq!(api.get("/v1/agents").await.status, 200, "it still answers");
}

#[actix_web::test]
async fn database_without_tables_is_unavailable_and_not_revealed() {
    let api = TestApi::start().await;
    let rename = "ALTER TABLE agents RENAME TO agents_no_more";
    sqlx::raw_sql(rename).execute(api.database.pool()).await.unwrap();
    let answer = api.get("/v1/agents").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    for inside in ["migrate", "table", "agents", "atabase"] {
        assert!(!answer.text().contains(inside), "{}", answer.text());
    }
}

#[actix_web::test]
async fn trailing_slash_is_rejected_with_a_hint() {
    let api = TestApi::start().await;
    let answer = api.get("/v1/agents/").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    assert!(answer.json()["detail"].as_str().unwrap().ends_with("leave it out."));
}

#[actix_web::test]
async fn silent_database_is_unavailable_and_other_errors_are_internal() {
    let api = TestApi::start().await;
    sqlx::raw_sql(
        "ALTER TABLE agents RENAME TO agents_no_more;
         CREATE VIEW agents AS
         SELECT agent_id, session_count / 0 AS session_count, message_count, first_seen_at,
             last_activity_at
         FROM (
             VALUES ('a', 1::bigint, 1::bigint, now(), now())
         ) AS one (agent_id, session_count, message_count, first_seen_at, last_activity_at)",
    )
    .execute(api.database.pool())
    .await
    .unwrap();
    let answer = api.get("/v1/agents").await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(!answer.text().contains("agents"), "{}", answer.text());

    api.store.pool().close().await;
    let answer = api.get("/v1/sessions").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}
