//! Deletes the facts of deleted sessions.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::activity::Difference;
use super::sums::Counted;
use super::{sessions, visits};

/// Deletes the facts of sessions. Must run in the transaction that deletes their rows and that
/// began with [`LOCK_FACTS`](super::LOCK_FACTS): no fact of them is written after its commit.
pub(in crate::store) async fn forget_sessions(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    let mut difference = Difference::default();
    delete(connection, session_ids, &mut difference).await?;
    difference.write(connection).await
}

/// Deletes facts and subtracts them from `difference`. The caller holds the lock on
/// `facts_position`.
pub(super) async fn delete(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
    difference: &mut Difference,
) -> Result<(), sqlx::Error> {
    if session_ids.is_empty() {
        return Ok(());
    }
    let messages = sqlx::query!(
        "DELETE FROM message_facts
         WHERE session_id = ANY ($1)
         RETURNING
             agent_id, source, occurred_at, role, visit_started_at, silence_us, starts_turn, is_reply",
        session_ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    for message in &messages {
        let counted = Counted {
            occurred_at: message.occurred_at,
            role: &message.role,
            visit_started_at: message.visit_started_at,
            silence_us: message.silence_us,
            starts_turn: message.starts_turn,
            is_reply: message.is_reply,
        };
        difference.remove_message(&message.agent_id, &message.source, &counted);
    }
    sqlx::query!("DELETE FROM presence_facts WHERE session_id = ANY ($1)", session_ids)
        .execute(&mut *connection)
        .await?;
    visits::delete(connection, session_ids).await?;
    for fact in sessions::read_facts(connection, session_ids).await?.values() {
        difference.remove_session(fact);
    }
    sqlx::query!("DELETE FROM session_facts WHERE session_id = ANY ($1)", session_ids)
        .execute(connection)
        .await?;
    Ok(())
}
