//! The inbox's `SQLite` file, with one row for each group.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt as _};
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::group::{Contents, GroupInfo};
use super::page_size::PAGE_BYTES;
use super::record::SMALLEST_RECORD;
use super::recovery::set_aside;

/// Longest wait of a statement for the other connection; writer and reader lock the file only
/// briefly.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Version of the tables' layout, stored in `user_version`.
pub(super) const LAYOUT: i64 = 1;
/// Groups that are read ahead of the drain; each has about 4 MiB at most.
const GROUPS_AHEAD: usize = 8;
/// Largest valid number of a group. A larger one is damage, and the numbers after it would
/// overflow.
pub(super) const LARGEST_SEQ: i64 = i64::MAX / 2;
/// SQLite's primary result codes for permanent damage: `SQLITE_CORRUPT`, `SQLITE_ERROR` (the tables
/// are not the inbox's), `SQLITE_NOTADB`.
const DAMAGE: [u32; 3] = [11, 1, 26];

/// Number of the last group, sum of deliveries, sum of bytes. Each count is limited to the records
/// that fit into the payload, so a damaged count does not distort the sum.
const SUMS: &str = "SELECT max(seq),
        coalesce(sum(min(max(count, 0), length(payload) / ?2)), 0),
        coalesce(sum(length(payload)), 0)
    FROM groups
    WHERE seq > ?1";
/// First group after a number.
const FIRST: &str = "SELECT seq, count, oldest_at, length(payload)
    FROM groups
    WHERE seq > ?1
    ORDER BY seq
    LIMIT 1";
/// Deletes drained groups.
const DELETE_DRAINED: &str = "DELETE FROM groups WHERE seq IN (SELECT value FROM json_each(?1))";
/// Deletes drained groups and inserts a new one, in one transaction. If a statement fails, the
/// transaction stays open; closing the connection rolls it back.
const COMMIT_GROUP: &str = "BEGIN IMMEDIATE;
    DELETE FROM groups WHERE seq IN (SELECT value FROM json_each(?1));
    INSERT INTO groups (seq, count, oldest_at, payload) VALUES (?2, ?3, ?4, ?5);
    COMMIT";

/// Error of opening, reading or writing the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Error of `SQLite`.
    #[error("the inbox's file")]
    Sqlite(#[from] sqlx::Error),
    /// Error of the operating system.
    #[error("{what} {}", .path.display())]
    Io {
        /// Failed operation.
        what: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A newer version of Verbatim wrote it.
    #[error(
        "the inbox's file has layout {0}, newer than this version of Verbatim supports; \
         start the newer version again, and let it drain before the downgrade"
    )]
    FromTheFuture(i64),
    /// The file is damaged.
    #[error("the inbox's file is damaged: {0}")]
    Corrupt(String),
    /// The open file has no name any more: its contents would be lost when the process ends.
    #[error("the inbox's file was removed or replaced")]
    Removed,
}

impl FileError {
    /// Returns true if the file is permanently damaged, so that a retry cannot succeed. False for
    /// a full or failing disk.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt(_)
            | Self::Sqlite(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => true,
            Self::FromTheFuture(_) | Self::Io { .. } | Self::Removed => false,
            Self::Sqlite(error) => error
                .as_database_error()
                .and_then(DatabaseError::code)
                .and_then(|code| code.parse::<u32>().ok())
                // The low byte of an extended code is the primary one.
                .is_some_and(|code| DAMAGE.contains(&(code & 0xff))),
        }
    }
}

/// Group in its form in the file.
#[derive(Debug)]
pub(super) struct StoredGroup {
    pub(super) info: GroupInfo,
    pub(super) payload: Bytes,
}

/// The writer's connection.
#[derive(Debug)]
pub(super) struct InboxFile {
    connection: SqliteConnection,
    path: PathBuf,
    identity: Identity,
}

/// Device and inode of the file, and of its log.
type Identity = [Option<(u64, u64)>; 2];

fn identity(path: &Path) -> Identity {
    let of = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    [of(path), of(&set_aside::log_of(path))]
}

/// Returns the options of every connection. [`PREPARE`] sets those of the writer's.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .page_size(PAGE_BYTES)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(16)
        .disable_statement_logging()
}

