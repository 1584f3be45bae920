//! `GET /v1/sessions/{session_id}/visits`, and the filter `visit=` of other routes.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use verbatim::domain::visits::VisitGaps;

use super::app::{TestApi, at, now};
use super::rows::{Row, insert_message};
use super::talk::Conversation;
use crate::support::database::TestDatabase;

/// Stores a day at a kiosk: one session, three visitors, and a quarter of an hour between them.
async fn kiosk(api: &TestApi) {
    Conversation::new("A12", "day")
        .join(-3610)
        .message(-3600, "assistant", "welcome, first")
        .message(-3590, "user", "where is the lift?")
        .message(-3300, "assistant", "straight on")
        .message(-2400, "user", "hello")
        .message(-2390, "assistant", "welcome, second")
        .message(-100, "user", "anybody here?")
        .store(api)
        .await;
}

async fn rows(api: &TestApi, target: &str) -> Vec<Value> {
    let answer = api.get(target).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn day_at_a_kiosk_is_three_visits() {
    let api = TestApi::start().await;
    kiosk(&api).await;
    let answer = api.get("/v1/sessions/day/visits").await;
    let expected = r#"{"data":[{"visit":1,"opened_by":"room.join","#.to_owned()
        + r#""started_at":"2026-09-28T13:54:03.000000Z","#
        + r#""last_activity_at":"2026-09-28T13:59:13.000000Z","#
        + r#""ended_at":"2026-09-28T13:59:13.000000Z","duration_seconds":310.0,"#
        + r#""silence_before_seconds":null,"#
        + r#""message_count":3,"user_message_count":1,"assistant_message_count":2},"#
        + r#"{"visit":2,"opened_by":"chat.push","#
        + r#""started_at":"2026-09-28T14:14:13.000000Z","#
        + r#""last_activity_at":"2026-09-28T14:14:23.000000Z","#
        + r#""ended_at":"2026-09-28T14:14:23.000000Z","duration_seconds":10.0,"#
        + r#""silence_before_seconds":900.0,"#
        + r#""message_count":2,"user_message_count":1,"assistant_message_count":1},"#
        + r#"{"visit":3,"opened_by":"chat.push","#
        + r#""started_at":"2026-09-28T14:52:33.000000Z","#
        + r#""last_activity_at":"2026-09-28T14:52:33.000000Z","#
        + r#""ended_at":null,"duration_seconds":0.0,"silence_before_seconds":2290.0,"#
        + r#""message_count":1,"user_message_count":1,"assistant_message_count":0}],"#
        + r#""next_cursor":null,"has_more":false}"#;
    assert_eq!(answer.text(), expected);

    api.clock.set(at(201));
    let last = rows(&api, "/v1/sessions/day/visits?order=desc&limit=1").await.remove(0);
    assert_eq!(last["ended_at"], last["last_activity_at"], "the silence is too long");
}

#[actix_web::test]
async fn visit_gap_is_that_of_the_agent_if_set() {
    let own = HashMap::from([("A12".to_owned(), Duration::from_mins(2))]);
    let gaps = VisitGaps::new(Duration::from_hours(1), own);
    let api = TestApi::start_with(TestDatabase::create().await, gaps);
    kiosk(&api).await;
    assert_eq!(rows(&api, "/v1/sessions/day/visits").await.len(), 4);
    Conversation::new("B", "other")
        .message(-3600, "user", "a")
        .message(0, "user", "b")
        .store(&api)
        .await;
    assert_eq!(rows(&api, "/v1/sessions/other/visits").await.len(), 1, "an hour is within the gap");
}

#[actix_web::test]
async fn join_begins_no_visit_but_sets_its_start() {
    let api = TestApi::start().await;
    // A second one in the middle, one before the next visitor, and one without a message after it.
    Conversation::new("A", "s")
        .join(-5000)
        .message(-4000, "user", "first")
        .join(-3990)
        .message(-3980, "user", "still first")
        .join(-2020)
        .join(-2010)
        .message(-2000, "user", "second")
        .store(&api)
        .await;
    let visits = rows(&api, "/v1/sessions/s/visits").await;
    let told: Vec<_> =
        visits.iter().map(|one| json!([one["opened_by"], one["duration_seconds"]])).collect();
    assert_eq!(told, [json!(["chat.push", 20.0]), json!(["room.join", 20.0])]);

    Conversation::new("A", "silent").join(-60).store(&api).await;
    assert_eq!(rows(&api, "/v1/sessions/silent/visits").await, [] as [Value; 0]);
}

#[actix_web::test]
async fn end_of_the_session_ends_the_last_visit() {
    let api = TestApi::start().await;
    Conversation::new("A", "s").message(-20, "user", "bye").end(-10).store(&api).await;
    let visit = rows(&api, "/v1/sessions/s/visits").await.remove(0);
    assert_eq!(visit["ended_at"], "2026-09-28T14:53:53.000000Z", "with its last message");
}

#[actix_web::test]
async fn messages_of_a_visit_are_read_by_its_number() {
    let api = TestApi::start().await;
    kiosk(&api).await;
    for (query, expected) in [
        ("visit=1", &["welcome, first", "where is the lift?", "straight on"] as &[_]),
        ("visit=1&order=desc&limit=1", &["straight on"]),
        ("visit=1&role=user", &["where is the lift?"]),
        ("visit=2", &["hello", "welcome, second"]),
        ("visit=2&after=2026-09-28T14:14:13Z", &["welcome, second"]),
        ("visit=2&before=2026-09-28T14:14:13Z", &[]),
        ("visit=2&after=2026-09-28T14:52:33Z", &[]),
        ("visit=3", &["anybody here?"]),
    ] {
        let answer = api.get(&format!("/v1/sessions/day/messages?{query}")).await;
        assert_eq!(answer.column("message"), expected, "{query}");
    }
    let walked = api.walk("/v1/sessions/day/messages?visit=1&limit=1", "message").await;
    assert_eq!(walked, ["welcome, first", "where is the lift?", "straight on"]);
    let none = api.get("/v1/sessions/day/messages?visit=4").await;
    assert_eq!((none.status, none.code().as_str()), (404, "not_found"));
    for wrong in ["0", "-1", "x", "1.5", "1000001"] {
        let answer = api.get(&format!("/v1/sessions/day/messages?visit={wrong}")).await;
        assert_eq!(answer.code(), "invalid_parameter", "{wrong}");
    }
}

#[actix_web::test]
async fn visits_are_paged_and_keep_their_numbers_during_writes() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let session = Row { started: at(-90_000), ..Row::new("A", "s") }.store(pool).await;
    for visit in 0..7 {
        insert_message(pool, session, at(-80_000 + visit * 1000), "user", "hello").await;
        insert_message(pool, session, at(-80_000 + visit * 1000 + 9), "assistant", "hello").await;
    }
    let path = "/v1/sessions/s/visits";
    let numbers = |rows: &[Value]| rows.iter().map(|row| row["visit"].clone()).collect::<Vec<_>>();
    let mut cursor = String::new();
    let mut seen = Vec::new();
    for page in 0..3 {
        let answer = api.get(&format!("{path}?limit=3{cursor}")).await.json();
        seen.extend(numbers(answer["data"].as_array().unwrap()));
        assert_eq!(answer["has_more"], page < 2);
        if let Some(next) = answer["next_cursor"].as_str() {
            cursor = format!("&cursor={next}");
        }
        // Later messages change no earlier visit.
        insert_message(pool, session, at(page), "user", "later").await;
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8].map(Value::from));
    let last_first = rows(&api, &format!("{path}?order=desc&limit=2")).await;
    assert_eq!(numbers(&last_first), [8, 7].map(Value::from));
    assert_eq!(api.walk(&format!("{path}?limit=1"), "started_at").await.len(), 8);
    assert_eq!(api.walk(&format!("{path}?limit=3&order=desc"), "started_at").await.len(), 8);
    let other = format!("{path}?order=desc{cursor}");
    assert_eq!(api.get(&other).await.code(), "invalid_cursor");

    // A late message of an earlier time joins the visits around it, or becomes a visit between
    // them, and later visits get new numbers.
    insert_message(pool, session, at(-78_500), "user", "late").await;
    let visits = rows(&api, path).await;
    assert_eq!((visits.len(), &visits[2]["message_count"]), (9, &json!(1)));
}

