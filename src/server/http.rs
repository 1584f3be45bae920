//! The HTTP server: accepts connections, and closes them without cutting off requests.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::Connections;
use super::listener::Listener;
use super::tls::Pair;
use super::workers::{Accepted, Serving};
use crate::api::health::Health;
use crate::api::{ApiState, SetupState};
use crate::lifecycle::Lifecycle;
use crate::webhook::handler::Webhook;

/// Time for which closing still serves requests, with `Connection: close` in each answer. Many
/// clients close idle connections after 4 or 5 s, so few remain. Those are then closed, and a
/// request that is sent at that moment is lost, which HTTP/1.1 cannot prevent. Closing ends early
/// if no connection is left.
const CLOSING_PERIOD: Duration = Duration::from_secs(6);
/// Wait for connections that were shut down.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(500);
/// Wait for the request of a connection that was accepted last.
const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// Time limit of open requests after that.
const FINISH_REQUESTS: Duration = Duration::from_secs(15);
/// Pause after a failed accept, which usually means that no further file can be opened.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// State of the routes.
pub(super) struct Parts {
    pub(super) webhook: Webhook,
    pub(super) health: Health,
    pub(super) api: ApiState,
    pub(super) setup: SetupState,
}

/// Running server.
pub(super) struct Http {
    connections: Arc<Connections>,
    /// Stops accepting.
    shut: CancellationToken,
    acceptor: TaskTracker,
    /// Workers end when these are dropped.
    workers: Vec<UnboundedSender<Accepted>>,
    /// Ends idle connections, and every other one after its answer.
    ending: CancellationToken,
}

impl Http {
    /// Starts to serve.
    pub(super) fn open(
        listener: Listener,
        tls: Option<Pair>,
        connections: Connections,
        parts: Parts,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let connections = Arc::new(connections);
        let ending = CancellationToken::new();
        let serving = Serving {
            webhook: web::Data::new(parts.webhook),
            metrics: web::Data::from(parts.health.metrics.clone()),
            health: web::Data::new(parts.health),
            api: web::Data::new(parts.api),
            setup: web::Data::new(parts.setup),
            connections: web::Data::from(connections.clone()),
            tls: tls.as_ref().map(Pair::server_config).transpose()?,
            ending: ending.clone(),
        };
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let workers = (0..workers)
            .map(|_| serving.clone().start_worker(life))
            .collect::<Result<Vec<_>, _>>()?;
        listener.socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(listener.socket)?;
        let (shut, acceptor) = (CancellationToken::new(), TaskTracker::new());
        let plain = tls.is_none();
        let accepting = accept(socket, workers.clone(), plain, connections.clone(), shut.clone());
        life.spawn("acceptor", acceptor.track_future(accepting));
        acceptor.close();
        if let Some(pair) = tls {
            life.spawn("certificate", pair.run(life.clone()));
        }
        Ok(Self { connections, shut, acceptor, workers, ending })
    }

    /// Ends all connections, each with an answer if possible. Later connections stay in the
    /// kernel's queue for the next process that uses the socket.
    ///
    /// Connections are still accepted during the closing period, since a new one would have to wait
    /// for its end.
    pub(super) async fn close(self) {
        self.connections.begin_closing();
        self.connections.wait_for_early(CLOSING_PERIOD).await;
        self.connections.shut_down_idle_early();
        self.connections.wait_for_early(SHUTDOWN_WAIT).await;
        self.shut.cancel();
        // All accepted connections are counted by then.
        self.acceptor.wait().await;
        self.connections.wait_for_late(LAST_REQUESTS).await;
        self.connections.shut_down_idle_late();
        self.ending.cancel();
        self.connections.wait_for_all(FINISH_REQUESTS).await;
        drop(self.workers);
    }
}

/// Distributes connections to the workers in turn. Closes the socket at its end; a passed socket
/// stays open in the process that passed it.
async fn accept(
    socket: TcpListener,
    workers: Vec<UnboundedSender<Accepted>>,
    plain: bool,
    connections: Arc<Connections>,
    shut: CancellationToken,
) {
    for worker in workers.iter().cycle() {
        let accepted = async {
            let room = connections.room().await;
            loop {
                match socket.accept().await {
                    Ok((stream, _)) => return (stream, room),
                    Err(error) => {
                        tracing::error!(%error, "cannot accept a connection; retrying");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                }
            }
        };
        let (stream, room) = tokio::select! {
            biased;
            () = shut.cancelled() => break,
            accepted = accepted => accepted,
        };
        let open = connections.open(plain.then_some(&stream), room);
        // A worker that has ended stops the process, and this connection ends.
        if let Ok(stream) = stream.into_std() {
            let _ = worker.send((stream, open));
        }
    }
}
