//! Filters, order and included fields of session lists.

use serde_json::{Value, json};
use verbatim::domain::Arrival;

use super::app::{TestApi, at};
use super::deliveries::{arrival, drain};
use super::figures;

fn event(session: &str, second: i64, kind: &str, more: &Value) -> Arrival {
    let time = at(second).timestamp();
    let mut data = json!({ "session_id": session, "timestamp": time });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = json!({ "event_type": kind, "agent_id": "A", "timestamp": time, "data": data });
    arrival(body.to_string(), at(second))
}

fn join(session: &str, second: i64) -> Arrival {
    event(session, second, "room.join", &json!({}))
}

fn message(session: &str, second: i64, role: &str, text: &str) -> Arrival {
    event(session, second, "chat.push", &json!({ "role": role, "message": text }))
}

/// Stores five sessions of different kinds. The name of each is its kind.
async fn sessions(api: &TestApi) {
    let all = [
        // Joined, without messages: 0 s.
        join("passer", -900),
        // A greeting without an answer: 5 s, one-sided.
        join("silent", -800),
        message("silent", -795, "assistant", "Hello"),
        // One turn and its answer: 20 s.
        join("single", -700),
        message("single", -690, "assistant", "Hello"),
        message("single", -685, "USER", &format!("{}é!", "x".repeat(199))),
        message("single", -680, "assistant", "Goodbye"),
        // Two turns without a join: 60 s.
        message("talk", -600, "user", "first"),
        message("talk", -590, "assistant", "Yes"),
        message("talk", -580, "user", "second"),
        message("talk", -540, "assistant", "No"),
        // The user twice in a row: 10 s.
        join("twice", -400),
        message("twice", -395, "user", "one"),
        message("twice", -390, "user", "two"),
    ];
    drain(api, &all).await;
    figures::follow(api).await;
}

#[actix_web::test]
async fn sessions_are_filtered_by_their_messages() {
    let api = TestApi::start().await;
    sessions(&api).await;
    for (query, expected) in [
        ("", "twice talk single silent passer"),
        ("silent=true", "silent passer"),
        ("silent=false", "twice talk single"),
        ("engaged=true", "twice talk single"),
        ("engaged=false", "silent passer"),
        ("single_turn=true", "twice single"),
        ("single_turn=false", "talk silent passer"),
        ("min_duration=10", "twice talk single"),
        ("max_duration=10", "twice silent passer"),
        ("min_duration=11&max_duration=59", "single"),
        ("max_duration=0", "passer"),
        ("max_messages=1", "silent passer"),
        ("min_messages=2&max_messages=3", "twice single"),
        ("flag=no_join", "talk"),
        ("flag=one_sided", "twice silent"),
        ("flag=repeated_user_turn&flag=no_join", "twice talk"),
        ("flag=repeated_user_turn,no_join", "twice talk"),
        ("flag=repeated_user_turn,no_join&flag=one_sided", "twice talk silent"),
        ("flag=undated&order=asc", ""),
        ("flag=one_sided&silent=true&agent_id=A", "silent"),
        ("flag=one_sided&agent_id=B", ""),
    ] {
        for path in ["/v1/sessions", "/v1/agents/A/sessions"] {
            if path.contains("agents") && query.contains("agent_id") {
                continue;
            }
            let found = api.get(&format!("{path}?{query}")).await.column("session_id").join(" ");
            assert_eq!(found, expected, "{path}?{query}");
            let pages = api.walk(&format!("{path}?limit=1&{query}"), "session_id").await.join(" ");
            assert_eq!(pages, expected, "{path}?{query}, page by page");
        }
    }
    for query in [
        "flag=odd",
        "flag=no_join,",
        "silent=yes",
        "min_duration=-1",
        "max_duration=1.5",
        "sort=size",
    ] {
        let answer = api.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{query}");
    }
}

