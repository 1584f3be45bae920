//! The whole service in this process, with a port, an inbox and a database for one test.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use verbatim::clock::Clock;
use verbatim::config::{DatabaseSettings, ServeArgs, Settings};
use verbatim::inbox::Backlog;
use verbatim::lifecycle::Lifecycle;
use verbatim::server::Server;

use super::database::TestDatabase;

/// The secret of the source `default`.
pub(crate) const SECRET: &str = "the webhook's secret";
/// A key with every scope.
pub(crate) const KEY: &str = "the settings' key";

/// A running service.
pub(crate) struct App {
    pub(crate) database: TestDatabase,
    pub(crate) address: String,
    pub(crate) clock: Clock,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) data: TempDir,
    client: reqwest::Client,
    life: Lifecycle,
    running: JoinHandle<anyhow::Result<()>>,
}

/// An answer, read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// Returns the `code` of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("invalid JSON: {}", self.text))
    }
}

/// Time of the tests, unless they change the clock.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_607_300, 0).unwrap()
}

/// Returns settings that a test can change before the start.
pub(crate) fn settings(database_url: &str, data: &TempDir) -> Settings {
    let mut settings = Settings::resolve(ServeArgs {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        webhook_secret: Some(SECRET.into()),
        api_key: Some(KEY.into()),
        ..ServeArgs::default()
    })
    .unwrap();
    settings.database = DatabaseSettings {
        data_dir: data.path().to_owned(),
        url: Some(SecretString::from(database_url)),
        read_url: None,
        postgres_listen: None,
    };
    settings
}

impl App {
    /// Starts a service on an empty database with our schema.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a service like `start`, with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
        Self::start_on(database, data, change).await
    }

    /// Starts a service on the database and folder of a stopped one.
    pub(crate) async fn start_on(
        database: TestDatabase,
        data: TempDir,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = settings(&database.url(), &data);
        change(&mut settings);
        let (clock, life) = (Clock::fixed(now()), Lifecycle::new());
        let reachable =
            settings.database.url.as_ref().is_some_and(|url| url.expose_secret() == database.url());
        let (scheme, client) = match &settings.tls {
            Some(files) => ("https", client_that_trusts(&files.cert)),
            None => ("http", client()),
        };
        let server = Server::start(settings, clock.clone(), life.clone()).await.unwrap();
        if reachable {
            server.ready().await;
        }
        Self {
            address: format!("{scheme}://{}", server.address),
            backlog: server.backlog.clone(),
            running: tokio::spawn(server.run()),
            client,
            database,
            clock,
            data,
            life,
        }
    }

    /// Stops it without waiting, as a signal does.
    pub(crate) fn begin_stop(&self) {
        self.life.stop();
    }

    /// Stops it as a signal does, and returns its database and folder.
    pub(crate) async fn stop(self) -> (TestDatabase, TempDir) {
        // Otherwise the service would first close our idle connections.
        drop(self.client);
        self.life.stop();
        self.running.await.unwrap().unwrap();
        (self.database, self.data)
    }

    /// Delivers a body with a valid signature.
    pub(crate) async fn deliver(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.deliver_with(body, &[]).await
    }

    /// Delivers a signed body with further headers.
    pub(crate) async fn deliver_with(
        &self,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = body.into();
        let signature = sign(SECRET, &body);
        let headers = [&[("X-bitHuman-Signature", signature.as_str())], headers].concat();
        self.post("/webhook", body, &headers).await
    }

    /// Posts a body without changes.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        // IDs of deliveries begin with their millisecond, so that the log is in the order of
        // arrival.
        self.clock.set(self.clock.now() + TimeDelta::milliseconds(1));
        let mut request = self.client.post(format!("{}{path}", self.address)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Reads with the settings' key.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(KEY, path).await
    }

    /// Reads with this key.
    pub(crate) async fn get_as(&self, key: &str, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.address)).bearer_auth(key);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends a request without a body, with the settings' key.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.address));
        Answer::of(request.bearer_auth(KEY).send().await.unwrap()).await
    }

    /// Reads with only these headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.get(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Waits until everything that was answered is in Postgres.
    pub(crate) async fn drained(&self) {
        let mut depth = self.backlog.watch_depth();
        depth.wait_for(|depth| depth.deliveries == 0).await.unwrap();
    }

    /// Returns outcome and reason of each delivery, in the order of arrival.
    pub(crate) async fn log(&self) -> Vec<(String, Option<String>)> {
        self.drained().await;
        sqlx::query_as("SELECT outcome, reason FROM deliveries ORDER BY id")
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }
}

/// Returns an HTTP client.
pub(crate) fn client() -> reqwest::Client {
    // The first caller installs it. The tests of one process share it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Returns a client that trusts only the certificates of a PEM file.
pub(crate) fn client_that_trusts(file: &Path) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(file).unwrap()).unwrap();
    reqwest::Client::builder().tls_certs_only([certificate]).build().unwrap()
}

/// Returns the signature of a message.
pub(crate) fn sign(secret: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
