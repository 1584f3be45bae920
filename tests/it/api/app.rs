//! The API on a separate port, with a clock that the test sets.

use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::watch;
use verbatim::alerts::Rule;
use verbatim::api::{
    ApiState, CursorKeys, Exports, HeldAnswers, KeyCache, ReadServers, SharedReads, access_log,
    event_text, routes,
};
use verbatim::clock::Clock;
use verbatim::domain::Roles;
use verbatim::domain::session::SilenceLimits;
use verbatim::domain::visits::VisitGaps;
use verbatim::ingress::Ingress;
use verbatim::lifecycle::Lifecycle;
use verbatim::live::Live;
use verbatim::store::Store;
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use super::http::{self, Answer};
use crate::support::database::TestDatabase;

/// A key of the settings, with every scope.
pub(crate) const BOOTSTRAP: &str = "the key of the settings";

/// Time of the tests.
pub(crate) fn now() -> DateTime<Utc> {
    at(0)
}

/// Returns the time `seconds` after [`now`].
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_607_253, 0).expect("a time") + TimeDelta::seconds(seconds)
}

pub(crate) struct TestApi {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) key_cache: KeyCache,
    pub(crate) live: Live,
    pub(crate) address: String,
    server: ServerHandle,
}

impl TestApi {
    pub(crate) async fn start() -> Self {
        Self::start_on(TestDatabase::create().await)
    }

    pub(crate) fn start_on(database: TestDatabase) -> Self {
        Self::start_with(database, VisitGaps::default())
    }

    /// Starts the API with other gaps between visits.
    pub(crate) fn start_with(database: TestDatabase, gaps: VisitGaps) -> Self {
        Self::start_at(database, gaps, Clock::fixed(now()), &[])
    }

    /// Starts another service on the same database, with its clock at `at`.
    pub(crate) fn beside(&self, at: DateTime<Utc>) -> Self {
        Self::start_at(self.database.shared(), VisitGaps::default(), Clock::fixed(at), &[])
    }

    /// Starts the API with alert rules.
    pub(crate) fn start_with_alerts(database: TestDatabase, alerts: &[Rule]) -> Self {
        Self::start_at(database, VisitGaps::default(), Clock::fixed(now()), alerts)
    }

    fn start_at(database: TestDatabase, gaps: VisitGaps, clock: Clock, alerts: &[Rule]) -> Self {
        let alerts = Arc::from(alerts);
        let store = Store::new(verbatim::postgres::read_pool(database.options()));
        let lifecycle = Lifecycle::new();
        let key_cache =
            KeyCache::new(store.clone(), clock.clone(), &[SecretString::from(BOOTSTRAP)]);
        let silence = SilenceLimits::default();
        let cursors = CursorKeys::new(store.clone(), clock.clone());
        let render = event_text(Roles::default(), silence, clock.clone(), cursors.clone());
        // No commit is announced, as if another process made all of them.
        let (_, commits) = watch::channel(());
        let held = HeldAnswers::default();
        let room = held.shares().clone();
        let live = Live::start(store.clone(), render, room, commits, &lifecycle);
        let state = web::Data::new(ApiState {
            servers: ReadServers::default(),
            ingress: Ingress::default(),
            store: store.clone(),
            key_cache: key_cache.clone(),
            cursors,
            clock: clock.clone(),
            alerts,
            silence,
            visit_gaps: Arc::new(gaps),
            reads: SharedReads::default(),
            live: live.clone(),
            exports: Exports::default(),
            held,
            life: lifecycle,
        });
        let app = move || {
            App::new()
                .app_data(state.clone())
                .wrap(from_fn(access_log))
                .configure(routes)
                .route("/panic", web::get().to(panics))
                .route("/query", web::get().to(misreads))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("binds");
        let address = server.addrs()[0].to_string();
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { database, store, clock, key_cache, live, address, server: handle }
    }

    /// Sends a GET with the settings' key.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.get_as(BOOTSTRAP, target).await
    }

    /// Sends a GET with this key.
    pub(crate) async fn get_as(&self, key: &str, target: &str) -> Answer {
        self.send("GET", target, &[("Authorization", &format!("Bearer {key}"))]).await
    }

    /// Sends a POST of JSON with this key.
    pub(crate) async fn post_as(&self, key: &str, target: &str, body: &Value) -> Answer {
        let headers = [("Authorization", &*format!("Bearer {key}"))];
        let body = body.to_string();
        http::send_body(&self.address, "POST", target, &headers, body.as_bytes()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        http::send(&self.address, method, target, headers).await
    }

    /// Creates a key.
    pub(crate) async fn key(&self, scopes: &[Scope], agents: Option<&[&str]>) -> String {
        self.expiring_key(scopes, agents, None).await
    }

    pub(crate) async fn expiring_key(
        &self,
        scopes: &[Scope],
        agents: Option<&[&str]>,
        expires_at: Option<DateTime<Utc>>,
    ) -> String {
        let key = generate_key();
        let agents: Option<Vec<_>> =
            agents.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        let new = NewKey {
            id: uuid::Uuid::new_v4(),
            name: "a test's",
            hash: KeyHash::of(&key),
            scopes,
            agent_ids: agents.as_deref(),
            created_at: now(),
            expires_at,
            made_by: None,
        };
        self.store.insert_key(&new).await.expect("the key is stored");
        key
    }

    /// Returns a column of every row of a list, page by page along `next_cursor`.
    pub(crate) async fn walk(&self, target: &str, column: &str) -> Vec<String> {
        let separator = if target.contains('?') { '&' } else { '?' };
        let mut rows = Vec::new();
        let mut page = self.get(target).await;
        loop {
            rows.extend(page.column(column));
            let body = page.json();
            let Some(cursor) = body["next_cursor"].as_str() else {
                assert_eq!(body["has_more"], false);
                assert_eq!(page.header("link"), None);
                return rows;
            };
            assert_eq!(body["has_more"], true);
            page = self.get(&format!("{target}{separator}cursor={cursor}")).await;
        }
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        // Not awaited: the server's threads end at the latest with the process.
        drop(self.server.stop(false));
    }
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

#[derive(serde::Deserialize)]
struct Number {
    #[expect(dead_code, reason = "never read")]
    number: u8,
}

async fn misreads(_: web::Query<Number>) -> &'static str {
    ""
}
