//! What events make of a session, and sessions of an agent's figures.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::Readable;
use crate::domain::Event;
use crate::domain::delivery::SessionRef;
use crate::domain::session::activity_bucket;

/// What a batch adds to one agent's figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentDelta {
    sessions: i64,
    messages: i64,
    first_seen_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
}

/// What a batch adds to one session. Merging is commutative, associative and, since only new
/// events come here, applied once for each: so the order of batches leaves no trace.
struct SessionDelta<'a> {
    session: &'a SessionRef,
    source: &'a str,
    first_delivery_id: Uuid,
    /// With its time: the earliest event that has an attribute decides.
    room_name: Option<(DateTime<Utc>, &'a str)>,
    participant_count: Option<(DateTime<Utc>, i32)>,
    end: Option<(DateTime<Utc>, Option<&'a str>)>,
    joined_at: Option<DateTime<Utc>>,
    started_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    messages: i64,
    user_messages: i64,
    assistant_messages: i64,
}

/// Merges new events into their sessions, and gives what that adds to the agents.
pub(super) async fn merge(
    connection: &mut PgConnection,
    events: &[Readable<'_>],
) -> Result<BTreeMap<String, AgentDelta>, sqlx::Error> {
    let deltas = collect(events);
    if deltas.is_empty() {
        return Ok(BTreeMap::new());
    }
    let made_by: BTreeMap<Uuid, Uuid> = upsert(connection, &deltas).await?.into_iter().collect();
    let mut agents: BTreeMap<String, AgentDelta> = BTreeMap::new();
    for (id, delta) in &deltas {
        let is_new = made_by.get(id) == Some(&delta.first_delivery_id);
        let agent = agents.entry(delta.session.agent_id.clone()).or_insert(AgentDelta {
            sessions: 0,
            messages: 0,
            first_seen_at: delta.started_at,
            last_activity_at: delta.last_activity_at,
        });
        agent.sessions += i64::from(is_new);
        agent.messages += delta.messages;
        agent.first_seen_at = agent.first_seen_at.min(delta.started_at);
        agent.last_activity_at = agent.last_activity_at.max(delta.last_activity_at);
    }
    Ok(agents)
}

/// By id, and so in the order in which rows must be locked.
fn collect<'a>(events: &[Readable<'a>]) -> BTreeMap<Uuid, SessionDelta<'a>> {
    let mut deltas = BTreeMap::new();
    for one in events {
        if let Some(session) = one.delivery.event.session() {
            deltas.entry(session.id.0).or_insert_with(|| SessionDelta::new(session, one)).add(one);
        }
    }
    deltas
}

impl<'a> SessionDelta<'a> {
    fn new(session: &'a SessionRef, one: &Readable<'a>) -> Self {
        Self {
            session,
            source: one.arrival.source.as_str(),
            first_delivery_id: one.arrival.id.0,
            room_name: None,
            participant_count: None,
            end: None,
            joined_at: None,
            started_at: one.delivery.occurred_at,
            last_activity_at: one.delivery.occurred_at,
            messages: 0,
            user_messages: 0,
            assistant_messages: 0,
        }
    }

    fn add(&mut self, one: &Readable<'a>) {
        let at = one.delivery.occurred_at;
        self.started_at = self.started_at.min(at);
        self.last_activity_at = self.last_activity_at.max(at);
        match &one.delivery.event {
            Event::Join { room_name, participant_count, .. } => {
                self.joined_at = earliest(self.joined_at, Some(at));
                let room_name = room_name.as_deref().map(|name| (at, name));
                self.room_name = earliest(self.room_name, room_name);
                let count = participant_count.map(|count| (at, count));
                self.participant_count = earliest(self.participant_count, count);
            }
            Event::Message { role, .. } => {
                self.messages += 1;
                self.user_messages += i64::from(role == "user");
                self.assistant_messages += i64::from(role == "assistant");
            }
            Event::End { reason, started_at, .. } => {
                self.end = earliest(self.end, Some((at, reason.as_deref())));
                self.started_at = self.started_at.min(started_at.unwrap_or(at));
            }
            Event::Account | Event::Test | Event::Unknown => {}
        }
    }
}

/// The lesser of what is there; of two at the same time the lesser value, so that it does not
/// matter which came first.
fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

