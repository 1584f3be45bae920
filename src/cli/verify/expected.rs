//! Expected deliveries, from the ledger. To save memory, each has a fingerprint and a place in the
//! file, and no text.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::cli::simulate::ledger::Record;
use crate::domain::time;

/// Deliveries of a ledger, by session.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) sessions: Vec<Conversation>,
    /// Lines that are incomplete because their writer was killed.
    pub(super) incomplete_lines: u64,
}

/// Deliveries of one session.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) agent_id: String,
    pub(super) session_id: String,
    /// Place of the `room.join`.
    pub(super) join: Option<Place>,
    /// Messages, sorted by fingerprint, without duplicates.
    pub(super) messages: Vec<(Fingerprint, Place)>,
}

/// Offset of a line's first byte in the ledger.
pub(super) type Place = u64;

/// Identity of a message: the first 128 bits of a SHA-256 over role, text, and time in whole
/// microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Computes the fingerprint of a message.
    pub(super) fn of(role: &str, message: &str, micros: i64) -> Self {
        let mut hash = Sha256::new();
        // The lengths separate role and text.
        hash.update(role.len().to_le_bytes());
        hash.update(role);
        hash.update(message.len().to_le_bytes());
        hash.update(message);
        hash.update(micros.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(first)
    }
}

impl Expected {
    /// Reads a ledger.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("cannot read the ledger {}", path.display()))?;
        let mut lines = BufReader::new(file);
        let mut expected = Self::default();
        let mut by_name = HashMap::new();
        let mut line = Vec::new();
        let mut place = 0;
        for number in 1_u64.. {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            expected
                .add(line.trim_ascii_end(), place, &mut by_name)
                .with_context(|| format!("{} line {number}", path.display()))?;
            place += length as u64;
        }
        for session in &mut expected.sessions {
            session.messages.sort_unstable();
            session.messages.dedup_by_key(|(fingerprint, _)| *fingerprint);
        }
        Ok(expected)
    }

    /// Returns the number of deliveries to check.
    pub(super) fn deliveries(&self) -> usize {
        let count =
            |session: &Conversation| session.messages.len() + usize::from(session.join.is_some());
        self.sessions.iter().map(count).sum()
    }

    fn add(
        &mut self,
        line: &[u8],
        place: Place,
        by_name: &mut HashMap<(String, String), usize>,
    ) -> anyhow::Result<()> {
        let record: Record = match serde_json::from_slice(line) {
            Ok(record) => record,
            Err(error) if error.is_eof() => {
                self.incomplete_lines += 1;
                return Ok(());
            }
            Err(error) => bail!("not a line of a ledger: {error}"),
        };
        let fingerprint = match record.event_type.as_str() {
            "room.join" => None,
            "chat.push" => Some(fingerprint(&record)?),
            other => bail!("unknown event type {other:?}"),
        };
        let name = (record.agent_id, record.session_id);
        let index = *by_name.entry(name).or_insert_with_key(|(agent_id, session_id)| {
            self.sessions.push(Conversation {
                agent_id: agent_id.clone(),
                session_id: session_id.clone(),
                join: None,
                messages: Vec::new(),
            });
            self.sessions.len() - 1
        });
        match fingerprint {
            None => self.sessions[index].join = Some(place),
            Some(fingerprint) => self.sessions[index].messages.push((fingerprint, place)),
        }
        Ok(())
    }
}

fn fingerprint(record: &Record) -> anyhow::Result<Fingerprint> {
    let at = time::from_number(record.timestamp.get());
    let at = at.context("the timestamp is not a valid number of Unix seconds")?;
    let role = record.role.as_deref().context("the record has no role")?;
    let message = record.message.as_deref().context("the record has no message")?;
    Ok(Fingerprint::of(role, message, at.timestamp_micros()))
}

/// Reader of single lines of a ledger, for the report.
#[derive(Debug)]
pub(super) struct Quotes(BufReader<File>);

impl Quotes {
    /// Opens the ledger at `path`.
    pub(super) fn from(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(File::open(path)?)))
    }

    /// Returns the line at `place`.
    pub(super) fn line(&mut self, place: Place) -> anyhow::Result<String> {
        self.0.seek(SeekFrom::Start(place))?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: &str = r#"{"agent_id":"A","session_id":"s/1","event_type":"room.join","timestamp":1790607253.5,"sha256":""}"#;
    const MESSAGE: &str = r#"{"agent_id":"A","session_id":"s/1","event_type":"chat.push","role":"user","message":"é","timestamp":1790607268.8956978,"sha256":""}"#;

    fn read(text: &str) -> anyhow::Result<(Expected, tempfile::NamedTempFile)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Ok((Expected::read(file.path())?, file))
    }

    #[test]
    fn ledger_is_grouped_by_session_without_duplicates() {
        let text = format!("{JOIN}\n{MESSAGE}\n{MESSAGE}\n{{\"agent_id\n");
        let (expected, file) = read(&text).unwrap();
        let [session] = &expected.sessions[..] else { panic!("{expected:?}") };
        assert_eq!(session.session_id, "s/1");
        assert_eq!(session.join, Some(0));
        let of = Fingerprint::of("user", "é", 1_790_607_268_895_698);
        assert_eq!(session.messages, [(of, JOIN.len() as u64 + 1)]);
        assert_eq!((expected.deliveries(), expected.incomplete_lines), (2, 1));
        let mut quotes = Quotes::from(file.path()).unwrap();
        assert_eq!(quotes.line(session.messages[0].1).unwrap(), MESSAGE);
    }

    #[test]
    fn invalid_line_is_an_error_with_its_number() {
        let error = read(&format!("{JOIN}\nhello\n")).unwrap_err();
        assert!(format!("{error:#}").contains("line 2: not a line of a ledger"), "{error:#}");
    }
}
