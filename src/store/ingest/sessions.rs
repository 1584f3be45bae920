//! Merges events into their sessions, and sessions into the figures of their agents.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::activity;
use super::row::Readable;
use crate::domain::Event;
use crate::domain::delivery::SessionRef;
use crate::domain::roles::{Roles, Side};
use crate::domain::session::activity_bucket;
use crate::store::erase::correct_agents;

/// Figures that a batch adds to one agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentDelta {
    sessions: i64,
    messages: i64,
    first_seen_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
}

/// Figures that a batch adds to agents.
pub(super) struct Merged {
    agents: BTreeMap<String, AgentDelta>,
    /// Agents whose last activity may have become earlier.
    corrected: Vec<String>,
}

/// Changes of a batch to one session. Merging is commutative and associative, and each new event is
/// counted once, so the order of batches does not matter.
struct SessionDelta<'a> {
    session: &'a SessionRef,
    source: &'a str,
    first_delivery_id: Uuid,
    /// With the time: the earliest event that has the attribute decides.
    room_name: Option<(DateTime<Utc>, &'a str)>,
    participant_count: Option<(DateTime<Utc>, i32)>,
    first_end: Option<(DateTime<Utc>, Option<&'a str>)>,
    last_end: Option<(DateTime<Utc>, Option<&'a str>)>,
    joined_at: Option<DateTime<Utc>>,
    started_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    /// Latest time of an event, which may be in the future.
    last_event_at: DateTime<Utc>,
    messages: i64,
    user_messages: i64,
    assistant_messages: i64,
}

/// Merges new events, and those whose first arrival changed, into their sessions; returns the
/// changes to the agents.
pub(super) async fn merge(
    connection: &mut PgConnection,
    fresh: &[Readable<'_>],
    earlier: &[Readable<'_>],
    roles: &Roles,
) -> Result<Merged, sqlx::Error> {
    let deltas = collect(fresh, earlier, roles);
    let mut agents: BTreeMap<String, AgentDelta> = BTreeMap::new();
    if deltas.is_empty() {
        return Ok(Merged { agents, corrected: Vec::new() });
    }
    let created_by: BTreeMap<Uuid, Uuid> = upsert(connection, &deltas).await?.into_iter().collect();
    for (id, delta) in &deltas {
        let is_new = created_by.get(id) == Some(&delta.first_delivery_id);
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
    // Their activity was their arrival, which is now earlier than the stored one.
    let moved = earlier.iter().filter(|one| one.active_at() == one.arrival.received_at);
    let moved: Vec<&SessionRef> = moved.filter_map(|one| one.delivery.event.session()).collect();
    if !moved.is_empty() {
        let ids: BTreeSet<Uuid> = moved.iter().map(|session| session.id.0).collect();
        activity::recompute(connection, &ids.into_iter().collect::<Vec<_>>()).await?;
    }
    let corrected: BTreeSet<String> =
        moved.into_iter().map(|session| session.agent_id.clone()).collect();
    Ok(Merged { agents, corrected: corrected.into_iter().collect() })
}

/// Collects the changes by session ID, the order in which rows must be locked.
fn collect<'a>(
    fresh: &[Readable<'a>],
    earlier: &[Readable<'a>],
    roles: &Roles,
) -> BTreeMap<Uuid, SessionDelta<'a>> {
    let mut deltas = BTreeMap::new();
    let all = fresh.iter().map(|one| (one, true)).chain(earlier.iter().map(|one| (one, false)));
    for (one, is_new) in all {
        if let Some(session) = one.delivery.event.session() {
            let delta =
                deltas.entry(session.id.0).or_insert_with(|| SessionDelta::new(session, one));
            delta.merge_times(one);
            if is_new {
                delta.count_message(one, roles);
            }
        }
    }
    deltas
}

impl<'a> SessionDelta<'a> {
    fn new(session: &'a SessionRef, one: &Readable<'a>) -> Self {
        let at = one.active_at();
        Self {
            session,
            source: one.arrival.source.as_str(),
            first_delivery_id: one.arrival.id.0,
            room_name: None,
            participant_count: None,
            first_end: None,
            last_end: None,
            joined_at: None,
            started_at: at,
            last_activity_at: at,
            last_event_at: one.occurred_at,
            messages: 0,
            user_messages: 0,
            assistant_messages: 0,
        }
    }

    /// Applies an event's time.
    fn merge_times(&mut self, one: &Readable<'a>) {
        let (at, active_at) = (one.occurred_at, one.active_at());
        self.started_at = self.started_at.min(active_at);
        self.last_activity_at = self.last_activity_at.max(active_at);
        self.last_event_at = self.last_event_at.max(at);
        match &one.delivery.event {
            Event::Join { room_name, participant_count, .. } => {
                self.joined_at = earliest(self.joined_at, Some(at));
                let room_name = room_name.as_deref().map(|name| (at, name));
                self.room_name = earliest(self.room_name, room_name);
                let count = participant_count.map(|count| (at, count));
                self.participant_count = earliest(self.participant_count, count);
            }
            Event::End { reason, started_at, .. } => {
                let end = Some((active_at, reason.as_deref()));
                self.first_end = earliest(self.first_end, end);
                self.last_end = self.last_end.max(end);
                self.started_at = self.started_at.min(started_at.unwrap_or(active_at));
            }
            Event::Message { .. } | Event::Account | Event::Test | Event::Unknown => {}
        }
    }

    /// Applies a new event to the counts.
    fn count_message(&mut self, one: &Readable<'a>, roles: &Roles) {
        if let Event::Message { role, .. } = &one.delivery.event {
            let side = roles.side_of(role);
            self.messages += 1;
            self.user_messages += i64::from(side == Side::User);
            self.assistant_messages += i64::from(side == Side::Assistant);
        }
    }
}

/// Returns the lesser value. Of two at the same time that is the lesser attribute, so the order of
/// events does not matter.
fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

/// Inserts or merges the rows, and returns for each the delivery that created it.
async fn upsert(
    connection: &mut PgConnection,
    deltas: &BTreeMap<Uuid, SessionDelta<'_>>,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"INSERT INTO sessions AS s (
             id, source, agent_id, sender_session_id, room_name, room_name_at, participant_count,
             participant_count_at, joined_at, started_at, last_activity_at, end_event_at,
             end_reason, message_count, user_message_count, assistant_message_count,
             first_delivery_id, activity_bucket, last_event_at, last_end_at, last_end_reason
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::text[]), UNNEST($3::text[]), UNNEST($4::text[]),
             UNNEST($5::text[]), UNNEST($6::timestamptz[]), UNNEST($7::integer[]),
             UNNEST($8::timestamptz[]), UNNEST($9::timestamptz[]), UNNEST($10::timestamptz[]),
             UNNEST($11::timestamptz[]), UNNEST($12::timestamptz[]), UNNEST($13::text[]),
             UNNEST($14::bigint[]), UNNEST($15::bigint[]), UNNEST($16::bigint[]),
             UNNEST($17::uuid[]), UNNEST($18::timestamptz[]), UNNEST($19::timestamptz[]),
             UNNEST($20::timestamptz[]), UNNEST($21::text[])
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
             last_event_at = GREATEST(s.last_event_at, excluded.last_event_at),
             last_end_reason = CASE
                 WHEN s.last_end_at IS NULL
                     OR (excluded.last_end_at, COALESCE(excluded.last_end_reason, '') COLLATE "C")
                         > (s.last_end_at, COALESCE(s.last_end_reason, '') COLLATE "C")
                 THEN excluded.last_end_reason ELSE s.last_end_reason END,
             last_end_at = GREATEST(s.last_end_at, excluded.last_end_at),
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
        &deltas.keys().copied().collect::<Vec<_>>(),
        &column(deltas, |d| d.source) as _,
        &column(deltas, |d| d.session.agent_id.as_str()) as _,
        &column(deltas, |d| d.session.sender_session_id.as_str()) as _,
        &column(deltas, |d| d.room_name.map(|(_, name)| name)) as _,
        &column(deltas, |d| d.room_name.map(|(at, _)| at)) as _,
        &column(deltas, |d| d.participant_count.map(|(_, count)| count)) as _,
        &column(deltas, |d| d.participant_count.map(|(at, _)| at)) as _,
        &column(deltas, |d| d.joined_at) as _,
        &column(deltas, |d| d.started_at),
        &column(deltas, |d| d.last_activity_at),
        &column(deltas, |d| d.first_end.map(|(at, _)| at)) as _,
        &column(deltas, |d| d.first_end.and_then(|(_, reason)| reason)) as _,
        &column(deltas, |d| d.messages),
        &column(deltas, |d| d.user_messages),
        &column(deltas, |d| d.assistant_messages),
        &column(deltas, |d| d.first_delivery_id),
        &column(deltas, |d| activity_bucket(d.last_activity_at)),
        &column(deltas, |d| d.last_event_at),
        &column(deltas, |d| d.last_end.map(|(at, _)| at)) as _,
        &column(deltas, |d| d.last_end.and_then(|(_, reason)| reason)) as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.first_delivery_id)).collect())
}

/// Returns a column of the rows.
fn column<'d, 'a, T>(
    deltas: &'d BTreeMap<Uuid, SessionDelta<'a>>,
    of: impl Fn(&'d SessionDelta<'a>) -> T,
) -> Vec<T> {
    deltas.values().map(of).collect()
}

/// Adds a batch's changes to the agents' figures.
pub(super) async fn add_to_agents(
    connection: &mut PgConnection,
    Merged { agents, corrected }: Merged,
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
    .execute(&mut *connection)
    .await?;
    if corrected.is_empty() { Ok(()) } else { correct_agents(connection, &corrected).await }
}
