//! Redaction at ingest: replaces e-mail addresses, phone numbers and card numbers in texts before
//! they are stored. It is off unless a source enables it.
//!
//! Pure, and linear in the length of the text. IDs, times, and names of events and rooms stay
//! unchanged.

mod calling_codes;
mod candidate;
mod card;
mod characters;
mod cues;
mod email;
mod groups;
mod json;
mod kind;
mod numbers;
mod other;
mod phone;
mod redaction;
mod steps;
mod view;

pub use kind::Kind;
pub use redaction::Redaction;

use self::redaction::{replace, until_settled};
use self::view::Escapes;

impl Redaction {
    /// Returns the redacted body, or `None` if nothing changed.
    ///
    /// In JSON only the texts change; all other bytes stay. A body that is not JSON is treated as
    /// one text whose JSON escapes are decoded.
    #[must_use]
    pub fn body(self, body: &[u8]) -> Option<Vec<u8>> {
        if self.is_off() {
            return None;
        }
        until_settled(body, |body| {
            if json::is_json(body) {
                return json::redact(self, body);
            }
            replace(body, &self.find(body, Escapes::Json, None))
        })
    }
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
