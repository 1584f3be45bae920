//! Facts of messages: recomputed in windows, and written if they differ.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;

use super::activity::Difference;
use super::presence::Joins;
use super::rows::{self, Facts};
use super::rules::FactRules;
use super::sessions::Sessions;
use super::windows::Windows;
use crate::analytics::facts::{ConversationMessage, Rules};

/// Updates the facts of messages within windows.
pub(super) async fn refresh(
    connection: &mut PgConnection,
    rules: &FactRules,
    sessions: &Sessions,
    mut windows: Windows,
    joins: &Joins,
    difference: &mut Difference,
) -> Result<(), sqlx::Error> {
    if windows.sessions.is_empty() {
        return Ok(());
    }
    let new = compute(connection, rules, sessions, &mut windows, joins).await?;
    let old = rows::read(connection, &windows).await?;
    rows::replace(connection, sessions, &old, &new, difference).await
}

/// Computes the facts of messages within windows. Extends the windows by the messages right after
/// them.
pub(super) async fn compute(
    connection: &mut PgConnection,
    rules: &FactRules,
    sessions: &Sessions,
    windows: &mut Windows,
    joins: &Joins,
) -> Result<Facts, sqlx::Error> {
    let mut said = read(connection, windows).await?;
    let mut facts = Facts::new();
    for (place, id) in windows.sessions.iter().enumerate() {
        let Some(session) = sessions.get(id) else { continue };
        let said = said.remove(&place).unwrap_or_default();
        if let Some(last) = said.last() {
            windows.to[place] = windows.to[place].max(last.occurred_at);
        }
        let inside = said.partition_point(|one| one.occurred_at < windows.from[place]);
        let (before, said) = said.split_at(inside);
        let visit_gap = rules.visit_gaps.of(&session.agent_id);
        let rules = Rules { visit_gap, roles: &rules.roles };
        let joins = joins.get(id).map_or(&[][..], Vec::as_slice);
        for fact in rules.message_facts(before.last(), said, joins) {
            facts.insert((*id, fact.occurred_at, fact.id), fact);
        }
    }
    Ok(facts)
}

/// Reads the messages of each window, by its index: those at the last time before it, those within
/// it, and those at the first time after it. They are in the order of the conversation.
async fn read(
    connection: &mut PgConnection,
    windows: &Windows,
) -> Result<BTreeMap<usize, Vec<ConversationMessage>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT
             w.place AS "place!",
             m.occurred_at AS "occurred_at!: DateTime<Utc>",
             m.id AS "id!",
             m.role AS "role!",
             m.received_at AS "received_at!: DateTime<Utc>",
             m.altered AS "altered!",
             m.undated AS "undated!"
         FROM UNNEST(
             $1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[]
         ) WITH ORDINALITY AS w (session_id, from_at, to_at, first_at, last_at, place)
         CROSS JOIN LATERAL (
             SELECT *
             FROM messages
             WHERE messages.session_id = w.session_id
                 AND messages.occurred_at BETWEEN w.first_at AND w.last_at
                 AND messages.occurred_at >= COALESCE(
                     (
                         SELECT max(b.occurred_at)
                         FROM messages AS b
                         WHERE b.session_id = w.session_id
                             AND b.occurred_at >= w.first_at
                             AND b.occurred_at < w.from_at
                     ),
                     w.from_at
                 )
                 AND messages.occurred_at <= COALESCE(
                     (
                         SELECT min(a.occurred_at)
                         FROM messages AS a
                         WHERE a.session_id = w.session_id
                             AND a.occurred_at > w.to_at
                             AND a.occurred_at <= w.last_at
                     ),
                     w.to_at
                 )
         ) AS m
         ORDER BY w.place, m.occurred_at, COALESCE(m.sent_at, m.occurred_at), m.received_at, m.id"#,
        &windows.sessions,
        &windows.from,
        &windows.to,
        &windows.first,
        &windows.last,
    )
    .fetch_all(connection)
    .await?;
    let mut said: BTreeMap<usize, Vec<ConversationMessage>> = BTreeMap::new();
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or_default();
        said.entry(place).or_default().push(ConversationMessage {
            occurred_at: row.occurred_at,
            id: row.id,
            role: row.role,
            received_at: row.received_at,
            altered: row.altered,
            undated: row.undated,
        });
    }
    Ok(said)
}
