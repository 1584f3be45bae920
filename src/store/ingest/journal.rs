//! The journal: what a transaction brought, in the order of the commits.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::Readable;
use crate::domain::Event;
use crate::store::journal::Erasure;

/// What a transaction brought, before it has a number.
pub(super) struct Entry {
    received_at: DateTime<Utc>,
    messages: Vec<(Uuid, DateTime<Utc>, Uuid)>,
    sessions: BTreeSet<Uuid>,
}

impl Entry {
    /// What new events bring; `None` where they belong to no conversation.
    pub(super) fn of(fresh: &[Readable<'_>]) -> Option<Self> {
        let session_of = |one: &Readable<'_>| Some(one.delivery.event.session()?.id.0);
        let sessions: BTreeSet<Uuid> = fresh.iter().filter_map(session_of).collect();
        let received_at = fresh.iter().map(|one| one.arrival.received_at).max()?;
        let mut messages = Vec::with_capacity(fresh.len());
        for one in fresh {
            if let Event::Message { session, .. } = &one.delivery.event {
                messages.push((session.id.0, one.delivery.occurred_at, one.delivery.id.0));
            }
        }
        messages.sort_unstable();
        (!sessions.is_empty()).then_some(Self { received_at, messages, sessions })
    }

    /// Takes the next number. From here to the commit all other writers wait.
    pub(super) async fn append(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let seq = next_seq(connection).await?;
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

/// Notes what was erased. It comes last in the transaction that erases, as any entry does: from
/// here to the commit all other writers wait.
pub async fn append_erasure(
    connection: &mut PgConnection,
    erasure: &Erasure,
) -> Result<(), sqlx::Error> {
    let text = serde_json::to_string(erasure).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let seq = next_seq(connection).await?;
    sqlx::query!(
        "INSERT INTO journal (
             seq, received_at, message_session_ids, message_times, message_ids, session_ids, erasure
         )
         VALUES ($1, $2, '{}', '{}', '{}', '{}', $3::text::jsonb)",
        seq,
        erasure.at,
        text,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The number of the next entry, and the lock that makes others wait for it.
async fn next_seq(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("UPDATE journal_head SET seq = seq + 1 RETURNING seq")
        .fetch_one(connection)
        .await
}
