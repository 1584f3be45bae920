//! Identity of deliveries: duplicates, distinct deliveries, and rows of an earlier version.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{ConnectOptions as _, PgPool};
use uuid::Uuid;
use verbatim::decode::{Received, decode};
use verbatim::domain::{Arrival, DeliveryId, EventId, Evidence, Outcome, SourceName};
use verbatim::store::ingest::{Row, write};

use crate::support::database::TestDatabase;

/// Time that becomes a microsecond later when it is rounded twice.
const ROUNDED_TWICE: &str = "1790607268.4630075";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_607_300, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn message(agent: &str, text: &str, time: &str) -> String {
    format!(
        r#"{{"event_type":"chat.push","agent_id":"{agent}","timestamp":{time},"data":{{
            "session_id":"s","role":"user","message":"{text}","timestamp":{time}}}}}"#
    )
}

fn arrival(body: &str, header: Option<&str>, received: i64) -> Arrival {
    Arrival {
        id: DeliveryId::new(at(received)),
        received_at: at(received),
        source: SourceName::default(),
        evidence: Evidence {
            sender_delivery_id: header.map(str::to_owned),
            signed: true,
            ..Evidence::default()
        },
        body: body.to_owned().into(),
    }
}

async fn store(database: &TestDatabase, arrivals: &[Arrival]) -> Vec<Outcome> {
    let received: Vec<Received> = arrivals.iter().cloned().map(Received::from).collect();
    let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
    let mut connection = database.options().connect().await.unwrap();
    write(&mut connection, &rows).await.unwrap()
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.unwrap()
}

/// Stores a delivery with the keys of an earlier version: the hash of the header as the ID, and the
/// time rounded twice.
async fn store_as_before(database: &TestDatabase, one: &Arrival) {
    assert_eq!(store(database, std::slice::from_ref(one)).await, [Outcome::Stored]);
    let (pool, delivery) = (database.pool(), decode(one).unwrap());
    let header = one.evidence.sender_delivery_id.as_deref();
    let id = header.map_or(delivery.id, |header| EventId::former(&one.source, header)).0;
    let time = delivery.former.occurred_at.unwrap_or(delivery.occurred_at);
    for (table, set) in [
        ("messages", "id = $1, occurred_at = $2"),
        ("joins", "id = $1, occurred_at = $2"),
        ("other_events", "id = $1, occurred_at = $2"),
    ] {
        let query = format!("UPDATE {table} SET {set} WHERE id = $3");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).bind(time);
        query.bind(delivery.id.0).execute(pool).await.unwrap();
    }
    // It had one kind of guard.
    sqlx::raw_sql("UPDATE guarded_messages SET by_header = false").execute(pool).await.unwrap();
    if header.is_some() && delivery.undated {
        let query = sqlx::query("DELETE FROM guarded_messages WHERE id = $1");
        query.bind(delivery.id.0).execute(pool).await.unwrap();
    }
    sqlx::raw_sql("UPDATE sessions SET last_event_at = NULL").execute(pool).await.unwrap();
}

#[actix_web::test]
async fn identical_bytes_are_one_delivery_per_source_under_any_header() {
    let database = TestDatabase::create().await;
    let body = message("A", "transfer 100", "1790607268.25");
    let headers = [Some("1"), None, Some("2"), Some("3"), Some("1")];
    let copies: Vec<_> = (0..).zip(headers).map(|(n, id)| arrival(&body, id, n)).collect();
    // Both in one batch, and each in a separate one.
    store(&database, &copies[..3]).await;
    for one in &copies {
        store(&database, std::slice::from_ref(one)).await;
    }
    assert_eq!(count(database.pool(), "messages").await, 1);
    let mut elsewhere = arrival(&body, Some("1"), 9);
    elsewhere.source = SourceName::parse("kiosk").unwrap();
    assert_eq!(store(&database, &[elsewhere]).await, [Outcome::Stored]);
}

