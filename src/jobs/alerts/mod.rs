//! Evaluates alerts and sends notifications of their changes.
//!
//! If there are several services, one of them claims and evaluates each round. States and
//! notifications are in the database. While that is unreachable, each service evaluates the rules
//! that need no database, and keeps states and notifications in memory until they can be stored.
//! `docs/design/alerts.md` has the reasons.

mod decide;
mod measure;
mod own;
mod run;
mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::timeout;
use uuid::Uuid;

pub use own::OwnState;
pub use send::{Client, GIVE_UP_AFTER, NotSent, Outgoing};

use crate::alerts::{Measured, Missing, Rule, Status};
use crate::clock::Clock;
use crate::config::AlertSettings;
use crate::domain::DeliveryId;
use crate::store::alerts::{NewEvent, Progress, StateRow, StateWrite};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use decide::decide;
use measure::Round;

/// Interval of evaluations.
pub const INTERVAL: TimeDelta = TimeDelta::seconds(15);
/// A round is due this much earlier, so that a service whose timer is early does not miss it.
const SLACK: TimeDelta = TimeDelta::seconds(1);
/// Longest evaluation. A half-open connection would wait for ever.
const DEADLINE: Duration = Duration::from_mins(1);
/// Interval of deleting old states and notifications.
const TIDY_INTERVAL: TimeDelta = TimeDelta::hours(1);
/// Most notifications in memory while the database is unreachable.
const MAX_IN_MEMORY: usize = 1_000;

/// Outcome of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// All alerts were evaluated here.
    Here,
    /// Another service evaluates the round, or it is not due yet.
    Elsewhere,
    /// The database is unreachable, and only rules that do not need it were evaluated.
    Alone,
}

/// Evaluates alerts and sends notifications.
pub struct Alerts {
    alerts: Arc<[AlertSettings]>,
    names: Vec<String>,
    store: Store,
    clock: Clock,
    client: Client,
    own: OwnState,
    metrics: Arc<Metrics>,
    /// ID of this service among those that report.
    service: Uuid,
    /// States in the database, or those decided since it became unreachable.
    known: BTreeMap<String, StateRow>,
    /// Alerts whose state was decided without the database.
    decided_alone: BTreeSet<String>,
    /// Notifications that are not in the database yet.
    in_memory: Vec<NewEvent>,
    tidied_at: Option<DateTime<Utc>>,
    is_alone: bool,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Alerts {
    /// Creates an evaluator of these alerts.
    #[must_use]
    pub fn new(
        alerts: Arc<[AlertSettings]>,
        store: Store,
        clock: Clock,
        client: Client,
        own: OwnState,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            names: alerts.iter().map(|alert| alert.rule.name.clone()).collect(),
            service: DeliveryId::new(clock.now()).0,
            alerts,
            store,
            clock,
            client,
            own,
            metrics,
            known: BTreeMap::new(),
            decided_alone: BTreeSet::new(),
            in_memory: Vec::new(),
            tidied_at: None,
            is_alone: false,
        }
    }

    /// Evaluates all alerts if this service claims the round. Without the database, evaluates only
    /// those that do not need it.
    pub async fn evaluate(&mut self) -> Result<Evaluated, StoreError> {
        let now = self.clock.now();
        let evaluated = timeout(DEADLINE, self.evaluate_together(now)).await;
        let evaluated = evaluated.unwrap_or_else(|_| Err(StoreError::late()));
        let evaluated = match evaluated {
            Err(StoreError::Unavailable(cause)) => {
                if !std::mem::replace(&mut self.is_alone, true) {
                    tracing::warn!(error = %cause, "alerts evaluated without the database");
                }
                self.evaluate_alone(now);
                Ok(Evaluated::Alone)
            }
            other => {
                self.is_alone = false;
                other
            }
        };
        let firing = Status::Firing.as_str();
        let firing = self.known.values().filter(|state| state.status == firing).count();
        self.metrics.alerts.set_firing(firing);
        evaluated
    }

