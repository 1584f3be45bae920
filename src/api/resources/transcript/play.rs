//! A conversation for people: its heading, the speakers, and the lines between messages. `script` and
//! `markdown` write it.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::local_time::{in_words, length_in_words};
use crate::api::query::zone::Zone;
use crate::store::sessions::SessionRow;

/// Longest name of a speaker, in characters.
const MAX_SPEAKER: usize = 100;

/// Name of a speaker in a query.
#[derive(Debug)]
pub(super) struct SpeakerName(String);

impl<'de> Deserialize<'de> for SpeakerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.chars().count() > MAX_SPEAKER || name.trim().is_empty() {
            let valid = format!("is a name of 1 to {MAX_SPEAKER} characters");
            return Err(D::Error::custom(valid));
        }
        Ok(Self(on_one_line(&name)))
    }
}

/// Names of the speakers.
#[derive(Debug, Default)]
pub(super) struct Names {
    user: Option<String>,
    assistant: Option<String>,
}

impl Names {
    /// Returns the names that a query gives.
    pub(super) fn of_query(user: Option<SpeakerName>, assistant: Option<SpeakerName>) -> Self {
        let name = |SpeakerName(name)| name;
        Self { user: user.map(name), assistant: assistant.map(name) }
    }

    /// Returns the first parameter with a name.
    pub(super) fn given(&self) -> Option<&'static str> {
        let user = self.user.as_ref().map(|_| "user_name");
        user.or_else(|| self.assistant.as_ref().map(|_| "assistant_name"))
    }

    /// Returns the name of a role: the given one, or its own one with a capital.
    pub(super) fn of<'a>(&'a self, role: &str) -> Cow<'a, str> {
        match (role, &self.user, &self.assistant) {
            ("user", Some(name), _) | ("assistant", _, Some(name)) => name.into(),
            _ => {
                let mut name = on_one_line(role);
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                name.into()
            }
        }
    }
}

/// Conversation that is being written.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) zone: Zone,
    pub(super) names: Names,
    /// Longest silence without a line of its length.
    pub(super) longest_silence: TimeDelta,
    /// Time of the previous message.
    previous: Option<DateTime<Utc>>,
}

/// Visit to write, if it is not all of the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneVisit {
    /// Its place in the session, from one.
    pub(super) number: i64,
    /// Its first message.
    pub(super) first_at: DateTime<Utc>,
    /// Its last message.
    pub(super) last_at: DateTime<Utc>,
}

/// Lines before a message.
#[derive(Debug)]
pub(super) struct Between {
    /// `— 47 minutes of silence —`.
    pub(super) silence: Option<String>,
    /// `Monday, 28 September 2026`.
    pub(super) day: Option<String>,
}

impl Play {
    pub(super) fn new(zone: Zone, names: Names, longest_silence: TimeDelta) -> Self {
        Self { zone, names, longest_silence, previous: None }
    }

    /// Returns the fields of the heading of a session, or of one visit, which has its own times.
    pub(super) fn heading(
        &self,
        session: &SessionRow,
        visit: Option<OneVisit>,
    ) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("Session", on_one_line(&session.session_id)),
            ("Agent", on_one_line(&session.agent_id)),
            ("Source", on_one_line(&session.source)),
        ];
        if let Some(room) = &session.room_name {
            fields.push(("Room", on_one_line(room)));
        }
        let (from, to) = match visit {
            Some(OneVisit { number, first_at, last_at }) => {
                fields.push(("Visit", number.to_string()));
                (first_at, last_at)
            }
            None => (session.started_at, session.last_activity_at),
        };
        fields.push(("Started", self.zone.day_and_time(from)));
        fields.push(("Last activity", self.zone.day_and_time(to)));
        fields.push(("Time zone", self.zone.name().to_owned()));
        if visit.is_none() {
            fields.push(("Messages", session.message_count.to_string()));
        }
        fields
    }

    /// Returns the lines before a message of this time.
    pub(super) fn between(&mut self, at: DateTime<Utc>) -> Between {
        let previous = self.previous.replace(at);
        let silence = previous.map(|previous| at - previous);
        let day = self.zone.day(at);
        Between {
            silence: silence
                .filter(|silence| *silence > self.longest_silence)
                .map(|silence| format!("— {} of silence —", length_in_words(silence))),
            day: (previous.map(|previous| self.zone.day(previous)) != Some(day))
                .then(|| in_words(day)),
        }
    }
}

/// Returns the lines of a message. Control characters, which could move a terminal's cursor to another
/// message, are shown as symbols.
pub(super) fn lines(text: &str) -> impl Iterator<Item = String> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(is_line_break) else {
            rest = None;
            return Some(visible(text));
        };
        let (line, break_on) = text.split_at(end);
        let width = break_on.chars().next().map_or(0, char::len_utf8);
        let width = if break_on.starts_with("\r\n") { 2 } else { width };
        rest = break_on.get(width..);
        Some(visible(line))
    })
}

fn visible(line: &str) -> String {
    line.chars().map(picture).collect()
}

fn picture(c: char) -> char {
    match c {
        '\t' => c,
        '\0'..'\u{20}' => char::from_u32(u32::from(c) + 0x2400).unwrap_or('\u{FFFD}'),
        '\u{7F}' => '\u{2421}',
        _ if c.is_control() => '\u{FFFD}',
        _ => c,
    }
}

fn on_one_line(text: &str) -> String {
    text.replace(|c: char| is_line_break(c) || c.is_control(), " ")
}

/// Returns true for every character that some program reads as the end of a line.
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_at_every_kind_of_line_break() {
        let split = |text| lines(text).collect::<Vec<_>>();
        assert_eq!(split(""), [""]);
        assert_eq!(split("a\r\nb\rc\n\nd\u{2028}e\u{85}"), ["a", "b", "c", "", "d", "e", ""]);
    }

    #[test]
    fn control_characters_are_shown_as_symbols() {
        let shown: Vec<_> = lines("\u{1B}[2J\u{7}\u{7F}\u{9B}\ta").collect();
        assert_eq!(shown, ["\u{241B}[2J\u{2407}\u{2421}\u{FFFD}\ta"]);
    }

    #[test]
    fn role_has_its_own_name_unless_another_is_given() {
        let names = Names { user: Some("Ada".into()), assistant: None };
        let called = ["user", "assistant", "tool\nUser", "ärger", ""].map(|role| names.of(role));
        assert_eq!(called, ["Ada", "Assistant", "Tool User", "ärger", ""]);
    }
}
