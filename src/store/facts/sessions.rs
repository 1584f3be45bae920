//! Facts of sessions.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::sums::{Place, Sums};
use crate::analytics::facts::SessionTotals;

/// Attributes of sessions by ID.
pub(super) type Sessions = BTreeMap<Uuid, Session>;

/// Times of the first and the last event.
type Events = (DateTime<Utc>, DateTime<Utc>);

/// Duration above which a session is marked as long: it can reach into ranges that begin more than
/// this after its start.
const LONG: TimeDelta = TimeDelta::days(1);

/// Attributes of a session that facts copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) agent_id: String,
    pub(super) source: String,
    room_name: Option<String>,
    joined: bool,
    pub(super) started_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    /// Time of the last event; no message is later.
    pub(super) last_event_at: DateTime<Utc>,
}

/// Reads sessions. Deleted ones are left out.
pub(super) async fn read(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Sessions, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT
             id,
             agent_id,
             source,
             room_name,
             joined_at IS NOT NULL AS "joined!",
             started_at,
             last_activity_at,
             GREATEST(last_activity_at, last_event_at) AS "last_event_at!"
         FROM sessions
         WHERE id IN (SELECT UNNEST($1::uuid[]))"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    let sessions = rows.into_iter().map(|row| {
        let session = Session {
            agent_id: row.agent_id,
            source: row.source,
            room_name: row.room_name,
            joined: row.joined,
            started_at: row.started_at,
            last_activity_at: row.last_activity_at,
            last_event_at: row.last_event_at,
        };
        (row.id, session)
    });
    Ok(sessions.collect())
}

/// Reads the times of the first and last event of sessions: messages, joins and ends.
pub(super) async fn read_events(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Events>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT
             session_id AS "session_id!",
             min(occurred_at) AS "first!",
             max(occurred_at) AS "last!"
         FROM (
             SELECT session_id, occurred_at FROM message_facts
             UNION ALL
             SELECT session_id, occurred_at FROM presence_facts
         ) AS events
         WHERE session_id IN (SELECT UNNEST($1::uuid[]))
         GROUP BY session_id"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.session_id, (row.first, row.last))).collect())
}

/// Returns the sessions of agents that have facts.
pub(super) async fn of_agents(
    connection: &mut PgConnection,
    agents: &[String],
) -> Result<Vec<Uuid>, sqlx::Error> {
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!("SELECT session_id FROM session_facts WHERE agent_id = ANY ($1)", agents)
        .fetch_all(connection)
        .await
}

/// Fact of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionFact {
    agent_id: String,
    source: String,
    room_name: Option<String>,
    started_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    no_join: bool,
    one_sided: bool,
    totals: SessionTotals,
    /// First and last stored event; `None` without events.
    events: Option<Events>,
}

impl SessionFact {
    pub(super) fn of(session: &Session, totals: SessionTotals, events: Option<Events>) -> Self {
        Self {
            agent_id: session.agent_id.clone(),
            source: session.source.clone(),
            room_name: session.room_name.clone(),
            started_at: session.started_at,
            last_activity_at: session.last_activity_at,
            no_join: !session.joined,
            one_sided: totals.one_sided(),
            totals,
            events,
        }
    }

    /// Returns true if the session lasts longer than [`LONG`].
    fn is_long(&self) -> bool {
        let last = self.events.map_or(self.last_activity_at, |(_, last)| last);
        self.last_activity_at.max(last) - self.started_at > LONG
    }

    /// Returns the time, agent and source under which the session is counted.
    pub(super) fn place(&self) -> Place<'_> {
        (self.started_at, &self.agent_id, &self.source)
    }

    /// Returns the session's contribution to sums.
    pub(super) fn sums(&self) -> Sums {
        let Self { totals, no_join, one_sided, .. } = self;
        let duration = self.last_activity_at - self.started_at;
        let engaged = totals.user_messages > 0;
        let incomplete = *no_join || *one_sided || totals.repeated_user_turn || totals.altered;
        Sums {
            sessions: 1,
            engaged: engaged.into(),
            silent: (!engaged && (!no_join || totals.assistant_messages > 0)).into(),
            single_turn: (totals.turns == 1).into(),
            incomplete: incomplete.into(),
            no_join: (*no_join).into(),
            one_sided: (*one_sided).into(),
            repeated_user_turn: totals.repeated_user_turn.into(),
            altered: totals.altered.into(),
            out_of_order: totals.out_of_order.into(),
            undated: totals.undated.into(),
            duration_us: duration.num_microseconds().unwrap_or(i64::MAX),
            session_messages: totals.messages,
            session_turns: totals.turns,
            first_replies: totals.first_reply_gap_us.is_some().into(),
            first_reply_gap_us: totals.first_reply_gap_us.unwrap_or(0),
            silences: totals.longest_silence_us.is_some().into(),
            longest_silence_us: totals.longest_silence_us.unwrap_or(0),
            ..Sums::default()
        }
    }
}

