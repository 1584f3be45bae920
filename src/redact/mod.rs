//! Redaction at the door: e-mail addresses, phone numbers and card numbers, replaced in what
//! somebody said before anything of it is kept. Off, unless a source asks for it.
//!
//! Pure. What a delivery is known by (ids, times, names of events and rooms) is left as it is.

mod json;
mod text;

use std::borrow::Cow;

use serde::Deserialize;

/// What is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// E-mail addresses, by `[email]`.
    Email,
    /// Phone numbers, by `[phone]`.
    Phone,
    /// Numbers of payment cards, by `[card]`.
    Card,
}

impl Kind {
    const ALL: [(&str, Self); 3] =
        [("email", Self::Email), ("phone", Self::Phone), ("card", Self::Card)];

    /// The kind that is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, kind)| kind)
    }
}

/// What a source asks for; the default is nothing.
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
    /// Nothing is replaced.
    #[must_use]
    pub fn is_off(self) -> bool {
        self == Self::default()
    }

    /// A body as it may be kept; `None` where that is as it came.
    ///
    /// In JSON the texts are replaced and all else stays, byte for byte. What is no JSON is taken
    /// for one text.
    #[must_use]
    pub fn body(self, body: &[u8]) -> Option<Vec<u8>> {
        if self.is_off() {
            return None;
        }
        if json::is_json(body) { json::redact(self, body) } else { self.bytes(body) }
    }

    /// A text as it may be kept; `None` where that is as it is.
    #[must_use]
    pub fn text(self, text: &str) -> Option<String> {
        let mut kept = Cow::Borrowed(text);
        if self.email
            && let Some(redacted) = text::emails(&kept)
        {
            kept = Cow::Owned(redacted);
        }
        if (self.card || self.phone)
            && let Some(redacted) = text::numbers(&kept, self.card, self.phone)
        {
            kept = Cow::Owned(redacted);
        }
        match kept {
            Cow::Borrowed(_) => None,
            Cow::Owned(redacted) => Some(redacted),
        }
    }

    /// The same for what may not be UTF-8.
    fn bytes(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (mut kept, mut changed) = (Vec::with_capacity(bytes.len()), false);
        for chunk in bytes.utf8_chunks() {
            let redacted = self.text(chunk.valid());
            changed |= redacted.is_some();
            kept.extend_from_slice(redacted.as_deref().unwrap_or(chunk.valid()).as_bytes());
            kept.extend_from_slice(chunk.invalid());
        }
        changed.then_some(kept)
    }
}

#[cfg(test)]
mod tests;