#[actix_web::test]
async fn deliveries_of_two_agents_with_one_header_have_different_ids() {
    for at_once in [true, false] {
        let database = TestDatabase::create().await;
        let one = arrival(&message("A", "mine", "1790607268.25"), Some("taken"), 0);
        let other = arrival(&message("B", "yours", "1790607268.25"), Some("taken"), 1);
        let outcomes = if at_once {
            store(&database, &[one, other]).await
        } else {
            [store(&database, &[one]).await, store(&database, &[other]).await].concat()
        };
        assert_eq!(outcomes, [Outcome::Stored, Outcome::Stored]);
        assert_eq!(count(database.pool(), "(SELECT DISTINCT id FROM messages) AS ids").await, 2);
    }
}

#[actix_web::test]
async fn retry_of_a_delivery_stored_by_an_earlier_version_is_a_duplicate() {
    let join = r#"{"event_type":"room.join","agent_id":"A","timestamp":1790607268.4630075,
        "data":{"session_id":"s","room_name":"r","participant_count":2}}"#;
    let undated = r#"{"event_type":"chat.push","agent_id":"A",
        "data":{"session_id":"s","role":"user","message":"undated"}}"#;
    let account = r#"{"id":"evt_1","event":"agent.ready","created":1790607268,
        "data":{"agent_id":"A"}}"#;
    let timed = message("A", "m", ROUNDED_TWICE);
    for (body, header) in [
        (&*timed, None),
        (&*timed, Some("dlv")),
        (&*message("A", "m", "1790607268.25"), Some("dlv")),
        (undated, Some("dlv")),
        (undated, None),
        (join, Some("dlv")),
        (account, Some("dlv")),
    ] {
        for logged in [true, false] {
            let database = TestDatabase::create().await;
            store_as_before(&database, &arrival(body, header, 10)).await;
            if !logged {
                sqlx::raw_sql("DELETE FROM deliveries").execute(database.pool()).await.unwrap();
            }
            // Later copies, and an earlier one that another process writes now.
            for received in [20, 30, 5] {
                let outcomes = store(&database, &[arrival(body, header, received)]).await;
                assert_eq!(outcomes, [Outcome::Duplicate], "{header:?} {body}");
            }
            for table in ["messages", "joins", "other_events"] {
                let rows = count(database.pool(), table).await;
                assert!(rows <= 1, "{table} {header:?} {body}");
            }
        }
    }
}

#[actix_web::test]
async fn different_delivery_is_stored_beside_one_of_an_earlier_version() {
    let first = message("A", "first", "1790607268.25");
    let account =
        r#"{"id":"evt_1","event":"agent.ready","created":1790607268,"data":{"agent_id":"A"}}"#;
    for (before, after) in [
        (&*first, message("A", "second", "1790607268.25")),
        (&*first, message("A", "first", "1790607268.5")),
        (&*first, message("B", "first", "1790607268.25")),
        // Differs in white space only.
        (&*first, format!("{first} ")),
        (account, account.replace("evt_1", "evt_2")),
    ] {
        let database = TestDatabase::create().await;
        store_as_before(&database, &arrival(before, Some("dlv"), 10)).await;
        let other = [arrival(&after, Some("dlv"), 20)];
        assert_eq!(store(&database, &other).await, [Outcome::Stored], "{after}");
        assert_eq!(store(&database, &other).await, [Outcome::Duplicate], "{after}");
        let again = arrival(before, Some("dlv"), 30);
        assert_eq!(store(&database, &[again]).await, [Outcome::Duplicate], "{before}");
    }
    // Without the log of deliveries, the content still distinguishes them.
    let database = TestDatabase::create().await;
    store_as_before(&database, &arrival(&first, Some("dlv"), 10)).await;
    sqlx::raw_sql("DELETE FROM deliveries").execute(database.pool()).await.unwrap();
    let other = message("A", "second", "1790607268.25");
    assert_eq!(store(&database, &[arrival(&other, Some("dlv"), 20)]).await, [Outcome::Stored]);
}

/// Arrival of a redacting source in the inbox of an earlier version. Its ID is the hash of the
/// header, since the received bytes are not stored.
fn redacted_before(body: &str, header: &str, received: i64) -> Arrival {
    let mut one = arrival(body, Some(header), received);
    one.evidence.event_id = Some(EventId::former(&one.source, header));
    one
}

