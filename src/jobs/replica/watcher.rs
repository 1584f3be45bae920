//! Measures primary and standby at intervals, and publishes the status.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use tokio::time::timeout;

use super::history::{History, Sample};
use super::status::{Readable, ReplicaState, ReplicaStatus};
use super::watched::{QUERY_TIMEOUT, Watched};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::postgres::{
    Lsn, PrimaryPosition, StandbyPosition, StandbyRun, primary_position, standby_pool,
    standby_position,
};
use crate::store::Store;
use crate::store::fence::{JournalEnd, journal_end};

/// Interval of the measurements.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Watcher {
    watched: Watched,
    clock: Clock,
    standing: watch::Sender<ReplicaStatus>,
    primary: Option<PgConnection>,
    standby: Option<Connected>,
    history: History,
    /// Last known position of the primary.
    last: Option<PrimaryPosition>,
    /// Journal entry up to which erasures have been searched.
    journal: Option<i64>,
    fence: Fence,
}

/// Connected run of the standby.
struct Connected {
    connection: PgConnection,
    run: StandbyRun,
    /// Time of connecting. The standby is read after it has replayed all that the primary had then,
    /// so that it contains all that was read before from other connections or earlier runs.
    since: Instant,
    pool: PgPool,
    store: Store,
}

/// Erasures and their positions in the log.
#[derive(Debug, Default)]
struct Fence {
    /// Latest erasure that the standby has replayed.
    passed: u64,
    /// Later erasure, and a position of the primary after it.
    ahead: Option<(u64, Lsn)>,
}

impl Fence {
    /// Records a position of the primary after an erasure.
    fn record(&mut self, erasure: u64, lsn: Lsn) {
        let known = self.ahead.map_or(self.passed, |(known, _)| known);
        if erasure > known {
            self.ahead = Some((erasure, lsn));
        }
    }

    /// Returns the latest erasure that a standby at a position has replayed.
    fn pass(&mut self, replayed: Lsn) -> u64 {
        if let Some((erasure, _)) = self.ahead.filter(|(_, lsn)| *lsn <= replayed) {
            *self = Self { passed: erasure, ahead: None };
        }
        self.passed
    }
}

/// Result of a measurement.
struct Verdict {
    state: ReplicaState,
    cause: Option<anyhow::Error>,
    lag: Option<(Duration, i64)>,
    readable: Option<Readable>,
}

impl Verdict {
    fn unreadable(state: ReplicaState) -> Self {
        Self { state, cause: None, lag: None, readable: None }
    }

    fn unreachable(cause: anyhow::Error) -> Self {
        Self { cause: Some(cause), ..Self::unreadable(ReplicaState::Unreachable) }
    }
}

impl Watcher {
    pub(super) fn new(
        watched: Watched,
        clock: Clock,
        standing: watch::Sender<ReplicaStatus>,
    ) -> Self {
        Self {
            watched,
            clock,
            standing,
            primary: None,
            standby: None,
            history: History::default(),
            last: None,
            journal: None,
            fence: Fence::default(),
        }
    }

