//! Erasure, holds, and retention.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use verbatim::config::{AgeLimits, RetentionRules};
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::jobs::partitions;
use verbatim::jobs::retention::{finish_erasures, plan::plan, run_once};
use verbatim::store::erase::{BeginOutcome, NewErasure, Target};
use verbatim::store::ingest::{Row, write};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::http::Answer;

const DAY: Duration = Duration::from_hours(24);

fn message(source: &str, agent: &str, session: &str, text: &str, at: DateTime<Utc>) -> Arrival {
    let body = json!({
        "event_type": "chat.push", "agent_id": agent,
        "timestamp": at.timestamp_micros(),
        "data": { "session_id": session, "role": "user", "message": text },
    });
    Arrival {
        id: DeliveryId::new(at),
        received_at: at,
        source: SourceName::parse(source).unwrap(),
        evidence: Evidence::default(),
        body: body.to_string().into(),
    }
}

/// Returns messages of a session, one a second.
fn session_messages(agent: &str, session: &str, count: i64, from: DateTime<Utc>) -> Vec<Arrival> {
    let one = |n: i64| {
        message("default", agent, session, &format!("{session} {n}"), from + TimeDelta::seconds(n))
    };
    (0..count).map(one).collect()
}

async fn drain(api: &TestApi, arrivals: &[Arrival]) {
    let mut connection = api.database.options().connect().await.unwrap();
    for arrivals in arrivals.chunks(1_000) {
        let rows: Vec<_> = arrivals
            .iter()
            .map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) })
            .collect();
        write(&mut connection, &rows).await.unwrap();
    }
}

async fn send(api: &TestApi, method: &str, target: &str) -> Answer {
    api.send(method, target, &[("X-API-Key", BOOTSTRAP)]).await
}

/// Checks that all counts are those of the rows.
async fn assert_counts_are_right(api: &TestApi) {
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*)
         FROM (SELECT session_id, count(*) AS rows FROM messages GROUP BY session_id) AS m
         FULL JOIN sessions AS s ON s.id = m.session_id
         WHERE COALESCE(m.rows, 0) IS DISTINCT FROM s.message_count
             OR s.user_message_count <> s.message_count",
    )
    .fetch_one(api.database.pool())
    .await
    .unwrap();
    assert_eq!(wrong, 0, "sessions whose count differs from their messages");
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*)
         FROM (
             SELECT
                 agent_id, count(*) AS sessions, sum(message_count)::bigint AS messages,
                 min(started_at) AS first, max(last_activity_at) AS last
             FROM sessions
             GROUP BY agent_id
         ) AS s
         FULL JOIN agents AS a USING (agent_id)
         WHERE (s.sessions, s.messages, s.first, s.last)
             IS DISTINCT FROM (a.session_count, a.message_count, a.first_seen_at, a.last_activity_at)",
    )
    .fetch_one(api.database.pool())
    .await
    .unwrap();
    assert_eq!(wrong, 0, "agents whose figures differ from their sessions");
}

async fn count(api: &TestApi, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(api.database.pool()).await.unwrap()
}

#[actix_web::test]
async fn large_agent_is_erased_in_parts_and_others_stay() {
    let api = TestApi::start().await;
    let mut arrivals = session_messages("A", "long", 4_500, at(-9_000));
    for n in 0..230 {
        arrivals.extend(session_messages("A", &format!("short {n}"), 2, at(-100)));
    }
    arrivals.extend(session_messages("B", "short 1", 3, at(-50)));
    drain(&api, &arrivals).await;
    let receipt = send(&api, "DELETE", "/v1/agents/A").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text());
    let receipt = receipt.json();
    assert_eq!(receipt["rows"], json!({ "sessions": 231, "messages": 4_960, "deliveries": 4_960 }));
    assert_eq!((&receipt["kind"], &receipt["session_id"]), (&json!("agent"), &Value::Null));
    assert_counts_are_right(&api).await;
    assert_eq!((count(&api, "messages").await, count(&api, "deliveries").await), (3, 3));
    assert_eq!(send(&api, "DELETE", "/v1/agents/A").await.code(), "not_found");
    // The change feed reports it once.
    let reported: Vec<String> =
        sqlx::query_scalar("SELECT erasure::text FROM journal WHERE erasure IS NOT NULL")
            .fetch_all(api.database.pool())
            .await
            .unwrap();
    assert_eq!(reported.len(), 1);
    let reported: Value = serde_json::from_str(&reported[0]).unwrap();
    assert_eq!(reported["id"], receipt["id"]);
}

