//! The texts in a JSON document, found and replaced where they stand.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Redaction;

/// Members that say what a delivery is, where it belongs and when it happened: what it is known by,
/// and no words of anybody's.
const LEFT_ALONE: [&str; 22] = [
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
    "startedAt",
    "started_at",
    "endedAt",
    "ended_at",
    "role",
    "room_name",
    "name",
    "participant_count",
    "participants",
];

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whether the decoder would read it as JSON.
pub(super) fn is_json(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
    serde_json::from_str::<&RawValue>(&text).is_ok()
}

/// The document with its texts redacted; `None` where none had to be. It is one that [`is_json`].
pub(super) fn redact(redaction: Redaction, body: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(body.len());
    let (mut copied, mut at) = (0, 0);
    // Whose value comes next, and the same of the objects and lists around it.
    let mut left_alone = false;
    let mut around = Vec::new();
    while let Some(byte) = body.get(at) {
        match byte {
            b'{' | b'[' => around.push(left_alone),
            b'}' | b']' => left_alone = around.pop().unwrap_or(false),
            b'"' => {
                let end = end_of_string(body, at);
                let string = &body[at..end];
                if is_key(body, end) {
                    left_alone = unescape(string).is_some_and(|key| LEFT_ALONE.contains(&&*key));
                } else if !left_alone && let Some(redacted) = string_of(redaction, string) {
                    kept.extend_from_slice(&body[copied..at]);
                    kept.extend_from_slice(&redacted);
                    copied = end;
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return None;
    }
    kept.extend_from_slice(&body[copied..]);
    Some(kept)
}

/// Behind the closing quote of the string that begins there.
fn end_of_string(body: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = body.get(at) {
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

/// A string, quotes included, as it may be kept; `None` where that is as it is.
fn string_of(redaction: Redaction, string: &[u8]) -> Option<Vec<u8>> {
    let redacted = redaction.text(&unescape(string)?)?;
    // A string always serialises.
    serde_json::to_vec(&redacted).ok()
}

/// What a string says. A lone surrogate, or what is no UTF-8, is U+FFFD, as it is where it is shown.
fn unescape(string: &[u8]) -> Option<Cow<'_, str>> {
    let text = String::from_utf8_lossy(string);
    if !text.contains('\\') {
        return match text {
            Cow::Borrowed(text) => text.get(1..text.len() - 1).map(Cow::Borrowed),
            Cow::Owned(text) => text.get(1..text.len() - 1).map(|text| Cow::Owned(text.into())),
        };
    }
    let whole = serde_json::from_str(&text).ok();
    whole.or_else(|| serde_json::from_str(&without_lone_surrogates(&text)).ok()).map(Cow::Owned)
}

fn without_lone_surrogates(text: &str) -> String {
    const ESCAPE: usize = "\\u0000".len();
    let unit = |at: usize| {
        let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(next) = text[at..].chars().next() {
        let length = match (unit(at), unit(at + ESCAPE)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 2 * ESCAPE,
            (Some(0xD800..=0xDFFF), _) => {
                out.push('\u{FFFD}');
                at += ESCAPE;
                continue;
            }
            (Some(_), _) => ESCAPE,
            // An escape is passed whole, so that the second half of `\\\\` begins none.
            (None, _) if next == '\\' => 2,
            (None, _) => next.len_utf8(),
        };
        out.push_str(&text[at..at + length]);
        at += length;
    }
    out
}