    async fn evaluate_together(&mut self, now: DateTime<Utc>) -> Result<Evaluated, StoreError> {
        self.catch_up().await?;
        self.store.report_undrained(self.service, self.own.undrained_since(), now).await?;
        let mine = self.store.claim_alert_round(now, now + INTERVAL - SLACK).await?;
        self.load().await?;
        if !mine {
            return Ok(Evaluated::Elsewhere);
        }
        let mut round = Round::begin(&self.store, &self.own, now).await?;
        let mut writes = Vec::new();
        for AlertSettings { rule, .. } in self.alerts.iter() {
            let measured = round.measure(rule).await;
            writes.push(self.decided(rule, measured, now));
        }
        self.store.write_alert_states(&writes).await?;
        log_changes(&writes);
        self.load().await?;
        if self.tidied_at.is_none_or(|at| now - at >= TIDY_INTERVAL) {
            self.store.delete_expired_alerts(now, now - GIVE_UP_AFTER).await?;
            self.tidied_at = Some(now);
        }
        Ok(Evaluated::Here)
    }

    /// Evaluates the rules that need no database, and keeps the outcome in memory.
    fn evaluate_alone(&mut self, now: DateTime<Utc>) {
        let alerts = Arc::clone(&self.alerts);
        for AlertSettings { rule, .. } in alerts.iter() {
            let measured = if rule.subject.is_known_without_database() {
                self.own.measure(&rule.subject, now)
            } else {
                Measured::Missing(Missing::Database)
            };
            let write = self.decided(rule, measured, now);
            log_changes(std::slice::from_ref(&write));
            if rule.subject.is_known_without_database() {
                self.decided_alone.insert(rule.name.clone());
            }
            self.known.insert(rule.name.clone(), write.state);
            self.in_memory.extend(write.events);
        }
        let excess = self.in_memory.len().saturating_sub(MAX_IN_MEMORY);
        if excess > 0 {
            tracing::error!(
                excess,
                "alert notifications dropped; too many waiting for the database"
            );
            self.in_memory.drain(..excess);
        }
    }

    /// Stores the states and notifications decided without the database.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        if self.decided_alone.is_empty() && self.in_memory.is_empty() {
            return Ok(());
        }
        let mut states: Vec<_> =
            self.decided_alone.iter().filter_map(|name| self.known.get(name).cloned()).collect();
        let stored = self.store.alert_states(&self.names).await?;
        let firing = Status::Firing.as_str();
        // After a start without the database the stored states are unknown. A stored firing state
        // is kept, so that its end is reported.
        for state in states.iter_mut().filter(|state| state.version == 0) {
            let stored = stored.iter().find(|stored| stored.name == state.name);
            let stored = stored.filter(|stored| stored.status != firing);
            state.version = stored.map_or(0, |stored| stored.version);
        }
        self.store.write_offline_alerts(&states, &self.in_memory).await?;
        self.decided_alone.clear();
        self.in_memory.clear();
        Ok(())
    }

    async fn load(&mut self) -> Result<(), StoreError> {
        let states = self.store.alert_states(&self.names).await?;
        self.known = states.into_iter().map(|state| (state.name.clone(), state)).collect();
        Ok(())
    }

    fn decided(&self, rule: &Rule, measured: Measured, now: DateTime<Utc>) -> StateWrite {
        let (state, message) = decide(rule, self.known.get(&rule.name), measured, now);
        let events = message.into_iter().map(|message| NewEvent {
            id: DeliveryId::new(now).0,
            name: rule.name.clone(),
            kind: message.kind.as_str(),
            at: message.at,
            since: message.since,
            value: message.reading.value,
            normal: message.reading.normal,
            threshold: message.limit,
            body: message.body(rule),
            summary: message.summary,
            agent_ids: rule.agents.clone(),
            progress: Progress { next_attempt_at: Some(now), ..Progress::default() },
        });
        StateWrite { state, events: events.collect() }
    }
}

fn log_changes(writes: &[StateWrite]) {
    for event in writes.iter().flat_map(|write| &write.events) {
        tracing::info!(alert = event.name, kind = event.kind, id = %event.id, "alert changed");
    }
}
