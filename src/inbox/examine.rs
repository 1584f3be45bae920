//! Inspection of the inbox's file for `verbatim doctor`. It changes nothing and blocks no other
//! connection.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::file::{BUSY_TIMEOUT, FileError, LAYOUT, from_micros};
use super::record::decode_group;

/// Most groups that are checked for damage. Each is read by a separate statement, so that the log
/// can be written back in between.
const GROUPS_READ: i64 = 512;

/// Contents of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// Number of deliveries. A running service has drained the last ones already, and deletes them
    /// soon.
    pub deliveries: u64,
    /// Their bytes in the file.
    pub bytes: u64,
    /// Bytes of the file on disk, its log included.
    pub bytes_on_disk: u64,
    /// Arrival of the oldest delivery.
    pub oldest_at: Option<DateTime<Utc>>,
    /// Damaged bytes in the first 512 groups.
    pub damaged_bytes: u64,
}

/// Inspects the file at `path`; returns `None` if there is none.
pub async fn examine(path: &Path) -> Result<Option<Examination>, FileError> {
    let Ok(file) = path.metadata() else {
        return Ok(None);
    };
    let log = path_of_log(path).metadata().ok();
    // Without a log no process has the file open. `immutable` keeps SQLite from creating one.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(log.is_none())
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let mut connection = options.connect().await?;
    let examined = contents(&mut connection).await;
    let closed = connection.close().await;
    let mut examined = examined?;
    closed?;
    examined.bytes_on_disk = file.len() + log.map_or(0, |log| log.len());
    Ok(Some(examined))
}

/// Counts the damaged files and groups that were set aside beside the file at `path`.
#[must_use]
pub fn set_aside(path: &Path) -> usize {
    let (Some(folder), Some(ours)) = (path.parent(), path.file_name()) else { return 0 };
    let ours = ours.to_string_lossy();
    let is_aside = |name: &str| {
        let beside = name.strip_prefix(&*ours).unwrap_or_default();
        (beside.starts_with(".damaged-") || beside.starts_with(".group-"))
            && !["-wal", "-shm", ".json"].iter().any(|end| beside.ends_with(end))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| is_aside(&entry.file_name().to_string_lossy())).count()
}

fn path_of_log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

async fn contents(connection: &mut SqliteConnection) -> Result<Examination, FileError> {
    let layout: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if layout > LAYOUT {
        return Err(FileError::FromTheFuture(layout));
    }
    if layout == 0 {
        // The service that created it was killed before it created the table.
        return Ok(Examination::default());
    }
    let verdict: String =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if verdict != "ok" {
        return Err(FileError::Corrupt(verdict));
    }
    let (deliveries, bytes, oldest): (i64, i64, Option<i64>) = sqlx::query_as(
        "SELECT coalesce(sum(count), 0), coalesce(sum(length(payload)), 0), min(oldest_at)
           FROM groups
          WHERE seq >= 0",
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(Examination {
        deliveries: u64::try_from(deliveries).unwrap_or(0),
        bytes: u64::try_from(bytes).unwrap_or(0),
        bytes_on_disk: 0,
        oldest_at: oldest.map(from_micros),
        damaged_bytes: damaged_bytes(connection).await?,
    })
}

async fn damaged_bytes(connection: &mut SqliteConnection) -> Result<u64, FileError> {
    let (mut damaged, mut last_seq) = (0, -1_i64);
    for _ in 0..GROUPS_READ {
        let group: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, payload FROM groups WHERE seq > ?1 ORDER BY seq LIMIT 1")
                .bind(last_seq)
                .fetch_optional(&mut *connection)
                .await?;
        let Some((seq, payload)) = group else { break };
        last_seq = seq;
        let (_, lost) = decode_group(Bytes::from(payload));
        damaged += lost.map_or(0, |lost| lost.bytes as u64);
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::super::file::InboxFile;
    use super::super::group::GroupInfo;
    use super::super::record::encode_group;
    use super::*;
    use crate::domain::{Arrival, DeliveryId, Evidence, SourceName};

    fn arrival() -> Arrival {
        Arrival {
            id: DeliveryId(uuid::Uuid::from_u128(7)),
            received_at: from_micros(1_790_607_253_000_007),
            source: SourceName::default(),
            evidence: Evidence::default(),
            body: "{}".into(),
        }
    }

    async fn put(file: &mut InboxFile, seq: i64, payload: Vec<u8>) {
        let info = GroupInfo {
            seq,
            count: 1,
            bytes: payload.len() as u64,
            oldest_at: arrival().received_at,
        };
        file.commit(Some((&info, payload)), &[]).await.unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn contents_are_reported_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.sqlite");
        assert_eq!(examine(&path).await.unwrap(), None);
        let mut file = InboxFile::open(&path).await.unwrap();
        put(&mut file, 1, encode_group(&[arrival()])).await;
        let mut damaged = encode_group(&[arrival()]);
        damaged[20] ^= 1;
        let length = damaged.len() as u64;
        put(&mut file, 2, damaged).await;

        let beside_its_writer = examine(&path).await.unwrap().unwrap();
        assert_eq!(beside_its_writer.deliveries, 2);
        assert_eq!(beside_its_writer.oldest_at, Some(arrival().received_at));
        assert_eq!(beside_its_writer.damaged_bytes, length);
        put(&mut file, 3, encode_group(&[arrival()])).await;

        file.close().await.unwrap();
        let before = (names(folder.path()), std::fs::read(&path).unwrap());
        assert_eq!(examine(&path).await.unwrap().unwrap().deliveries, 3);
        assert_eq!((names(folder.path()), std::fs::read(&path).unwrap()), before);
    }

    #[tokio::test]
    async fn file_that_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.sqlite");
        std::fs::write(&path, "no database, whatever its name says; and longer than a header is")
            .unwrap();
        assert!(examine(&path).await.is_err());
    }
}