/// Makes or merges the rows, and gives for each the delivery that made it.
async fn upsert(
    connection: &mut PgConnection,
    deltas: &BTreeMap<Uuid, SessionDelta<'_>>,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    macro_rules! column {
        ($of:expr) => {
            deltas.values().map($of).collect::<Vec<_>>()
        };
    }
    let ids: Vec<Uuid> = deltas.keys().copied().collect();
    let rows = sqlx::query!(
        r#"INSERT INTO sessions AS s (
             id, source, agent_id, sender_session_id, room_name, room_name_at, participant_count,
             participant_count_at, joined_at, started_at, last_activity_at, end_event_at,
             end_reason, message_count, user_message_count, assistant_message_count,
             first_delivery_id, activity_bucket
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::text[]), UNNEST($3::text[]), UNNEST($4::text[]),
             UNNEST($5::text[]), UNNEST($6::timestamptz[]), UNNEST($7::integer[]),
             UNNEST($8::timestamptz[]), UNNEST($9::timestamptz[]), UNNEST($10::timestamptz[]),
             UNNEST($11::timestamptz[]), UNNEST($12::timestamptz[]), UNNEST($13::text[]),
             UNNEST($14::bigint[]), UNNEST($15::bigint[]), UNNEST($16::bigint[]),
             UNNEST($17::uuid[]), UNNEST($18::timestamptz[])
         ON CONFLICT (id) DO UPDATE SET
             room_name = CASE
                 WHEN s.room_name_at IS NULL
                     OR (excluded.room_name_at, excluded.room_name COLLATE "C")
                         < (s.room_name_at, s.room_name COLLATE "C")
                 THEN excluded.room_name ELSE s.room_name END,
             room_name_at = LEAST(s.room_name_at, excluded.room_name_at),
             participant_count = CASE
                 WHEN s.participant_count_at IS NULL
                     OR (excluded.participant_count_at, excluded.participant_count)
                         < (s.participant_count_at, s.participant_count)
                 THEN excluded.participant_count ELSE s.participant_count END,
             participant_count_at = LEAST(s.participant_count_at, excluded.participant_count_at),
             joined_at = LEAST(s.joined_at, excluded.joined_at),
             started_at = LEAST(s.started_at, excluded.started_at),
             last_activity_at = GREATEST(s.last_activity_at, excluded.last_activity_at),
             activity_bucket = GREATEST(s.activity_bucket, excluded.activity_bucket),
             end_reason = CASE
                 WHEN s.end_event_at IS NULL
                     OR (excluded.end_event_at, COALESCE(excluded.end_reason, '') COLLATE "C")
                         < (s.end_event_at, COALESCE(s.end_reason, '') COLLATE "C")
                 THEN excluded.end_reason ELSE s.end_reason END,
             end_event_at = LEAST(s.end_event_at, excluded.end_event_at),
             message_count = s.message_count + excluded.message_count,
             user_message_count = s.user_message_count + excluded.user_message_count,
             assistant_message_count =
                 s.assistant_message_count + excluded.assistant_message_count
         RETURNING s.id, s.first_delivery_id"#,
        &ids,
        &column!(|d| d.source) as _,
        &column!(|d| d.session.agent_id.as_str()) as _,
        &column!(|d| d.session.sender_session_id.as_str()) as _,
        &column!(|d| d.room_name.map(|(_, name)| name)) as _,
        &column!(|d| d.room_name.map(|(at, _)| at)) as _,
        &column!(|d| d.participant_count.map(|(_, count)| count)) as _,
        &column!(|d| d.participant_count.map(|(at, _)| at)) as _,
        &column!(|d| d.joined_at) as _,
        &column!(|d| d.started_at),
        &column!(|d| d.last_activity_at),
        &column!(|d| d.end.map(|(at, _)| at)) as _,
        &column!(|d| d.end.and_then(|(_, reason)| reason)) as _,
        &column!(|d| d.messages),
        &column!(|d| d.user_messages),
        &column!(|d| d.assistant_messages),
        &column!(|d| d.first_delivery_id),
        &column!(|d| activity_bucket(d.last_activity_at)),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.first_delivery_id)).collect())
}

/// Adds to the agents' figures.
pub(super) async fn count(
    connection: &mut PgConnection,
    agents: BTreeMap<String, AgentDelta>,
) -> Result<(), sqlx::Error> {
    if agents.is_empty() {
        return Ok(());
    }
    let (ids, deltas): (Vec<String>, Vec<AgentDelta>) = agents.into_iter().unzip();
    sqlx::query!(
        "INSERT INTO agents AS a (
             agent_id, session_count, message_count, first_seen_at, last_activity_at
         )
         SELECT
             UNNEST($1::text[]), UNNEST($2::bigint[]), UNNEST($3::bigint[]),
             UNNEST($4::timestamptz[]), UNNEST($5::timestamptz[])
         ON CONFLICT (agent_id) DO UPDATE SET
             session_count = a.session_count + excluded.session_count,
             message_count = a.message_count + excluded.message_count,
             first_seen_at = LEAST(a.first_seen_at, excluded.first_seen_at),
             last_activity_at = GREATEST(a.last_activity_at, excluded.last_activity_at)",
        &ids,
        &deltas.iter().map(|delta| delta.sessions).collect::<Vec<_>>(),
        &deltas.iter().map(|delta| delta.messages).collect::<Vec<_>>(),
        &deltas.iter().map(|delta| delta.first_seen_at).collect::<Vec<_>>(),
        &deltas.iter().map(|delta| delta.last_activity_at).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
