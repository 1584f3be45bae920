//! Deliveries that are written as the drain writes them, on several connections at the same time.

use std::collections::BTreeSet;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;
use verbatim::decode::Received;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::store::ingest::{Row, write};

use super::app::at;

/// Returns a delivery of a message.
pub(crate) fn message_delivery(agent: &str, session: &str, text: &str) -> Received {
    delivery(&format!(
        r#"{{"event_type":"chat.push","agent_id":"{agent}","timestamp":1790607253,"data":{{
            "session_id":"{session}","role":"user","message":"{text}"}}}}"#
    ))
}

/// Returns a delivery of a join.
pub(crate) fn join_delivery(agent: &str, session: &str) -> Received {
    delivery(&format!(
        r#"{{"event_type":"room.join","agent_id":"{agent}","timestamp":1790607250,"data":{{
            "session_id":"{session}","room_name":"hall"}}}}"#
    ))
}

fn delivery(body: &str) -> Received {
    Received::from(Arrival {
        id: DeliveryId(Uuid::new_v4()),
        received_at: at(1),
        source: SourceName::default(),
        evidence: Evidence { signed: true, ..Evidence::default() },
        body: body.as_bytes().to_vec().into(),
    })
}

/// Writes a batch.
pub(crate) async fn put(options: &PgConnectOptions, batch: &[Received]) {
    put_on(&mut options.connect().await.unwrap(), batch).await;
}

pub(crate) async fn put_on(connection: &mut PgConnection, batch: &[Received]) {
    let rows: Vec<Row<'_>> = batch.iter().map(Row::from).collect();
    write(connection, &rows).await.unwrap();
}

/// Largest batch of the writers.
const LARGEST_BATCH: usize = 7;

/// Starts writers, and returns the texts that they will write. Their batches have different sizes
/// and share sessions.
pub(crate) fn start(
    options: &PgConnectOptions,
    writers: usize,
    batches: usize,
) -> (JoinSet<()>, BTreeSet<String>) {
    let (mut tasks, mut all) = (JoinSet::new(), BTreeSet::new());
    for writer in 0..writers {
        let mut work = Vec::new();
        for number in 0..batches {
            let texts = (0..=(writer + number) % LARGEST_BATCH)
                .map(|place| format!("{writer}-{number}-{place}"));
            let batch: Vec<Received> = texts
                .inspect(|text| assert!(all.insert(text.clone())))
                .map(|text| {
                    message_delivery(agent(writer), &format!("s{}", (writer + number) % 5), &text)
                })
                .collect();
            work.push(batch);
        }
        let options = options.clone();
        tasks.spawn(async move {
            let mut connection = options.connect().await.unwrap();
            for batch in work {
                put_on(&mut connection, &batch).await;
                // So that concurrent readers make progress.
                tokio::task::yield_now().await;
            }
        });
    }
    (tasks, all)
}

/// Returns the agent of a writer: half of them write for one agent, and half for another.
fn agent(writer: usize) -> &'static str {
    ["even", "odd"][writer % 2]
}

/// Returns the texts of the writers for one agent.
pub(crate) fn of_agent(all: &BTreeSet<String>, name: &str) -> BTreeSet<String> {
    let writer = |text: &str| text.split('-').next().unwrap().parse::<usize>().unwrap();
    all.iter().filter(|text| agent(writer(text)) == name).cloned().collect()
}
