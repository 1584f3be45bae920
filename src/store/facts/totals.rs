//! Updates the facts of sessions from those of their messages.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::activity::Difference;
use super::sessions::{SessionFact, Sessions, read_events, read_facts, upsert};
use crate::analytics::facts::SessionTotals;

/// Updates the facts of sessions, after those of their messages.
pub(super) async fn refresh(
    connection: &mut PgConnection,
    sessions: &Sessions,
    difference: &mut Difference,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = sessions.keys().copied().collect();
    let mut totals = read_totals(connection, &ids).await?;
    let mut events = read_events(connection, &ids).await?;
    let old = read_facts(connection, &ids).await?;
    let new = sessions.iter().map(|(id, session)| {
        let (totals, events) = (totals.remove(id).unwrap_or_default(), events.remove(id));
        (*id, SessionFact::of(session, totals, events))
    });
    let changed: Vec<_> = new.filter(|(id, fact)| old.get(id) != Some(fact)).collect();
    for (id, fact) in &changed {
        if let Some(old) = old.get(id) {
            difference.remove_session(old);
        }
        difference.add_session(fact);
    }
    upsert(connection, &changed).await
}

/// Adds up the facts of sessions' messages.
async fn read_totals(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, SessionTotals>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT
             session_id,
             count(*) AS "messages!",
             count(*) FILTER (WHERE role = 'user') AS "user_messages!",
             count(*) FILTER (WHERE role = 'assistant') AS "assistant_messages!",
             count(*) FILTER (WHERE starts_turn) AS "turns!",
             (array_agg(silence_us ORDER BY occurred_at, tie) FILTER (WHERE is_reply))[1]
                 AS first_reply_gap_us,
             max(silence_us) AS longest_silence_us,
             bool_or(repeats_turn) AS "repeated_user_turn!",
             bool_or(altered) AS "altered!",
             bool_or(out_of_order) AS "out_of_order!",
             bool_or(undated) AS "undated!"
         FROM message_facts
         WHERE session_id IN (SELECT UNNEST($1::uuid[]))
         GROUP BY session_id"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    let totals = rows.into_iter().map(|row| {
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
        (row.session_id, totals)
    });
    Ok(totals.collect())
}
