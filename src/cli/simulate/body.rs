//! Bodies of deliveries, formatted like Python's `json.dumps`, which bitHuman uses.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::contract::Contract;
use super::ledger::Record;
use super::script::{Conversation, Event, Line};

/// Delivery to send, and its record for the ledger.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) body: Bytes,
    pub(super) record: Record,
}

#[derive(Serialize)]
struct Envelope<'a> {
    agent_id: &'a str,
    event_type: &'a str,
    data: Data<'a>,
    timestamp: f64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Join { room_name: &'a str, participant_count: u8, session_id: &'a str },
    Message { role: &'a str, message: &'a str, session_id: &'a str, timestamp: f64 },
}

impl Delivery {
    /// Returns the delivery of `line`.
    pub(super) fn new(
        conversation: &Conversation,
        line: &Line,
        contract: Contract,
    ) -> serde_json::Result<Self> {
        let session_id = conversation.session_id.to_string();
        let timestamp = seconds(line, contract);
        let (event_type, data) = match &line.event {
            Event::Join => {
                let room_name = conversation.room_name.as_str();
                let participant_count = conversation.participant_count;
                ("room.join", Data::Join { room_name, participant_count, session_id: &session_id })
            }
            Event::Message { role, message } => {
                ("chat.push", Data::Message { role, message, session_id: &session_id, timestamp })
            }
        };
        let envelope = Envelope {
            agent_id: conversation.agent_id,
            event_type,
            data,
            timestamp: sent(timestamp, line, contract),
        };
        let mut body = Vec::with_capacity(512);
        envelope.serialize(&mut Serializer::with_formatter(&mut body, Python))?;
        Self::with_record(conversation, line, event_type, session_id, timestamp, body)
    }

    fn with_record(
        conversation: &Conversation,
        line: &Line,
        event_type: &str,
        session_id: String,
        timestamp: f64,
        body: Vec<u8>,
    ) -> serde_json::Result<Self> {
        let (role, message) = match &line.event {
            Event::Join => (None, None),
            Event::Message { role, message } => (Some((*role).to_owned()), Some(message.clone())),
        };
        let record = Record {
            agent_id: conversation.agent_id.to_owned(),
            session_id,
            event_type: event_type.to_owned(),
            role,
            message,
            timestamp: RawValue::from_string(serde_json::to_string(&timestamp)?)?,
            sha256: hex::encode(Sha256::digest(&body)),
        };
        Ok(Self { body: body.into(), record })
    }

    /// Returns true for a `room.join`: the avatar waits for its answer.
    pub(super) fn is_join(&self) -> bool {
        self.record.role.is_none()
    }
}

/// Returns the time in Unix seconds: whole microseconds in contract B, all digits of a float in D.
#[expect(clippy::cast_precision_loss, reason = "bitHuman sends a float")]
fn seconds(line: &Line, contract: Contract) -> f64 {
    match contract {
        Contract::B => line.at_micros as f64 / 1e6,
        Contract::D => (line.at_micros * 1_000 + line.nanos) as f64 / 1e9,
    }
}

/// Returns the envelope's time. In contract D, bitHuman reads the clock again, some microseconds
/// later.
fn sent(timestamp: f64, line: &Line, contract: Contract) -> f64 {
    match (contract, &line.event) {
        (Contract::D, Event::Message { .. }) => timestamp + 7.2e-6,
        _ => timestamp,
    }
}

/// Format of `json.dumps` with its defaults: a space after each comma and colon, and ASCII only.
struct Python;

impl Formatter for Python {
    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            if character.is_ascii() {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_790_607_253_557_594;

    fn deliveries(contract: Contract) -> Vec<Delivery> {
        (0..200)
            .flat_map(|index| {
                let conversation = Conversation::new(11, index, NOW);
                let of = |line| Delivery::new(&conversation, line, contract).unwrap();
                conversation.lines.iter().map(of).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn body_has_the_senders_format() {
        let message = "Olá \"Pip\"\n🦊".to_owned();
        let conversation = Conversation {
            agent_id: "A80HVD8577",
            session_id: uuid::uuid!("8d947f06-2c36-4d98-aafe-b232da2433ff"),
            room_name: "room-A80HVD8577-qtrJ-cOFR".into(),
            participant_count: 3,
            lines: vec![
                Line { at_micros: NOW, nanos: 500, event: Event::Join },
                Line {
                    at_micros: 1_790_607_268_895_697,
                    nanos: 800,
                    event: Event::Message { role: "assistant", message },
                },
            ],
        };
        let body = |line: usize, contract| {
            let delivery =
                Delivery::new(&conversation, &conversation.lines[line], contract).unwrap();
            String::from_utf8(delivery.body.to_vec()).unwrap()
        };
        assert_eq!(
            body(0, Contract::B),
            r#"{"agent_id": "A80HVD8577", "event_type": "room.join", "data": {"room_name": "room-A80HVD8577-qtrJ-cOFR", "participant_count": 3, "session_id": "8d947f06-2c36-4d98-aafe-b232da2433ff"}, "timestamp": 1790607253.557594}"#
        );
        assert_eq!(
            body(1, Contract::D),
            r#"{"agent_id": "A80HVD8577", "event_type": "chat.push", "data": {"role": "assistant", "message": "Ol\u00e1 \"Pip\"\n\ud83e\udd8a", "session_id": "8d947f06-2c36-4d98-aafe-b232da2433ff", "timestamp": 1790607268.8956978}, "timestamp": 1790607268.895705}"#
        );
    }

    #[test]
    fn every_body_has_the_contracts_fields_and_matches_its_record() {
        for contract in [Contract::B, Contract::D] {
            for Delivery { body, record } in deliveries(contract) {
                let value: Value = serde_json::from_slice(&body).unwrap();
                assert!(body.is_ascii());
                assert_eq!(value["agent_id"], record.agent_id);
                assert_eq!(value["event_type"], record.event_type);
                assert_eq!(value["data"]["session_id"], record.session_id);
                assert!(value["timestamp"].is_f64());
                let timed = if record.role.is_none() {
                    assert!(value["data"]["room_name"].is_string());
                    assert!(value["data"]["participant_count"].is_u64());
                    &value["timestamp"]
                } else {
                    assert_eq!(value["data"]["role"].as_str(), record.role.as_deref());
                    assert_eq!(value["data"]["message"].as_str(), record.message.as_deref());
                    &value["data"]["timestamp"]
                };
                assert_eq!(timed.to_string(), record.timestamp.get());
            }
        }
    }

    #[test]
    fn no_two_deliveries_have_the_same_bytes() {
        for contract in [Contract::B, Contract::D] {
            let all = deliveries(contract);
            let bodies: HashSet<_> = all.iter().map(|delivery| &delivery.body).collect();
            assert_eq!(bodies.len(), all.len());
        }
    }
}
