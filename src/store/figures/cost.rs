//! Number of facts that figures would be computed from, known before they are read.

use chrono::TimeDelta;

use super::cover::{Cover, Stored};
use super::figure::Wanted;
use super::{Selection, Snapshot, Split};
use crate::analytics::catalog::{Attribution, Stat};
use crate::store::StoreError;

/// Most messages that one answer is computed from, where sums do not tell: as many as PostgreSQL is
/// expected to read within the time that a query may take.
const MOST_MESSAGES: i64 = 10_000_000;
/// Most sessions that are read one by one: each is held in memory, in up to 100 bytes.
const MOST_SESSIONS: i64 = 2_000_000;
/// Longest row of `activity`: a range is widened by it.
const WIDEST: TimeDelta = TimeDelta::hours(1);

/// Kinds of facts that are read one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Read {
    messages: bool,
    sessions: bool,
}

impl Read {
    /// Facts that a metric needs where sums do not tell, or where there are none for the selection.
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
    /// Fails where some metrics would be computed from more than [`MOST_MESSAGES`] or
    /// [`MOST_SESSIONS`]. `has_sums` is false where the answer needs each value.
    pub(super) async fn check_cost(
        &mut self,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        has_sums: bool,
    ) -> Result<(), StoreError> {
        let (messages, sessions) = self.facts_to_read(selection, wanted, has_sums).await?;
        for (facts, most) in [(messages, MOST_MESSAGES), (sessions, MOST_SESSIONS)] {
            if facts > most {
                return Err(StoreError::TooExpensive { facts, most });
            }
        }
        Ok(())
    }

    /// Returns about how many messages and sessions some metrics would be computed from.
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
        let agents = selection.seen();
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
    fn counts_cost_nothing_where_there_are_sums() {
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
