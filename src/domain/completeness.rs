//! Findings that a stored conversation may be incomplete or out of order.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Figures of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// A `room.join` arrived.
    pub joined: bool,
    /// Messages of any role.
    pub messages: i64,
    /// Messages whose role is `user`.
    pub user_messages: i64,
    /// Messages whose role is `assistant`.
    pub assistant_messages: i64,
    /// User messages directly after a user message of the same visit.
    pub repeated_user_turns: Places,
    /// Messages that arrived before one that was said earlier.
    pub out_of_order: Places,
    /// Messages whose text could not be stored unchanged.
    pub altered: Places,
    /// Messages without a valid time.
    pub undated: Places,
}

/// Number of occurrences in a conversation, and the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Number of messages.
    pub count: i64,
    /// Time and ID of the first message.
    pub first: Option<(DateTime<Utc>, Uuid)>,
}

/// Kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// The beginning may be missing.
    NoJoin,
    /// All messages of one side may be missing.
    OneSided,
    /// An answer may be missing.
    RepeatedUserTurn,
    /// A part of a text is missing.
    Altered,
    /// Arrivals and times contradict each other; the order follows the times.
    OutOfOrder,
    /// The order follows the arrival, because times are missing.
    Undated,
}

impl Flag {
    /// Name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoJoin => "no_join",
            Self::OneSided => "one_sided",
            Self::RepeatedUserTurn => "repeated_user_turn",
            Self::Altered => "altered",
            Self::OutOfOrder => "out_of_order",
            Self::Undated => "undated",
        }
    }

    /// Returns `true` if something may be missing, and `false` if only the order is in doubt.
    #[must_use]
    pub fn means_missing(self) -> bool {
        !matches!(self, Self::OutOfOrder | Self::Undated)
    }
}

/// Finding about a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind.
    pub flag: Flag,
    /// Explanation for a person.
    pub reason: String,
    /// Messages concerned, if it is about messages.
    pub places: Option<Places>,
}

/// Returns all findings, those about missing parts first.
#[must_use]
pub fn examine(figures: &Figures) -> Vec<Finding> {
    let mut found = Vec::new();
    if !figures.joined {
        found.push(Finding {
            flag: Flag::NoJoin,
            reason: "No room.join came, so what was said at the beginning may be missing.".into(),
            places: None,
        });
    }
    if let Some(silent) = silent_side(figures) {
        found.push(Finding {
            flag: Flag::OneSided,
            reason: format!("No message of the {silent} was stored."),
            places: None,
        });
    }
    let mut in_places = |flag, places: &Places, reason: &str| {
        if places.count > 0 {
            let reason = format!("{} {reason}", messages(places.count));
            found.push(Finding { flag, reason, places: Some(places.clone()) });
        }
    };
    in_places(
        Flag::RepeatedUserTurn,
        &figures.repeated_user_turns,
        "of the user directly after another of the user: an answer may be missing in between.",
    );
    in_places(
        Flag::Altered,
        &figures.altered,
        "with characters that could not be stored, shown as U+FFFD.",
    );
    in_places(
        Flag::OutOfOrder,
        &figures.out_of_order,
        "that arrived before something that was said earlier. The order shown is that of the \
         sender's times.",
    );
    in_places(Flag::Undated, &figures.undated, "without a valid time, ordered by arrival.");
    found
}

/// Returns the side without messages in a conversation that has messages.
fn silent_side(figures: &Figures) -> Option<&'static str> {
    match (figures.user_messages, figures.assistant_messages) {
        _ if figures.messages == 0 => None,
        (0, 0) => Some("user or the assistant"),
        (0, _) => Some("user"),
        (_, 0) => Some("assistant"),
        _ => None,
    }
}

fn messages(count: i64) -> String {
    if count == 1 { "1 message".into() } else { format!("{count} messages") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Figures {
        Figures {
            joined: true,
            messages: 4,
            user_messages: 2,
            assistant_messages: 2,
            ..Figures::default()
        }
    }

    fn places(count: i64) -> Places {
        Places { count, first: Some((DateTime::UNIX_EPOCH, Uuid::nil())) }
    }

    #[test]
    fn each_figure_raises_only_its_flag() {
        for (figures, expected) in [
            (whole(), None),
            (Figures { joined: false, ..whole() }, Some("no_join")),
            (Figures { user_messages: 0, ..whole() }, Some("one_sided")),
            (Figures { assistant_messages: 0, ..whole() }, Some("one_sided")),
            (Figures { repeated_user_turns: places(1), ..whole() }, Some("repeated_user_turn")),
            (Figures { altered: places(2), ..whole() }, Some("altered")),
            (Figures { out_of_order: places(3), ..whole() }, Some("out_of_order")),
            (Figures { undated: places(4), ..whole() }, Some("undated")),
            (Figures { joined: true, ..Figures::default() }, None),
        ] {
            let flags: Vec<_> = examine(&figures).iter().map(|one| one.flag.as_str()).collect();
            assert_eq!(flags, Vec::from_iter(expected), "{figures:?}");
        }
    }

    #[test]
    fn reason_names_the_silent_side_and_the_number_of_messages() {
        let reason = |figures| examine(&figures).remove(0).reason;
        let silent = reason(Figures { user_messages: 0, ..whole() });
        assert_eq!(silent, "No message of the user was stored.");
        let strangers = Figures { user_messages: 0, assistant_messages: 0, ..whole() };
        assert_eq!(reason(strangers), "No message of the user or the assistant was stored.");
        assert!(reason(Figures { altered: places(1), ..whole() }).starts_with("1 message with"));
        assert!(reason(Figures { altered: places(2), ..whole() }).starts_with("2 messages with"));
    }

    #[test]
    fn doubtful_order_does_not_mean_missing() {
        let doubted = Figures { out_of_order: places(1), undated: places(1), ..whole() };
        assert!(examine(&doubted).iter().all(|one| !one.flag.means_missing()));
        let lost = Figures { joined: false, altered: places(1), ..whole() };
        assert!(examine(&lost).iter().all(|one| one.flag.means_missing()));
    }
}
