//! Estimate of the number of facts that figures need, made before they are read.

use chrono::TimeDelta;

use super::cover::{Cover, Stored};
use super::figure::Wanted;
use super::{Selection, Snapshot, Split};
use crate::analytics::catalog::{Attribution, Stat};
use crate::store::StoreError;

/// Most messages that one answer is computed from, if sums are not enough: the number that
/// PostgreSQL is expected to read within the time limit of a query.
const MAX_MESSAGES: i64 = 10_000_000;
/// Most sessions that are read individually: each needs up to 100 bytes of memory.
const MAX_SESSIONS: i64 = 2_000_000;
/// Duration of the longest row of `activity` that is read. A range is extended by it.
const WIDEST: TimeDelta = TimeDelta::hours(1);

/// Kinds of facts that are read individually.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Read {
    messages: bool,
    sessions: bool,
}

impl Read {
    /// Returns the facts that a metric needs if sums are not enough or the selection has none.
    fn of(wanted: Wanted, has_sums: bool) -> Self {
        let of_session = wanted.metric.attribution == Attribution::SessionStart;
        let spread = !matches!(wanted.stat, Stat::Avg | Stat::Count | Stat::Ratio);
        match wanted.metric.attribution {
            Attribution::EachEvent | Attribution::EachInstant => {
                Self { messages: false, sessions: true }
            }
            _ if of_session => Self { messages: false, sessions: spread || !has_sums },
            _ => Self { messages: !has_sums, sessions: false },
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            sessions: self.sessions || other.sessions,
        }
    }
}

impl Snapshot {
    /// Fails if the metrics would be computed from more than [`MAX_MESSAGES`] or
    /// [`MAX_SESSIONS`]. `has_sums` is false if the answer needs individual values.
    pub(super) async fn check_cost(
        &mut self,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        has_sums: bool,
    ) -> Result<(), StoreError> {
        let (messages, sessions) = self.facts_to_read(selection, wanted, has_sums).await?;
        for (facts, most) in [(messages, MAX_MESSAGES), (sessions, MAX_SESSIONS)] {
            if facts > most {
                return Err(StoreError::TooExpensive { facts, most });
            }
        }
        Ok(())
    }

    /// Returns the approximate numbers of messages and sessions that the metrics need.
    async fn facts_to_read(
        &mut self,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        has_sums: bool,
    ) -> Result<(i64, i64), StoreError> {
        let has_sums = has_sums && !Cover::of(selection, Stored::Sums).is_of_facts();
        let read = wanted.iter().map(|one| Read::of(*one, has_sums));
        let read = read.fold(Read::default(), Read::and);
        if read == Read::default() {
            return Ok((0, 0));
        }
        let agents = selection.visible_agents();
        let by_agent = agents.is_some() || selection.split == Some(Split::Agent);
        let level: i16 = if by_agent { 2 } else { 3 };
        let agents = if by_agent { agents } else { Some(vec![String::new()]) };
        let found = sqlx::query!(
            r#"SELECT
                 COALESCE(sum(messages), 0)::bigint AS "messages!",
                 COALESCE(sum(sessions), 0)::bigint AS "sessions!"
             FROM activity
             WHERE level = $1
                 AND starts_at > $2
                 AND starts_at < $3
                 AND ($4::text[] IS NULL OR agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR source = ANY ($5))"#,
            level,
            selection.from() - WIDEST,
            selection.to,
            agents.as_deref() as _,
            selection.sources as _,
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        let messages = if read.messages { found.messages } else { 0 };
        let sessions = if read.sessions { found.sessions } else { 0 };
        Ok((messages, sessions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::catalog::Metric;

    fn read(name: &str, has_sums: bool) -> (bool, bool) {
        let metric = Metric::find(name).unwrap();
        let read = Read::of(Wanted { metric, stat: metric.statistics[0] }, has_sums);
        (read.messages, read.sessions)
    }

    #[test]
    fn counts_cost_nothing_with_stored_sums() {
        for name in ["sessions", "visits", "messages", "turns", "engagement_rate", "reply_gap"] {
            assert_eq!(read(name, true), (false, false), "{name}");
            assert_ne!(read(name, false), (false, false), "{name}");
        }
        assert_eq!(read("concurrent_sessions", true), (false, true));
        assert_eq!(read("active_sessions", true), (false, true));
        let metric = Metric::find("session_duration").unwrap();
        let cost = |stat| Read::of(Wanted { metric, stat }, true).sessions;
        assert_eq!((cost(Stat::Avg), cost(Stat::P90)), (false, true));
    }
}