/// Reads the facts of sessions.
pub(super) async fn read_facts(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, SessionFact>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT * FROM session_facts WHERE session_id IN (SELECT UNNEST($1::uuid[]))",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let facts = rows.into_iter().map(|row| {
        let totals = SessionTotals {
            messages: row.messages,
            user_messages: row.user_messages,
            assistant_messages: row.assistant_messages,
            turns: row.turns,
            first_reply_gap_us: row.first_reply_gap_us,
            longest_silence_us: row.longest_silence_us,
            repeated_user_turn: row.repeated_user_turn,
            altered: row.altered,
            out_of_order: row.out_of_order,
            undated: row.undated,
        };
        let fact = SessionFact {
            agent_id: row.agent_id,
            source: row.source,
            room_name: row.room_name,
            started_at: row.started_at,
            last_activity_at: row.last_activity_at,
            no_join: row.no_join,
            one_sided: row.one_sided,
            totals,
            events: row.first_event_at.zip(row.last_event_at),
        };
        (row.session_id, fact)
    });
    Ok(facts.collect())
}

/// Writes the facts of sessions.
pub(super) async fn upsert(
    connection: &mut PgConnection,
    facts: &[(Uuid, SessionFact)],
) -> Result<(), sqlx::Error> {
    if facts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO session_facts (
             session_id, agent_id, source, room_name, started_at, last_activity_at, messages,
             user_messages, assistant_messages, turns, first_reply_gap_us, longest_silence_us,
             no_join, one_sided, repeated_user_turn, altered, out_of_order, undated,
             first_event_at, last_event_at, is_long
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::text[]), UNNEST($3::text[]), UNNEST($4::text[]),
             UNNEST($5::timestamptz[]), UNNEST($6::timestamptz[]), UNNEST($7::bigint[]),
             UNNEST($8::bigint[]), UNNEST($9::bigint[]), UNNEST($10::bigint[]),
             UNNEST($11::bigint[]), UNNEST($12::bigint[]), UNNEST($13::boolean[]),
             UNNEST($14::boolean[]), UNNEST($15::boolean[]), UNNEST($16::boolean[]),
             UNNEST($17::boolean[]), UNNEST($18::boolean[]), UNNEST($19::timestamptz[]),
             UNNEST($20::timestamptz[]), UNNEST($21::boolean[])
         ON CONFLICT (session_id) DO UPDATE SET
             room_name = excluded.room_name,
             started_at = excluded.started_at,
             last_activity_at = excluded.last_activity_at,
             messages = excluded.messages,
             user_messages = excluded.user_messages,
             assistant_messages = excluded.assistant_messages,
             turns = excluded.turns,
             first_reply_gap_us = excluded.first_reply_gap_us,
             longest_silence_us = excluded.longest_silence_us,
             no_join = excluded.no_join,
             one_sided = excluded.one_sided,
             repeated_user_turn = excluded.repeated_user_turn,
             altered = excluded.altered,
             out_of_order = excluded.out_of_order,
             undated = excluded.undated,
             first_event_at = excluded.first_event_at,
             last_event_at = excluded.last_event_at,
             is_long = excluded.is_long",
        &facts.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &column(facts, |one| one.agent_id.as_str()) as _,
        &column(facts, |one| one.source.as_str()) as _,
        &column(facts, |one| one.room_name.as_deref()) as _,
        &column(facts, |one| one.started_at),
        &column(facts, |one| one.last_activity_at),
        &column(facts, |one| one.totals.messages),
        &column(facts, |one| one.totals.user_messages),
        &column(facts, |one| one.totals.assistant_messages),
        &column(facts, |one| one.totals.turns),
        &column(facts, |one| one.totals.first_reply_gap_us) as _,
        &column(facts, |one| one.totals.longest_silence_us) as _,
        &column(facts, |one| one.no_join),
        &column(facts, |one| one.one_sided),
        &column(facts, |one| one.totals.repeated_user_turn),
        &column(facts, |one| one.totals.altered),
        &column(facts, |one| one.totals.out_of_order),
        &column(facts, |one| one.totals.undated),
        &column(facts, |one| one.events.map(|(first, _)| first)) as _,
        &column(facts, |one| one.events.map(|(_, last)| last)) as _,
        &column(facts, SessionFact::is_long),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns a column of the rows.
fn column<'a, T>(facts: &'a [(Uuid, SessionFact)], of: impl Fn(&'a SessionFact) -> T) -> Vec<T> {
    facts.iter().map(|(_, fact)| of(fact)).collect()
}
