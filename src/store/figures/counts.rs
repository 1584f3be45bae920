//! Counts of sessions, visits and messages, and sums of sessions' values.

use super::cover::{Cover, Extent, Stored};
use super::{Cell, Cells, Selection, Snapshot, Value, place};
use crate::store::StoreError;

/// Number of columns with counts in `activity`.
const COLUMNS: usize = 25;

/// Counts of sessions that started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// All sessions.
    pub sessions: i64,
    /// Sessions with a user message.
    pub engaged: i64,
    /// Sessions with a join or an assistant message, and no user message.
    pub silent: i64,
    /// Sessions with one user turn.
    pub single_turn: i64,
    /// Sessions that may be incomplete.
    pub incomplete: i64,
    /// Sessions with each flag, in the order of [`SessionCounts::FLAGS`].
    pub flags: [i64; 6],
    /// Sum of their durations, in microseconds.
    pub duration_us: i64,
    /// Number of their messages.
    pub messages: i64,
    /// Number of their user turns.
    pub turns: i64,
    /// Sessions with a reply, and the sum of their first reply gaps, in microseconds.
    pub first_replies: (i64, i64),
    /// Sessions with a silence, and the sum of their longest silences, in microseconds.
    pub silences: (i64, i64),
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// All messages.
    pub messages: i64,
    /// Messages of the user.
    pub user: i64,
    /// Messages of the assistant.
    pub assistant: i64,
    /// First messages of user turns.
    pub turns: i64,
    /// Replies to a user message.
    pub replies: i64,
    /// Sum of the reply gaps, in microseconds.
    pub reply_gap_us: i64,
}

impl SessionCounts {
    /// Names of the completeness flags.
    pub const FLAGS: [&'static str; 6] =
        ["no_join", "one_sided", "repeated_user_turn", "altered", "out_of_order", "undated"];
}

/// Kinds of facts to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) sessions: bool,
    pub(super) messages: bool,
    pub(super) visits: bool,
}

impl Kinds {
    /// Returns true if any of these kinds is not 0.
    pub(super) fn has(self, counts: &Counts) -> bool {
        self.sessions && counts.sessions.sessions > 0
            || self.messages && counts.messages.messages > 0
            || self.visits && counts.visits > 0
    }

