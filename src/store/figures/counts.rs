//! Numbers of sessions, visits and messages.

use super::{Cells, Selection, Snapshot, place};
use crate::store::StoreError;

/// Sessions that started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// All of them.
    pub sessions: i64,
    /// With a user message.
    pub engaged: i64,
    /// With a join or an assistant message, and no user message.
    pub silent: i64,
    /// With one user turn.
    pub single_turn: i64,
    /// Of which something may be missing.
    pub incomplete: i64,
    /// With each flag, in the order of [`SessionCounts::FLAGS`].
    pub flags: [i64; 6],
}

/// Messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// All of them.
    pub messages: i64,
    /// Of the user.
    pub user: i64,
    /// Of the assistant.
    pub assistant: i64,
    /// The first ones of user turns.
    pub turns: i64,
}

impl SessionCounts {
    /// Names of the completeness flags.
    pub const FLAGS: [&'static str; 6] =
        ["no_join", "one_sided", "repeated_user_turn", "altered", "out_of_order", "undated"];
}

impl Snapshot {
    /// Counts sessions by their starts.
    pub async fn session_counts(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<SessionCounts>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(started_at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text WHEN 'agent' THEN agent_id WHEN 'source' THEN source END AS split,
                 count(*) AS "sessions!",
                 count(*) FILTER (WHERE user_messages > 0) AS "engaged!",
                 count(*) FILTER (
                     WHERE user_messages = 0 AND (NOT no_join OR assistant_messages > 0)
                 ) AS "silent!",
                 count(*) FILTER (WHERE turns = 1) AS "single_turn!",
                 count(*) FILTER (
                     WHERE no_join OR one_sided OR repeated_user_turn OR altered
                 ) AS "incomplete!",
                 count(*) FILTER (WHERE no_join) AS "no_join!",
                 count(*) FILTER (WHERE one_sided) AS "one_sided!",
                 count(*) FILTER (WHERE repeated_user_turn) AS "repeated_user_turn!",
                 count(*) FILTER (WHERE altered) AS "altered!",
                 count(*) FILTER (WHERE out_of_order) AS "out_of_order!",
                 count(*) FILTER (WHERE undated) AS "undated!"
             FROM session_facts
             WHERE started_at >= $2
                 AND started_at < $3
                 AND ($4::text[] IS NULL OR agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR source = ANY ($6))
                 AND ($7::text[] IS NULL OR room_name = ANY ($7))
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let cells = rows.into_iter().map(|row| {
            let counts = SessionCounts {
                sessions: row.sessions,
                engaged: row.engaged,
                silent: row.silent,
                single_turn: row.single_turn,
                incomplete: row.incomplete,
                flags: [
                    row.no_join,
                    row.one_sided,
                    row.repeated_user_turn,
                    row.altered,
                    row.out_of_order,
                    row.undated,
                ],
            };
            ((place(row.bucket), row.split), counts)
        });
        Ok(cells.collect())
    }

    /// Counts messages by their times, and turns by their first messages'.
    pub async fn message_counts(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<MessageCounts>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.occurred_at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text
                     WHEN 'agent' THEN f.agent_id
                     WHEN 'source' THEN f.source
                     WHEN 'role' THEN f.role
                 END AS split,
                 count(*) AS "messages!",
                 count(*) FILTER (WHERE f.role = 'user') AS "user!",
                 count(*) FILTER (WHERE f.role = 'assistant') AS "assistant!",
                 count(*) FILTER (WHERE f.starts_turn) AS "turns!"
             FROM message_facts AS f
             WHERE f.occurred_at >= $2
                 AND f.occurred_at < $3
                 AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.session_id IN (
                     SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($7)
                 ))
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let cells = rows.into_iter().map(|row| {
            let counts = MessageCounts {
                messages: row.messages,
                user: row.user,
                assistant: row.assistant,
                turns: row.turns,
            };
            ((place(row.bucket), row.split), counts)
        });
        Ok(cells.collect())
    }

    /// Counts visits by their starts.
    pub async fn visit_counts(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<i64>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.visit_started_at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 count(*) AS "visits!"
             FROM message_facts AS f
             WHERE f.visit_started_at >= $2
                 AND f.visit_started_at < $3
                 AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.session_id IN (
                     SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($7)
                 ))
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(rows.into_iter().map(|row| ((place(row.bucket), row.split), row.visits)).collect())
    }
}
