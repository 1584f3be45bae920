//! Retention by source: counts and deletes expired rows.
//!
//! A session's rows are deleted together, so its counts always match its messages. A month of
//! `messages` is dropped once it is empty. Data on hold stays.

mod limits;
mod log;
mod months;
mod parts;
mod sessions;
mod turn;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;

pub use limits::Limits;

use crate::store::erase::Tally;
use crate::store::{Store, StoreError};

/// Expired rows of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRows {
    /// Table name.
    pub table: &'static str,
    /// Source.
    pub source: String,
    /// Number of rows.
    pub rows: i64,
}

impl Store {
    /// Counts expired sessions and messages.
    pub async fn count_expired_conversations(
        &self,
        limits: &Limits,
    ) -> Result<Vec<ExpiredRows>, StoreError> {
        let (sources, untils, usual) = limits.parts();
        let mut connection = self.long_running_connection().await?;
        let whole = sqlx::query!(
            r#"SELECT s.source, count(*) AS "sessions!", sum(s.message_count)::bigint AS "messages!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             WHERE s.activity_bucket <= $4
                 AND s.last_activity_at < COALESCE(l.until, $3)
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             GROUP BY s.source
             ORDER BY s.source"#,
            &sources,
            &untils,
            usual,
            limits.latest(),
        )
        .fetch_all(&mut connection)
        .await?;
        let parts = sqlx::query!(
            r#"SELECT s.source, count(*) AS "messages!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             JOIN messages AS m ON m.session_id = s.id
             WHERE s.started_at < COALESCE(l.until, $3)
                 AND s.last_activity_at >= COALESCE(l.until, $3)
                 AND m.occurred_at < COALESCE(l.until, $3)
                 AND m.occurred_at < $4
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             GROUP BY s.source"#,
            &sources,
            &untils,
            usual,
            limits.latest(),
        )
        .fetch_all(&mut connection)
        .await?;
        let _ = connection.close().await;
        let mut messages: BTreeMap<String, i64> = BTreeMap::new();
        let mut old = Vec::new();
        for row in whole {
            *messages.entry(row.source.clone()).or_default() += row.messages;
            old.push(ExpiredRows { table: "sessions", source: row.source, rows: row.sessions });
        }
        for row in parts {
            *messages.entry(row.source).or_default() += row.messages;
        }
        old.extend(
            messages.into_iter().filter(|(_, rows)| *rows > 0).map(|(source, rows)| ExpiredRows {
                table: "messages",
                source,
                rows,
            }),
        );
        Ok(old)
    }

    /// Deletes sessions whose last activity is expired, and the expired messages of others. Each
    /// deletion is in the journal. Returns false, and deletes nothing, while another service deletes
    /// expired rows.
    pub async fn delete_expired_sessions(
        &self,
        limits: &Limits,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<bool, StoreError> {
        let mut connection = self.long_running_connection().await?;
        let mine = turn::take(&mut connection).await?;
        if mine {
            sessions::delete_whole_sessions(&mut connection, limits, now, tally).await?;
            parts::delete_expired_messages(&mut connection, limits, now, &self.roles, tally)
                .await?;
            turn::end(&mut connection).await?;
        }
        let _ = connection.close().await;
        Ok(mine)
    }
}
