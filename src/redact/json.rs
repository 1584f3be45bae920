//! The texts in a JSON document, found and replaced where they stand.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::cues::{self, Class};
use super::view::Escapes;
use super::{Kind, Redaction, steps};

/// Members by which a delivery is known, sorted, session and time included, and the names of its
/// event, role and room: what the decoder reads, and nobody's words. Each stands in its own place;
/// a member of the same name anywhere else is a text as any other.
const OWN: [(Scope, &[&str]); 5] = [
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

/// Fewest digits of a number that may be one of a card or a phone.
const FEWEST_DIGITS: usize = 7;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An object's place in the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Delivery,
    Data,
    Message,
    Room,
    Session,
    /// Anywhere else.
    Within,
}

impl Scope {
    /// The place of an object under such a key.
    fn below(self, key: Option<&str>) -> Self {
        match (self, key) {
            (Self::Delivery, Some("data")) => Self::Data,
            (Self::Delivery, Some("message")) => Self::Message,
            (Self::Delivery, Some("room")) => Self::Room,
            (Self::Delivery, Some("session")) => Self::Session,
            _ => Self::Within,
        }
    }

    fn owns(self, key: &str) -> bool {
        OWN.iter().any(|(scope, keys)| *scope == self && keys.contains(&key))
    }
}

/// Whether the decoder would read it as JSON.
pub(super) fn is_json(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
    serde_json::from_str::<&RawValue>(&text).is_ok()
}

/// The document with its texts redacted; `None` where none had to be. It is one that [`is_json`].
pub(super) fn redact(redaction: Redaction, body: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk {
        redaction,
        body,
        kept: Vec::with_capacity(body.len()),
        copied: 0,
        around: Vec::new(),
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
            b',' if walk.around.last().is_some_and(|around| around.is_object) => {
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

/// An object or a list that is open.
struct Around {
    is_object: bool,
    scope: Scope,
    /// The key that it stands under.
    key: Option<Range<usize>>,
}

struct Walk<'a> {
    redaction: Redaction,
    body: &'a [u8],
    kept: Vec<u8>,
    /// Up to where the body has been copied.
    copied: usize,
    around: Vec<Around>,
    /// The key whose value comes next, quotes included.
    key: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    fn enter(&mut self, at: usize, is_object: bool) -> usize {
        let scope = match self.around.last() {
            None if is_object => Scope::Delivery,
            Some(around) if around.is_object && is_object => {
                around.scope.below(self.key.clone().and_then(|key| self.name(key)).as_deref())
            }
            _ => Scope::Within,
        };
        // What stands in a list is called what the list is called.
        let key = self.key.take().or_else(|| self.around.last().and_then(|list| list.key.clone()));
        self.around.push(Around { is_object, scope, key });
        at + 1
    }

    fn leave(&mut self, at: usize) -> usize {
        self.around.pop();
        self.key = None;
        at + 1
    }

    fn string(&mut self, at: usize) -> usize {
        let end = end_of_string(self.body, at);
        if is_key(self.body, end) {
            self.key = Some(at..end);
            self.replace(at + 1, end - 1, None);
        } else if !self.is_own() {
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

    /// A number becomes a text where it is called a card's or a phone's, and is one.
    fn number(&mut self, at: usize) -> usize {
        let of_number = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let end = at + self.body[at..].iter().take_while(of_number).count();
        let number = &self.body[at..end];
        if number.len() >= FEWEST_DIGITS && number.iter().all(u8::is_ascii_digit) && !self.is_own()
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

    /// The value that comes next is one that the delivery is known by.
    fn is_own(&self) -> bool {
        let Some(around) = self.around.last().filter(|around| around.is_object) else {
            return false;
        };
        around.scope != Scope::Within
            && self
                .key
                .clone()
                .and_then(|key| self.name(key))
                .is_some_and(|key| around.scope.owns(&key))
    }

    /// What the value that comes next is called, by its key, or by the key of what it stands in.
    fn class(&self) -> Option<Class> {
        let own = self.key.clone().and_then(|key| cues::of_name(&self.name(key)?));
        own.filter(|class| *class != Class::Number).or_else(|| {
            let around = self.around.last()?.key.clone()?;
            cues::of_name(&self.name(around)?).or(own)
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

/// Behind the closing quote of the string that begins there.
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
