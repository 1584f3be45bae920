//! Middleware around every request: its ID, one log line, and a problem as the answer to any error.

use std::borrow::Cow;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use std::{fmt, str};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt as _;

use crate::api::{ApiState, Caller};
use crate::clock::Clock;
use crate::domain::DeliveryId;
use crate::ingress::headers::secure;
use crate::ingress::{AuthThrottle, Authenticated, CorsAnswer, PageFile};
use crate::problem::{Code, Problem, REQUEST_ID};
use crate::telemetry::{Metrics, Span};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest ID that is accepted from a caller.
const MAX_ID: usize = 64;
/// Longest path that is logged whole, in bytes. No path with IDs of usual length is as long.
const MAX_PATH: usize = 256;
/// Longest method that is logged whole, in bytes: a client can invent one.
const MAX_METHOD: usize = 16;

/// Middleware for `from_fn`, to be the outermost.
pub async fn access_log(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let request_id = request_id(&req);
    let ingress = req.app_data::<web::Data<ApiState>>().map(|state| &state.ingress);
    let header = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok());
    let span = Span::of_request(req.method().as_str(), &request_id, header);
    let line = Line {
        method: req.method().clone(),
        uri: req.uri().clone(),
        request_id: request_id.clone(),
        client: ingress.map(|ingress| ingress.client(req.head())),
        lines: ingress.map(|ingress| ingress.lines.clone()),
        strict_transport: ingress.is_some_and(|ingress| ingress.strict_transport),
        // No page sends deliveries.
        cors: ingress
            .filter(|_| !is_delivery(req.path()))
            .and_then(|ingress| ingress.cors.answer(req.headers())),
        started: Instant::now(),
        metrics: req.app_data::<web::Data<Metrics>>().cloned(),
        span,
    };
    let preflight = line.cors.as_ref();
    let preflight = preflight.and_then(|cors| cors.preflight(req.method(), req.headers()));
    if let Some(answer) = preflight {
        return Ok(line.finish(req.into_response(answer)));
    }
    let answer = async move {
        match AssertUnwindSafe(next.call(req)).catch_unwind().await {
            Ok(Ok(response)) => Ok(line.finish(in_our_form(response.map_into_boxed_body()))),
            Ok(Err(error)) => Err(line.wrap(error)),
            // A panic would cut the connection without an answer.
            Err(_) => Err(line.wrap(Problem::internal(Panicked).into())),
        }
    };
    REQUEST_ID.scope(request_id, answer).await
}

/// Returns the ID that the caller sent, if it is valid, so that both logs have the same one.
fn request_id(req: &ServiceRequest) -> String {
    let sane = |id: &&str| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_visible);
    let given = req.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    given.filter(sane).map_or_else(
        || {
            let clock = req.app_data::<web::Data<ApiState>>().map(|state| state.clock.clone());
            DeliveryId::new(clock.unwrap_or_else(Clock::system).now()).0.to_string()
        },
        str::to_owned,
    )
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// Log line of a request. It has the path only, because a query can contain what was said.
#[derive(Debug)]
struct Line {
    method: Method,
    uri: Uri,
    request_id: String,
    /// Address of the client.
    client: Option<IpAddr>,
    /// Counts lines of addresses without credentials.
    lines: Option<AuthThrottle>,
    strict_transport: bool,
    cors: Option<CorsAnswer>,
    started: Instant,
    metrics: Option<web::Data<Metrics>>,
    span: Span,
}

impl Line {
    fn finish(mut self, mut response: ServiceResponse) -> ServiceResponse {
        let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
        let extensions = response.request().extensions();
        let trusted = extensions.contains::<Authenticated>() || extensions.contains::<Caller>();
        let routine = extensions.contains::<PageFile>() || is_routine(self.uri.path());
        drop(extensions);
        self.write(response.status(), problem, trusted, routine);
        self.count(Some(response.request()), response.status());
        self.dress(response.headers_mut());
        response
    }

    /// Wraps an error whose response the framework makes later.
    fn wrap(mut self, error: Error) -> Error {
        let status = error.as_response_error().status_code();
        // A panic, or an error of the framework: it is always logged.
        self.write(status, error.as_error::<Problem>(), true, is_routine(self.uri.path()));
        self.count(None, status);
        Unanswered { error, line: self }.into()
    }

