//! Finds and replaces the texts in a JSON document in place.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::cues::{self, Class};
use super::kind::Kind;
use super::redaction::Redaction;
use super::steps;
use super::view::Escapes;

/// Members that stay unchanged: those that identify and order a delivery, and the names of its
/// event, role and room. The decoder reads them, and they contain nothing that somebody said. Each
/// applies to one scope only; elsewhere a member of the same name is an ordinary text.
const PRESERVED: [(Scope, &[&str]); 5] = [
    (
        Scope::Delivery,
        &[
            "id",
            "session_id",
            "sessionId",
            "agent_id",
            "agent_code",
            "agentId",
            "event",
            "event_type",
            "type",
            "timestamp",
            "created",
            "created_at",
            "createdAt",
        ],
    ),
    (
        Scope::Data,
        &["session_id", "agent_id", "code", "role", "room_name", "timestamp", "participant_count"],
    ),
    (Scope::Message, &["id", "role", "timestamp", "created_at", "createdAt"]),
    (Scope::Room, &["id", "name", "participants"]),
    (Scope::Session, &["id", "startedAt", "started_at", "endedAt", "ended_at"]),
];

/// Fewest digits of a JSON number that may be a card or phone number.
const FEWEST_DIGITS: usize = 7;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Position of an object in the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Delivery,
    Data,
    Message,
    Room,
    Session,
    /// Anywhere else.
    Other,
}

impl Scope {
    /// Returns the scope of an object under `key`.
    fn below(self, key: Option<&str>) -> Self {
        match (self, key) {
            (Self::Delivery, Some("data")) => Self::Data,
            (Self::Delivery, Some("message")) => Self::Message,
            (Self::Delivery, Some("room")) => Self::Room,
            (Self::Delivery, Some("session")) => Self::Session,
            _ => Self::Other,
        }
    }

    fn preserves(self, key: &str) -> bool {
        PRESERVED.iter().any(|(scope, keys)| *scope == self && keys.contains(&key))
    }
}

/// Returns `true` if the decoder reads the body as JSON.
pub(super) fn is_json(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
    serde_json::from_str::<&RawValue>(&text).is_ok()
}

/// Returns the document with its texts redacted, or `None` if nothing changed. The body must
/// satisfy [`is_json`].
pub(super) fn redact(redaction: Redaction, body: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk {
        redaction,
        body,
        kept: Vec::with_capacity(body.len()),
        copied: 0,
        containers: Vec::new(),
        key: None,
    };
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        steps::add(1);
        at = match byte {
            b'{' | b'[' => walk.enter(at, *byte == b'{'),
            b'}' | b']' => walk.leave(at),
            b'"' => walk.string(at),
            b'-' | b'0'..=b'9' => walk.number(at),
            b',' if walk.containers.last().is_some_and(|container| container.is_object) => {
                walk.key = None;
                at + 1
            }
            _ => at + 1,
        };
    }
    if walk.copied == 0 {
        return None;
    }
    walk.kept.extend_from_slice(&body[walk.copied..]);
    Some(walk.kept)
}

/// Open object or list.
struct Container {
    is_object: bool,
    scope: Scope,
    /// Key whose value it is.
    key: Option<Range<usize>>,
}

struct Walk<'a> {
    redaction: Redaction,
    body: &'a [u8],
    kept: Vec<u8>,
    /// Length of the part of the body that has been copied.
    copied: usize,
    containers: Vec<Container>,
    /// Key of the next value, quotes included.
    key: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    fn enter(&mut self, at: usize, is_object: bool) -> usize {
        let scope = match self.containers.last() {
            None if is_object => Scope::Delivery,
            Some(container) if container.is_object && is_object => {
                container.scope.below(self.key.clone().and_then(|key| self.name(key)).as_deref())
            }
            _ => Scope::Other,
        };
        // Elements of a list inherit the key of the list.
        let key =
            self.key.take().or_else(|| self.containers.last().and_then(|list| list.key.clone()));
        self.containers.push(Container { is_object, scope, key });
        at + 1
    }

    fn leave(&mut self, at: usize) -> usize {
        self.containers.pop();
        self.key = None;
        at + 1
    }

    fn string(&mut self, at: usize) -> usize {
        let end = end_of_string(self.body, at);
        if is_key(self.body, end) {
            self.key = Some(at..end);
            self.replace(at + 1, end - 1, None);
        } else if !self.is_preserved() {
            let inside = &self.body[at + 1..end - 1];
            let name = if Redaction::may_hold_numbers(inside) { self.class() } else { None };
            self.replace(at + 1, end - 1, name);
        }
        end
    }

    fn replace(&mut self, start: usize, end: usize, name: Option<Class>) {
        for (span, kind) in self.redaction.find(&self.body[start..end], Escapes::Json, name) {
            self.put(start + span.start..start + span.end, kind.placeholder());
        }
    }

    fn put(&mut self, span: Range<usize>, by: &str) {
        self.kept.extend_from_slice(&self.body[self.copied..span.start]);
        self.kept.extend_from_slice(by.as_bytes());
        self.copied = span.end;
    }

    /// Replaces a number by a text if both its key and its digits identify a card or phone number.
    fn number(&mut self, at: usize) -> usize {
        let of_number = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let end = at + self.body[at..].iter().take_while(of_number).count();
        let number = &self.body[at..end];
        if number.len() >= FEWEST_DIGITS
            && number.iter().all(u8::is_ascii_digit)
            && !self.is_preserved()
        {
            let name = self.class();
            let found = self.redaction.find(number, Escapes::Literal, name);
            if let [(span, kind)] = &found[..]
                && *span == (0..number.len())
                && matches!(
                    (kind, name),
                    (Kind::Card, Some(Class::Card)) | (Kind::Phone, Some(Class::Phone))
                )
            {
                self.put(at..end, &format!("\"{}\"", kind.placeholder()));
            }
        }
        end
    }

    /// Returns `true` if the next value stays unchanged.
    fn is_preserved(&self) -> bool {
        let Some(container) = self.containers.last().filter(|container| container.is_object) else {
            return false;
        };
        container.scope != Scope::Other
            && self
                .key
                .clone()
                .and_then(|key| self.name(key))
                .is_some_and(|key| container.scope.preserves(&key))
    }

    /// Returns the class of the next value by its key, or by the key of its container.
    fn class(&self) -> Option<Class> {
        let own = self.key.clone().and_then(|key| cues::class_of_name(&self.name(key)?));
        own.filter(|class| *class != Class::Number).or_else(|| {
            let container = self.containers.last()?.key.clone()?;
            cues::class_of_name(&self.name(container)?).or(own)
        })
    }

    fn name(&self, key: Range<usize>) -> Option<Cow<'a, str>> {
        let key = self.body.get(key)?;
        match std::str::from_utf8(key.get(1..key.len() - 1)?) {
            Ok(name) if !name.contains('\\') => Some(Cow::Borrowed(name)),
            _ => serde_json::from_slice(key).ok().map(Cow::Owned),
        }
    }
}

/// Returns the position after the closing quote of the string at `start`.
fn end_of_string(body: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = body.get(at) {
        steps::add(1);
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

fn is_key(body: &[u8], end: usize) -> bool {
    body[end..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}
