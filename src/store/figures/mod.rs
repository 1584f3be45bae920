//! Figures read from facts: counts, distinct counts, spreads and concurrency, by bucket and group.
//! Each answer is read in one snapshot. `analytics` defines the metrics; [`Figures`] computes them.

mod cost;
mod counts;
mod cover;
mod day_cache;
mod days;
mod distribution;
mod figure;
mod metrics;
mod presence;
mod replies;
mod room;
mod session_columns;
mod session_rows;
mod sessions;
mod snapshot;
mod spreads;
mod top;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

pub use counts::{Counts, MessageCounts, SessionCounts};
pub use figure::{Figure, Number, Wanted};
pub use metrics::{Figures, Grouping};
pub use presence::Distinct;
pub(super) use room::Room;
pub use snapshot::Snapshot;
pub use spreads::{Spread, Value};
pub use top::{MAX_FIRST_MESSAGE, Top, TopBy};

/// Index of a bucket, from 0, and group; `None` if figures are not split.
pub type Cell = (usize, Option<String>);
/// Figures by bucket and group. Empty cells are left out.
pub type Cells<T> = HashMap<Cell, T>;

/// Split of figures, in addition to buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// By agent.
    Agent,
    /// By source.
    Source,
    /// By the speaker's role; only for messages.
    Role,
}

/// Range, filters and split of figures.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Starts of the buckets, in order.
    pub starts: &'a [DateTime<Utc>],
    /// End of the last bucket.
    pub to: DateTime<Utc>,
    /// Time of the answer. Few facts are dated later.
    pub now: DateTime<Utc>,
    /// Agents that the caller may see; `None` is all.
    pub visible: Option<&'a [String]>,
    /// Only these agents.
    pub agents: Option<&'a [String]>,
    /// Only these sources.
    pub sources: Option<&'a [String]>,
    /// Only sessions in these rooms.
    pub rooms: Option<&'a [String]>,
    /// Split of the figures.
    pub split: Option<Split>,
}

impl Selection<'_> {
    /// Returns the start of the first bucket.
    fn from(&self) -> DateTime<Utc> {
        self.starts.first().copied().unwrap_or(self.to)
    }

    /// Returns the index of the bucket that contains a time; `None` outside the range.
    fn bucket(&self, at: DateTime<Utc>) -> Option<usize> {
        let after = self.starts.partition_point(|start| *start <= at);
        after.checked_sub(1).filter(|_| at < self.to)
    }

    /// Returns the agents that are visible and selected; `None` is all.
    fn visible_agents(&self) -> Option<Vec<String>> {
        let Some(visible) = self.visible else { return self.agents.map(<[String]>::to_vec) };
        let selected = |agent: &&String| self.agents.is_none_or(|agents| agents.contains(*agent));
        Some(visible.iter().filter(selected).cloned().collect())
    }

    /// Returns true if an agent and a source are selected. Rooms are not checked.
    fn includes(&self, agent_id: &str, source: &str) -> bool {
        let is_in =
            |some: Option<&[String]>, one| some.is_none_or(|all| all.iter().any(|it| it == one));
        is_in(self.visible, agent_id) && is_in(self.agents, agent_id) && is_in(self.sources, source)
    }

    /// Returns the name of the split in queries.
    fn split(&self) -> Option<&'static str> {
        self.split.map(|split| match split {
            Split::Agent => "agent",
            Split::Source => "source",
            Split::Role => "role",
        })
    }
}

/// Returns the index of a bucket from its number in Postgres, which starts at 1.
fn place(number: i32) -> usize {
    usize::try_from(number.saturating_sub(1)).unwrap_or_default()
}
