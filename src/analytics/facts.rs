//! Facts of a conversation: the contribution of each message to figures. A fact depends only on its
//! message and the previous one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::roles::{Roles, Side};

/// Message without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationMessage {
    /// Its time.
    pub occurred_at: DateTime<Utc>,
    /// Its ID.
    pub id: Uuid,
    /// The sender's role name.
    pub role: String,
    /// Time of its arrival.
    pub received_at: DateTime<Utc>,
    /// Some of its text could not be stored.
    pub altered: bool,
    /// It has no valid time.
    pub undated: bool,
}

/// Contribution of a message to figures.
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact, and a column")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFact {
    /// Its time.
    pub occurred_at: DateTime<Utc>,
    /// Its ID.
    pub id: Uuid,
    /// Position among the session's messages of the same time, from 0.
    pub tie: i32,
    /// `user`, `assistant`, or another role in lower case.
    pub role: String,
    /// Start of the visit that it begins.
    pub visit_started_at: Option<DateTime<Utc>>,
    /// Microseconds since the message before it in the same visit.
    pub silence_us: Option<i64>,
    /// First user message of a turn.
    pub starts_turn: bool,
    /// Assistant message directly after a user message of the same visit.
    pub is_reply: bool,
    /// User message directly after a user message of the same visit.
    pub repeats_turn: bool,
    /// It arrived before the message before it.
    pub out_of_order: bool,
    /// Some of its text could not be stored.
    pub altered: bool,
    /// It has no valid time.
    pub undated: bool,
}

/// Settings that facts depend on.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Longest silence within a visit.
    pub visit_gap: Duration,
    /// Role names of the assistant.
    pub roles: &'a Roles,
}

impl Rules<'_> {
    /// Computes the facts of consecutive messages. `before` is the message before the first of them
    /// and has a different time; `joins` are the sorted times of the session's joins.
    #[must_use]
    pub fn message_facts(
        &self,
        before: Option<&ConversationMessage>,
        said: &[ConversationMessage],
        joins: &[DateTime<Utc>],
    ) -> Vec<MessageFact> {
        let mut facts: Vec<MessageFact> = Vec::with_capacity(said.len());
        let mut before = before;
        for one in said {
            let last = facts.last();
            let tie = last.filter(|last| last.occurred_at == one.occurred_at);
            let tie = tie.map_or(0, |last| last.tie.saturating_add(1));
            facts.push(MessageFact { tie, ..self.message_fact(before, one, joins) });
            before = Some(one);
        }
        facts
    }

    fn message_fact(
        &self,
        before: Option<&ConversationMessage>,
        one: &ConversationMessage,
        joins: &[DateTime<Utc>],
    ) -> MessageFact {
        let gap = TimeDelta::from_std(self.visit_gap).unwrap_or(TimeDelta::MAX);
        let same_visit = before.filter(|before| one.occurred_at - before.occurred_at <= gap);
        let side = self.roles.side_of(&one.role);
        let side_before = same_visit.map(|before| self.roles.side_of(&before.role));
        let silence = same_visit.map(|before| one.occurred_at - before.occurred_at);
        // As in `/visits`: the earliest join in the silence before, at most one gap earlier.
        let opening = || {
            let early = |join: &DateTime<Utc>| {
                one.occurred_at - *join > gap
                    || before.is_some_and(|before| *join <= before.occurred_at)
            };
            let first = joins.get(joins.partition_point(early))?;
            (*first <= one.occurred_at).then_some(*first)
        };
        let visit_started_at = same_visit.is_none().then(|| opening().unwrap_or(one.occurred_at));
        MessageFact {
            occurred_at: one.occurred_at,
            id: one.id,
            tie: 0,
            role: match side {
                Side::Other => one.role.to_ascii_lowercase(),
                Side::User | Side::Assistant => self.roles.name_of(&one.role).to_owned(),
            },
            visit_started_at,
            silence_us: silence.and_then(|silence| silence.num_microseconds()),
            starts_turn: side == Side::User && side_before != Some(Side::User),
            is_reply: side == Side::Assistant && side_before == Some(Side::User),
            repeats_turn: side == Side::User && side_before == Some(Side::User),
            out_of_order: before.is_some_and(|before| one.received_at < before.received_at),
            altered: one.altered,
            undated: one.undated,
        }
    }
}

/// Contribution of a session to figures, apart from its times.
#[expect(clippy::struct_excessive_bools, reason = "each is an independent flag, and a column")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionTotals {
    /// Messages of any role.
    pub messages: i64,
    /// Messages of the user.
    pub user_messages: i64,
    /// Messages of the assistant.
    pub assistant_messages: i64,
    /// User turns.
    pub turns: i64,
    /// First reply gap in microseconds.
    pub first_reply_gap_us: Option<i64>,
    /// Longest gap between two messages of one visit, in microseconds.
    pub longest_silence_us: Option<i64>,
    /// A user message follows one of the same turn.
    pub repeated_user_turn: bool,
    /// The text of a message could not be stored unchanged.
    pub altered: bool,
    /// A message arrived before one that was said earlier.
    pub out_of_order: bool,
    /// A message has no valid time.
    pub undated: bool,
}

