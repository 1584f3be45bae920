//! Follows the journal in order and updates facts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::activity::Difference;
use super::windows::{Touched, Windows};
use super::{FactRules, TRY_LOCK_FACTS, delete, messages, presence, sessions, totals, visits};
use crate::store::journal::{Erasure, MAX_BATCH_ENTRIES, batch_length};

/// One snapshot for the journal and the rows that it names: facts are never ahead of the position.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
/// SQLSTATE `lock_not_available`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Outcome of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Facts reflect this many more entries.
    Entries(usize),
    /// No entry was left.
    Nothing,
    /// Another service or an erasure is changing facts.
    Elsewhere,
    /// Another service maintains facts under other rules.
    OtherRules,
}

/// Updates facts with the next entries of the journal, together with the position, in one
/// transaction. If facts were computed under other rules, `adopt` restarts with the first entry.
pub async fn follow_next(
    connection: &mut PgConnection,
    rules: &FactRules,
    adopt: bool,
) -> Result<Followed, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    if let Err(error) = sqlx::raw_sql(TRY_LOCK_FACTS).execute(&mut *transaction).await {
        let code = error.as_database_error().and_then(DatabaseError::code);
        if code.is_none_or(|code| code != LOCK_NOT_AVAILABLE) {
            return Err(error);
        }
        transaction.rollback().await?;
        return Ok(Followed::Elsewhere);
    }
    let position = sqlx::query!("SELECT seq, settings FROM facts_position")
        .fetch_one(&mut *transaction)
        .await?;
    let settings = rules.fingerprint();
    let same = position.settings == settings;
    // An explicit rollback: a dropped transaction keeps the lock until the connection is used
    // again.
    if !same && !adopt {
        transaction.rollback().await?;
        return Ok(Followed::OtherRules);
    }
    let mut batch = next_batch(&mut transaction, if same { position.seq } else { 0 }).await?;
    if same && batch.entries == 0 {
        transaction.rollback().await?;
        return Ok(Followed::Nothing);
    }
    for session in sessions::of_agents(&mut transaction, &batch.erased_agents).await? {
        batch.touched.entry(session).or_default();
    }
    refresh(&mut transaction, rules, batch.touched).await?;
    sqlx::query!("UPDATE facts_position SET seq = $1, settings = $2", batch.last_seq, settings)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(if batch.entries == 0 { Followed::Nothing } else { Followed::Entries(batch.entries) })
}

/// Returns true if no follower has maintained facts in this database yet.
pub async fn never_followed(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let settings = sqlx::query_scalar!("SELECT settings FROM facts_position").fetch_one(connection);
    Ok(settings.await?.is_empty())
}

/// Lag of facts behind the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactsLag {
    /// Entries of the journal that facts do not reflect yet.
    pub entries: i64,
    /// Arrival of the oldest of them; `None` without any.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// Returns the lag of facts behind the journal.
pub async fn read_lag(connection: &mut PgConnection) -> Result<FactsLag, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT
             head.seq - position.seq AS "entries!",
             (
                 SELECT received_at
                 FROM journal
                 WHERE journal.seq > position.seq
                 ORDER BY journal.seq
                 LIMIT 1
             ) AS waiting_since
         FROM journal_head AS head, facts_position AS position"#
    )
    .fetch_one(connection)
    .await?;
    Ok(FactsLag { entries: row.entries.max(0), waiting_since: row.waiting_since })
}

/// Returns the number of the journal's last entry.
pub async fn read_head(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("SELECT seq FROM journal_head").fetch_one(connection).await
}

/// Batch of journal entries.
struct Batch {
    entries: usize,
    /// Number of the last one.
    last_seq: i64,
    /// Changes by session.
    touched: BTreeMap<Uuid, Touched>,
    /// Agents that were erased.
    erased_agents: Vec<String>,
}

async fn next_batch(connection: &mut PgConnection, after: i64) -> Result<Batch, sqlx::Error> {
    let mut entries = sqlx::query!(
        "SELECT
             seq,
             session_ids,
             message_session_ids,
             message_times,
             message_ids,
             erasure::text AS erasure
         FROM journal
         WHERE seq > $1
         ORDER BY seq
         LIMIT $2",
        after,
        MAX_BATCH_ENTRIES
    )
    .fetch_all(connection)
    .await?;
    entries.truncate(batch_length(entries.iter().map(|entry| entry.message_ids.len())));
    let last_seq = entries.last().map_or(after, |entry| entry.seq);
    let mut batch =
        Batch { entries: entries.len(), last_seq, touched: BTreeMap::new(), erased_agents: vec![] };
    for entry in entries {
        for session in entry.session_ids {
            batch.touched.entry(session).or_default();
        }
        let keys = entry.message_session_ids.into_iter().zip(entry.message_times);
        for ((session, at), id) in keys.zip(entry.message_ids) {
            batch.touched.entry(session).or_default().add_message(at, id);
        }
        if let Some(erasure) = entry.erasure {
            batch.add_erasure(&erasure)?;
        }
    }
    Ok(batch)
}

impl Batch {
    fn add_erasure(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let erasure: Erasure =
            serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))?;
        // A session's facts are erased with it, unless a version without facts erased it.
        match (erasure.session, erasure.before) {
            (Some(session), None) => {
                self.touched.entry(session.id).or_default();
            }
            (Some(session), Some(before)) => {
                self.touched.entry(session.id).or_default().add_beginning(before);
            }
            (None, _) => self.erased_agents.push(erasure.agent_id),
        }
        Ok(())
    }
}

/// Recomputes facts of what was touched, and writes those that differ.
async fn refresh(
    connection: &mut PgConnection,
    rules: &FactRules,
    mut touched: BTreeMap<Uuid, Touched>,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = touched.keys().copied().collect();
    let sessions = sessions::read(connection, &ids).await?;
    let gone: Vec<Uuid> = ids.into_iter().filter(|id| !sessions.contains_key(id)).collect();
    let mut difference = Difference::default();
    delete::delete(connection, &gone, &mut difference).await?;
    touched.retain(|id, _| sessions.contains_key(id));
    let joins = presence::refresh(connection, &sessions, &mut touched).await?;
    add_moved(connection, &mut touched).await?;
    let windows = Windows::of(&touched, &sessions);
    messages::refresh(connection, rules, &sessions, windows, &joins, &mut difference).await?;
    totals::refresh(connection, &sessions, &mut difference).await?;
    visits::refresh(connection, &sessions.keys().copied().collect::<Vec<_>>()).await?;
    difference.write(connection).await
}

/// Adds the times that undated messages have in facts. Such a message moves if an earlier arrival
/// is found, and the journal has only its new time.
async fn add_moved(
    connection: &mut PgConnection,
    touched: &mut BTreeMap<Uuid, Touched>,
) -> Result<(), sqlx::Error> {
    let named = || touched.iter().flat_map(|(session, one)| one.ids().map(|id| (*session, id)));
    let (sessions, ids): (Vec<Uuid>, Vec<Uuid>) = named().unzip();
    let rows = sqlx::query!(
        r#"SELECT f.session_id AS "session_id!", f.occurred_at AS "occurred_at!"
         FROM UNNEST($1::uuid[], $2::uuid[]) AS key (session_id, id)
         JOIN message_facts AS f USING (session_id, id)
         WHERE f.undated"#,
        &sessions,
        &ids
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        touched.entry(row.session_id).or_default().add_time(row.occurred_at);
    }
    Ok(())
}
