//! Identity of deliveries: duplicates, and distinct deliveries with one header.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{ConnectOptions as _, PgPool};
use verbatim::decode::Received;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Outcome, SourceName};
use verbatim::store::ingest::{Row, write};

use crate::support::database::TestDatabase;

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
async fn different_deliveries_with_one_header_are_both_stored() {
    let first = message("A", "first", "1790607268.25");
    let account =
        r#"{"id":"evt_1","event":"agent.ready","created":1790607268,"data":{"agent_id":"A"}}"#;
    for (one, other) in [
        (&*first, message("A", "second", "1790607268.25")),
        (&*first, message("A", "first", "1790607268.5")),
        // Differs in white space only.
        (&*first, format!("{first} ")),
        (account, account.replace("evt_1", "evt_2")),
    ] {
        let database = TestDatabase::create().await;
        let [one, other] = [one, &*other].map(|body| [arrival(body, Some("dlv"), 10)]);
        assert_eq!(store(&database, &one).await, [Outcome::Stored]);
        assert_eq!(store(&database, &other).await, [Outcome::Stored], "{other:?}");
        for again in [one, other] {
            assert_eq!(store(&database, &again).await, [Outcome::Duplicate], "{again:?}");
        }
    }
}

#[actix_web::test]
async fn undated_message_is_stored_once_whenever_it_arrives() {
    let body = r#"{"event_type":"chat.push","agent_id":"A",
        "data":{"session_id":"s","role":"user","message":"undated"}}"#;
    let database = TestDatabase::create().await;
    let outcomes = store(&database, &[arrival(body, None, 10), arrival(body, None, 20)]).await;
    assert_eq!(outcomes, [Outcome::Stored, Outcome::Duplicate]);
    for received in [30, 5] {
        let again = [arrival(body, Some("dlv"), received)];
        assert_eq!(store(&database, &again).await, [Outcome::Duplicate]);
    }
    assert_eq!(count(database.pool(), "messages").await, 1);
}
