//! Maps the sender's role names to the sides of a conversation.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

/// Side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Visitor.
    User,
    /// Avatar.
    Assistant,
    /// Any other: a system, a tool, a person who joins in.
    Other,
}

/// Role names of the assistant. ASCII case is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Names in lower case, `assistant` first.
    assistant: Arc<[String]>,
}

/// Reason for rejecting role names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoles {
    /// There are too many names.
    #[error("there are more than {} roles", Roles::MAX_WORDS)]
    TooMany,
    /// A name is empty, or longer than a role can be.
    #[error("a role must have 1 to {} bytes", Roles::MAX_WORD_BYTES)]
    Length,
    /// A name is the visitor's.
    #[error("`user` is the visitor's role")]
    User,
}

impl Roles {
    /// Default names beside `assistant`.
    pub const DEFAULT: [&'static str; 6] = ["agent", "ai", "avatar", "bot", "chatbot", "model"];
    /// Most names: each is compared with each role.
    pub const MAX_WORDS: usize = 32;
    /// Longest name, as long as a role may be.
    const MAX_WORD_BYTES: usize = 128;
    const USER: &'static str = "user";
    const ASSISTANT: &'static str = "assistant";

    /// Creates roles with names of the assistant beside `assistant`.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidRoles> {
        let mut assistant = vec![Self::ASSISTANT.to_owned()];
        for word in words {
            let word = word.trim().to_ascii_lowercase();
            if !(1..=Self::MAX_WORD_BYTES).contains(&word.len()) {
                return Err(InvalidRoles::Length);
            }
            if word == Self::USER {
                return Err(InvalidRoles::User);
            }
            if !assistant.contains(&word) {
                assistant.push(word);
            }
            if assistant.len() > Self::MAX_WORDS {
                return Err(InvalidRoles::TooMany);
            }
        }
        Ok(Self { assistant: assistant.into() })
    }

    /// Returns the side of a role.
    #[must_use]
    pub fn side_of(&self, role: &str) -> Side {
        if role.eq_ignore_ascii_case(Self::USER) {
            Side::User
        } else if self.assistant.iter().any(|word| role.eq_ignore_ascii_case(word)) {
            Side::Assistant
        } else {
            Side::Other
        }
    }

    /// Returns the side of a role, unless the role is exactly `user` or `assistant`.
    #[must_use]
    pub fn unnamed_side_of(&self, role: &str) -> Option<Side> {
        (![Self::USER, Self::ASSISTANT].contains(&role)).then(|| self.side_of(role))
    }

    /// Returns `user` or `assistant` for roles of these sides, and any other role unchanged.
    #[must_use]
    pub fn name_of<'a>(&self, role: &'a str) -> &'a str {
        match self.side_of(role) {
            Side::User => Self::USER,
            Side::Assistant => Self::ASSISTANT,
            Side::Other => role,
        }
    }

    /// Returns the names of the assistant in lower case, `assistant` first.
    #[must_use]
    pub fn assistant(&self) -> &[String] {
        &self.assistant
    }

    /// Returns the roles in lower case that match a filter by `role`: all names of the assistant
    /// for `assistant`, otherwise the role itself.
    #[must_use]
    pub fn named(&self, role: &str) -> Cow<'_, [String]> {
        let role = role.to_ascii_lowercase();
        if role == Self::ASSISTANT {
            Cow::Borrowed(&self.assistant)
        } else {
            Cow::Owned(vec![role])
        }
    }
}

impl Default for Roles {
    /// Returns [`Self::DEFAULT`] and `assistant`.
    fn default() -> Self {
        let words = [Self::ASSISTANT].into_iter().chain(Self::DEFAULT);
        Self { assistant: words.map(str::to_owned).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ignored_and_names_of_the_assistant_are_recognized() {
        let roles = Roles::default();
        for role in ["assistant", "Assistant", "AGENT", "bot", "Ai", "avatar", "model", "ChatBot"] {
            assert_eq!(roles.side_of(role), Side::Assistant, "{role}");
            assert_eq!(roles.name_of(role), "assistant", "{role}");
        }
        for role in ["user", "User", "USER"] {
            assert_eq!(roles.side_of(role), Side::User, "{role}");
        }
        for role in ["system", "tool", "guide", "users", " user", "", "assistant "] {
            assert_eq!((roles.side_of(role), roles.name_of(role)), (Side::Other, role), "{role}");
        }
    }

    #[test]
    fn configured_names_replace_the_defaults() {
        let roles = Roles::new(["Guide", " museum_ai ", "guide"]).unwrap();
        assert_eq!(roles.assistant(), ["assistant", "guide", "museum_ai"]);
        assert_eq!(roles.side_of("GUIDE"), Side::Assistant);
        assert_eq!(roles.side_of("bot"), Side::Other);
        assert_eq!(roles.named("Assistant"), ["assistant", "guide", "museum_ai"].as_slice());
        assert_eq!(roles.named("Guide"), ["guide"].as_slice());
        assert_eq!(roles.named("USER"), ["user"].as_slice());
    }

    #[test]
    fn invalid_names_are_rejected() {
        assert_eq!(Roles::new([""]), Err(InvalidRoles::Length));
        assert_eq!(Roles::new(["x".repeat(129).as_str()]), Err(InvalidRoles::Length));
        assert_eq!(Roles::new(["User"]), Err(InvalidRoles::User));
        let many: Vec<String> = (0..32).map(|n| format!("r{n}")).collect();
        assert_eq!(Roles::new(many.iter().map(String::as_str)), Err(InvalidRoles::TooMany));
        assert!(Roles::new(many[1..].iter().map(String::as_str)).is_ok());
    }
}
