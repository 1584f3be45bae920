//! Evaluates the alerts at intervals, and sends due notifications.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout};

use super::send::{NotSent, Outgoing, progress};
use super::{Alerts, DEADLINE, INTERVAL};
use crate::lifecycle::Lifecycle;
use crate::retry::is_logged;
use crate::store::StoreError;
use crate::store::alerts::{Attempt, DueEvent};

/// Interval of polling for due notifications.
const TICK: Duration = Duration::from_secs(1);
/// Number of notifications that are sent at the same time.
const AT_ONCE: usize = 8;
/// Time after which a claimed notification is due again, if no attempt was recorded: longer than an
/// answer may take.
const LEASE: TimeDelta = TimeDelta::seconds(60);

impl Alerts {
    /// Evaluates and sends until the service stops.
    pub async fn run(mut self, life: Lifecycle) {
        tokio::select! {
            // The next start repeats a notification that was being sent, with the same ID.
            () = life.stopping() => {}
            () = self.keep_up() => {}
        }
    }

    async fn keep_up(&mut self) {
        let interval = INTERVAL.to_std().unwrap_or(TICK);
        let mut evaluated = None;
        loop {
            let began = Instant::now();
            if evaluated.is_none_or(|at| began.duration_since(at) >= interval) {
                evaluated = Some(began);
                if let Err(error) = self.evaluate().await {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::warn!(error, "alerts not evaluated");
                }
            }
            let sent = timeout(DEADLINE, self.send_due()).await;
            if let Err(error) = sent.unwrap_or_else(|_| Err(StoreError::late())) {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(error, "alert notifications not sent");
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Sends each due notification once; returns the number of attempts.
    pub async fn send_due(&mut self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let from_memory = self.due_in_memory(now);
        let mut tried = from_memory.len();
        for attempt in self.attempt_all(from_memory).await {
            // Only this task changes them.
            if let Some(event) = self.in_memory.iter_mut().find(|event| event.id == attempt.id) {
                event.progress = attempt.progress;
            }
        }
        let most = i64::try_from(AT_ONCE).unwrap_or(1);
        let due = match self.store.claim_due_alerts(&self.names, now, now + LEASE, most).await {
            // They are sent when the database is reachable again.
            Err(StoreError::Unavailable(_)) => return Ok(tried),
            due => due?,
        };
        tried += due.len();
        for attempt in self.attempt_all(due).await {
            self.store.record_alert_attempt(&attempt).await?;
        }
        Ok(tried)
    }

    /// Returns the due notifications in memory, the first one of each alert.
    fn due_in_memory(&mut self, now: DateTime<Utc>) -> Vec<DueEvent> {
        let mut waiting = BTreeSet::new();
        let mut due = Vec::new();
        for event in &mut self.in_memory {
            let Some(next) = event.progress.next_attempt_at else { continue };
            if waiting.insert(&event.name) && next <= now && due.len() < AT_ONCE {
                event.progress.attempts += 1;
                due.push(DueEvent {
                    id: event.id,
                    name: event.name.clone(),
                    at: event.at,
                    body: event.body.clone(),
                    attempts: event.progress.attempts,
                });
            }
        }
        due
    }

    async fn attempt_all(&self, due: Vec<DueEvent>) -> Vec<Attempt> {
        stream::iter(due).map(|event| self.attempt(event)).buffer_unordered(AT_ONCE).collect().await
    }

    async fn attempt(&self, event: DueEvent) -> Attempt {
        let settings = self.alerts.iter().find(|alert| alert.rule.name == event.name);
        let outcome = match settings {
            Some(settings) => {
                let at = self.clock.now();
                let outgoing = Outgoing { id: event.id, at, body: &event.body };
                self.client.send(&settings.receiver, outgoing).await
            }
            // Not reached: only notifications of known alerts are claimed.
            None => Err(NotSent::NoConnection("the alert no longer has a receiver".into())),
        };
        let progress = progress(&outcome, event.attempts, event.at, self.clock.now());
        self.metrics.alerts.attempted(outcome.is_ok(), progress.given_up_at.is_some());
        let DueEvent { id, name, attempts, .. } = event;
        match (&outcome, progress.given_up_at) {
            (Ok(status), _) => {
                tracing::info!(%id, alert = name, status, attempts, "alert notification delivered");
            }
            (Err(error), Some(_)) => {
                tracing::error!(%id, alert = name, %error, attempts, "alert notification abandoned");
            }
            (Err(error), None) if is_logged(attempts.unsigned_abs()) => {
                tracing::warn!(%id, alert = name, %error, attempts, "alert notification not delivered");
            }
            (Err(_), None) => {}
        }
        Attempt { id, progress }
    }
}