    /// Adds the headers of every answer.
    fn dress(&self, headers: &mut HeaderMap) {
        secure(headers, is_delivery(self.uri.path()), self.strict_transport);
        if let Some(cors) = &self.cors {
            cors.add_to(headers);
        }
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(X_REQUEST_ID, id);
        }
    }

    /// Counts the answer in metrics and traces, under the route's pattern: a path contains IDs. The
    /// webhook counts its answers itself, without building labels for each.
    fn count(&mut self, req: Option<&HttpRequest>, status: StatusCode) {
        let (method, path) = (self.method.as_str(), self.uri.path());
        let of_webhook = is_delivery(path);
        if of_webhook && self.span.is_none() {
            return;
        }
        let pattern = req.and_then(HttpRequest::match_pattern);
        self.span.answered(method, pattern.as_deref(), status.as_u16());
        if let Some(metrics) = self.metrics.as_ref().filter(|_| !of_webhook) {
            let took = self.started.elapsed();
            metrics.http.answered(pattern.as_deref(), method, status.as_u16(), took);
        }
    }

    fn is_one_too_many(&self) -> bool {
        let counted = self.lines.as_ref().zip(self.client);
        counted.is_some_and(|(lines, client)| lines.note(client).is_err())
    }

    /// Writes the line; the formatter adds the request's ID. Beyond a limit, lines without credentials
    /// are only counted.
    fn write(&self, status: StatusCode, problem: Option<&Problem>, trusted: bool, routine: bool) {
        // The log has the number of the lines beyond the limit.
        let passed_over =
            !trusted && problem.is_some_and(|problem| problem.code() == Code::RateLimited);
        let quiet = passed_over || routine && status < StatusCode::BAD_REQUEST;
        if !quiet && !trusted && self.is_one_too_many() {
            return;
        }
        let method = shortened(self.method.as_str(), MAX_METHOD);
        let path = shortened(self.uri.path(), MAX_PATH);
        // Whole microseconds: more digits would be noise.
        let duration_ms = (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let (status_code, client) = (status.as_u16(), self.client.map(tracing::field::display));
        macro_rules! line {
            ($level:ident $(, $field:ident = $value:expr)*) => {
                tracing::$level!(
                    %method, %path, status = status_code, duration_ms, client
                    $(, $field = $value)*, "answered"
                )
            };
        }
        if let Some(cause) = problem.and_then(Problem::cause) {
            line!(error, cause = format_args!("{cause:#}"));
        } else if status.is_server_error() {
            line!(error);
        } else if quiet {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

/// Returns the beginning of a text, with a mark if it is cut.
fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return text.into();
    }
    let end = text.floor_char_boundary(longest);
    format!("{}… ({} bytes)", &text[..end], text.len()).into()
}

/// Returns true for deliveries, which arrive many times a second, and for checks by machines.
fn is_routine(path: &str) -> bool {
    is_delivery(path) || matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Returns true for the webhook's paths.
pub(crate) fn is_delivery(path: &str) -> bool {
    path.starts_with("/webhook")
}

/// Turns an error that is not a [`Problem`], such as the framework's own, into one.
fn in_our_form(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = response.response().error();
    let ours = error.is_some_and(|error| error.as_error::<Problem>().is_some());
    if ours || error.is_none() && response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let problem = problem_of(status, error.map(ToString::to_string));
    let (req, mut theirs) = response.into_parts();
    let allow = theirs.headers_mut().remove(ALLOW).next();
    let mut answer = HttpResponse::from_error(problem);
    if let Some(allow) = allow {
        answer.headers_mut().insert(ALLOW, allow);
    }
    ServiceResponse::new(req, answer)
}

fn problem_of(status: StatusCode, what: Option<String>) -> Problem {
    let detail = what.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().into());
    match status {
        StatusCode::NOT_FOUND => Problem::new(Code::NotFound, "There is nothing at this path."),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Code::MethodNotAllowed, detail),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::PayloadTooLarge, detail),
        StatusCode::REQUEST_TIMEOUT => Problem::new(Code::RequestTimeout, detail),
        _ if status.is_client_error() => Problem::new(Code::InvalidParameter, detail),
        _ => Problem::internal(anyhow::anyhow!(detail)),
    }
}

/// Error whose response is made outside of the request's scope.
#[derive(Debug)]
struct Unanswered {
    error: Error,
    line: Line,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        REQUEST_ID.sync_scope(self.line.request_id.clone(), || {
            let mut response = match self.error.as_error::<Problem>() {
                Some(problem) => problem.error_response(),
                None => {
                    problem_of(self.status_code(), Some(self.error.to_string())).error_response()
                }
            };
            self.line.dress(response.headers_mut());
            response
        })
    }
}

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked; its message is logged before")]
struct Panicked;
