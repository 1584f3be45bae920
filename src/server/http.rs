//! The HTTP server: routes, workers, deadlines, and how it is closed without cutting anybody off.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use super::connections::{self, Connections};
use super::listener::Listener;
use super::tls::Pair;
use crate::api::health::Health;
use crate::api::{self, ApiState};
use crate::lifecycle::Lifecycle;
use crate::webhook::handler::{self, Webhook};

/// How long an idle connection is kept. The sender tries once: a delivery that crosses the closing
/// of its connection is lost, so connections are closed rarely.
const KEEP_ALIVE: Duration = Duration::from_mins(10);
/// How long a request's head may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long we go on serving, with `Connection: close` in each answer, so that connections end with
/// their answers. Many a client gives up an idle connection by itself after 4 or 5 s, so that few are
/// left then; those are closed, and a request that is on its way at that very moment is lost:
/// HTTP/1.1 has no better farewell. Nobody waits for it meanwhile.
const GOODBYE: Duration = Duration::from_secs(6);
/// How long it takes until those that were hung up are gone.
const HANG_UP: Duration = Duration::from_millis(500);
/// How long a connection may take from the kernel's queue to our count, with TLS its handshake.
const COUNTED: Duration = Duration::from_millis(100);
const COUNTED_TLS: Duration = Duration::from_millis(500);
/// How long a connection that was taken last may wait for its request.
const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// How long open requests may go on after that, in seconds.
const FINISH_REQUESTS_SECONDS: u64 = 15;

/// What the routes work with.
pub(super) struct Parts {
    pub(super) webhook: Webhook,
    pub(super) health: Health,
    pub(super) api: ApiState,
}

/// The server that runs.
pub(super) struct Http {
    handle: ServerHandle,
    connections: Arc<Connections>,
    counted: Duration,
}

impl Http {
    /// Serves from now on.
    pub(super) fn open(
        listener: Listener,
        tls: Option<Pair>,
        connections: Connections,
        parts: Parts,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let connections = Arc::new(connections);
        let metrics = web::Data::from(parts.health.metrics.clone());
        let (webhook, health) = (web::Data::new(parts.webhook), web::Data::new(parts.health));
        let (state, counts) = (web::Data::new(parts.api), web::Data::from(connections.clone()));
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let opened = connections.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(webhook.clone())
                .app_data(health.clone())
                .app_data(metrics.clone())
                .app_data(state.clone())
                .app_data(counts.clone())
                .wrap(from_fn(api::access_log))
                .wrap(from_fn(connections::end_with_answer))
                .configure(handler::routes)
                .configure(api::health::routes)
                .configure(api::routes)
        })
        .on_connect(move |stream, extensions| {
            extensions.insert(opened.open(stream));
        })
        .workers(workers)
        .max_connections(connections.most().div_ceil(workers))
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_DEADLINE)
        .shutdown_timeout(FINISH_REQUESTS_SECONDS)
        .disable_signals();
        let counted = if tls.is_some() { COUNTED_TLS } else { COUNTED };
        let server = match tls {
            Some(pair) => {
                let server = server.listen_rustls_0_23(listener.socket, pair.server_config()?)?;
                life.spawn("certificate", pair.run(life.clone()));
                server
            }
            None => server.listen(listener.socket)?,
        };
        let server = server.run();
        let handle = server.handle();
        life.spawn("http server", async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the HTTP server failed");
            }
        });
        Ok(Self { handle, connections, counted })
    }

    /// Ends all connections, each with an answer where that can be. Connections that come after are
    /// left in the kernel's queue, for whoever serves from the same socket next.
    ///
    /// We go on accepting during the goodbye, since a new connection would wait for its end.
    pub(super) async fn close(&self) {
        self.connections.say_goodbye();
        self.connections.old_ones_gone(GOODBYE).await;
        self.connections.hang_up();
        self.connections.old_ones_gone(HANG_UP).await;
        self.handle.pause().await;
        // What was taken from the queue before the pause must reach a worker, and its request with
        // it: a worker that stops drops connections that it has not begun, and requests that it has
        // not read.
        tokio::time::sleep(self.counted).await;
        self.connections.young_ones_gone(LAST_REQUESTS).await;
        self.connections.hang_up();
        self.connections.young_ones_gone(HANG_UP).await;
        self.handle.stop(true).await;
    }
}
