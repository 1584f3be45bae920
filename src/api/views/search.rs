//! JSON shapes of `/v1/search`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::message::Message;
use crate::api::views::session::Session;
use crate::domain::Roles;
use crate::domain::session::SilenceLimits;
use crate::search::{Highlights, IgnoredSyntax, Piece, Query, highlight};
use crate::store::search::{Incomplete, SearchHit};

/// Messages that match, and the interpretation of the query.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Matches<'a> {
    /// The matches, best first.
    pub(crate) data: Vec<SearchMatch<'a>>,
    /// Cursor of the next part; `null` at the end.
    #[schema(example = "AZmaLD8LfVGcVTocjg8rZA")]
    pub(crate) next_cursor: Option<String>,
    /// True if there may be a next part.
    #[schema(example = true)]
    pub(crate) has_more: bool,
    /// Interpretation of the query.
    pub(crate) query: ReadQuery,
    /// True if this page and the next ones have all matches.
    #[schema(example = false)]
    pub(crate) complete: bool,
    /// Reasons for missing matches; empty if `complete` is true.
    pub(crate) incomplete: Vec<Reason>,
}

/// Interpretation of a query.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadQuery {
    /// The words, phrases, exclusions and prefixes of the search.
    #[schema(example = "opening hours")]
    pub(crate) read_as: String,
    /// Ignored parts.
    pub(crate) forgiven: Vec<PassedOver>,
    /// True if no message has all of the words, so words that contain them were searched.
    #[schema(example = false)]
    pub(crate) parts_of_words: bool,
}

/// Ignored part of a query.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PassedOver {
    /// A quotation mark without a closing one: the phrase lasts to the end.
    UnclosedQuote,
    /// A star that does not follow two letters of a word.
    #[serde(rename = "stray_star")]
    MisplacedStar,
}

/// Reason for missing matches.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The index is being rebuilt, newest messages first: `/readyz` has the progress.
    IndexRebuild,
    /// More than 1,000 words contain the searched parts of words.
    ManyWords,
    /// Thousands of messages arrived late in the range of the page before.
    ManyLate,
}

impl From<IgnoredSyntax> for PassedOver {
    fn from(forgiven: IgnoredSyntax) -> Self {
        match forgiven {
            IgnoredSyntax::UnclosedQuote => Self::UnclosedQuote,
            IgnoredSyntax::MisplacedStar => Self::MisplacedStar,
        }
    }
}

impl From<Incomplete> for Reason {
    fn from(incomplete: Incomplete) -> Self {
        match incomplete {
            Incomplete::Rebuild => Self::IndexRebuild,
            Incomplete::ManyWords => Self::ManyWords,
            Incomplete::ManyLate => Self::ManyLate,
        }
    }
}

/// A message that matches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchMatch<'a> {
    /// The message.
    pub(crate) message: Message<'a>,
    /// Its session.
    pub(crate) session: Session<'a>,
    /// An excerpt of the message, divided into matches and other text; plain text, unchanged.
    pub(crate) highlights: Vec<Piece>,
    /// True if the message continues before or after the highlights: see `start` of the first one and
    /// `end` of the last one.
    #[schema(example = false)]
    pub(crate) excerpt: bool,
    /// Rank of the match. It orders the matches of one search and has no other meaning.
    #[schema(example = 0.72)]
    pub(crate) score: f32,
}

impl<'a> SearchMatch<'a> {
    pub(crate) fn new(
        hit: &'a SearchHit,
        query: &Query,
        roles: &Roles,
        silence: SilenceLimits,
        now: DateTime<Utc>,
    ) -> Self {
        let SearchHit { session, message, .. } = hit;
        let Highlights { pieces, excerpt } = highlight(&message.message, query);
        Self {
            message: Message::new(message, &session.session_id, &session.agent_id, roles),
            session: Session::new(session, silence, now),
            highlights: pieces,
            excerpt,
            score: hit.score,
        }
    }
}
