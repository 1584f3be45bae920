//! Threads that serve connections, each with its runtime and routes.
//!
//! This replaces the acceptor of actix-web's `HttpServer`, which passes connections to threads
//! without knowing which have begun: its stop drops those that have not.

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
use crate::ingress::Ingress;
use crate::lifecycle::Lifecycle;
use crate::page;
use crate::telemetry::Metrics;
use crate::webhook::handler::{self, Webhook};

/// Time after which an idle connection is closed. Long, since the sender does not retry: a delivery
/// that arrives while its connection closes is lost.
const KEEP_ALIVE: Duration = Duration::from_mins(10);
/// Time limit of a TLS handshake, the same as for a request's head.
const HANDSHAKE_DEADLINE: Duration = HEAD_DEADLINE;
/// Time limit for the client to close after the server.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// Accepted connection for a worker.
pub(super) type Accepted = (std::net::TcpStream, Arc<Open>);

/// State and settings of every worker.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) webhook: web::Data<Webhook>,
    pub(super) health: web::Data<Health>,
    pub(super) metrics: web::Data<Metrics>,
    pub(super) api: web::Data<ApiState>,
    pub(super) setup: web::Data<SetupState>,
    pub(super) connections: web::Data<Connections>,
    pub(super) tls: Option<ServerConfig>,
    /// Ends idle connections, and every other one after its request.
    pub(super) ending: CancellationToken,
}

impl Serving {
    /// Starts a thread that serves the connections it receives, until the sender is dropped.
    pub(super) fn start_worker(
        self,
        life: &Lifecycle,
    ) -> std::io::Result<mpsc::UnboundedSender<Accepted>> {
        // Bounded by the limit on open connections: each holds a permit.
        let (sender, receiver) = mpsc::unbounded_channel();
        let (ended, has_ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("http worker".into()).spawn(move || {
            let _ended = ended;
            match rt::Runtime::new() {
                Ok(runtime) => runtime.block_on(self.work(receiver)),
                Err(error) => tracing::error!(%error, "cannot start an HTTP worker"),
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
            tracing::error!("cannot create the routes of an HTTP worker");
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
            let ingress = self.api.ingress.clone();
            rt::spawn(Open::scope(open.clone(), async move {
                let peer = stream.peer_addr().ok();
                let mut serving = Box::pin(async move {
                    let transport = handshake(stream, tls, &ending).await?;
                    let stream = Timed::new(Paced::new(transport), Work::of_this_connection());
                    Some(service.call((stream, Protocol::Http1, peer)).await)
                });
                if let Some(Err(error)) = serving.as_mut().await {
                    log_end(&ingress, peer, &error);
                }
                // The socket is closed below, and its descriptor may then be reused.
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

/// Returns the stream for HTTP; `None` if the handshake fails. It runs in the connection's task, so
/// it delays no other connection.
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
    // Errors are usually the client's, and are not logged.
    Some(Transport::Tls(Box::new(accepted.ok()?.ok()?)))
}

/// Logs a connection that ended with an error, usually caused by the client. The framework's own
/// lines are suppressed, since clients can cause any number of them.
fn log_end(ingress: &Ingress, peer: Option<SocketAddr>, error: &DispatchError) {
    match error {
        DispatchError::Parse(error) => {
            let client = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
            if ingress.lines.note(client).is_ok() {
                tracing::info!(%client, %error, "malformed request head");
            }
        }
        DispatchError::InternalError => tracing::error!("the HTTP server lost track of a request"),
        error => tracing::debug!(%error, "connection ended"),
    }
}
