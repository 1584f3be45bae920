//! Kinds that a source redacts, and the redaction of one text.

use std::ops::Range;

use super::cues::Class;
use super::kind::Kind;
use super::numbers::Found;
use super::view::{Escapes, View};
use super::{email, numbers};

/// Kinds that a source redacts; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    email: bool,
    phone: bool,
    card: bool,
}

impl FromIterator<Kind> for Redaction {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        let mut all = Self::default();
        for kind in kinds {
            match kind {
                Kind::Email => all.email = true,
                Kind::Phone => all.phone = true,
                Kind::Card => all.card = true,
            }
        }
        all
    }
}

impl Redaction {
    /// Returns `true` if nothing is replaced.
    #[must_use]
    pub fn is_off(self) -> bool {
        self == Self::default()
    }

    /// Returns the redacted text, or `None` if nothing changed.
    #[must_use]
    pub fn text(self, text: &str) -> Option<String> {
        let kept = until_settled(text.as_bytes(), |text| {
            replace(text, &self.find(text, Escapes::Literal, None))
        });
        // Spans begin and end on character boundaries.
        kept.and_then(|kept| String::from_utf8(kept).ok())
    }

    /// Returns the spans to replace, in order. `name` is the class of the member that holds the
    /// text.
    pub(super) fn find(self, raw: &[u8], escapes: Escapes, name: Option<Class>) -> Vec<Found> {
        if !Self::may_hold_numbers(raw) && !may_hold_address(raw) {
            return Vec::new();
        }
        let view = View::new(raw, escapes);
        let emails = email::find(&view.text);
        let mut found = Vec::new();
        if self.card || self.phone {
            found = numbers::find(&view.text, &emails, name);
        }
        found.extend(emails.into_iter().map(|span| (span, Kind::Email)));
        found.retain(|(_, kind)| self.wants(*kind));
        found.sort_unstable_by_key(|(span, _)| span.start);
        found.into_iter().map(|(span, kind)| (view.raw(&span), kind)).collect()
    }

    fn wants(self, kind: Kind) -> bool {
        match kind {
            Kind::Email => self.email,
            Kind::Phone => self.phone,
            Kind::Card => self.card,
        }
    }

    /// Returns `true` if there are enough digits, or characters that may be digits.
    pub(super) fn may_hold_numbers(raw: &[u8]) -> bool {
        let digit = |byte: &&u8| byte.is_ascii_digit() || **byte >= 0x80;
        raw.iter().filter(digit).take(FEWEST_DIGIT_BYTES).count() == FEWEST_DIGIT_BYTES
    }
}

/// Fewest bytes of digits in anything that is replaced.
const FEWEST_DIGIT_BYTES: usize = 5;

/// Most passes over a text. The second pass rarely finds anything.
const MAX_PASSES: usize = 4;

/// Returns `true` if there is an `@`, or something that may be one: an escape, or a full-width
/// form.
fn may_hold_address(raw: &[u8]) -> bool {
    raw.iter().any(|byte| matches!(byte, b'@' | b'\\' | 0xEF))
}

/// Repeats the redaction until nothing more is found: a replaced number changes how its neighbours
/// are read.
pub(super) fn until_settled(
    raw: &[u8],
    pass: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut kept = pass(raw)?;
    for _ in 1..MAX_PASSES {
        match pass(&kept) {
            Some(more) => kept = more,
            None => break,
        }
    }
    Some(kept)
}

pub(super) fn replace(raw: &[u8], found: &[Found]) -> Option<Vec<u8>> {
    if found.is_empty() {
        return None;
    }
    let (mut out, mut from) = (Vec::with_capacity(raw.len()), 0);
    for (Range { start, end }, kind) in found {
        out.extend_from_slice(&raw[from..*start]);
        out.extend_from_slice(kind.placeholder().as_bytes());
        from = *end;
    }
    out.extend_from_slice(&raw[from..]);
    Some(out)
}
