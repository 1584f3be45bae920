//! The same deliveries give the same conversations in any order, batches and repetitions.

use chrono::DateTime;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;
use verbatim::decode::Received;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::store::ingest::{Row, write};

use crate::support::database::TestDatabase;

/// Plan to write a set of deliveries: the order, and the size and connection (one of two) of each
/// batch.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) order: Vec<usize>,
    pub(crate) batches: Vec<(usize, bool)>,
}

fn body() -> impl Strategy<Value = String> {
    let session = prop_oneof![Just("s1"), Just("s2"), Just("s3")];
    let agent = prop_oneof![4 => Just("a1"), 1 => Just("a2")];
    // Few times, so that many events share one; an absurd time, and one in the future.
    let at = prop_oneof![6 => 0_i64..4, 1 => Just(-2_000_000_000), 1 => Just(3_600)];
    (session, agent, at, 0_u8..12, 0_u8..3).prop_map(|(session, agent, at, kind, variant)| {
        let at = 1_790_607_253 + at;
        match kind {
            0..6 => format!(
                r#"{{"event_type":"chat.push","agent_id":"{agent}","timestamp":{at}.{variant},"data":{{
                    "session_id":"{session}","role":"{}","message":"m{variant}","timestamp":{at}}}}}"#,
                ["user", "Agent", "guide"][usize::from(kind % 3)],
            ),
            6..10 => format!(
                r#"{{"event_type":"room.join","agent_id":"{agent}","timestamp":{at},"data":{{
                    "session_id":"{session}"{}}}}}"#,
                [
                    r#","room_name":"room""#,
                    r#","room_name":"hall","participant_count":2"#,
                    r#","participant_count":3"#,
                ][usize::from(variant)],
            ),
            10 => format!(
                r#"{{"event":"session_end","agentId":"{agent}","sessionId":"{session}",
                    "timestamp":"{}","session":{{"endReason":"r{variant}"}}}}"#,
                DateTime::from_timestamp(at.max(0), 0).unwrap().to_rfc3339(),
            ),
            _ => format!(r#"{{"event_type":"new.kind","agent_id":"{agent}","n":{variant}}}"#),
        }
    })
}

pub(crate) fn deliveries_and_course() -> impl Strategy<Value = (Vec<String>, Course)> {
    prop::collection::btree_set(body(), 1..40).prop_flat_map(|bodies| {
        let bodies: Vec<String> = bodies.into_iter().collect();
        let count = bodies.len();
        // Every delivery once, and some again.
        let order = (Just((0..count).collect::<Vec<_>>()), prop::collection::vec(0..count, 0..20))
            .prop_map(|(all, again)| [all, again].concat())
            .prop_shuffle();
        let batches = prop::collection::vec((1_usize..9, any::<bool>()), 1..12);
        (Just(bodies), (order, batches).prop_map(|(order, batches)| Course { order, batches }))
    })
}

/// Arrival of a delivery. The body is the same for each attempt; the time and ID of the arrival
/// differ. Some events arrive before their own time.
pub(crate) fn arrival(body: &str, number: usize, attempt: usize) -> Arrival {
    let seconds = i64::try_from((number * 7 + attempt * 3) % 10).unwrap();
    Arrival {
        id: DeliveryId(Uuid::from_u128((number * 1_000 + attempt) as u128)),
        received_at: DateTime::from_timestamp(1_790_607_250 + seconds, 0).unwrap(),
        source: SourceName::default(),
        evidence: Evidence { signed: true, ..Evidence::default() },
        body: body.as_bytes().to_vec().into(),
    }
}

pub(crate) async fn write_all(connection: &mut PgConnection, arrivals: &[Arrival]) {
    let received: Vec<Received> = arrivals.iter().cloned().map(Received::from).collect();
    let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
    write(connection, &rows).await.unwrap();
}

/// All derived rows, without the delivery IDs.
async fn state(pool: &PgPool) -> Vec<String> {
    let mut state = Vec::new();
    for query in [
        "SELECT (to_jsonb(s) - 'first_delivery_id')::text FROM sessions s ORDER BY id",
        "SELECT (to_jsonb(m) - 'delivery_id')::text FROM messages m
         ORDER BY session_id, occurred_at, id",
        "SELECT (to_jsonb(j) - 'delivery_id')::text FROM joins j ORDER BY session_id, id",
        "SELECT (to_jsonb(o) - 'delivery_id')::text FROM other_events o ORDER BY id",
        "SELECT to_jsonb(a)::text FROM agents a ORDER BY agent_id",
    ] {
        state.extend(sqlx::query_scalar::<_, String>(query).fetch_all(pool).await.unwrap());
    }
    state
}

