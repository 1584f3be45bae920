//! Appends entries to the journal, in the order of the commits.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::row::Readable;
use crate::domain::Event;
use crate::store::journal::Erasure;

/// Changes of a transaction, before they have a number.
pub(super) struct Entry {
    received_at: DateTime<Utc>,
    messages: Vec<(Uuid, DateTime<Utc>, Uuid)>,
    sessions: BTreeSet<Uuid>,
}

impl Entry {
    /// Creates an entry of new events and of those whose first arrival changed; `None` if none of
    /// them belongs to a session. Messages are in the order of their conversation.
    pub(super) fn of(fresh: &[Readable<'_>], earlier: &[Readable<'_>]) -> Option<Self> {
        let all = || fresh.iter().chain(earlier);
        let sessions: BTreeSet<Uuid> = all().filter_map(Readable::session).collect();
        let received_at = all().map(|one| one.arrival.received_at).max()?;
        let mut messages: Vec<&Readable<'_>> = Vec::with_capacity(fresh.len());
        messages.extend(all().filter(|one| matches!(one.delivery.event, Event::Message { .. })));
        messages.sort_unstable_by_key(|one| {
            let sent_at = one.delivery.sent_at.unwrap_or(one.occurred_at);
            (one.session(), one.occurred_at, sent_at, one.arrival.received_at, one.id)
        });
        let key = |one: &Readable<'_>| Some((one.session()?, one.occurred_at, one.id));
        let messages = messages.into_iter().filter_map(key).collect();
        (!sessions.is_empty()).then_some(Self { received_at, messages, sessions })
    }

    /// Appends the entry under the next number. Other writers wait from here to the commit.
    pub(super) async fn append(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let seq = next_seq(connection, 1).await?;
        sqlx::query!(
            "INSERT INTO journal (
                 seq, received_at, message_session_ids, message_times, message_ids, session_ids
             )
             VALUES ($1, $2, $3, $4, $5, $6)",
            seq,
            self.received_at,
            &self.messages.iter().map(|message| message.0).collect::<Vec<_>>(),
            &self.messages.iter().map(|message| message.1).collect::<Vec<_>>(),
            &self.messages.iter().map(|message| message.2).collect::<Vec<_>>(),
            &self.sessions.into_iter().collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Appends an entry for each erasure, with the sessions that it changed. It is the last statement
/// of the erasing transaction: other writers wait from here to the commit.
pub async fn append_erasures(
    connection: &mut PgConnection,
    erasures: &[Erasure],
    changed: &[Uuid],
) -> Result<(), sqlx::Error> {
    let texts = erasures.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let texts = texts.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let count = i64::try_from(texts.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(());
    }
    let last = next_seq(connection, count).await?;
    sqlx::query!(
        "INSERT INTO journal (
             seq, received_at, message_session_ids, message_times, message_ids, session_ids, erasure
         )
         SELECT
             UNNEST($1::bigint[]), UNNEST($2::timestamptz[]), '{}', '{}', '{}', $3::uuid[],
             UNNEST($4::text[])::jsonb",
        &(last - count + 1..=last).collect::<Vec<_>>(),
        &erasures.iter().map(|erasure| erasure.at).collect::<Vec<_>>(),
        changed,
        &texts,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Reserves `count` numbers and returns the last one. The row lock makes other writers wait.
async fn next_seq(connection: &mut PgConnection, count: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("UPDATE journal_head SET seq = seq + $1 RETURNING seq", count)
        .fetch_one(connection)
        .await
}
