//! What the ledger says must be there, kept small: a fingerprint and a place in the file for each
//! delivery, no text.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::cli::simulate::ledger::Record;
use crate::domain::time;

/// A ledger, by session.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) sessions: Vec<Conversation>,
    /// Lines that end in the middle: their writer was killed.
    pub(super) torn_lines: u64,
}

/// One session's deliveries.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) agent_id: String,
    pub(super) session_id: String,
    /// Where the ledger has its `room.join`.
    pub(super) join: Option<Place>,
    /// Its messages, ordered by fingerprint, each once.
    pub(super) messages: Vec<(Fingerprint, Place)>,
}

/// A line's first byte in the ledger.
pub(super) type Place = u64;

/// What makes a message one and the same: the first 128 bits of a SHA-256 over role, text, and
/// time in whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Of a message.
    pub(super) fn of(role: &str, message: &str, micros: i64) -> Self {
        let mut hash = Sha256::new();
        // The lengths keep role and text apart.
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
                .take(line.trim_ascii_end(), place, &mut by_name)
                .with_context(|| format!("{} line {number}", path.display()))?;
            place += length as u64;
        }
        for session in &mut expected.sessions {
            session.messages.sort_unstable();
            session.messages.dedup_by_key(|(fingerprint, _)| *fingerprint);
        }
        Ok(expected)
    }

    /// How many deliveries there are to check.
    pub(super) fn deliveries(&self) -> usize {
        let of =
            |session: &Conversation| session.messages.len() + usize::from(session.join.is_some());
        self.sessions.iter().map(of).sum()
    }

    fn take(
        &mut self,
        line: &[u8],
        place: Place,
        by_name: &mut HashMap<(String, String), usize>,
    ) -> anyhow::Result<()> {
        let record: Record = match serde_json::from_slice(line) {
            Ok(record) => record,
            Err(error) if error.is_eof() => {
                self.torn_lines += 1;
                return Ok(());
            }
            Err(error) => bail!("this is no line of a ledger: {error}"),
        };
        let fingerprint = match record.event_type.as_str() {
            "room.join" => None,
            "chat.push" => Some(fingerprint(&record)?),
            other => bail!("an event of the type {other:?} cannot be checked"),
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
    let at = at.context("its timestamp is no number of seconds that makes sense as a time")?;
    let role = record.role.as_deref().context("it has no role")?;
    let message = record.message.as_deref().context("it has no message")?;
    Ok(Fingerprint::of(role, message, at.timestamp_micros()))
}

/// Reads single lines of a ledger again, for a person.
#[derive(Debug)]
pub(super) struct Quotes(BufReader<File>);

impl Quotes {
    /// From the ledger at `path`.
    pub(super) fn from(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(File::open(path)?)))
    }

    /// The line at `place`, as it stands.
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
    const SAID: &str = r#"{"agent_id":"A","session_id":"s/1","event_type":"chat.push","role":"user","message":"é","timestamp":1790607268.8956978,"sha256":""}"#;

    fn read(text: &str) -> anyhow::Result<(Expected, tempfile::NamedTempFile)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Ok((Expected::read(file.path())?, file))
    }

    #[test]
    fn a_ledger_is_grouped_by_session_and_its_repeats_count_once() {
        let (expected, file) = read(&format!("{JOIN}\n{SAID}\n{SAID}\n{{\"agent_id\n")).unwrap();
        let [session] = &expected.sessions[..] else { panic!("{expected:?}") };
        assert_eq!(session.session_id, "s/1");
        assert_eq!(session.join, Some(0));
        let of = Fingerprint::of("user", "é", 1_790_607_268_895_698);
        assert_eq!(session.messages, [(of, JOIN.len() as u64 + 1)]);
        assert_eq!((expected.deliveries(), expected.torn_lines), (2, 1));
        let mut quotes = Quotes::from(file.path()).unwrap();
        assert_eq!(quotes.line(session.messages[0].1).unwrap(), SAID);
    }

    #[test]
    fn a_line_of_something_else_is_an_error_that_names_it() {
        let error = read(&format!("{JOIN}\nhello\n")).unwrap_err();
        assert!(format!("{error:#}").contains("line 2: this is no line of a ledger"), "{error:#}");
    }
}