#[actix_web::test]
async fn interrupted_erasure_is_finished_by_the_next_check() {
    let api = TestApi::start().await;
    drain(&api, &session_messages("A", "s", 3, at(-10))).await;
    let id = DeliveryId::new(now()).0;
    let new = NewErasure { id, target: Target::Agent("A"), at: now(), key_id: None, bound: false };
    assert_eq!(api.store.begin_erasure(&new).await.unwrap(), BeginOutcome::Yes);
    // The process ended here. Deliveries that arrive meanwhile are not stored.
    drain(&api, &session_messages("A", "other", 3, at(-10))).await;
    assert_eq!(count(&api, "messages").await, 3);
    finish_erasures(&api.store, &api.clock).await.unwrap();
    assert_eq!((count(&api, "messages").await, count(&api, "agents").await), (0, 0));
    assert!(api.store.unfinished_erasures().await.unwrap().is_empty());
    assert_eq!(api.store.run_erasure(id, &api.clock).await.unwrap(), None, "it is complete");
}

#[actix_web::test]
async fn delivery_written_during_an_erasure_is_stored_completely_or_not_at_all() {
    let api = TestApi::start().await;
    let batches: Vec<Vec<Arrival>> =
        (0..20).map(|batch| session_messages("A", "s", 50, at(-3_000 + batch * 50))).collect();
    drain(&api, &batches[0]).await;
    let writers = batches[1..].chunks(5).map(async |batches: &[Vec<Arrival>]| {
        for batch in batches {
            drain(&api, batch).await;
        }
    });
    let eraser = async { send(&api, "DELETE", "/v1/sessions/s").await };
    let (receipt, _) = tokio::join!(eraser, futures_util::future::join_all(writers));
    assert_eq!(receipt.status, 200, "{}", receipt.text());
    assert_eq!(count(&api, "messages").await, 0);
    assert_eq!(count(&api, "deliveries WHERE body <> ''").await, 0);
    assert_counts_are_right(&api).await;
}

#[actix_web::test]
async fn erasure_needs_its_scope_and_one_session() {
    let api = TestApi::start().await;
    for agent in ["A", "B"] {
        drain(&api, &session_messages(agent, "shared", 1, at(-10))).await;
    }
    let reader = api.key(&[Scope::Read, Scope::Export], None).await;
    let eraser = api.key(&[Scope::Erase], Some(&["A"])).await;
    let delete =
        async |key: &str, target: &str| api.send("DELETE", target, &[("X-API-Key", key)]).await;
    assert_eq!(delete(&reader, "/v1/sessions/shared").await.code(), "forbidden");
    assert_eq!(delete(&reader, "/v1/agents/A").await.code(), "forbidden");
    assert_eq!(delete(BOOTSTRAP, "/v1/sessions/shared").await.code(), "ambiguous_session");
    assert_eq!(delete(&eraser, "/v1/agents/B").await.code(), "not_found");
    assert_eq!(delete(&eraser, "/v1/sessions/shared?agent_id=B").await.code(), "not_found");
    assert_eq!(delete(BOOTSTRAP, "/v1/sessions/shared?what=1").await.code(), "invalid_parameter");
    assert_eq!(
        delete(&eraser, "/v1/sessions/shared").await.status,
        200,
        "the session that it sees"
    );
    assert_eq!(count(&api, "sessions WHERE agent_id = 'B'").await, 1);
    assert_eq!(send(&api, "GET", "/v1/agents/A").await.status, 404, "nothing of it is left");
}

