//! Kinds of data that are replaced.

use serde::Deserialize;

/// Kind of data that is replaced.
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

    /// Returns the kind with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, kind)| kind)
    }

    /// Text that replaces it.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
        }
    }
}
