//! Decodes deliveries: four generations of one contract, and account events.
//!
//! Pure: an arrival always decodes to the same delivery. Ingest decodes it for the answer, and the
//! inbox after reading it from its file. One decoder reads all generations: it searches each field
//! under the names of every generation, so that mixtures can be read as well.

mod json;
pub mod names;

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use self::json::{Object, Value};
use crate::domain::delivery::SessionRef;
use crate::domain::text::Text;
use crate::domain::time;
use crate::domain::{Arrival, Delivery, Event, EventId, Generation, SessionId, Unreadable};

/// Longest agent or session ID, in bytes. Known senders use up to 36. Postgres cannot index values
/// longer than about 2,700 bytes, which must not be discovered after the answer.
const MAX_ID_BYTES: usize = 512;
/// Longest event type or role, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Account events, and the event of generation A that belongs to no conversation.
const ACCOUNT_EVENTS: [&str; 6] =
    ["agent.ready", "agent.failed", "video.completed", "video.failed", "ping", "agent_error"];

/// Path of a field, and its value.
type Found<'v> = (&'static str, Option<Value<'v>>);

/// Names of the required fields in a generation, for error messages.
struct Spelling {
    agent: &'static str,
    session: &'static str,
    role: &'static str,
    message: &'static str,
}

/// Generation A.
const OLD: Spelling = Spelling {
    agent: "agentId",
    session: "sessionId",
    role: "message.role",
    message: "message.content",
};
/// Since B.
const NEW: Spelling = Spelling {
    agent: "agent_id",
    session: "data.session_id",
    role: "data.role",
    message: "data.message",
};

/// Decoded delivery, or the reason why it cannot be decoded.
pub type Reading = Result<Delivery, Unreadable>;

/// Arrival with its decoded delivery. The drain reuses what ingest decoded, because hashing and
/// parsing are a large part of the cost of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Arrival.
    pub arrival: Arrival,
    /// Result of decoding it.
    pub read: Reading,
}

impl From<Arrival> for Received {
    fn from(arrival: Arrival) -> Self {
        Self { read: decode(&arrival), arrival }
    }
}

/// Decodes a delivery.
pub fn decode(arrival: &Arrival) -> Reading {
    let (text, repaired) = body_text(&arrival.body);
    let top = match Object::parse(&text) {
        Ok(Some(object)) => object,
        Ok(None) => return Err(Unreadable::new("body", "it is JSON, but not an object")),
        Err(error) => return Err(Unreadable::new("body", format!("it is not JSON: {error}"))),
    };
    Reader::new(arrival, &top, repaired)?.delivery()
}

/// Returns the body as text, and `true` if invalid UTF-8 was replaced.
fn body_text(body: &[u8]) -> (Cow<'_, str>, bool) {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (Cow::Owned(Text::from_wtf8(body).value), true),
    }
}

/// Decoder of one delivery.
struct Reader<'a> {
    arrival: &'a Arrival,
    top: &'a Object<'a>,
    data: Object<'a>,
    /// Invalid bytes of the body were replaced.
    repaired: bool,
    event_type: String,
}

impl<'a> Reader<'a> {
    fn new(arrival: &'a Arrival, top: &'a Object<'a>, repaired: bool) -> Result<Self, Unreadable> {
        let places = [("event_type", top, "event_type"), ("event", top, "event")];
        let event_type = name(find(places, "event_type"))?;
        let event_type = match event_type.as_str() {
            "room_join" => "room.join".into(),
            "chat_push" => "chat.push".into(),
            _ => event_type,
        };
        let data = match top.get("data") {
            Some(Value::Object(text)) => Object::parse(text).ok().flatten().unwrap_or_default(),
            Some(other) if matches!(event_type.as_str(), "room.join" | "chat.push") => {
                return Err(wrong_type("data", "an object", &other));
            }
            _ => Object::default(),
        };
        Ok(Self { arrival, top, data, repaired, event_type })
    }

    fn delivery(self) -> Result<Delivery, Unreadable> {
        let event = self.event()?;
        let sent_at =
            moment(self.top.get("timestamp").or_else(|| self.top.get("created")).as_ref());
        let happened_at = moment(self.data.get("timestamp").as_ref()).or(sent_at);
        let Arrival { source, evidence, body, received_at, .. } = self.arrival;
        Ok(Delivery {
            id: evidence.event_id.unwrap_or_else(|| EventId::of(source, body)),
            generation: self.generation(),
            agent_id: self.agent().ok(),
            event_type: self.event_type,
            occurred_at: happened_at.unwrap_or(*received_at),
            undated: happened_at.is_none(),
            sent_at,
            event,
        })
    }

    fn event(&self) -> Result<Event, Unreadable> {
        if self.arrival.evidence.test {
            return Ok(Event::Test);
        }
        Ok(match self.event_type.as_str() {
            "test" => Event::Test,
            "room.join" => self.join()?,
            "chat.push" => self.message()?,
            "session_end" | "session.end" => self.end()?,
            known if ACCOUNT_EVENTS.contains(&known) => Event::Account,
            _ => Event::Unknown,
        })
    }

    fn join(&self) -> Result<Event, Unreadable> {
        let room = self.top.object("room").unwrap_or_default();
        let count = self.data.get("participant_count").or_else(|| room.get("participants"));
        Ok(Event::Join {
            session: self.session()?,
            room_name: text_of(self.data.get("room_name").or_else(|| room.get("name"))),
            participant_count: count_of(count),
        })
    }

