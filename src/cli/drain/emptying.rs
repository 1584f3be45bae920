//! An inbox that is being emptied: opened, drained by a worker, and closed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{HumanCount, ProgressBar};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::Roles;
use crate::drain::attempts::Attempts;
use crate::drain::worker::Worker;
use crate::inbox::{Backlog, Inbox};
use crate::lifecycle::Lifecycle;
use crate::postgres::{self, Database, SchemaState};
use crate::retry::Retry;
use crate::telemetry::Metrics;

/// Interval at which the inbox is checked, and the progress bar is drawn.
const TICK: Duration = Duration::from_millis(200);
/// Longest wait for the batch at hand after an interruption.
const LAST_BATCH: Duration = Duration::from_secs(5);
/// Longest check of the schema.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);
/// Waits between checks of the schema.
const RETRY: Retry = Retry::every(Duration::from_secs(2));
/// The recovery of a damaged file writes to the inbox, which is drained meanwhile.
const NO_QUOTA: u64 = u64::MAX;

/// Limits of the work.
#[derive(Debug)]
pub(super) struct Limits {
    /// Cancelled by a signal.
    pub(super) stop: CancellationToken,
    /// Longest time in which Postgres stores nothing.
    pub(super) timeout: Option<Duration>,
}

/// Reason for the end of the work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Postgres has everything.
    Empty,
    /// Postgres has everything but the contents of this many damaged files, which cannot be read.
    Unreadable(usize),
    /// A signal was received.
    Interrupted,
    /// Postgres has stored nothing for this time.
    TimedOut(Duration),
}

/// Result of the work.
#[derive(Debug)]
pub(super) struct Rest {
    /// Number of deliveries that Postgres has stored.
    pub(super) stored: usize,
    /// Number of known deliveries that are left.
    pub(super) left: usize,
}

/// Inbox that is being emptied.
pub(super) struct Emptying {
    inbox: Inbox,
    backlog: Arc<Backlog>,
    metrics: Arc<Metrics>,
    life: Lifecycle,
    limits: Limits,
    progress: ProgressBar,
}

impl Emptying {
    /// Opens the inbox as `serve` does: a damaged file is set aside and recovered. Fails if the file
    /// cannot be opened.
    pub(super) async fn open(
        file: &Path,
        limits: Limits,
        progress: ProgressBar,
    ) -> anyhow::Result<Self> {
        let (clock, life) = (Clock::system(), Lifecycle::new());
        let metrics = Metrics::new(&clock, [])?;
        life.spawn("metrics", metrics.clone().run_upkeep(life.clone()));
        let opened = Inbox::open(file, NO_QUOTA, metrics.clone(), &clock, &life).await;
        let what = || format!("cannot open the inbox {}", file.display());
        let (inbox, backlog) = opened.with_context(what)?;
        let emptying = Self { inbox, backlog, metrics, life, limits, progress };
        // Without an error the check of a large file continues.
        let error = emptying.inbox.last_error().filter(|_| !emptying.inbox.is_writable());
        if let Some(error) = error {
            emptying.close().await?;
            bail!("{}: {error}", what());
        }
        tracing::info!(deliveries = emptying.left(), file = %file.display(), "inbox opened");
        Ok(emptying)
    }

    /// Writes everything to Postgres. Fails if the schema is not the one of this program.
    pub(super) async fn run(&self, database: &Database, roles: Roles) -> anyhow::Result<End> {
        let (committed, mut commits) = watch::channel(());
        tokio::select! {
            ready = wait_for_schema(database) => ready?,
            end = self.watch(commits.clone()) => return end,
        }
        let give_up = CancellationToken::new();
        let worker = Worker::new(
            self.backlog.clone(),
            database.connector(),
            roles,
            self.metrics.clone(),
            Attempts::new(committed),
            self.life.clone(),
            give_up.clone(),
        );
        let mut task = tokio::spawn(worker.run());
        let end = self.watch(commits.clone()).await;
        // The worker ends when the inbox is closed and empty, and at its next failure.
        self.life.stop();
        self.inbox.close();
        commits.mark_unchanged();
        let patience =
            if matches!(end, Ok(End::TimedOut(_))) { Duration::ZERO } else { LAST_BATCH };
        let has_ended = tokio::select! {
            outcome = &mut task => outcome.map(|()| true)?,
            _ = commits.changed() => false,
            () = sleep(patience) => false,
        };
        give_up.cancel();
        if !has_ended {
            task.await?;
        }
        end
    }

    /// Closes the inbox. What is left stays in its file.
    pub(super) async fn close(self) -> anyhow::Result<Rest> {
        self.life.stop();
        self.inbox.close();
        self.backlog.end_drain();
        self.life.finished().await?;
        Ok(Rest { stored: self.backlog.stored(), left: self.left() })
    }

    /// Waits until the inbox is empty, or until a limit is reached.
    async fn watch(&self, mut commits: watch::Receiver<()>) -> anyhow::Result<End> {
        let mut stored_at = Instant::now();
        loop {
            if let Some(end) = self.emptied().await? {
                return Ok(end);
            }
            self.show();
            // Nothing can be stored while a damaged file is read.
            if self.left() == 0 && self.inbox.is_writable() {
                stored_at = Instant::now();
            }
            if let Some(limit) = self.limits.timeout.filter(|limit| stored_at.elapsed() >= *limit) {
                return Ok(End::TimedOut(limit));
            }
            tokio::select! {
                biased;
                () = self.limits.stop.cancelled() => return Ok(End::Interrupted),
                () = self.life.stopping() => bail!("a background task ended early: see the log"),
                changed = commits.changed() => {
                    changed.context("the drain's worker died")?;
                    stored_at = Instant::now();
                }
                () = sleep(TICK) => {}
            }
        }
    }

    /// Returns the end if the inbox is empty, and no damaged file is still to be recovered.
    async fn emptied(&self) -> anyhow::Result<Option<End>> {
        if !self.inbox.is_writable() {
            return Ok(None);
        }
        // Before the backlog, to which a recovery adds deliveries until it ends.
        let unreadable =
            self.inbox.unreadable_files().await.context("cannot list damaged inbox files")?;
        Ok(match unreadable {
            Some(0) if self.left() == 0 => Some(End::Empty),
            Some(files) if self.left() == 0 => Some(End::Unreadable(files)),
            _ => None,
        })
    }

    /// Returns the number of deliveries that are not in Postgres.
    fn left(&self) -> usize {
        self.backlog.watch_depth().borrow().deliveries
    }

    fn show(&self) {
        let (stored, left) = (self.backlog.stored() as u64, self.left() as u64);
        self.progress.set_length(stored + left);
        self.progress.set_position(stored);
        self.progress.set_message(HumanCount(left).to_string());
    }
}

/// Waits for the database. Fails if its schema is not the one of this program.
async fn wait_for_schema(database: &Database) -> anyhow::Result<()> {
    let mut retry = RETRY;
    loop {
        database.wait_ready().await?;
        let checked = timeout(CHECK_DEADLINE, postgres::check(&database.connector())).await;
        let checked = checked.context("the database does not answer").flatten();
        let Err(error) = checked else { return Ok(()) };
        if SchemaState::of(&error) != SchemaState::Unknown {
            return Err(error);
        }
        if retry.fail() {
            let failures = retry.failures();
            tracing::warn!(error = %format!("{error:#}"), failures, "cannot use the database; retrying");
        }
        sleep(retry.wait()).await;
    }
}
