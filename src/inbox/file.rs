//! The `SQLite` file: one row a group.

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
use super::record::SMALLEST_RECORD;
use super::salvage::aside;

/// How long a statement waits for the other connection; the writer and the reader hold the file
/// for moments only.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The layout of the tables, kept in `user_version`.
pub(super) const LAYOUT: i64 = 1;
/// The size of a page. It is SQLite's default, and set all the same: a damaged file is read with
/// this size even where its header is gone.
pub(super) const PAGE_BYTES: u32 = 4096;
/// Groups that are read ahead of the drain; each has 4 MiB or little more.
const GROUPS_AHEAD: usize = 8;
/// No number of a group comes near: one beyond it is noise, and the next ones would overflow.
pub(super) const LARGEST_SEQ: i64 = i64::MAX / 2;
/// SQLite's primary result codes for what waiting does not heal: the file is malformed, its tables
/// are not ours, it is no database.
const DAMAGE: [u32; 3] = [11, 1, 26];

/// The last group, deliveries and bytes. A damaged count must not spoil the sums: so many records
/// fit at the most.
const SUMS: &str = "SELECT max(seq),
        coalesce(sum(min(max(count, 0), length(payload) / ?2)), 0),
        coalesce(sum(length(payload)), 0)
    FROM groups
    WHERE seq > ?1";
/// The first group.
const FIRST: &str = "SELECT seq, count, oldest_at, length(payload)
    FROM groups
    WHERE seq > ?1
    ORDER BY seq
    LIMIT 1";
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
    /// The system says no.
    #[error("{what} {}", .path.display())]
    Io {
        /// What could not be done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A newer version of Verbatim wrote it.
    #[error(
        "the inbox's file has layout {0}, which is newer than this version of Verbatim knows; \
         start the newer version again, and let it drain before going back"
    )]
    FromTheFuture(i64),
    /// It is not as it was written.
    #[error("the inbox's file is damaged: {0}")]
    Corrupt(String),
    /// What is written goes into a file that has no name any more, and would end with the process.
    #[error("somebody has removed or replaced the inbox's file")]
    Removed,
}

impl FileError {
    /// The file is not what was written, and will not be: waiting heals nothing. A full or failing
    /// disk is another matter.
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

/// A group as it lies in the file.
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

/// Device and number of the file, and of its log.
type Identity = [Option<(u64, u64)>; 2];

fn identity(path: &Path) -> Identity {
    let of = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    [of(path), of(&aside::log_of(path))]
}

/// What is known before the file is touched; the rest is said in [`PREPARE`].
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .page_size(PAGE_BYTES)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(16)
        .disable_statement_logging()
}

/// FULL syncs the log at every commit: the 200 that follows is a promise. The log is written back
/// into the file after 32 MiB. What is drained by then is never written there at all; the default
/// of 4 MiB would do it several times a second under load.
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
    /// Opens the file, or makes it, and checks it.
    pub(super) async fn open(path: &Path) -> Result<Self, FileError> {
        let connection = options(path).create_if_missing(true).connect().await?;
        let mut file = Self { connection, path: path.to_owned(), identity: [None; 2] };
        match file.prepare().await {
            Ok(()) => {
                file.identity = identity(path);
                Ok(file)
            }
            Err(error) => {
                // Closed here, and not at some later moment by a thread: its last act is to remove
                // the log by its name, which may be another file's by then.
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

    /// What lies in the file behind the group with that number; `None` where nothing does. SQLite
    /// adds it up: there may be millions of groups.
    pub(super) async fn contents(&mut self, after: i64) -> Result<Option<Contents>, FileError> {
        let sums = sqlx::query(SUMS)
            .bind(after)
            .bind(i64::try_from(SMALLEST_RECORD).unwrap_or(i64::MAX))
            .fetch_one(&mut self.connection)
            .await?;
        let Some(last) = sums.try_get::<Option<i64>, _>(0)? else { return Ok(None) };
        if last > LARGEST_SEQ {
            return Err(FileError::Corrupt(format!("a group has the number {last}")));
        }
        let first = sqlx::query(FIRST).bind(after).fetch_one(&mut self.connection).await?;
        Ok(Some(Contents {
            first: info(&first, row_bytes(&first)?)?,
            last,
            deliveries: usize::try_from(sums.try_get::<i64, _>(1)?).unwrap_or(0),
            bytes: u64::try_from(sums.try_get::<i64, _>(2)?).unwrap_or(0),
        }))
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
        // Two looks at a folder cost a hundredth of a sync.
        if identity(&self.path) == self.identity { Ok(()) } else { Err(FileError::Removed) }
    }

    /// Leaves nothing of what was forgotten: its pages stay in the file, and its frames in the log,
    /// until they are needed for something else.
    pub(super) async fn scrub(&mut self) -> Result<(), FileError> {
        sqlx::raw_sql("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Writes all that it holds into a new file.
    pub(super) async fn copy_to(&mut self, path: &Path) -> Result<(), FileError> {
        let path = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?1").bind(path).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Writes a group and takes it out again: a file that could be opened may still refuse writes.
    pub(super) async fn probe(&mut self) -> Result<(), FileError> {
        let probe = GroupInfo { seq: -1, count: 0, bytes: 0, oldest_at: DateTime::default() };
        self.commit(Some((&probe, vec![0; PAGE_BYTES as usize])), &[]).await?;
        self.commit(None, &[probe.seq]).await
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
        let options = options(path).read_only(true).row_buffer_size(GROUPS_AHEAD);
        Ok(Self { connection: options.connect().await? })
    }

    pub(super) async fn close(self) {
        // It holds nothing that could be lost.
        let _ = self.connection.close().await;
    }

    /// The groups from `from` to `last`, in order. In one statement: after an outage there may be
    /// hundreds of thousands that hold a delivery each.
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

/// What a row says of its group, which has so many bytes.
fn info(row: &SqliteRow, bytes: u64) -> Result<GroupInfo, FileError> {
    Ok(GroupInfo {
        seq: row.try_get(0)?,
        // As the sums have it.
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
    async fn what_lies_behind_a_group_is_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = InboxFile::open(&folder.path().join("inbox.sqlite")).await.unwrap();
        assert_eq!(file.contents(0).await.unwrap(), None);
        put(&mut file, 2, 2, 500).await;
        put(&mut file, 3, 1, 300).await;
        // A count that cannot be: its bytes have room for so many at the most.
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
