//! Activity: sums of facts by quarter hour, hour and day. A change of facts collects the difference
//! and adds it in the same transaction, so that sums and facts always agree.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, DurationRound as _, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use sqlx::postgres::PgConnection;

use super::days;
use super::gaps::Gaps;
use super::sessions::SessionFact;
use super::sums::{Counted, Place, RowKey, Sums};

/// Levels of rows: by quarter hour, hour and day, each for all agents and by agent.
const LEVELS: [Level; 6] = [
    Level { number: 0, by_agent: false, width: TimeDelta::minutes(15), has_gaps: true },
    Level { number: 1, by_agent: true, width: TimeDelta::minutes(15), has_gaps: true },
    Level { number: 2, by_agent: true, width: TimeDelta::hours(1), has_gaps: true },
    Level { number: 3, by_agent: false, width: TimeDelta::hours(1), has_gaps: true },
    Level { number: 4, by_agent: false, width: TimeDelta::days(1), has_gaps: true },
    Level { number: 5, by_agent: true, width: TimeDelta::days(1), has_gaps: false },
];

/// Level of rows.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Number in the tables.
    number: i16,
    by_agent: bool,
    /// Duration of each row.
    width: TimeDelta,
    /// True if `reply_gaps` has rows of this level, too.
    has_gaps: bool,
}

/// Returns the keys of the rows to which a fact contributes, one for each level.
fn rows_of((at, agent_id, source): Place<'_>) -> impl Iterator<Item = (Level, RowKey)> {
    LEVELS.into_iter().map(move |level| {
        let agent_id = if level.by_agent { agent_id } else { "" };
        // Truncation fails only for times outside the calendar, which no fact has.
        let starts_at = at.duration_trunc(level.width).unwrap_or(at);
        (level, (level.number, agent_id.to_owned(), starts_at, source.to_owned()))
    })
}

/// Changes to sums that follow from changed facts.
#[derive(Debug, Default)]
pub(super) struct Difference {
    sums: BTreeMap<RowKey, Sums>,
    gaps: Gaps,
    /// Start days of the sessions whose facts change.
    days: BTreeSet<NaiveDate>,
}

impl Difference {
    /// Adds a message.
    pub(super) fn add_message(&mut self, agent_id: &str, source: &str, message: &Counted<'_>) {
        self.message(agent_id, source, message, 1, |sums| sums);
    }

    /// Subtracts a message.
    pub(super) fn remove_message(&mut self, agent_id: &str, source: &str, message: &Counted<'_>) {
        self.message(agent_id, source, message, -1, Sums::negated);
    }

    fn message(
        &mut self,
        agent_id: &str,
        source: &str,
        message: &Counted<'_>,
        gaps: i64,
        signed: fn(Sums) -> Sums,
    ) {
        let place = (message.occurred_at, agent_id, source);
        self.add(place, signed(message.sums()));
        if let Some(gap_us) = message.reply_gap_us() {
            for (_, key) in rows_of(place).filter(|(level, _)| level.has_gaps) {
                self.gaps.add(key, gap_us, gaps);
            }
        }
        if let Some(at) = message.visit_started_at {
            self.add((at, agent_id, source), signed(Sums::VISIT));
        }
    }

    /// Adds a fact of a session.
    pub(super) fn add_session(&mut self, fact: &SessionFact) {
        self.session(fact, fact.sums());
    }

    /// Subtracts a fact of a session.
    pub(super) fn remove_session(&mut self, fact: &SessionFact) {
        self.session(fact, fact.sums().negated());
    }

    fn session(&mut self, fact: &SessionFact, sums: Sums) {
        let (started_at, ..) = fact.place();
        self.days.insert(started_at.date_naive());
        self.add(fact.place(), sums);
    }

    fn add(&mut self, place: Place<'_>, sums: Sums) {
        for (_, key) in rows_of(place) {
            *self.sums.entry(key).or_default() += sums;
        }
    }

    /// Writes the changes. The caller holds the lock on `facts_position`.
    pub(super) async fn write(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        /// Row of `activity` as JSON.
        #[derive(Serialize)]
        struct Row<'a> {
            level: i16,
            agent_id: &'a str,
            starts_at: DateTime<Utc>,
            source: &'a str,
            #[serde(flatten)]
            sums: Sums,
        }
        self.gaps.write(connection).await?;
        days::mark(connection, &std::mem::take(&mut self.days)).await?;
        let changed = self.sums.iter().filter(|(_, sums)| **sums != Sums::default());
        let rows: Vec<Row<'_>> = changed
            .map(|((level, agent_id, starts_at, source), sums)| Row {
                level: *level,
                agent_id,
                starts_at: *starts_at,
                source,
                sums: *sums,
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let rows =
            serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query!(
            "INSERT INTO activity AS a
             SELECT * FROM jsonb_populate_recordset(NULL::activity, $1::text::jsonb)
             ON CONFLICT (level, agent_id, starts_at, source) DO UPDATE SET
                 sessions = a.sessions + excluded.sessions,
                 engaged = a.engaged + excluded.engaged,
                 silent = a.silent + excluded.silent,
                 single_turn = a.single_turn + excluded.single_turn,
                 incomplete = a.incomplete + excluded.incomplete,
                 no_join = a.no_join + excluded.no_join,
                 one_sided = a.one_sided + excluded.one_sided,
                 repeated_user_turn = a.repeated_user_turn + excluded.repeated_user_turn,
                 altered = a.altered + excluded.altered,
                 out_of_order = a.out_of_order + excluded.out_of_order,
                 undated = a.undated + excluded.undated,
                 duration_us = a.duration_us + excluded.duration_us,
                 session_messages = a.session_messages + excluded.session_messages,
                 session_turns = a.session_turns + excluded.session_turns,
                 first_replies = a.first_replies + excluded.first_replies,
                 first_reply_gap_us = a.first_reply_gap_us + excluded.first_reply_gap_us,
                 silences = a.silences + excluded.silences,
                 longest_silence_us = a.longest_silence_us + excluded.longest_silence_us,
                 messages = a.messages + excluded.messages,
                 user_messages = a.user_messages + excluded.user_messages,
                 assistant_messages = a.assistant_messages + excluded.assistant_messages,
                 turns = a.turns + excluded.turns,
                 replies = a.replies + excluded.replies,
                 reply_gap_us = a.reply_gap_us + excluded.reply_gap_us,
                 visits = a.visits + excluded.visits",
            rows,
        )
        .execute(&mut *connection)
        .await?;
        self.sums.clear();
        Ok(())
    }
}
