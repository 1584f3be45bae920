//! Numbers of sessions, visits and messages.

use super::rolled::Rolled;
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
    /// Replies to a user message.
    pub replies: i64,
    /// Their gaps together, in microseconds.
    pub reply_gap_us: i64,
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
        let rolled = Rolled::of(selection);
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(c.at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text
                     WHEN 'agent' THEN c.agent_id
                     WHEN 'source' THEN c.source
                 END AS split,
                 sum(c.sessions)::bigint AS "sessions!",
                 sum(c.engaged)::bigint AS "engaged!",
                 sum(c.silent)::bigint AS "silent!",
                 sum(c.single_turn)::bigint AS "single_turn!",
                 sum(c.incomplete)::bigint AS "incomplete!",
                 sum(c.no_join)::bigint AS "no_join!",
                 sum(c.one_sided)::bigint AS "one_sided!",
                 sum(c.repeated_user_turn)::bigint AS "repeated_user_turn!",
                 sum(c.altered)::bigint AS "altered!",
                 sum(c.out_of_order)::bigint AS "out_of_order!",
                 sum(c.undated)::bigint AS "undated!"
             FROM counted_between(
                 'session', $9, $2, $10, $11, $3, $4::text[], $5::text[], $12::text[], $6::text[],
                 $7::text[]
             ) AS c
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            rolled.level,
            rolled.from,
            rolled.to,
            rolled.agents.as_deref() as _,
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
        // What was erased may have left rows of nothing.
        Ok(cells.filter(|(_, counts)| counts.sessions > 0).collect())
    }

    /// Counts messages by their times, and turns by their first messages'.
    pub async fn message_counts(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<MessageCounts>, StoreError> {
        let rolled = Rolled::of(selection);
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(c.at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text
                     WHEN 'agent' THEN c.agent_id
                     WHEN 'source' THEN c.source
                     WHEN 'role' THEN c.role
                 END AS split,
                 sum(c.messages)::bigint AS "messages!",
                 sum(c.user_messages)::bigint AS "user!",
                 sum(c.assistant_messages)::bigint AS "assistant!",
                 sum(c.turns)::bigint AS "turns!",
                 sum(c.replies)::bigint AS "replies!",
                 sum(c.reply_gap_us)::bigint AS "reply_gap_us!"
             FROM counted_between(
                 'message', $9, $2, $10, $11, $3, $4::text[], $5::text[], $12::text[], $6::text[],
                 $7::text[]
             ) AS c
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            rolled.level,
            rolled.from,
            rolled.to,
            rolled.agents.as_deref() as _,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let cells = rows.into_iter().map(|row| {
            let counts = MessageCounts {
                messages: row.messages,
                user: row.user,
                assistant: row.assistant,
                turns: row.turns,
                replies: row.replies,
                reply_gap_us: row.reply_gap_us,
            };
            ((place(row.bucket), row.split), counts)
        });
        Ok(cells.filter(|(_, counts)| counts.messages > 0).collect())
    }

    /// Counts visits by their starts.
    pub async fn visit_counts(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<i64>, StoreError> {
        let rolled = Rolled::of(selection);
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(c.at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text
                     WHEN 'agent' THEN c.agent_id
                     WHEN 'source' THEN c.source
                 END AS split,
                 sum(c.visits)::bigint AS "visits!"
             FROM counted_between(
                 'visit', $9, $2, $10, $11, $3, $4::text[], $5::text[], $12::text[], $6::text[],
                 $7::text[]
             ) AS c
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            rolled.level,
            rolled.from,
            rolled.to,
            rolled.agents.as_deref() as _,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let cells = rows.into_iter().map(|row| ((place(row.bucket), row.split), row.visits));
        Ok(cells.filter(|(_, visits)| *visits > 0).collect())
    }
}
