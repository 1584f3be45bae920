//! What speaks against a conversation's being whole, and in order, as it is stored.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What is found by looking through a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// A `room.join` came.
    pub joined: bool,
    /// Messages by anybody.
    pub messages: i64,
    /// Messages whose role is `user`.
    pub user_messages: i64,
    /// Messages whose role is `assistant`.
    pub assistant_messages: i64,
    /// Messages of a user that follow one of a user, within one visit.
    pub repeated_user_turns: Places,
    /// Messages that arrived before one that was said earlier.
    pub out_of_order: Places,
    /// Messages whose text could not be stored as it was.
    pub altered: Places,
    /// Messages without a time that makes sense.
    pub undated: Places,
}

/// How often something is found in a conversation, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// How often.
    pub count: i64,
    /// The time and id of the first message.
    pub first: Option<(DateTime<Utc>, Uuid)>,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// The beginning may be missing.
    NoJoin,
    /// All messages of the other side may be missing.
    OneSided,
    /// An answer may be missing.
    RepeatedUserTurn,
    /// A part of a text is missing.
    Altered,
    /// Arrivals and times contradict each other; the times decide.
    OutOfOrder,
    /// The order is that of the arrival, for want of times.
    Undated,
}

impl Flag {
    /// Its name towards callers.
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

    /// Something may be missing; otherwise it is the order alone that may be doubted.
    #[must_use]
    pub fn means_missing(self) -> bool {
        !matches!(self, Self::OutOfOrder | Self::Undated)
    }
}

/// One thing that speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub flag: Flag,
    /// Why, for a person.
    pub reason: String,
    /// Where, if it is found in places.
    pub places: Option<Places>,
}

/// All that speaks against a conversation's being whole and in order; what may be missing first.
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
            reason: format!("Nothing is here that the {silent} said."),
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
        "with characters that could not be stored, and show U+FFFD in their place.",
    );
    in_places(
        Flag::OutOfOrder,
        &figures.out_of_order,
        "that arrived before something that was said earlier. The order shown is that of the \
         sender's times.",
    );
    in_places(
        Flag::Undated,
        &figures.undated,
        "without a time that makes sense, placed where it arrived.",
    );
    found
}

/// The one of the two who says nothing in a conversation of others.
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
    fn each_figure_raises_its_own_flag_and_no_other() {
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
    fn a_reason_says_who_is_silent_and_how_often_something_is() {
        let reason = |figures| examine(&figures).remove(0).reason;
        let silent = reason(Figures { user_messages: 0, ..whole() });
        assert_eq!(silent, "Nothing is here that the user said.");
        let strangers = Figures { user_messages: 0, assistant_messages: 0, ..whole() };
        assert_eq!(reason(strangers), "Nothing is here that the user or the assistant said.");
        assert!(reason(Figures { altered: places(1), ..whole() }).starts_with("1 message with"));
        assert!(reason(Figures { altered: places(2), ..whole() }).starts_with("2 messages with"));
    }

    #[test]
    fn order_alone_is_no_loss() {
        let doubted = Figures { out_of_order: places(1), undated: places(1), ..whole() };
        assert!(examine(&doubted).iter().all(|one| !one.flag.means_missing()));
        let lost = Figures { joined: false, altered: places(1), ..whole() };
        assert!(examine(&lost).iter().all(|one| one.flag.means_missing()));
    }
}
