//! The `SQLite` file: one row a group.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::backlog::GroupInfo;

/// How long a statement waits for the other connection; the writer and the reader hold the file
/// for moments only.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The log is written back into the file after so many pages, 32 MiB. What is drained by then is
/// never written there at all; the default of 4 MiB would do it several times a second under load.
const CHECKPOINT_PAGES: &str = "8192";
/// The layout of the tables, kept in `user_version`.
pub(super) const LAYOUT: i64 = 1;

/// Forgets what has been drained.
const FORGET: &str = "DELETE FROM groups WHERE seq IN (SELECT value FROM json_each(?1))";
/// The same, and a new group, in one transaction. Where a part fails the transaction stays open;
/// the connection is closed then, and takes it along.
const COMMIT_GROUP: &str = "BEGIN IMMEDIATE;
    DELETE FROM groups WHERE seq IN (SELECT value FROM json_each(?1));
    INSERT INTO groups (seq, count, oldest_at, payload) VALUES (?2, ?3, ?4, ?5);
    COMMIT";

/// The file could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// `SQLite` says no.
    #[error("the inbox's file")]
    Sqlite(#[from] sqlx::Error),
    /// A newer version of Verbatim wrote it.
    #[error(
        "the inbox's file has layout {0}, which is newer than this version of Verbatim knows; \
         start the newer version again, and let it drain before going back"
    )]
    FromTheFuture(i64),
    /// `SQLite` opened it, and found it damaged.
    #[error("the inbox's file is damaged: {0}")]
    Corrupt(String),
}

/// A group as it lies in the file.
#[derive(Debug)]
pub(super) struct StoredGroup {
    pub(super) seq: i64,
    pub(super) payload: Bytes,
}

/// The writer's connection.
#[derive(Debug)]
pub(super) struct InboxFile {
    connection: SqliteConnection,
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL syncs the log at every commit: the 200 that follows is a promise.
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .locking_mode(SqliteLockingMode::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(16)
        .disable_statement_logging()
}

impl InboxFile {
    /// Opens the file, or makes it, and checks it.
    pub(super) async fn open(path: &Path) -> Result<Self, FileError> {
        let mut connection = options(path).create_if_missing(true).connect().await?;
        let layout: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        if layout > LAYOUT {
            return Err(FileError::FromTheFuture(layout));
        }
        let verdict: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
        if verdict != "ok" {
            return Err(FileError::Corrupt(verdict));
        }
        sqlx::raw_sql(
            "BEGIN IMMEDIATE;
             CREATE TABLE IF NOT EXISTS groups (
                 seq       INTEGER PRIMARY KEY,
                 count     INTEGER NOT NULL,
                 oldest_at INTEGER NOT NULL, -- microseconds since 1970
                 payload   BLOB    NOT NULL
             );
             DELETE FROM groups WHERE seq < 0; -- a probe that a crash left behind
             PRAGMA user_version = 1;
             COMMIT;",
        )
        .execute(&mut connection)
        .await?;
        Ok(Self { connection })
    }

    /// What lies in the file, in order.
    pub(super) async fn contents(&mut self) -> Result<Vec<GroupInfo>, FileError> {
        let rows =
            sqlx::query("SELECT seq, count, oldest_at, length(payload) FROM groups ORDER BY seq")
                .fetch_all(&mut self.connection)
                .await?;
        let info = rows.into_iter().map(|row| GroupInfo {
            seq: row.get(0),
            count: usize::try_from(row.get::<i64, _>(1)).unwrap_or(0),
            oldest_at: from_micros(row.get(2)),
            bytes: u64::try_from(row.get::<i64, _>(3)).unwrap_or(0),
        });
        Ok(info.collect())
    }

    /// Writes a group and forgets others, in one transaction: when it returns, both are on disk.
    pub(super) async fn commit(
        &mut self,
        group: Option<(&GroupInfo, Vec<u8>)>,
        forget: &[i64],
    ) -> Result<(), FileError> {
        // One call for the whole: each is a hop to the thread that `SQLite` runs on and back, which
        // on a busy machine takes longer than the statement.
        let forget = serde_json::json!(forget).to_string();
        let query = match group {
            Some((info, payload)) => sqlx::query(COMMIT_GROUP)
                .bind(forget)
                .bind(info.seq)
                .bind(i64::try_from(info.count).unwrap_or(i64::MAX))
                .bind(info.oldest_at.timestamp_micros())
                .bind(payload),
            None => sqlx::query(FORGET).bind(forget),
        };
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Closes the file, and writes the log back into it.
    pub(super) async fn close(self) -> Result<(), FileError> {
        Ok(self.connection.close().await?)
    }
}

/// Reads groups for the drain, beside the writer: the log lets both go on.
#[derive(Debug)]
pub(super) struct InboxReader {
    connection: SqliteConnection,
}

impl InboxReader {
    pub(super) async fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self { connection: options(path).read_only(true).connect().await? })
    }

    pub(super) async fn close(self) {
        // It holds nothing that could be lost.
        let _ = self.connection.close().await;
    }

    /// The first group from `from` to `last`.
    pub(super) async fn next(
        &mut self,
        from: i64,
        last: i64,
    ) -> Result<Option<StoredGroup>, FileError> {
        let row = sqlx::query(
            "SELECT seq, payload FROM groups WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq LIMIT 1",
        )
        .bind(from)
        .bind(last)
        .fetch_optional(&mut self.connection)
        .await?;
        Ok(row.map(|row| StoredGroup { seq: row.get(0), payload: row.get::<Vec<u8>, _>(1).into() }))
    }
}

pub(super) fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
