//! Sums of facts, contributions of messages to them, and keys of the rows that store them.

use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::analytics::facts::MessageFact;

macro_rules! sums {
    ($($column:ident),+ $(,)?) => {
        /// Columns of `activity`, each a sum.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub(super) struct Sums {
            $(pub(super) $column: i64,)+
        }

        impl AddAssign for Sums {
            fn add_assign(&mut self, other: Self) {
                $(self.$column += other.$column;)+
            }
        }

        impl Sums {
            /// Sums of a visit.
            pub(super) const VISIT: Self = Self { visits: 1, ..Self { $($column: 0,)+ } };

            /// Returns the sums that subtract these.
            pub(super) fn negated(self) -> Self {
                Self { $($column: -self.$column,)+ }
            }
        }
    };
}

sums! {
    sessions, engaged, silent, single_turn, incomplete, no_join, one_sided, repeated_user_turn,
    altered, out_of_order, undated, duration_us, session_messages, session_turns, first_replies,
    first_reply_gap_us, silences, longest_silence_us, messages, user_messages, assistant_messages,
    turns, replies, reply_gap_us, visits,
}

/// Contribution of a message to sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) role: &'a str,
    pub(super) visit_started_at: Option<DateTime<Utc>>,
    pub(super) silence_us: Option<i64>,
    pub(super) starts_turn: bool,
    pub(super) is_reply: bool,
}

impl<'a> From<&'a MessageFact> for Counted<'a> {
    fn from(fact: &'a MessageFact) -> Self {
        Self {
            occurred_at: fact.occurred_at,
            role: &fact.role,
            visit_started_at: fact.visit_started_at,
            silence_us: fact.silence_us,
            starts_turn: fact.starts_turn,
            is_reply: fact.is_reply,
        }
    }
}

impl Counted<'_> {
    pub(super) fn reply_gap_us(&self) -> Option<i64> {
        self.silence_us.filter(|_| self.is_reply)
    }

    pub(super) fn sums(&self) -> Sums {
        let reply_gap_us = self.reply_gap_us();
        Sums {
            messages: 1,
            user_messages: (self.role == "user").into(),
            assistant_messages: (self.role == "assistant").into(),
            turns: self.starts_turn.into(),
            replies: reply_gap_us.is_some().into(),
            reply_gap_us: reply_gap_us.unwrap_or(0),
            ..Sums::default()
        }
    }
}

/// Time, agent and source of a fact.
pub(super) type Place<'a> = (DateTime<Utc>, &'a str, &'a str);

/// Level, agent, start and source of a row.
pub(super) type RowKey = (i16, String, DateTime<Utc>, String);