/// `FULL` syncs the log at every commit, since a 200 follows. The log is written back into the file
/// after 32 MiB: groups drained by then are never written there. The default of 4 MiB would be
/// reached several times a second under load.
const PREPARE: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 8192";
const MAKE_TABLE: &str = "BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS groups (
        seq       INTEGER PRIMARY KEY,
        count     INTEGER NOT NULL,
        oldest_at INTEGER NOT NULL, -- microseconds since 1970
        payload   BLOB    NOT NULL
    );
    DELETE FROM groups WHERE seq < 0; -- a probe that a crash left behind
    PRAGMA user_version = 1;
    COMMIT;";

impl InboxFile {
    /// Opens or creates the file, and checks it.
    pub(super) async fn open(path: &Path) -> Result<Self, FileError> {
        let connection = options(path).create_if_missing(true).connect().await?;
        let mut file = Self { connection, path: path.to_owned(), identity: [None; 2] };
        match file.prepare().await {
            Ok(()) => {
                file.identity = identity(path);
                Ok(file)
            }
            Err(error) => {
                // Closed here, not later by a thread: closing removes the log by its name, which
                // another file may have by then.
                let _ = file.close().await;
                Err(error)
            }
        }
    }

    async fn prepare(&mut self) -> Result<(), FileError> {
        let connection = &mut self.connection;
        sqlx::raw_sql(PREPARE).execute(&mut *connection).await?;
        let layout: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
        if layout > LAYOUT {
            return Err(FileError::FromTheFuture(layout));
        }
        let verdict: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
        if verdict != "ok" {
            return Err(FileError::Corrupt(verdict));
        }
        sqlx::raw_sql(MAKE_TABLE).execute(&mut *connection).await?;
        Ok(())
    }

    /// Returns the sums over the groups with a number above `after`; `None` without any. SQLite
    /// computes them: there may be millions of groups.
    pub(super) async fn contents(&mut self, after: i64) -> Result<Option<Contents>, FileError> {
        let sums = sqlx::query(SUMS)
            .bind(after)
            .bind(i64::try_from(SMALLEST_RECORD).unwrap_or(i64::MAX))
            .fetch_one(&mut self.connection)
            .await?;
        let Some(last) = sums.try_get::<Option<i64>, _>(0)? else { return Ok(None) };
        if last > LARGEST_SEQ {
            return Err(FileError::Corrupt(format!("group number {last} is out of range")));
        }
        let first = sqlx::query(FIRST).bind(after).fetch_one(&mut self.connection).await?;
        Ok(Some(Contents {
            first: info(&first, row_bytes(&first)?)?,
            last,
            deliveries: usize::try_from(sums.try_get::<i64, _>(1)?).unwrap_or(0),
            bytes: u64::try_from(sums.try_get::<i64, _>(2)?).unwrap_or(0),
        }))
    }

    /// Writes a group and deletes others, in one transaction. Both are on disk when this returns.
    pub(super) async fn commit(
        &mut self,
        group: Option<(&GroupInfo, Vec<u8>)>,
        deletable: &[i64],
    ) -> Result<(), FileError> {
        // One call for all statements: each call is a round trip to SQLite's thread, which takes
        // longer than the statement on a busy machine.
        let deletable = serde_json::json!(deletable).to_string();
        let query = match group {
            Some((info, payload)) => sqlx::query(COMMIT_GROUP)
                .bind(deletable)
                .bind(info.seq)
                .bind(i64::try_from(info.count).unwrap_or(i64::MAX))
                .bind(info.oldest_at.timestamp_micros())
                .bind(payload),
            None => sqlx::query(DELETE_DRAINED).bind(deletable),
        };
        query.execute(&mut self.connection).await?;
        // Two `stat` calls cost a hundredth of a sync.
        if identity(&self.path) == self.identity { Ok(()) } else { Err(FileError::Removed) }
    }