impl SessionTotals {
    /// Adds up all facts of a session, in order.
    #[must_use]
    pub fn of(facts: &[MessageFact]) -> Self {
        let mut totals = Self::default();
        for fact in facts {
            totals.messages += 1;
            totals.user_messages += i64::from(fact.role == "user");
            totals.assistant_messages += i64::from(fact.role == "assistant");
            totals.turns += i64::from(fact.starts_turn);
            let reply_gap = fact.silence_us.filter(|_| fact.is_reply);
            totals.first_reply_gap_us = totals.first_reply_gap_us.or(reply_gap);
            totals.longest_silence_us = totals.longest_silence_us.max(fact.silence_us);
            totals.repeated_user_turn |= fact.repeats_turn;
            totals.altered |= fact.altered;
            totals.out_of_order |= fact.out_of_order;
            totals.undated |= fact.undated;
        }
        totals
    }

    /// Returns `true` if a side has no message in a conversation that has messages.
    #[must_use]
    pub fn one_sided(&self) -> bool {
        self.messages > 0 && (self.user_messages == 0 || self.assistant_messages == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    /// Returns a message that arrived at its time.
    fn said(seconds: i64, role: &str) -> ConversationMessage {
        let occurred_at = at(seconds);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{seconds} {role}").as_bytes());
        let (received_at, role) = (occurred_at, role.to_owned());
        ConversationMessage { occurred_at, id, role, received_at, altered: false, undated: false }
    }

    fn facts(said: &[ConversationMessage], joins: &[DateTime<Utc>]) -> Vec<MessageFact> {
        let sides = Roles::default();
        let rules = Rules { visit_gap: Duration::from_mins(5), roles: &sides };
        rules.message_facts(None, said, joins)
    }

    #[test]
    fn turn_is_an_unbroken_run_of_user_messages_within_a_visit() {
        let talk = [
            said(0, "assistant"),
            said(10, "user"),
            said(20, "User"),
            said(30, "bot"),
            said(40, "system"),
            said(50, "user"),
            said(400, "user"),
            said(401, "assistant"),
        ];
        let facts = facts(&talk, &[]);
        let turns: Vec<_> = facts.iter().map(|fact| fact.starts_turn).collect();
        assert_eq!(turns, [false, true, false, false, false, true, true, false]);
        let replies = facts.iter().map(|fact| fact.silence_us.filter(|_| fact.is_reply));
        let replies: Vec<_> = replies.flatten().collect();
        assert_eq!(replies, [10_000_000, 1_000_000], "the first one answers the last of the turn");
        let roles: Vec<_> = facts.iter().map(|fact| fact.role.as_str()).collect();
        assert_eq!(roles[2..5], ["user", "assistant", "system"]);
        let totals = SessionTotals::of(&facts);
        assert_eq!((totals.messages, totals.user_messages, totals.assistant_messages), (8, 4, 3));
        assert_eq!((totals.turns, totals.repeated_user_turn, totals.one_sided()), (3, true, false));
        assert_eq!(totals.first_reply_gap_us, Some(10_000_000));
        assert_eq!(totals.longest_silence_us, Some(10_000_000), "between visits it does not count");
    }

    #[test]
    fn silence_as_long_as_the_gap_does_not_split_a_visit() {
        let visits = |seconds| {
            let facts = facts(&[said(0, "user"), said(seconds, "assistant")], &[]);
            facts.iter().filter(|fact| fact.visit_started_at.is_some()).count()
        };
        assert_eq!([visits(299), visits(300), visits(301)], [1, 1, 2]);
    }

    #[test]
    fn visit_starts_with_the_earliest_join_in_the_silence_before_it() {
        let talk = [said(1_000, "user"), said(2_000, "user")];
        for (joins, expected) in [
            (vec![], [1_000, 2_000]),
            (vec![700], [700, 2_000]),
            (vec![699], [1_000, 2_000]),
            (vec![980, 990], [980, 2_000]),
            (vec![1_000, 1_001, 1_700, 1_900], [1_000, 1_700]),
            (vec![1_001], [1_000, 2_000]),
            (vec![2_001], [1_000, 2_000]),
        ] {
            let joins: Vec<_> = joins.into_iter().map(at).collect();
            let facts = facts(&talk, &joins);
            let starts: Vec<_> = facts.iter().map(|fact| fact.visit_started_at.unwrap()).collect();
            assert_eq!(starts, expected.map(at), "{joins:?}");
        }
    }

    #[test]
    fn ties_are_numbered_and_swapped_arrivals_are_detected() {
        let late = |one: ConversationMessage| ConversationMessage { received_at: at(100), ..one };
        let talk = [said(0, "user"), late(said(0, "assistant")), said(1, "user")];
        let facts = facts(&talk, &[]);
        assert_eq!(facts.iter().map(|fact| fact.tie).collect::<Vec<_>>(), [0, 1, 0]);
        let order: Vec<_> = facts.iter().map(|fact| fact.out_of_order).collect();
        assert_eq!(order, [false, false, true]);
    }

    #[test]
    fn facts_of_a_part_equal_those_of_the_whole() {
        let speakers = ["user", "assistant", "user", "user", "system", "assistant"];
        let talk: Vec<_> = (0..200)
            .map(|n| {
                let seconds = n / 2 * 7 + n / 20 * 301;
                let one = said(seconds, speakers[usize::try_from(n * n % 6).unwrap()]);
                ConversationMessage { id: Uuid::from_u128(n.unsigned_abs().into()), ..one }
            })
            .collect();
        let joins = [at(3), at(600)];
        let whole = facts(&talk, &joins);
        let sides = Roles::default();
        let rules = Rules { visit_gap: Duration::from_mins(5), roles: &sides };
        for cut in (2..200).step_by(2) {
            let rest = rules.message_facts(Some(&talk[cut - 1]), &talk[cut..], &joins);
            assert_eq!(rest, whole[cut..], "from {cut}");
        }
    }
}
