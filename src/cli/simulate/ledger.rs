//! The ledger: one JSON line for each delivery that was answered with success. `simulate` writes
//! it, `verify` reads it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::domain::json_line::escape_separators_from;

/// Limit on the records that wait for the disk. Beyond it, sessions wait too.
const WAITING_MAX: usize = 1_024;

/// Line of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Record {
    pub(in crate::cli) agent_id: String,
    pub(in crate::cli) session_id: String,
    pub(in crate::cli) event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) message: Option<String>,
    /// Unix seconds, with the same digits as in the delivery.
    pub(in crate::cli) timestamp: Box<RawValue>,
    /// SHA-256 of the body, in hex.
    pub(in crate::cli) sha256: String,
}

/// Writer of a ledger. It appends to an existing file.
#[derive(Debug)]
pub(super) struct Ledger {
    lines: mpsc::Sender<Record>,
    writer: JoinHandle<io::Result<()>>,
}

impl Ledger {
    /// Opens the file at `path` for appending.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = open_at_end(path)
            .with_context(|| format!("cannot write the ledger {}", path.display()))?;
        let (lines, waiting) = mpsc::channel(WAITING_MAX);
        let writer = tokio::task::spawn_blocking(move || write_all(file, waiting));
        Ok(Self { lines, writer })
    }

    /// Returns a handle that appends records.
    pub(super) fn lines(&self) -> mpsc::Sender<Record> {
        self.lines.clone()
    }

    /// Waits until all records are written. All other handles must be dropped before.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        drop(self.lines);
        self.writer.await?.context("cannot write the ledger")
    }
}

/// Opens a file for appending. Ends an incomplete line that a killed run has left, so that the next
/// line is intact.
fn open_at_end(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Writes records until all handles are dropped. Flushes whenever none waits, so that a kill loses
/// only the last moment.
fn write_all(file: File, mut waiting: mpsc::Receiver<Record>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    let mut line = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        let mut next = Some(first);
        while let Some(record) = next {
            line.clear();
            serde_json::to_writer(&mut line, &record)?;
            escape_separators_from(&mut line, 0);
            line.push(b'\n');
            out.write_all(&line)?;
            next = waiting.try_recv().ok();
        }
        out.flush()?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str) -> Record {
        Record {
            agent_id: "A80HVD8577".into(),
            session_id: "s".into(),
            event_type: "chat.push".into(),
            role: Some("user".into()),
            message: Some(message.into()),
            timestamp: RawValue::from_string("1790607268.8956978".into()).unwrap(),
            sha256: "00".into(),
        }
    }

    #[tokio::test]
    async fn record_is_one_line_whatever_its_message_contains() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(&path).unwrap();
        for message in ["a\u{2028}b\u{85}", "c\u{2029}\nd"] {
            ledger.lines().send(record(message)).await.unwrap();
        }
        ledger.close().await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.split(['\n', '\u{85}', '\u{2028}', '\u{2029}']).collect();
        assert_eq!((lines.len(), lines[2]), (3, ""));
        let second: Record = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(second.message.as_deref(), Some("c\u{2029}\nd"));
    }

    #[tokio::test]
    async fn second_run_appends_to_the_ledger_and_ends_an_incomplete_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        for (run, incomplete) in [("first", "{\"agent_id\":\"A8"), ("second", "")] {
            let ledger = Ledger::open(&path).unwrap();
            ledger.lines().send(record(run)).await.unwrap();
            ledger.close().await.unwrap();
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(incomplete.as_bytes()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(serde_json::from_str::<Record>(lines[1]).unwrap_err().is_eof());
        let second: Record = serde_json::from_str(lines[2]).unwrap();
        assert_eq!(second.message.as_deref(), Some("second"));
        assert_eq!(second.timestamp.get(), "1790607268.8956978");
    }
}