    /// Runs until the service stops.
    pub(super) async fn run(mut self, life: Lifecycle) {
        while !life.is_stopping() {
            let measured = async {
                self.measure_primary().await;
                self.measure_standby().await
            };
            let verdict = tokio::select! {
                biased;
                () = life.stopping() => break,
                verdict = measured => verdict,
            };
            // A standby that was just connected to is measured again at once.
            let pause = match verdict.state {
                ReplicaState::CatchingUp => INTERVAL / 10,
                _ => INTERVAL,
            };
            self.publish(verdict);
            tokio::select! {
                () = life.stopping() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.disconnect();
    }

    /// Measures the primary. If it does not answer, the age of the standby grows.
    async fn measure_primary(&mut self) {
        let mut erasure = self.watched.erasures.latest();
        let (at, time) = (Instant::now(), self.clock.now());
        let Some((position, journal)) = self.query_primary().await else { return };
        let is_same = |last: &PrimaryPosition| {
            (last.system, last.timeline) == (position.system, position.timeline)
        };
        if !self.last.as_ref().is_some_and(is_same) {
            self.history.clear();
        }
        self.last = Some(position);
        // Another process may have erased as well.
        if journal.has_erasures {
            self.watched.erasures.raise();
            erasure += 1;
        }
        self.journal = Some(journal.seq);
        self.fence.record(erasure, position.inserted);
        self.history.push(Sample { at, time, lsn: position.flushed });
    }

    async fn query_primary(&mut self) -> Option<(PrimaryPosition, JournalEnd)> {
        let open = self.primary.take();
        // Before the first measurement no standby was read, so there are no erasures to find.
        let since = self.journal.unwrap_or(i64::MAX);
        let connector = &self.watched.primary;
        let query = async {
            let mut connection = match open {
                Some(connection) => connection,
                None => connector.connect().await?,
            };
            // Read the journal first, so that its erasures are before the position.
            let journal = journal_end(&mut connection, since).await?;
            let position = primary_position(&mut connection).await?;
            anyhow::Ok((connection, position, journal))
        };
        let (connection, position, journal) = timeout(QUERY_TIMEOUT, query).await.ok()?.ok()?;
        let position = position?;
        self.primary = Some(connection);
        Some((position, journal))
    }

    async fn measure_standby(&mut self) -> Verdict {
        let position = match timeout(QUERY_TIMEOUT, self.query_standby()).await {
            Ok(Ok(position)) => position,
            Ok(Err(error)) => {
                self.disconnect();
                return Verdict::unreachable(error.into());
            }
            Err(late) => {
                self.disconnect();
                return Verdict::unreachable(late.into());
            }
        };
        let Some(last) = self.last else {
            return Verdict::unreadable(ReplicaState::Unchecked);
        };
        let state = match () {
            () if !position.in_recovery => ReplicaState::Promoted,
            () if position.system != last.system => ReplicaState::OtherCluster,
            () if position.timeline != last.timeline => ReplicaState::OtherTimeline,
            () if self.is_ahead(position.replayed).await => ReplicaState::OtherTimeline,
            () => return self.evaluate(&position),
        };
        self.disconnect();
        Verdict::unreadable(state)
    }

    /// Queries the standby over the open connection, or else over a new one with a new pool.
    async fn query_standby(&mut self) -> Result<StandbyPosition, sqlx::Error> {
        if let Some(connected) = &mut self.standby {
            let result = standby_position(&mut connected.connection).await;
            if let Ok(position) = result
                && position.run() == connected.run.number()
            {
                connected.run.record(position.replayed);
                return Ok(position);
            }
            // After a broken connection the server may be a different one.
            self.disconnect();
        }
        let since = Instant::now();
        let mut connection = self.watched.standby.connect().await?;
        let position = standby_position(&mut connection).await?;
        let run = StandbyRun::of(&position);
        let pool = standby_pool(&self.watched.standby, run.clone());
        let store = Store::new(pool.clone()).with_roles(self.watched.roles.clone());
        self.standby = Some(Connected { connection, run, since, pool, store });
        Ok(position)
    }

    /// Returns `true` if no standby of this primary can have replayed the position.
    async fn is_ahead(&mut self, replayed: Lsn) -> bool {
        if self.last.is_none_or(|last| replayed <= last.inserted) {
            return false;
        }
        // The primary may have advanced meanwhile.
        let result = self.query_primary().await;
        result.is_some_and(|(position, _)| replayed > position.inserted)
    }

    /// Evaluates a standby of this primary.
    fn evaluate(&mut self, position: &StandbyPosition) -> Verdict {
        let (Some(last), Some(connected)) = (self.last, &self.standby) else {
            return Verdict::unreadable(ReplicaState::Unchecked);
        };
        let behind = (last.flushed.0 - position.replayed.0).max(0);
        let erased = self.fence.pass(position.replayed);
        let reached = self.history.replayed(position.replayed);
        let age = match reached {
            Some(sample) => sample.at.elapsed(),
            None => self.least_age(position.last_commit_at),
        };
        let reached = reached.filter(|sample| sample.at >= connected.since);
        let readable = reached.map(|sample| Readable {
            store: connected.store.clone(),
            run: connected.run.number(),
            system: position.system,
            replayed: position.replayed,
            complete_at: sample.time,
            complete: sample.at,
            erased,
        });
        let max_lag = self.watched.max_lag;
        let state = match &readable {
            Some(readable) if readable.complete.elapsed() <= max_lag => ReplicaState::Used,
            None if age <= max_lag => ReplicaState::CatchingUp,
            _ => ReplicaState::Lagging,
        };
        Verdict { state, cause: None, lag: Some((age, behind)), readable }
    }

    /// Returns the least lag of a standby that has not replayed the oldest sample.
    fn least_age(&self, last_commit_at: Option<DateTime<Utc>>) -> Duration {
        let watched = self.history.oldest().map_or(Duration::ZERO, |sample| sample.at.elapsed());
        let committed = last_commit_at.and_then(|at| (self.clock.now() - at).to_std().ok());
        watched.max(committed.unwrap_or_default())
    }

    /// Closes the connections to the standby.
    fn disconnect(&mut self) {
        if let Some(connected) = self.standby.take() {
            close(connected.pool);
        }
    }

    fn publish(&mut self, verdict: Verdict) {
        let Verdict { state, cause, lag, readable } = verdict;
        let before = self.standing.borrow().state;
        if before != state {
            let lag_seconds = lag.map(|(age, _)| age.as_secs_f64());
            log(state, cause.as_ref(), lag_seconds);
        }
        let now = self.clock.now();
        self.standing.send_modify(|standing| {
            *standing = ReplicaStatus {
                since: standing.since.filter(|_| before == state).or(Some(now)),
                state,
                lag_seconds: lag.map(|(age, _)| age.as_secs_f64()),
                lag_bytes: lag.map(|(_, bytes)| bytes),
                readable,
            };
        });
    }
}

/// Closes a pool. Connections in use are closed when they are returned.
fn close(pool: PgPool) {
    tokio::spawn(async move { pool.close().await });
}

fn log(state: ReplicaState, cause: Option<&anyhow::Error>, lag_seconds: Option<f64>) {
    let cause = cause.map(|cause| format!("{cause:#}"));
    match state {
        ReplicaState::Unchecked | ReplicaState::CatchingUp => {}
        ReplicaState::Used => tracing::info!(lag_seconds, "reading from the standby"),
        _ => tracing::warn!(
            state = state.as_str(),
            cause,
            lag_seconds,
            hint = state.hint(),
            "standby not used; reading from the primary"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erasure_is_passed_when_the_standby_has_replayed_it() {
        let mut fence = Fence::default();
        fence.record(1, Lsn(100));
        assert_eq!(fence.pass(Lsn(99)), 0);
        // A later position does not postpone it.
        fence.record(1, Lsn(200));
        assert_eq!(fence.pass(Lsn(100)), 1);
        fence.record(3, Lsn(300));
        assert_eq!((fence.pass(Lsn(299)), fence.pass(Lsn(300))), (1, 3));
        // A passed erasure stays passed.
        assert_eq!(fence.pass(Lsn(0)), 3);
    }
}