#[actix_web::test]
async fn hold_prevents_erasure_and_expiry() {
    let api = TestApi::start().await;
    for (agent, session) in [("A", "one"), ("A", "two"), ("B", "three")] {
        drain(&api, &session_messages(agent, session, 2, at(-10))).await;
    }
    let held = send(&api, "PUT", "/v1/sessions/one/hold").await;
    assert_eq!(held.status, 200, "{}", held.text());
    assert_eq!(
        (&held.json()["agent_id"], &held.json()["session_id"]),
        (&json!("A"), &json!("one"))
    );
    let again = send(&api, "PUT", "/v1/sessions/one/hold").await.json();
    assert_eq!(again["id"], held.json()["id"], "a second hold changes nothing");
    assert_eq!(send(&api, "PUT", "/v1/agents/B/hold").await.status, 200);
    assert_eq!(send(&api, "PUT", "/v1/agents/C/hold").await.code(), "not_found");
    let list = send(&api, "GET", "/v1/holds").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);

    for target in ["/v1/sessions/one", "/v1/agents/A", "/v1/agents/B", "/v1/sessions/three"] {
        assert_eq!(send(&api, "DELETE", target).await.code(), "conflict", "{target}");
    }
    let keep =
        RetentionRules { messages: AgeLimits::of(Some(DAY)), deliveries: AgeLimits::of(Some(DAY)) };
    let later = now() + TimeDelta::days(100);
    let gone = run_once(&api.store, later, &keep).await.unwrap();
    assert_eq!((gone.rows.of("sessions"), gone.rows.of("messages")), (1, 2));
    assert_eq!((count(&api, "messages").await, count(&api, "deliveries").await), (4, 4));
    assert_counts_are_right(&api).await;

    assert_eq!(send(&api, "DELETE", "/v1/sessions/one/hold").await.status, 204);
    assert_eq!(send(&api, "DELETE", "/v1/sessions/one/hold").await.code(), "not_found");
    assert_eq!(send(&api, "DELETE", "/v1/sessions/one").await.status, 200);
    let gone = run_once(&api.store, later, &keep).await.unwrap();
    assert_eq!(gone.rows.of("sessions"), 0, "the agent is still held");
    assert_eq!(count(&api, "sessions").await, 1);
    let reader = api.key(&[Scope::Erase], None).await;
    let refused = api.send("GET", "/v1/holds", &[("X-API-Key", &reader)]).await;
    assert_eq!(refused.code(), "forbidden");
}