/// Counts differences between the journal and the rows: messages and sessions without an entry, and
/// skipped numbers.
const JOURNAL_DIFFERENCES: &str = "
    WITH named AS (
        SELECT DISTINCT session_id, occurred_at, id
        FROM journal, UNNEST(message_session_ids, message_times, message_ids)
            AS message (session_id, occurred_at, id)
    )
    SELECT
        (SELECT count(*) FROM messages m LEFT JOIN named n USING (session_id, occurred_at, id)
         WHERE n.id IS NULL)
        + (SELECT count(*) FROM (
               SELECT id FROM sessions
               EXCEPT SELECT UNNEST(session_ids) FROM journal) AS unnamed)
        + (SELECT abs(COALESCE(max(seq), 0) - count(*)) FROM journal)
        + (SELECT abs(max(h.seq) - COALESCE(max(j.seq), 0))
           FROM journal_head h LEFT JOIN journal j ON true)";

/// Counts surplus message keys in the journal.
const JOURNAL_SURPLUS_KEYS: &str = "
    SELECT COALESCE((SELECT sum(cardinality(message_ids)) FROM journal), 0)::bigint
        - (SELECT count(*) FROM messages)";

pub(crate) async fn empty(pool: &PgPool) {
    // Not TRUNCATE: for a few rows, making new files takes far longer.
    sqlx::raw_sql(
        "DELETE FROM sessions; DELETE FROM messages; DELETE FROM guarded_messages;
         DELETE FROM joins; DELETE FROM other_events; DELETE FROM agents; DELETE FROM deliveries;
         DELETE FROM journal; UPDATE journal_head SET seq = 0",
    )
    .execute(pool)
    .await
    .unwrap();
}

#[test]
fn conversations_do_not_depend_on_order_batches_and_repetitions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, one, other) = runtime.block_on(async {
        let database = TestDatabase::create().await;
        let one = database.options().connect().await.unwrap();
        let other = database.options().connect().await.unwrap();
        (database, Mutex::new(one), Mutex::new(other))
    });
    // Failures are printed with their seed. There are no regression files.
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&deliveries_and_course(), |(bodies, course)| {
        runtime.block_on(async {
            let (mut one, mut other) = (one.lock().await, other.lock().await);
            let pool = database.pool();
            empty(pool).await;
            let arrivals: Vec<Arrival> = course
                .order
                .iter()
                .enumerate()
                .map(|(attempt, number)| arrival(&bodies[*number], *number, attempt))
                .collect();
            let mut in_order = arrivals.clone();
            in_order.sort_by_key(|one| one.received_at);
            for first in in_order {
                write_all(&mut one, &[first]).await;
            }
            let plain = state(pool).await;
            let surplus: i64 =
                sqlx::query_scalar(JOURNAL_SURPLUS_KEYS).fetch_one(pool).await.unwrap();
            prop_assert_eq!(surplus, 0, "the journal names each message once");

            empty(pool).await;
            let (mut rest, mut turn) = (arrivals.as_slice(), 0);
            while !rest.is_empty() {
                // Write two batches at once if they use different connections.
                let mut take = || {
                    let (size, which) = course.batches[turn % course.batches.len()];
                    turn += 1;
                    let (batch, left) = rest.split_at(size.min(rest.len()));
                    rest = left;
                    (batch, which)
                };
                let (first, which) = take();
                if which {
                    let (second, _) = take();
                    tokio::join!(write_all(&mut one, first), write_all(&mut other, second));
                } else {
                    write_all(&mut one, first).await;
                }
            }
            prop_assert_eq!(state(pool).await, plain);
            let logged: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries")
                .fetch_one(pool)
                .await
                .unwrap();
            prop_assert_eq!(logged, i64::try_from(arrivals.len()).unwrap());
            let mismatched: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM sessions s
                 WHERE message_count <> (SELECT count(*) FROM messages m WHERE m.session_id = s.id)",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            prop_assert_eq!(mismatched, 0, "a session counts the messages that it has");
            let wrong: i64 = sqlx::query_scalar(JOURNAL_DIFFERENCES).fetch_one(pool).await.unwrap();
            prop_assert_eq!(wrong, 0, "the journal names every row");
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[actix_web::test]
async fn rewritten_batch_changes_nothing() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    let bodies = [
        r#"{"event_type":"chat.push","agent_id":"a","timestamp":1790607253,
            "data":{"session_id":"s","role":"user","message":"m"}}"#,
        r#"{"event_type":"chat.push","agent_id":"a",
            "data":{"session_id":"s","role":"user","message":"undated"}}"#,
        "no JSON",
    ];
    let arrivals: Vec<_> =
        bodies.iter().enumerate().map(|(number, body)| arrival(body, number, 0)).collect();
    write_all(&mut connection, &arrivals).await;
    let all = "SELECT to_jsonb(d)::text FROM deliveries d ORDER BY id";
    let before = (state(database.pool()).await, texts(database.pool(), all).await);
    write_all(&mut connection, &arrivals).await;
    let after = (state(database.pool()).await, texts(database.pool(), all).await);
    assert_eq!(after, before, "outcomes too: a stored delivery does not become a duplicate");
}

async fn texts(pool: &PgPool, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(pool).await.unwrap()
}