#[actix_web::test]
async fn sessions_are_ordered_by_start_duration_or_messages() {
    let api = TestApi::start().await;
    sessions(&api).await;
    // As old as it is long, and with the same number of messages as another.
    drain(&api, &[join("long", -86_400), message("long", -300, "user", "late")]).await;
    for (sort, expected) in [
        ("activity", "long twice talk single silent passer"),
        ("started", "twice talk single silent passer long"),
        ("duration", "long talk single twice silent passer"),
    ] {
        for path in ["/v1/sessions", "/v1/agents/A/sessions"] {
            for limit in [1, 2, 500] {
                let list = format!("{path}?sort={sort}&limit={limit}");
                assert_eq!(api.walk(&list, "session_id").await.join(" "), expected, "{list}");
                let mut back = api.walk(&format!("{list}&order=asc"), "session_id").await;
                back.reverse();
                assert_eq!(back.join(" "), expected, "{list} backwards");
            }
        }
    }
    let by_messages = |query: &str| format!("/v1/sessions?sort=messages&{query}");
    let walk = api.walk(&by_messages("limit=1"), "session_id").await;
    assert_eq!(walk[..3], ["talk", "single", "twice"]);
    let whole = api.get(&by_messages("")).await.column("session_id");
    assert_eq!(walk, whole, "sessions with the same number of messages are ordered by their IDs");
    let filtered = api.get(&by_messages("silent=true&started_after=2026-09-28T14:40:00Z")).await;
    assert_eq!(filtered.column("session_id"), ["silent"]);

    // A cursor belongs to its order.
    let cursor = api.get(&by_messages("limit=1")).await.json()["next_cursor"].clone();
    let elsewhere = format!("/v1/sessions?sort=duration&cursor={}", cursor.as_str().unwrap());
    assert_eq!(api.get(&elsewhere).await.code(), "invalid_cursor");
}

#[actix_web::test]
async fn session_ended_by_its_sender_has_the_reported_duration() {
    let api = TestApi::start().await;
    let ended = event("ended", -100, "session_end", &json!({}));
    drain(&api, &[join("ended", -200), message("ended", -190, "user", "x"), ended]).await;
    drain(&api, &[join("other", -210), message("other", -120, "user", "x")]).await;
    let list = api.get("/v1/sessions?sort=duration").await;
    assert_eq!(list.column("session_id"), ["ended", "other"]);
    assert_eq!(list.json()["data"][0]["duration_seconds"], 100.0);
    assert_eq!(api.walk("/v1/sessions?sort=duration&limit=1", "session_id").await.len(), 2);
    let long = api.get("/v1/sessions?min_duration=100").await;
    assert_eq!(long.column("session_id"), ["ended"]);
}

#[actix_web::test]
async fn list_includes_first_user_message_and_flags_on_request() {
    let api = TestApi::start().await;
    sessions(&api).await;
    let plain = api.get("/v1/sessions").await.json();
    assert!(plain["data"][0].get("first_user_message").is_none());
    assert!(plain["data"][0].get("flags").is_none());

    let body = api.get("/v1/sessions?include=first_user_message,flags").await.json();
    let rows = body["data"].as_array().unwrap();
    let first = |place: usize| &rows[place]["first_user_message"];
    assert_eq!(first(0)["message"], "one");
    assert_eq!(first(1)["message"], "first");
    assert_eq!(first(1)["timestamp"], "2026-09-28T14:44:13.000000Z");
    let long = first(2)["message"].as_str().unwrap();
    assert_eq!(
        (long.chars().count(), long.ends_with('é')),
        (200, true),
        "its first 200 characters"
    );
    assert_eq!((first(3), first(4)), (&Value::Null, &Value::Null));
    let messages = api.get("/v1/sessions/talk/messages").await.json();
    assert_eq!(first(1)["id"], messages["data"][0]["id"]);
    let flags: Vec<_> = rows.iter().map(|row| row["flags"].clone()).collect();
    assert_eq!(
        flags,
        [
            json!(["one_sided", "repeated_user_turn"]),
            json!(["no_join"]),
            json!([]),
            json!(["one_sided"]),
            json!([]),
        ]
    );
    assert!(rows[0].get("messages").is_none());

    let all =
        api.get("/v1/sessions?include=messages,flags,first_user_message&limit=2").await.json();
    assert_eq!(all["data"][1]["messages"].as_array().unwrap().len(), 4);
    assert_eq!(all["data"][1]["first_user_message"]["message"], "first");
    let wrong = api.get("/v1/sessions?include=flags,text").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "invalid_parameter"));
}

#[actix_web::test]
async fn flags_are_null_until_they_are_known_and_altered_text_is_marked() {
    let api = TestApi::start().await;
    let odd = json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": at(-9).timestamp(),
        "data": { "session_id": "s", "role": "user", "message": "a\u{0}b" } });
    drain(&api, &[arrival(odd.to_string(), at(-9))]).await;
    let list = "/v1/sessions?include=flags,first_user_message";
    let row = api.get(list).await.json()["data"][0].clone();
    assert_eq!(row["flags"], Value::Null);
    assert_eq!(row["first_user_message"]["message"], "a\u{fffd}b");
    assert_eq!(row["first_user_message"]["altered"], true);
    figures::follow(&api).await;
    let row = api.get(list).await.json()["data"][0].clone();
    assert_eq!(row["flags"], json!(["no_join", "one_sided", "altered"]));
}
