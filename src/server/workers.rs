//! The threads that serve connections, each with a runtime of its own, and the routes.
//!
//! This is actix-web's `HttpServer` without its acceptor. That one hands connections to threads and
//! does not know which of them have begun, so its stop drops what was handed over and not begun.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, rt, web};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::connections::{self, Connections, Open, Work};
use super::heads::{HEAD_DEADLINE, Timed};
use super::transport::{Paced, Transport};
use crate::api::health::Health;
use crate::api::{self, ApiState, SetupState};
use crate::gate::Gate;
use crate::lifecycle::Lifecycle;
use crate::page;
use crate::telemetry::Metrics;
use crate::webhook::handler::{self, Webhook};

/// How long an idle connection is kept. The sender tries once: a delivery that crosses the closing
/// of its connection is lost, so connections are closed rarely.
const KEEP_ALIVE: Duration = Duration::from_mins(10);
/// How long a TLS handshake may take: as long as a request's head.
const HANDSHAKE_DEADLINE: Duration = HEAD_DEADLINE;
/// How long the other side may take to close after us.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// A connection on its way to a worker.
pub(super) type Accepted = (std::net::TcpStream, Arc<Open>);

/// What every worker serves.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) webhook: web::Data<Webhook>,
    pub(super) health: web::Data<Health>,
    pub(super) metrics: web::Data<Metrics>,
    pub(super) api: web::Data<ApiState>,
    pub(super) setup: web::Data<SetupState>,
    pub(super) connections: web::Data<Connections>,
    pub(super) tls: Option<ServerConfig>,
    /// Ends what is idle and whatever ends its request from then on.
    pub(super) ending: CancellationToken,
}

impl Serving {
    /// Starts a thread that serves what it is sent, until the sender is dropped.
    pub(super) fn start_worker(
        self,
        life: &Lifecycle,
    ) -> std::io::Result<mpsc::UnboundedSender<Accepted>> {
        // Bounded by the limit on open connections, which each of them holds a place of.
        let (sender, receiver) = mpsc::unbounded_channel();
        let (ended, has_ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("http worker".into()).spawn(move || {
            let _ended = ended;
            match rt::Runtime::new() {
                Ok(runtime) => runtime.block_on(self.work(receiver)),
                Err(error) => tracing::error!(%error, "a worker of the HTTP server cannot start"),
            }
        })?;
        life.spawn("http worker", async move {
            let _ = has_ended.await;
        });
        Ok(sender)
    }

    async fn work(self, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        let ending = self.ending.clone();
        let routes = self.routes().into_factory();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || ending.clone().cancelled_owned())
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_DEADLINE)
            .client_disconnect_timeout(CLOSE_DEADLINE)
            .finish(map_config(routes.map_err(|error| error.error_response()), |()| {
                AppConfig::default()
            }));
        let Ok(service) = http.new_service(()).await else {
            tracing::error!("a worker of the HTTP server cannot make its routes");
            return;
        };
        let service = Rc::new(service);
        let tls = self.tls.clone().map(|mut tls| {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(tls))
        });
        while let Some((stream, open)) = accepted.recv().await {
            let Ok(stream) = TcpStream::from_std(stream) else { continue };
            let (service, tls, ending) = (service.clone(), tls.clone(), self.ending.clone());
            let gate = self.api.gate.clone();
            rt::spawn(Open::scope(open.clone(), async move {
                let peer = stream.peer_addr().ok();
                let mut serving = Box::pin(async move {
                    let transport = handshake(stream, tls, &ending).await?;
                    let stream = Timed::new(Paced::new(transport), Work::of_this_connection());
                    Some(service.call((stream, Protocol::Http1, peer)).await)
                });
                if let Some(Err(error)) = serving.as_mut().await {
                    log_end(&gate, peer, &error);
                }
                // The socket is closed below, and its number may then be another's.
                open.forget_socket();
                drop(serving);
            }));
        }
    }

    fn routes(
        &self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<impl MessageBody + use<>>,
            Error = Error,
            InitError = (),
        > + use<>,
    > {
        App::new()
            .app_data(self.webhook.clone())
            .app_data(self.health.clone())
            .app_data(self.metrics.clone())
            .app_data(self.api.clone())
            .app_data(self.setup.clone())
            .app_data(self.connections.clone())
            .wrap(from_fn(api::access_log))
            .wrap(from_fn(connections::end_with_answer))
            .configure(handler::routes)
            .configure(api::routes)
            .configure(page::routes)
    }
}

/// The stream that HTTP is spoken over; `None` where the other side does not get as far. It belongs
/// to the connection's own task, so nobody waits for it but this connection.
async fn handshake(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    ending: &CancellationToken,
) -> Option<Transport> {
    let Some(tls) = tls else { return Some(Transport::Plain(stream)) };
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(HANDSHAKE_DEADLINE, tls.accept(stream)) => accepted,
        () = ending.cancelled() => return None,
    };
    // What went wrong is the client's affair.
    Some(Transport::Tls(Box::new(accepted.ok()?.ok()?)))
}

/// Tells of a connection that ended with an error: most often that is the client's affair. The
/// framework's own lines are left out, since anybody can cause them without end.
fn log_end(gate: &Gate, peer: Option<SocketAddr>, error: &DispatchError) {
    match error {
        DispatchError::Parse(error) => {
            let client = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
            if gate.lines.note(client).is_ok() {
                tracing::info!(%client, %error, "malformed request head");
            }
        }
        DispatchError::InternalError => tracing::error!("the HTTP server lost track of a request"),
        error => tracing::debug!(%error, "connection ended"),
    }
}
