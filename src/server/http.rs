//! The HTTP server: what it accepts, and how it is closed without cutting anybody off.

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

/// How long we go on serving, with `Connection: close` in each answer, so that connections end with
/// their answers. Many a client gives up an idle connection by itself after 4 or 5 s, so that few are
/// left then; those are closed, and a request that is on its way at that very moment is lost:
/// HTTP/1.1 has no better farewell. Nobody waits for it meanwhile.
const GOODBYE: Duration = Duration::from_secs(6);
/// How long it takes until those that were hung up are gone.
const HANG_UP: Duration = Duration::from_millis(500);
/// How long a connection that was accepted last may wait for its request.
const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// How long open requests may go on after that.
const FINISH_REQUESTS: Duration = Duration::from_secs(15);
/// How long accepting rests after it failed: most often no further file can be opened.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// What the routes work with.
pub(super) struct Parts {
    pub(super) webhook: Webhook,
    pub(super) health: Health,
    pub(super) api: ApiState,
    pub(super) setup: SetupState,
}

/// The server that runs.
pub(super) struct Http {
    connections: Arc<Connections>,
    /// Stops accepting.
    shut: CancellationToken,
    acceptor: TaskTracker,
    /// They end when nobody can send to them any more.
    workers: Vec<UnboundedSender<Accepted>>,
    /// Ends what is idle, and every other connection with its answer.
    ending: CancellationToken,
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

    /// Ends all connections, each with an answer where that can be. Connections that come after are
    /// left in the kernel's queue, for whoever serves from the same socket next.
    ///
    /// We go on accepting during the goodbye, since a new connection would wait for its end.
    pub(super) async fn close(self) {
        self.connections.say_goodbye();
        self.connections.old_ones_gone(GOODBYE).await;
        self.connections.hang_up_old_ones();
        self.connections.old_ones_gone(HANG_UP).await;
        self.shut.cancel();
        // Whatever was accepted is counted by then.
        self.acceptor.wait().await;
        self.connections.young_ones_gone(LAST_REQUESTS).await;
        self.connections.hang_up_young_ones();
        self.ending.cancel();
        self.connections.all_gone(FINISH_REQUESTS).await;
        drop(self.workers);
    }
}

/// Hands connections to the workers in turn. At its end the socket is closed; one that was passed
/// to us lives on with whoever passed it.
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
                        tracing::error!(%error, "cannot accept a connection; trying again");
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
        // A worker that is gone stops the process; the connection ends here then.
        if let Ok(stream) = stream.into_std() {
            let _ = worker.send((stream, open));
        }
    }
}
