//! Which side of a conversation speaks, by the sender's word for it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

/// A side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The visitor.
    User,
    /// The avatar.
    Assistant,
    /// Neither: a system, a tool, a person who steps in.
    Other,
}

/// The words that senders have for the assistant. Case does not matter, as far as ASCII has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// In lower case, `assistant` first.
    assistant: Arc<[String]>,
}

/// Why words cannot be those of the assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoles {
    /// There are too many.
    #[error("there are more than {} of them", Roles::MOST_WORDS)]
    TooMany,
    /// One is empty, or longer than a role can be.
    #[error("a word has between 1 and {} bytes", Roles::MAX_WORD_BYTES)]
    Length,
    /// The visitor's word.
    #[error("`user` is the visitor")]
    User,
}

impl Roles {
    /// The words where nothing is set, beside `assistant`.
    pub const DEFAULT: [&'static str; 6] = ["agent", "ai", "avatar", "bot", "chatbot", "model"];
    /// Most words: each is compared with each role.
    pub const MOST_WORDS: usize = 32;
    /// Longest word, as long as a role may be.
    const MAX_WORD_BYTES: usize = 128;
    const USER: &'static str = "user";
    const ASSISTANT: &'static str = "assistant";

    /// Takes words for the assistant beside `assistant` itself.
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
            if assistant.len() > Self::MOST_WORDS {
                return Err(InvalidRoles::TooMany);
            }
        }
        Ok(Self { assistant: assistant.into() })
    }

    /// Returns the side that a role speaks for.
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

    /// Returns the side that a role speaks for, unless the role is that side's own name.
    #[must_use]
    pub fn unnamed_side_of(&self, role: &str) -> Option<Side> {
        (![Self::USER, Self::ASSISTANT].contains(&role)).then(|| self.side_of(role))
    }

    /// Returns `user` or `assistant` for the roles of these sides, and any other role as it is.
    #[must_use]
    pub fn name_of<'a>(&self, role: &'a str) -> &'a str {
        match self.side_of(role) {
            Side::User => Self::USER,
            Side::Assistant => Self::ASSISTANT,
            Side::Other => role,
        }
    }

    /// The assistant's words in lower case, `assistant` first.
    #[must_use]
    pub fn assistant(&self) -> &[String] {
        &self.assistant
    }

    /// Returns the roles in lower case that a filter by `role` lets through: `assistant` all of the
    /// assistant's, any other word itself.
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
    /// [`Self::DEFAULT`] and `assistant`.
    fn default() -> Self {
        let words = [Self::ASSISTANT].into_iter().chain(Self::DEFAULT);
        Self { assistant: words.map(str::to_owned).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_and_words_of_the_assistant_are_its() {
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
    fn words_that_are_set_take_the_place_of_the_usual_ones() {
        let roles = Roles::new(["Guide", " museum_ai ", "guide"]).unwrap();
        assert_eq!(roles.assistant(), ["assistant", "guide", "museum_ai"]);
        assert_eq!(roles.side_of("GUIDE"), Side::Assistant);
        assert_eq!(roles.side_of("bot"), Side::Other);
        assert_eq!(roles.named("Assistant"), ["assistant", "guide", "museum_ai"].as_slice());
        assert_eq!(roles.named("Guide"), ["guide"].as_slice());
        assert_eq!(roles.named("USER"), ["user"].as_slice());
    }

    #[test]
    fn what_is_no_word_of_the_assistants_is_refused() {
        assert_eq!(Roles::new([""]), Err(InvalidRoles::Length));
        assert_eq!(Roles::new(["x".repeat(129).as_str()]), Err(InvalidRoles::Length));
        assert_eq!(Roles::new(["User"]), Err(InvalidRoles::User));
        let many: Vec<String> = (0..32).map(|n| format!("r{n}")).collect();
        assert_eq!(Roles::new(many.iter().map(String::as_str)), Err(InvalidRoles::TooMany));
        assert!(Roles::new(many[1..].iter().map(String::as_str)).is_ok());
    }
}