#[actix_web::test]
async fn each_source_has_retention_for_conversations_and_log() {
    let api = TestApi::start().await;
    let day = |days: i64| now() + TimeDelta::days(days);
    for days in [-400, -100, -40, 0] {
        partitions::run_once(api.database.pool(), day(days)).await.unwrap();
    }
    let mut arrivals = Vec::new();
    for source in ["default", "kiosk", "archive"] {
        for days in [-390, -100, -10, 0] {
            let session = format!("{days}");
            arrivals.push(message(source, source, &session, &session, day(days)));
        }
        // A session that lasts longer than every retention.
        for days in [-391, -101, -11, -1] {
            let text = format!("on and on {days}");
            arrivals.push(message(source, source, "on and on", &text, day(days)));
        }
    }
    drain(&api, &arrivals).await;
    let ages = |usual, kiosk: u32| {
        let mut ages = AgeLimits::of(Some(DAY * usual));
        ages.of_sources.insert("kiosk".into(), Some(DAY * kiosk));
        ages.of_sources.insert("archive".into(), None);
        ages
    };
    let keep = RetentionRules { messages: ages(30, 5), deliveries: ages(200, 5) };
    let reported = plan(&api.store, now(), &keep).await.unwrap();
    let reported: Vec<_> =
        reported.iter().map(|old| (old.table, old.source.as_str(), old.rows)).collect();
    assert_eq!(
        reported,
        [
            ("sessions", "default", 2),
            ("sessions", "kiosk", 3),
            ("messages", "default", 4),
            ("messages", "kiosk", 6),
            ("deliveries", "default", 2),
            ("deliveries", "kiosk", 6),
        ]
    );
    assert_eq!((count(&api, "messages").await, count(&api, "deliveries").await), (24, 24));

    let gone = run_once(&api.store, now(), &keep).await.unwrap();
    let rows = |table| gone.rows.of(table);
    assert_eq!((rows("sessions"), rows("messages"), rows("deliveries")), (5, 10, 8));
    assert_eq!((count(&api, "messages").await, count(&api, "deliveries").await), (14, 16));
    assert_counts_are_right(&api).await;
    assert_eq!(plan(&api.store, now(), &keep).await.unwrap(), []);
    assert!(run_once(&api.store, now(), &keep).await.unwrap().rows.0.is_empty());

    // Without unlimited retention, empty months are dropped as a whole.
    let keep = RetentionRules {
        messages: AgeLimits::of(Some(DAY * 5)),
        deliveries: AgeLimits::of(Some(DAY * 5)),
    };
    let gone = run_once(&api.store, now(), &keep).await.unwrap();
    assert!(gone.log.days > 0, "{gone:?}");
    assert!(gone.rows.of("partitions") >= 2, "{gone:?}");
    assert_eq!((count(&api, "messages").await, count(&api, "deliveries").await), (6, 6));
    assert_counts_are_right(&api).await;
}

/// Returns a delivery of any kind that arrived at this time.
fn delivered(body: &Value, received_at: DateTime<Utc>) -> Arrival {
    Arrival { body: body.to_string().into(), ..message("default", "", "", "", received_at) }
}

#[actix_web::test]
async fn event_of_unknown_type_is_erased_with_its_session_and_stays_erased() {
    let api = TestApi::start().await;
    let unknown = |agent: &str, session: &str| {
        let body = json!({ "event_type": "mood.changed", "agent_id": agent,
            "timestamp": at(-9).timestamp(), "data": { "session_id": session, "mood": "hush" } });
        delivered(&body, at(-9))
    };
    let others = [unknown("A", "stays"), unknown("B", "gone")];
    drain(&api, &session_messages("A", "gone", 1, at(-10))).await;
    drain(&api, &[unknown("A", "gone")]).await;
    drain(&api, &others).await;
    let receipt = send(&api, "DELETE", "/v1/sessions/gone").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text());
    assert_eq!(receipt.json()["rows"]["deliveries"], 2);
    assert_eq!(
        count(&api, "deliveries").await,
        2,
        "those of another session and another agent are left"
    );
    drain(&api, &[Arrival { received_at: at(60), ..unknown("A", "gone") }]).await;
    assert_eq!(count(&api, "deliveries WHERE body <> ''").await, 2, "it was stored again");
}

#[actix_web::test]
async fn delivery_with_a_future_time_stays_erased() {
    let api = TestApi::start().await;
    let ahead = now() + TimeDelta::minutes(10);
    let of = |kind: &str, time: Option<DateTime<Utc>>| {
        let mut body = json!({ "event_type": kind, "agent_id": "A", "data": { "session_id": "s",
            "role": "user", "message": "hush", "room_name": "hush" } });
        if kind == "session_end" {
            body = json!({ "event": kind, "agentId": "A", "sessionId": "s" });
        }
        if let Some(time) = time {
            body["timestamp"] = time.timestamp().into();
        }
        body
    };
    let bodies = [
        of("room.join", Some(ahead)),
        of("chat.push", Some(ahead)),
        of("session_end", Some(ahead)),
        of("session_end", None),
    ];
    let deliver = async |received_at: DateTime<Utc>| {
        let arrivals: Vec<_> = bodies.iter().map(|body| delivered(body, received_at)).collect();
        drain(&api, &arrivals).await;
    };
    deliver(at(-5)).await;
    assert_eq!(count(&api, "sessions").await, 1);
    assert_eq!(send(&api, "DELETE", "/v1/sessions/s").await.status, 200);
    deliver(at(1_000)).await;
    for table in ["sessions", "messages", "joins", "other_events"] {
        assert_eq!(count(&api, table).await, 0, "{table}");
    }
    assert_eq!(count(&api, "deliveries WHERE body <> ''").await, 0);
}

