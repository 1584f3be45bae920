//! An accepted body is decoded the same way each time, into values that Postgres can store: it has
//! been answered by then.
//!
//! The input is a byte for the facts of the headers, and the body.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;
use verbatim::decode::decode;
use verbatim::domain::delivery::SessionRef;
use verbatim::domain::{
    Arrival, Delivery, DeliveryId, Event, EventId, Evidence, SessionId, SourceName, Unreadable,
};

/// Longest agent or session ID, in bytes.
const MAX_ID: usize = 512;
/// Longest name of an event or a role, in bytes.
const MAX_NAME: usize = 128;
/// Valid times, in Unix seconds: from 2010-01-01 to 2100-01-01.
const SENSIBLE: std::ops::Range<i64> = 1_262_304_000..4_102_444_800;
/// Longest explanation of an error, in bytes. An explanation that quoted the delivery would exceed
/// it.
const MAX_PROBLEM: usize = 120;
/// Key that `serde_json` uses internally, and no sender writes.
const PRIVATE: &[u8] = b"$serde_json::private";

/// Checks the input.
pub fn check(input: &[u8]) {
    let Some((bits, body)) = input.split_first() else { return };
    let one = arrival(*bits, body);
    let read = decode(&one);
    assert_eq!(read, decode(&one), "decoding again gives another result");
    match &read {
        Ok(delivery) => {
            storable(delivery);
            identified(delivery, &one);
            same_as_plain_json(delivery, &one);
        }
        Err(fault) => explained(fault),
    }
    same_for_a_duplicate(&read, &one);
}

fn arrival(bits: u8, body: &[u8]) -> Arrival {
    let bit = |n: u8| bits >> n & 1 == 1;
    let source = if bit(3) { SourceName::parse("kiosk").unwrap() } else { SourceName::default() };
    Arrival {
        id: DeliveryId(Uuid::from_u128(7)),
        received_at: DateTime::from_timestamp(1_790_700_000, 0).unwrap(),
        source,
        evidence: Evidence {
            sender_delivery_id: bit(4).then(|| "dlv_1".to_owned()),
            signed: bit(0),
            stale: bit(1),
            test: bit(2),
            event_id: None,
        },
        body: Bytes::copy_from_slice(body),
    }
}

/// Checks that Postgres can store it: no U+0000, no text that an index rejects, no time out of its
/// range.
fn storable(delivery: &Delivery) {
    name(&delivery.event_type);
    if let Some(agent) = &delivery.agent_id {
        id(agent);
    }
    time(delivery.occurred_at);
    if let Some(at) = delivery.sent_at {
        time(at);
    }
    match &delivery.event {
        Event::Join { session, room_name, participant_count } => {
            of_session(session);
            room_name.as_deref().into_iter().for_each(text);
            assert!(participant_count.is_none_or(|count| count >= 0));
        }
        Event::Message { session, role, message, altered } => {
            of_session(session);
            name(role);
            text(message);
            assert!(*altered <= message.contains('\u{FFFD}'), "altered, but no U+FFFD shows it");
        }
        Event::End { session, reason, started_at } => {
            of_session(session);
            reason.as_deref().into_iter().for_each(text);
            started_at.iter().copied().for_each(time);
        }
        Event::Account | Event::Test | Event::Unknown => {}
    }
}

fn of_session(session: &SessionRef) {
    id(&session.agent_id);
    id(&session.sender_session_id);
}

fn text(text: &str) {
    assert!(!text.contains('\0'), "a text contains U+0000");
}

fn name(name: &str) {
    text(name);
    assert!((1..=MAX_NAME).contains(&name.len()), "a name has {} bytes", name.len());
}

fn id(id: &str) {
    text(id);
    assert!((1..=MAX_ID).contains(&id.len()), "an id has {} bytes", id.len());
}

fn time(at: DateTime<Utc>) {
    assert!(SENSIBLE.contains(&at.timestamp()), "{at} is out of range");
    assert_eq!(at.timestamp_subsec_nanos() % 1_000, 0, "Postgres would round {at}");
}

/// Checks that its IDs are derived from its parts.
fn identified(delivery: &Delivery, arrival: &Arrival) {
    assert_eq!(delivery.id, EventId::of(&arrival.source, &arrival.body));
    if let Some(session) = delivery.event.session() {
        assert_eq!(delivery.agent_id.as_ref(), Some(&session.agent_id));
        let expected =
            SessionId::of(&arrival.source, &session.agent_id, &session.sender_session_id);
        assert_eq!(session.id, expected);
    }
    if arrival.evidence.test {
        assert_eq!(delivery.event, Event::Test);
    }
}

/// Checks that a plain JSON parser reads the same text, and that only altered texts are marked as
/// altered.
fn same_as_plain_json(delivery: &Delivery, arrival: &Arrival) {
    let Event::Message { role, message, altered, .. } = &delivery.event else { return };
    if arrival.body.windows(PRIVATE.len()).any(|part| part == PRIVATE) {
        return;
    }
    let Ok(plain) = serde_json::from_slice::<Value>(&arrival.body) else { return };
    let found = |new: &str, old: &str| {
        let new = plain.get("data").and_then(|data| data.get(new)).filter(|new| !new.is_null());
        let found = new.or_else(|| plain.get("message").and_then(|message| message.get(old)));
        found.and_then(Value::as_str).map(|text| text.replace('\0', "\u{FFFD}"))
    };
    assert_eq!(found("role", "role").as_ref(), Some(role));
    assert_eq!(found("message", "content").as_ref(), Some(message));
    let raw = plain.to_string();
    assert!(!altered || raw.contains("\\u0000"), "an unchanged text is marked as altered");
}

/// Checks that the answer names a field and its error, and quotes nothing.
fn explained(fault: &Unreadable) {
    assert!(fault.problem.len() <= MAX_PROBLEM, "{}", fault.problem);
    assert!(fault.problem.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", fault.problem);
}

/// Checks that a duplicate, which arrives later and under another delivery ID, has the same
/// identity.
fn same_for_a_duplicate(read: &Result<Delivery, Unreadable>, arrival: &Arrival) {
    let later = arrival.received_at + TimeDelta::hours(25);
    let again =
        Arrival { id: DeliveryId(Uuid::from_u128(8)), received_at: later, ..arrival.clone() };
    let again = decode(&again).map(|mut again| {
        if again.undated {
            assert_eq!(again.occurred_at, later);
            again.occurred_at = arrival.received_at;
        }
        again
    });
    assert_eq!(*read, again, "a duplicate is decoded differently");
}
