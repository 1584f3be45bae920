//! The server's log: a file of limited size in the data folder.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

/// Size at which the log is rotated. One earlier file is retained.
const LARGEST_LOG: u64 = 8 << 20;
/// Bytes of one read.
const CHUNK: usize = 8 << 10;
/// Bytes of the log's end that are shown when the server has failed.
const SHOWN_BYTES: u64 = 2 << 10;
/// Lines of the log's end that are shown.
const SHOWN_LINES: usize = 4;
/// Longest wait for the log's end: processes of a killed server may hold it open.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Writes one server's output to the log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Log {
    /// Starts to copy `stderr` to the file.
    pub(super) fn start(path: PathBuf, mut stderr: ChildStderr) -> Self {
        let file = path.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = copy(&file, &mut stderr).await {
                tracing::warn!(file = %file.display(), %error, "cannot write PostgreSQL's log");
                // A full pipe would block the server, so the rest is read and discarded.
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
        });
        Self { path, task }
    }

    /// Returns the last lines, once the server has ended.
    pub(super) async fn last_lines(&mut self) -> String {
        if !self.task.is_finished() {
            let _ = tokio::time::timeout(END_LIMIT, &mut self.task).await;
        }
        last_lines(&self.path).unwrap_or_default()
    }
}

async fn copy(path: &Path, from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut file = open(path).await?;
    let mut length = file.metadata().await?.len();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return file.flush().await;
        }
        if length > LARGEST_LOG {
            file.flush().await?;
            tokio::fs::rename(path, path.with_extension("log.1")).await?;
            file = open(path).await?;
            length = 0;
        }
        file.write_all(&chunk[..read]).await?;
        length += read as u64;
    }
}

async fn open(path: &Path) -> std::io::Result<File> {
    // Private mode: the message of a failed statement may quote a conversation.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).await
}

fn last_lines(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = end.lines().collect();
    Ok(lines[lines.len().saturating_sub(SHOWN_LINES)..].join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn log_does_not_exceed_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        copy(&path, &mut tokio::io::repeat(b'x').take(3 * LARGEST_LOG)).await.unwrap();
        let size = |path: &Path| path.metadata().unwrap().len();
        assert!(size(&path) <= LARGEST_LOG + CHUNK as u64);
        assert!(size(&folder.path().join("postgres.log.1")) <= LARGEST_LOG + CHUNK as u64);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn last_lines_are_returned_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        copy(&path, &mut &b"1\n2\n3\n4\n5\n"[..]).await.unwrap();
        assert_eq!(last_lines(&path).unwrap(), "2 | 3 | 4 | 5");
    }
}