    fn message(&self) -> Result<Event, Unreadable> {
        let session = self.session()?;
        // In generation A `message` is an object beside `data`; since B it is a text within it.
        let old = self.top.object("message").unwrap_or_default();
        let (data, spelling) = (&self.data, self.spelling());
        let role = [("data.role", data, "role"), ("message.role", &old, "role")];
        let role = name(find(role, spelling.role))?;
        let text = [("data.message", data, "message"), ("message.content", &old, "content")];
        let text = match find(text, spelling.message) {
            (_, Some(Value::Text(text))) => text,
            (field, Some(other)) => return Err(wrong_type(field, "a string", &other)),
            (field, None) => return Err(missing(field)),
        };
        Ok(Event::Message {
            session,
            role,
            altered: text.altered || (self.repaired && text.value.contains('\u{FFFD}')),
            message: text.value,
        })
    }

    fn end(&self) -> Result<Event, Unreadable> {
        let ended = self.top.object("session").unwrap_or_default();
        Ok(Event::End {
            session: self.session()?,
            reason: text_of(ended.get("endReason").or_else(|| self.data.get("end_reason"))),
            started_at: moment(ended.get("startedAt").as_ref()),
        })
    }

    fn session(&self) -> Result<SessionRef, Unreadable> {
        let agent_id = self.agent()?;
        let places = [
            ("data.session_id", &self.data, "session_id"),
            ("sessionId", self.top, "sessionId"),
            ("session_id", self.top, "session_id"),
        ];
        let sender_session_id = id(find(places, self.spelling().session))?;
        let id = SessionId::of(&self.arrival.source, &agent_id, &sender_session_id);
        Ok(SessionRef { id, agent_id, sender_session_id })
    }

    fn agent(&self) -> Result<String, Unreadable> {
        let places = [
            ("agent_id", self.top, "agent_id"),
            ("agent_code", self.top, "agent_code"),
            ("agentId", self.top, "agentId"),
            ("data.agent_id", &self.data, "agent_id"),
        ];
        id(find(places, self.spelling().agent))
    }

    /// Returns the field names of the delivery's generation.
    fn spelling(&self) -> &'static Spelling {
        let top = self.top;
        let is_old = top.has("event") && !top.has("event_type");
        if is_old || top.has("sessionId") || top.object("message").is_some() {
            &OLD
        } else if top.has("agent_code") {
            &Spelling { agent: "agent_code", ..NEW }
        } else {
            &NEW
        }
    }

    fn generation(&self) -> Generation {
        let top = self.top;
        if ACCOUNT_EVENTS.contains(&self.event_type.as_str()) && !top.has("agentId")
            || top.has("event") && top.has("created")
        {
            Generation::Account
        } else if top.has("event") && !top.has("event_type") {
            Generation::A
        } else if top.has("agent_code") {
            Generation::C
        } else if self.arrival.evidence.signed {
            Generation::B
        } else {
            Generation::D
        }
    }
}

/// Returns the first field that is present with its path, or the path of the missing field.
fn find<'v, const N: usize>(
    places: [(&'static str, &Object<'v>, &str); N],
    missing: &'static str,
) -> Found<'v> {
    let found = places.into_iter().find_map(|(path, of, key)| Some((path, Some(of.get(key)?))));
    found.unwrap_or((missing, None))
}

fn missing(field: &'static str) -> Unreadable {
    Unreadable::new(field, "it is missing")
}

fn wrong_type(field: &'static str, wanted: &str, found: &Value<'_>) -> Unreadable {
    Unreadable::new(field, format!("it must be {wanted}, not {}", found.kind()))
}

/// Returns a required short text.
fn name((field, value): Found<'_>) -> Result<String, Unreadable> {
    match value {
        Some(Value::Text(text)) => bounded(field, text.value, MAX_NAME_BYTES),
        Some(other) => Err(wrong_type(field, "a string", &other)),
        None => Err(missing(field)),
    }
}

/// Returns a required ID. A number is accepted as it is written, because senders do not always
/// quote IDs.
fn id((field, value): Found<'_>) -> Result<String, Unreadable> {
    match value {
        Some(Value::Text(text)) => bounded(field, text.value, MAX_ID_BYTES),
        Some(Value::Number(digits)) => bounded(field, digits.to_owned(), MAX_ID_BYTES),
        Some(other) => Err(wrong_type(field, "a string", &other)),
        None => Err(missing(field)),
    }
}

fn bounded(field: &'static str, text: String, max_bytes: usize) -> Result<String, Unreadable> {
    if text.is_empty() {
        Err(Unreadable::new(field, "it is empty"))
    } else if text.len() > max_bytes {
        let length = text.len();
        Err(Unreadable::new(field, format!("it has {length} bytes; the limit is {max_bytes}")))
    } else {
        Ok(text)
    }
}

/// Returns an optional text.
fn text_of(value: Option<Value<'_>>) -> Option<String> {
    match value? {
        Value::Text(text) => Some(text.value),
        _ => None,
    }
}

/// Returns an optional count, a number with or without quotes.
fn count_of(value: Option<Value<'_>>) -> Option<i32> {
    let number = match value? {
        Value::Number(digits) => digits.parse::<f64>().ok()?,
        Value::Text(text) => text.value.trim().parse().ok()?,
        _ => return None,
    };
    let whole = number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds above")]
    whole.then_some(number as i32)
}

/// Returns an optional time, or `None` if it is invalid.
fn moment(value: Option<&Value<'_>>) -> Option<DateTime<Utc>> {
    match value? {
        Value::Number(digits) => time::from_number(digits),
        Value::Text(text) => time::from_text(&text.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