    /// Erases the remains of deleted groups: SQLite keeps their pages in the file, and their frames
    /// in the log, until it reuses them.
    pub(super) async fn scrub(&mut self) -> Result<(), FileError> {
        sqlx::raw_sql("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Copies all contents into a new file.
    pub(super) async fn copy_to(&mut self, path: &Path) -> Result<(), FileError> {
        let path = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?1").bind(path).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Writes a group and deletes it again: a file that could be opened may still refuse writes.
    pub(super) async fn probe(&mut self) -> Result<(), FileError> {
        let probe = GroupInfo { seq: -1, count: 0, bytes: 0, oldest_at: DateTime::default() };
        self.commit(Some((&probe, vec![0; PAGE_BYTES as usize])), &[]).await?;
        self.commit(None, &[probe.seq]).await
    }

    /// Writes the log back into the file, and closes it.
    pub(super) async fn close(self) -> Result<(), FileError> {
        Ok(self.connection.close().await?)
    }
}

/// Reads groups for the drain. In WAL mode it does not block the writer.
#[derive(Debug)]
pub(super) struct InboxReader {
    connection: SqliteConnection,
}

impl InboxReader {
    pub(super) async fn open(path: &Path) -> Result<Self, FileError> {
        let options = options(path).read_only(true).row_buffer_size(GROUPS_AHEAD);
        Ok(Self { connection: options.connect().await? })
    }

    pub(super) async fn close(self) {
        // It has written nothing that could be lost.
        let _ = self.connection.close().await;
    }

    /// Streams the groups from `from` to `last` in order. One statement serves all: after an outage
    /// there may be hundreds of thousands of groups of one delivery.
    pub(super) fn groups(
        &mut self,
        from: i64,
        last: i64,
    ) -> impl Stream<Item = Result<StoredGroup, FileError>> {
        let select = "SELECT seq, count, oldest_at, payload
            FROM groups
            WHERE seq BETWEEN ?1 AND ?2
            ORDER BY seq";
        let rows = sqlx::query(select).bind(from).bind(last).fetch(&mut self.connection);
        rows.map_err(FileError::from).and_then(async |row| {
            let payload: Bytes = row.try_get::<Vec<u8>, _>(3)?.into();
            Ok(StoredGroup { info: info(&row, payload.len() as u64)?, payload })
        })
    }
}

fn row_bytes(row: &SqliteRow) -> Result<u64, FileError> {
    Ok(u64::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0))
}

/// Reads a group's numbers from a row; `bytes` is the length of its payload.
fn info(row: &SqliteRow, bytes: u64) -> Result<GroupInfo, FileError> {
    Ok(GroupInfo {
        seq: row.try_get(0)?,
        // Limited like the counts in `SUMS`.
        count: usize::try_from(row.try_get::<i64, _>(1)?.clamp(0, i64::from(u32::MAX)))
            .unwrap_or(0)
            .min(usize::try_from(bytes).unwrap_or(usize::MAX) / SMALLEST_RECORD),
        oldest_at: from_micros(row.try_get(2)?),
        bytes,
    })
}

pub(super) fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(file: &mut InboxFile, seq: i64, count: usize, bytes: usize) {
        let info = GroupInfo { seq, count, bytes: bytes as u64, oldest_at: DateTime::default() };
        file.commit(Some((&info, vec![0; bytes])), &[]).await.unwrap();
    }

    #[tokio::test]
    async fn groups_after_a_number_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = InboxFile::open(&folder.path().join("inbox.sqlite")).await.unwrap();
        assert_eq!(file.contents(0).await.unwrap(), None);
        put(&mut file, 2, 2, 500).await;
        put(&mut file, 3, 1, 300).await;
        // An impossible count, which is limited to the records that fit.
        put(&mut file, 9, 1 << 40, 10 * SMALLEST_RECORD).await;

        let all = file.contents(0).await.unwrap().unwrap();
        assert_eq!((all.first.seq, all.first.count, all.first.bytes, all.last), (2, 2, 500, 9));
        assert_eq!((all.deliveries, all.bytes), (13, 800 + 10 * SMALLEST_RECORD as u64));
        let behind = file.contents(2).await.unwrap().unwrap();
        assert_eq!((behind.first.seq, behind.deliveries), (3, 11));
        assert_eq!(file.contents(9).await.unwrap(), None);
        put(&mut file, LARGEST_SEQ + 1, 1, 300).await;
        assert!(file.contents(0).await.unwrap_err().is_damage());
    }
}