#[actix_web::test]
async fn agent_without_sessions_can_be_erased() {
    let api = TestApi::start().await;
    let ready = |agent: &str| {
        delivered(
            &json!({ "event": "agent.ready", "created": at(-9).timestamp(),
            "data": { "agent_id": agent } }),
            at(-9),
        )
    };
    let unread = delivered(&json!({ "event_type": "chat.push", "agent_id": "quiet" }), at(-8));
    drain(&api, &[ready("A"), ready("B"), unread]).await;
    for agent in ["A", "quiet"] {
        let target = format!("/v1/agents/{agent}");
        let receipt = send(&api, "DELETE", &target).await;
        assert_eq!(receipt.status, 200, "{agent}: {}", receipt.text());
        assert_eq!(receipt.json()["rows"]["deliveries"], 1, "{agent}");
        assert_eq!(send(&api, "DELETE", &target).await.code(), "not_found", "{agent}");
    }
    assert_eq!(count(&api, "deliveries").await, 1);
    assert_eq!(send(&api, "DELETE", "/v1/agents/nobody").await.code(), "not_found");
    let bound = api.key(&[Scope::Erase], Some(&["A"])).await;
    let refused = api.send("DELETE", "/v1/agents/B", &[("X-API-Key", &bound)]).await;
    assert_eq!(refused.code(), "not_found");
}

#[actix_web::test]
async fn repeated_request_finishes_an_interrupted_erasure() {
    let api = TestApi::start().await;
    drain(&api, &session_messages("A", "s", 3, at(-10))).await;
    let row = sqlx::query_scalar::<_, uuid::Uuid>("SELECT id FROM sessions")
        .fetch_one(api.database.pool())
        .await
        .unwrap();
    let (first, second) = (DeliveryId::new(now()).0, DeliveryId::new(now()).0);
    let found = api.store.find_session(verbatim::store::sessions::SessionKey {
        session_id: "s",
        agent_id: None,
        source: None,
        visible: None,
    });
    let verbatim::store::sessions::Found::One(session) = found.await.unwrap() else { panic!() };
    let new = NewErasure {
        id: first,
        target: Target::Session(&session),
        at: now(),
        key_id: None,
        bound: false,
    };
    assert_eq!(api.store.begin_erasure(&new).await.unwrap(), BeginOutcome::Yes);
    let again = NewErasure { id: second, ..new };
    assert_eq!(api.store.begin_erasure(&again).await.unwrap(), BeginOutcome::Already(first));
    // The process ended when the session was deleted, and its deliveries were not.
    for table in ["messages WHERE session_id", "sessions WHERE id"] {
        let sql = format!("DELETE FROM {table} = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(row).execute(api.database.pool()).await.unwrap();
    }
    let bound = api.key(&[Scope::Erase], Some(&["B"])).await;
    let refused = api.send("DELETE", "/v1/sessions/s", &[("X-API-Key", &bound)]).await;
    assert_eq!(refused.code(), "not_found");
    let receipt = send(&api, "DELETE", "/v1/sessions/s").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text());
    assert_eq!(receipt.json()["id"], json!(first));
    assert_eq!(count(&api, "deliveries").await, 0);
    assert_eq!(send(&api, "DELETE", "/v1/sessions/s").await.code(), "not_found");
}

