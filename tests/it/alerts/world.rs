//! A database, a clock, and services that evaluate alerts on them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::ConnectOptions as _;
use tokio::sync::watch;
use verbatim::alerts::{Amount, Draft, Rule, SigningKey};
use verbatim::clock::Clock;
use verbatim::config::{AlertSettings, Receiver};
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::inbox::Depth;
use verbatim::jobs::alerts::{Alerts, Client, OwnState};
use verbatim::postgres::read_pool;
use verbatim::store::alerts::{EventRow, NewEvent, Progress, StateRow};
use verbatim::store::ingest::{Row, write};
use verbatim::store::{Order, PageRequest, Store};
use verbatim::telemetry::Metrics;

use crate::support::app::now;
use crate::support::database::TestDatabase;

/// Signing secret, in the form that receivers use.
pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Longest wait for an answer. Every missing answer costs a test this much time.
const ANSWER_DEADLINE: Duration = Duration::from_millis(500);

/// Alert with a receiver.
pub(super) fn alert(draft: &Draft, url: &str) -> AlertSettings {
    let keys = vec![SigningKey::parse(SECRET).unwrap()];
    let receiver = Receiver { url: url.parse().unwrap(), keys };
    AlertSettings { rule: Rule::new(draft).unwrap(), receiver }
}

/// Deliveries that have waited for the database for more than a minute.
pub(super) fn undrained() -> Draft {
    Draft {
        name: "drain".into(),
        metric: "undrained_age".into(),
        above: Some(Amount::Duration("1m".into())),
        ..Draft::default()
    }
}

pub(super) struct World {
    pub(super) database: TestDatabase,
    pub(super) store: Store,
    pub(super) clock: Clock,
    depth: watch::Sender<Depth>,
}

impl World {
    pub(super) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::new(read_pool(database.options()));
        let (depth, _) = watch::channel(Depth::default());
        Self { database, store, clock: Clock::fixed(now()), depth }
    }

    /// Job of a service with the world's inbox.
    pub(super) fn job(&self, alerts: Vec<AlertSettings>) -> Alerts {
        self.job_of(alerts, self.depth.subscribe())
    }

    /// Job of a service with an empty inbox.
    pub(super) fn idle_job(&self, alerts: Vec<AlertSettings>) -> Alerts {
        self.job_of(alerts, watch::channel(Depth::default()).1)
    }

    fn job_of(&self, alerts: Vec<AlertSettings>, depth: watch::Receiver<Depth>) -> Alerts {
        let metrics = Metrics::new(&self.clock, []).unwrap();
        let own = OwnState { depth, metrics: metrics.clone(), started_at: self.clock.now() };
        let client = Client::new(alerts.iter().map(|alert| &alert.receiver)).unwrap();
        let client = client.answered_within(ANSWER_DEADLINE);
        let store = Store::new(read_pool(self.database.options()));
        Alerts::new(Arc::from(alerts), store, self.clock.clone(), client, own, metrics)
    }

    pub(super) fn pass(&self, time: TimeDelta) {
        self.clock.set(self.clock.now() + time);
    }

    /// Sets the age of the oldest waiting delivery; `None` empties the inbox.
    pub(super) fn undrained_for(&self, age: Option<TimeDelta>) {
        let oldest_at = age.map(|age| self.clock.now() - age);
        self.depth.send_replace(Depth { oldest_at, ..Depth::default() });
    }

    pub(super) async fn state(&self, name: &str) -> StateRow {
        self.store.alert_states(&[name.to_owned()]).await.unwrap().remove(0)
    }

    /// The history, oldest first.
    pub(super) async fn events(&self) -> Vec<EventRow> {
        let page = PageRequest { after: None, order: Order::Asc, limit: 100 };
        self.store.list_alert_events(None, None, &page).await.unwrap()
    }

    /// A notification that was delivered.
    pub(super) fn event(&self, name: &str) -> NewEvent {
        let at: DateTime<Utc> = self.clock.now();
        NewEvent {
            id: DeliveryId::new(at).0,
            name: name.into(),
            kind: "firing",
            at,
            since: at,
            value: 1.0,
            normal: None,
            threshold: 0.0,
            summary: "It is above.".into(),
            agent_ids: None,
            body: "{}".into(),
            progress: Progress::default(),
        }
    }

    /// Writes unreadable deliveries as the drain does.
    pub(super) async fn deliver_unreadable(&self, count: usize) {
        let arrival = |number| Arrival {
            id: DeliveryId::new(self.clock.now()),
            received_at: self.clock.now(),
            source: SourceName::default(),
            evidence: Evidence::default(),
            body: format!("{{\"unreadable\":{number}}}").into(),
        };
        let arrivals: Vec<Arrival> = (0..count).map(arrival).collect();
        let rows: Vec<_> = arrivals
            .iter()
            .map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) })
            .collect();
        let mut connection = self.database.options().connect().await.unwrap();
        write(&mut connection, &rows).await.unwrap();
    }
}