#[actix_web::test]
async fn unknown_session_has_no_visits() {
    let api = TestApi::start().await;
    assert_eq!(api.get("/v1/sessions/none/visits").await.code(), "not_found");
    Conversation::new("A", "shared").message(0, "user", "a").store(&api).await;
    Conversation::new("B", "shared").message(0, "user", "b").store(&api).await;
    assert_eq!(api.get("/v1/sessions/shared/visits").await.code(), "ambiguous_session");
    assert_eq!(rows(&api, "/v1/sessions/shared/visits?agent_id=B").await.len(), 1);
    let unknown = api.get("/v1/sessions/shared/visits?agent_id=B&visit=1").await;
    assert_eq!(unknown.code(), "invalid_parameter");
}

#[actix_web::test]
async fn session_that_is_too_long_is_not_divided() {
    let api = TestApi::start().await;
    Conversation::new("A", "s").message(0, "user", "a").store(&api).await;
    sqlx::query("UPDATE sessions SET message_count = 1000001")
        .execute(api.database.pool())
        .await
        .unwrap();
    for path in ["visits", "messages?visit=1"] {
        let answer = api.get(&format!("/v1/sessions/s/{path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "conflict"), "{path}");
    }
    assert_eq!(api.get("/v1/sessions/s/messages").await.status, 200);
}

/// Parses a time of the API.
fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[actix_web::test]
async fn visits_partition_every_conversation_at_its_silences() {
    const CONVERSATIONS: usize = 25;
    const LIMIT_MICROS: i64 = 300_000_000;
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let limit = chrono::TimeDelta::microseconds(LIMIT_MICROS);
    let step = prop::sample::select(vec![
        0,
        1,
        1_000_000,
        LIMIT_MICROS - 1,
        LIMIT_MICROS,
        LIMIT_MICROS + 1,
        3 * LIMIT_MICROS,
    ]);
    let (talks, page) = (prop::collection::vec(step, 1..14), 1_usize..4);
    let mut runner = TestRunner::deterministic();
    for number in 0..CONVERSATIONS {
        let (steps, page) = (&talks, &page).new_tree(&mut runner).unwrap().current();
        let name = number.to_string();
        let session = Row { started: now(), ..Row::new("A", &name) }.store(pool).await;
        let mut moment = now();
        for (place, micros) in steps.iter().enumerate() {
            moment += chrono::TimeDelta::microseconds(*micros);
            insert_message(
                pool,
                session,
                moment,
                ["user", "assistant"][place % 2],
                &place.to_string(),
            )
            .await;
        }

        let whole = rows(&api, &format!("/v1/sessions/{name}/messages")).await;
        let target = format!("/v1/sessions/{name}/visits?limit={page}");
        let visits = rows(&api, &format!("/v1/sessions/{name}/visits")).await;
        assert_eq!(api.walk(&target, "started_at").await.len(), visits.len(), "by pages");
        let mut together: Vec<Value> = Vec::new();
        for (index, visit) in visits.iter().enumerate() {
            assert_eq!(visit["visit"], index + 1);
            let said =
                rows(&api, &format!("/v1/sessions/{name}/messages?visit={}", index + 1)).await;
            assert_eq!(visit["message_count"], said.len());
            assert_eq!(visit["started_at"], said[0]["timestamp"]);
            assert_eq!(visit["last_activity_at"], said[said.len() - 1]["timestamp"]);
            for pair in said.windows(2) {
                assert!(time(&pair[1]["timestamp"]) - time(&pair[0]["timestamp"]) <= limit);
            }
            if let Some(before) = together.last() {
                assert!(time(&said[0]["timestamp"]) - time(&before["timestamp"]) > limit);
            }
            together.extend(said);
        }
        assert_eq!(together, whole, "each message in one visit: {steps:?}");
        let beyond = format!("/v1/sessions/{name}/messages?visit={}", visits.len() + 1);
        assert_eq!(api.get(&beyond).await.code(), "not_found");
    }
}