#[actix_web::test]
async fn expired_rows_are_reported_in_the_feed() {
    let api = TestApi::start().await;
    let long_ago = now() - TimeDelta::days(40);
    drain(&api, &session_messages("A", "old", 2, long_ago)).await;
    drain(&api, &session_messages("A", "on and on", 2, long_ago)).await;
    drain(&api, &session_messages("A", "on and on", 3, at(-10))).await;
    let keep =
        RetentionRules { messages: AgeLimits::of(Some(DAY * 30)), deliveries: AgeLimits::of(None) };
    run_once(&api.store, now(), &keep).await.unwrap();
    let reported = send(&api, "GET", "/v1/changes").await.json();
    let reported: Vec<_> = reported["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["type"] == "erasure")
        .map(|row| &row["erasure"])
        .collect();
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert!(reported.iter().all(|one| one["kind"] == "retention"));
    assert_eq!(reported[0]["session"]["session_id"], "old");
    assert_eq!(reported[0]["before"], Value::Null, "all of the session");
    assert_eq!(reported[1]["session"]["session_id"], "on and on");
    assert!(reported[1]["before"].is_string(), "only its beginning");
    run_once(&api.store, now(), &keep).await.unwrap();
    assert_eq!(count(&api, "journal WHERE erasure IS NOT NULL").await, 2, "once");
}

#[actix_web::test]
async fn partly_expired_session_begins_with_its_remaining_rows() {
    let api = TestApi::start().await;
    let long_ago = now() - TimeDelta::days(40);
    let join = json!({ "event_type": "room.join", "agent_id": "A",
        "timestamp": (long_ago - TimeDelta::seconds(5)).timestamp(),
        "data": { "session_id": "joined", "room_name": "hall", "participant_count": 2 } });
    drain(&api, &[delivered(&join, long_ago)]).await;
    // More than are deleted at once.
    drain(&api, &session_messages("A", "joined", 2_100, long_ago)).await;
    drain(&api, &session_messages("A", "spoken", 2, long_ago)).await;
    for session in ["joined", "spoken"] {
        drain(&api, &session_messages("A", session, 3, at(-10))).await;
    }
    // Joined long ago, with recent messages.
    let mut late = join.clone();
    late["data"]["session_id"] = "late".into();
    drain(&api, &[delivered(&late, long_ago)]).await;
    drain(&api, &session_messages("A", "late", 1, at(-9))).await;
    let keep =
        RetentionRules { messages: AgeLimits::of(Some(DAY * 30)), deliveries: AgeLimits::of(None) };
    let gone = run_once(&api.store, now(), &keep).await.unwrap();
    assert_eq!((gone.rows.of("messages"), gone.rows.of("joins")), (2_102, 2));

    for (session, started_at, seconds, opened_by, room) in [
        ("joined", "2026-09-28T14:54:03.000000Z", 2.0, "room.join", json!("hall")),
        ("spoken", "2026-09-28T14:54:03.000000Z", 2.0, "chat.push", json!(null)),
        ("late", "2026-09-28T14:54:04.000000Z", 0.0, "room.join", json!("hall")),
    ] {
        let shown = send(&api, "GET", &format!("/v1/sessions/{session}")).await.json();
        assert_eq!(shown["started_at"], started_at, "{session}");
        assert_eq!(shown["duration_seconds"], seconds, "{session}");
        assert_eq!((&shown["opened_by"], &shown["room_name"]), (&json!(opened_by), &room));
        let visits = send(&api, "GET", &format!("/v1/sessions/{session}/visits")).await.json();
        assert_eq!(visits["data"][0]["started_at"], started_at, "{session}");
    }
    let agent = send(&api, "GET", "/v1/agents/A").await.json();
    assert_eq!(agent["first_seen_at"], "2026-09-28T14:54:03.000000Z");
    assert_counts_are_right(&api).await;
    let reported = count(&api, "journal WHERE erasure IS NOT NULL").await;
    assert!(run_once(&api.store, now(), &keep).await.unwrap().rows.0.is_empty());
    assert_eq!(count(&api, "journal WHERE erasure IS NOT NULL").await, reported, "reported once");
}