#[actix_web::test]
async fn redacted_inbox_of_an_earlier_version_is_stored_completely() {
    let database = TestDatabase::create().await;
    let of = |agent| message(agent, "call [phone]", "1790607268.25");
    let left = [redacted_before(&of("A"), "dlv", 0), redacted_before(&of("B"), "dlv", 1)];
    assert_eq!(store(&database, &left).await, [Outcome::Stored, Outcome::Stored]);
    assert_eq!(count(database.pool(), "(SELECT DISTINCT id FROM messages) AS ids").await, 2);
    // This version redacts a retry by other rules, and hashes the received bytes.
    for agent in ["A", "B"] {
        let mut retry = arrival(&message(agent, "call [number]", "1790607268.25"), Some("dlv"), 9);
        retry.evidence.event_id = Some(EventId::of(&retry.source, b"received bytes"));
        assert_eq!(store(&database, &[retry]).await, [Outcome::Duplicate], "{agent}");
    }
    // The same after the earlier version has stored it.
    let database = TestDatabase::create().await;
    let stored = redacted_before(&of("A"), "dlv", 0);
    store_as_before(&database, &stored).await;
    let mut retry = arrival(&message("A", "call [number]", "1790607268.25"), Some("dlv"), 9);
    retry.evidence.event_id = Some(EventId::of(&retry.source, b"received bytes"));
    assert_eq!(store(&database, &[retry]).await, [Outcome::Duplicate]);
    assert_eq!(
        store(&database, &[redacted_before(&of("A"), "dlv", 2)]).await,
        [Outcome::Duplicate]
    );
}

#[actix_web::test]
async fn earlier_version_recognizes_a_retry_of_a_delivery_stored_by_this_one() {
    let database = TestDatabase::create().await;
    let one = arrival(&message("A", "m", "1790607268.25"), Some("dlv"), 0);
    store(&database, std::slice::from_ref(&one)).await;
    let session = decode(&one).unwrap().event.session().unwrap().id.0;
    // The query with which the earlier version checks for the message.
    let new: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO guarded_messages (session_id, id)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[])
         ON CONFLICT DO NOTHING
         RETURNING id",
    )
    .bind(vec![session])
    .bind(vec![EventId::former(&one.source, "dlv").0])
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert!(new.is_empty());
}

#[actix_web::test]
async fn erasure_by_an_earlier_version_affects_no_other_delivery() {
    let database = TestDatabase::create().await;
    let undated = r#"{"event_type":"chat.push","agent_id":"A",
        "data":{"session_id":"s","role":"user","message":"undated"}}"#;
    let one = arrival(undated, Some("dlv"), 10);
    let session = decode(&one).unwrap().event.session().unwrap().id.0;
    let former = EventId::former(&one.source, "dlv").0;
    sqlx::query(
        "INSERT INTO erasures (id, kind, agent_id, session_id, sender_session_id, source,
             erased_at, finished_at, counts)
         VALUES ($1, 'session', 'A', $2, 's', 'default', $3, $3, '{}')",
    )
    .bind(Uuid::new_v4())
    .bind(session)
    .bind(at(15))
    .execute(database.pool())
    .await
    .unwrap();
    sqlx::query("INSERT INTO erased_events (id) VALUES ($1)")
        .bind(former)
        .execute(database.pool())
        .await
        .unwrap();
    assert_eq!(store(&database, &[arrival(undated, Some("dlv"), 20)]).await, [Outcome::Duplicate]);
    assert_eq!(count(database.pool(), "messages").await, 0);
    let later = json!({
        "event_type": "chat.push", "agent_id": "A", "timestamp": at(30).timestamp(),
        "data": { "session_id": "s", "role": "user", "message": "later" },
    });
    let later = arrival(&later.to_string(), Some("dlv"), 31);
    assert_eq!(store(&database, &[later]).await, [Outcome::Stored], "a header is not an identity");
}
