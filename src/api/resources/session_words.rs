//! Words of queries for sessions.

use crate::api::query::number::Whole;
use crate::api::query::words::{AnyOf, OneOf, Word};
use crate::domain::session::Status;
use crate::store::figures::SessionCounts;
use crate::store::sessions::Sort;

/// Longest duration of a query, in seconds: a hundred years.
const MAX_SECONDS: i64 = 3_153_600_000;

/// Number of messages.
pub(crate) type MessageCount = Whole<0, { i64::MAX }>;
/// Duration in seconds.
pub(crate) type Seconds = Whole<0, MAX_SECONDS>;
/// Name of a session's first event.
pub(crate) type OpenedByWord = OneOf<OpenedBy>;
/// Name of a status.
pub(crate) type StatusWord = OneOf<Status>;
/// Name of an order of sessions.
pub(crate) type SortWord = OneOf<Sort>;
/// Names of completeness flags.
pub(crate) type FlagWords = AnyOf<Flag>;

/// First event of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenedBy {
    /// A visitor joined.
    Join,
    /// A message arrived.
    Message,
}

impl Word for OpenedBy {
    fn all() -> Vec<Self> {
        vec![Self::Join, Self::Message]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Join => "room.join",
            Self::Message => "chat.push",
        }
    }
}

impl Word for Status {
    fn all() -> Vec<Self> {
        vec![Self::Live, Self::Idle, Self::Ended]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Idle => "idle",
            Self::Ended => "ended",
        }
    }
}

impl Word for Sort {
    fn all() -> Vec<Self> {
        vec![Self::Activity, Self::Started, Self::Duration, Self::Messages]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Started => "started",
            Self::Duration => "duration",
            Self::Messages => "messages",
        }
    }
}

/// Completeness flag of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(&'static str);

impl Word for Flag {
    fn all() -> Vec<Self> {
        SessionCounts::FLAGS.map(Self).to_vec()
    }

    fn word(self) -> &'static str {
        self.0
    }
}

/// Returns the names of flags for the store; `None` without any.
pub(crate) fn flag_names(flags: FlagWords) -> Option<Vec<String>> {
    let names = |flags: Vec<Flag>| flags.into_iter().map(|flag| flag.word().to_owned()).collect();
    flags.given().map(names)
}