    fn names(self) -> Vec<String> {
        let all = [("session", self.sessions), ("message", self.messages), ("visit", self.visits)];
        all.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// Counts of one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions by their starts.
    pub sessions: SessionCounts,
    /// Messages by their times, and turns by the times of their first messages.
    pub messages: MessageCounts,
    /// Visits by their starts.
    pub visits: i64,
}

impl Counts {
    /// Returns the number of values and their sum.
    pub(super) fn count_and_sum(&self, value: Value) -> (i64, i64) {
        let Self { sessions, messages, .. } = self;
        match value {
            Value::SessionDuration => (sessions.sessions, sessions.duration_us),
            Value::Messages => (sessions.sessions, sessions.messages),
            Value::Turns => (sessions.sessions, sessions.turns),
            Value::FirstReplyGap => sessions.first_replies,
            Value::LongestSilence => sessions.silences,
            Value::ReplyGap => (messages.replies, messages.reply_gap_us),
        }
    }
}

impl Counts {
    /// Adds other counts, multiplied by `times`.
    fn add(&mut self, other: &Self, times: i64) {
        self.sessions.add(&other.sessions, times);
        self.messages.add(&other.messages, times);
        self.visits += times * other.visits;
    }
}

impl SessionCounts {
    fn add(&mut self, other: &Self, times: i64) {
        self.sessions += times * other.sessions;
        self.engaged += times * other.engaged;
        self.silent += times * other.silent;
        self.single_turn += times * other.single_turn;
        self.incomplete += times * other.incomplete;
        for (sum, flag) in self.flags.iter_mut().zip(other.flags) {
            *sum += times * flag;
        }
        self.duration_us += times * other.duration_us;
        self.messages += times * other.messages;
        self.turns += times * other.turns;
        self.first_replies.0 += times * other.first_replies.0;
        self.first_replies.1 += times * other.first_replies.1;
        self.silences.0 += times * other.silences.0;
        self.silences.1 += times * other.silences.1;
    }
}

impl MessageCounts {
    fn add(&mut self, other: &Self, times: i64) {
        self.messages += times * other.messages;
        self.user += times * other.user;
        self.assistant += times * other.assistant;
        self.turns += times * other.turns;
        self.replies += times * other.replies;
        self.reply_gap_us += times * other.reply_gap_us;
    }
}

impl Snapshot {
    /// Counts sessions by their starts.
    pub async fn session_counts(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<SessionCounts>, StoreError> {
        let kinds = Kinds { sessions: true, ..Kinds::default() };
        let cells = self.counts(kinds, selection).await?.into_iter();
        let cells = cells.map(|(cell, counts)| (cell, counts.sessions));
        Ok(cells.filter(|(_, counts)| counts.sessions > 0).collect())
    }

    /// Counts facts of some kinds. Counts of other kinds are undefined. Empty cells are left out.
    pub(super) async fn counts(
        &mut self,
        kinds: Kinds,
        selection: &Selection<'_>,
    ) -> Result<Cells<Counts>, StoreError> {
        let cover = Cover::of(selection, Stored::Sums);
        let mut cells = Cells::<Counts>::new();
        let excess = cover.excess().map(|extent| (extent, -1));
        for (extent, times) in cover.extents().into_iter().map(|extent| (extent, 1)).chain(excess) {
            let agents = cover.agents.as_deref();
            for (cell, counts) in self.counts_of(kinds, selection, &extent, agents).await? {
                cells.entry(cell).or_default().add(&counts, times);
            }
        }
        // Erasures can leave rows with zeros, and rows of stored sums have every kind.
        cells.retain(|_, counts| kinds.has(counts));
        Ok(cells)
    }

    /// Counts facts in some parts of a range.
    async fn counts_of(
        &mut self,
        kinds: Kinds,
        selection: &Selection<'_>,
        extent: &Extent,
        agents: Option<&[String]>,
    ) -> Result<Vec<(Cell, Counts)>, StoreError> {
        let rows = if extent.level.is_none() {
            self.sums_of_facts(kinds, selection, extent).await?
        } else if agents == Some(&[String::new()]) {
            // One row an hour or day and source: as many as there are buckets, or a few for each.
            self.rows_of_activity(selection, extent, agents).await?
        } else {
            self.sums_of_activity(selection, extent, agents).await?
        };
        rows.into_iter().map(Row::cell).collect()
    }

    /// Counts facts.
    async fn sums_of_facts(
        &mut self,
        kinds: Kinds,
        selection: &Selection<'_>,
        extent: &Extent,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let [first, second] = extent.ranges;
        sqlx::query_as!(
            Row,
            r#"SELECT bucket AS "bucket!", split, counts AS "counts!"
                 FROM fact_sums(
                     $1, $2, $3, $4, $5, $6, $7, $8::text[], $9::text[], $10::text[], $11::text[]
                 )"#,
            selection.starts,
            selection.split(),
            &kinds.names(),
            first.0,
            first.1,
            second.0,
            second.1,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
        )
        .fetch_all(&mut *self.transaction)
        .await
    }

    /// Reads stored sums, a row each.
    async fn rows_of_activity(
        &mut self,
        selection: &Selection<'_>,
        extent: &Extent,
        agents: Option<&[String]>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let [first, second] = extent.ranges;
        sqlx::query_as!(
            Row,
            r#"SELECT bucket AS "bucket!", split, counts AS "counts!"
                 FROM activity_rows(
                     $1, $2, $3, $4::timestamptz[], $5, $6, $7, $8, $9::text[], $10::text[]
                 )"#,
            selection.starts,
            selection.split(),
            extent.level,
            extent.starts.as_deref() as _,
            first.0,
            first.1,
            second.0,
            second.1,
            agents as _,
            selection.sources as _,
        )
        .fetch_all(&mut *self.transaction)
        .await
    }

    /// Adds up stored sums by bucket.
    async fn sums_of_activity(
        &mut self,
        selection: &Selection<'_>,
        extent: &Extent,
        agents: Option<&[String]>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let [first, second] = extent.ranges;
        sqlx::query_as!(
            Row,
            r#"SELECT bucket AS "bucket!", split, counts AS "counts!"
                 FROM activity_sums(
                     $1, $2, $3, $4::timestamptz[], $5, $6, $7, $8, $9::text[], $10::text[]
                 )"#,
            selection.starts,
            selection.split(),
            extent.level,
            extent.starts.as_deref() as _,
            first.0,
            first.1,
            second.0,
            second.1,
            agents as _,
            selection.sources as _,
        )
        .fetch_all(&mut *self.transaction)
        .await
    }
}

/// Row of counts.
struct Row {
    bucket: i32,
    split: Option<String>,
    counts: Vec<i64>,
}

impl Row {
    /// Returns the counts of a cell. Their order is that of the columns of `activity`.
    fn cell(self) -> Result<(Cell, Counts), StoreError> {
        let counts: [i64; COLUMNS] = self.counts.try_into().map_err(|_| {
            sqlx::Error::Decode(
                "the functions of counts do not have the columns of activity".into(),
            )
        })?;
        let [
            sessions,
            engaged,
            silent,
            single_turn,
            incomplete,
            no_join,
            one_sided,
            repeated_user_turn,
            altered,
            out_of_order,
            undated,
            duration_us,
            session_messages,
            session_turns,
            first_replies,
            first_reply_gap_us,
            silences,
            longest_silence_us,
            messages,
            user,
            assistant,
            turns,
            replies,
            reply_gap_us,
            visits,
        ] = counts;
        let sessions = SessionCounts {
            sessions,
            engaged,
            silent,
            single_turn,
            incomplete,
            flags: [no_join, one_sided, repeated_user_turn, altered, out_of_order, undated],
            duration_us,
            messages: session_messages,
            turns: session_turns,
            first_replies: (first_replies, first_reply_gap_us),
            silences: (silences, longest_silence_us),
        };
        let messages = MessageCounts { messages, user, assistant, turns, replies, reply_gap_us };
        Ok(((place(self.bucket), self.split), Counts { sessions, messages, visits }))
    }
}
