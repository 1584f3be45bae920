//! The threads that serve connections, each with a runtime of its own, and the routes.
//!
//! This is actix-web's `HttpServer` without its acceptor. That one hands connections to threads and
//! does not know which of them have begun, so its stop drops what was handed over and not begun.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error, rt, web};
use rustls::ServerConfig;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::connections::{self, Connections, Open, Work};
use super::heads::{HEAD_DEADLINE, Timed};
use crate::api::health::Health;
use crate::api::{self, ApiState};
use crate::lifecycle::Lifecycle;
use crate::telemetry::Metrics;
use crate::webhook::handler::{self, Webhook};

/// How long an idle connection is kept. The sender tries once: a delivery that crosses the closing
/// of its connection is lost, so connections are closed rarely.
const KEEP_ALIVE: Duration = Duration::from_mins(10);
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

    async fn work(self, accepted: mpsc::UnboundedReceiver<Accepted>) {
        // What it is generic over differs between the two: a stream, and one within TLS.
        macro_rules! http {
            () => {{
                let ending = self.ending.clone();
                let routes = self.routes().into_factory();
                HttpService::build()
                    .graceful_shutdown_signal(move || ending.clone().cancelled_owned())
                    .keep_alive(KEEP_ALIVE)
                    .client_request_timeout(HEAD_DEADLINE)
                    .client_disconnect_timeout(CLOSE_DEADLINE)
                    .finish(map_config(routes.map_err(|error| error.error_response()), |()| {
                        AppConfig::default()
                    }))
            }};
        }
        match self.tls.clone() {
            Some(mut tls) => {
                tls.alpn_protocols = vec![b"http/1.1".to_vec()];
                let timed = fn_service(async |io: TlsStream<TcpStream>| {
                    let peer = io.get_ref().0.peer_addr().ok();
                    Ok((Timed::new(io, Work::of_this_connection()), Protocol::Http1, peer))
                });
                let accepting = Acceptor::new(tls).map_err(TlsError::into_service_error);
                let http = http!().map_err(TlsError::Service);
                serve(accepting.and_then(timed).and_then(http), accepted).await;
            }
            None => {
                let timed = fn_service(async |io: TcpStream| {
                    let peer = io.peer_addr().ok();
                    let stream = Timed::new(io, Work::of_this_connection());
                    Ok::<_, DispatchError>((stream, Protocol::Http1, peer))
                });
                serve(timed.and_then(http!()), accepted).await;
            }
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
            .app_data(self.connections.clone())
            .wrap(from_fn(api::access_log))
            .wrap(from_fn(connections::end_with_answer))
            .configure(handler::routes)
            .configure(api::routes)
    }
}

/// Serves connections as they come, each as a task of this thread.
async fn serve<S>(factory: S, mut accepted: mpsc::UnboundedReceiver<Accepted>)
where
    S: ServiceFactory<TcpStream, Config = (), Response = (), InitError = ()>,
    S::Service: 'static,
{
    let Ok(service) = factory.new_service(()).await else {
        tracing::error!("a worker of the HTTP server cannot make its routes");
        return;
    };
    let service = Rc::new(service);
    while let Some((stream, open)) = accepted.recv().await {
        // With TLS this waits while too many handshakes are under way.
        let ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        if !ready {
            continue;
        }
        let service = service.clone();
        rt::spawn(Open::scope(open.clone(), async move {
            let mut serving = Box::pin(service.call(stream));
            // What went wrong on a connection is its client's affair.
            let _ = serving.as_mut().await;
            // The socket is closed below, and its number may then be another's.
            open.forget_socket();
            drop(serving);
        }));
    }
}
