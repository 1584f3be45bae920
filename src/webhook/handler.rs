//! The webhook's handler: checks credentials, reads the body, stores the delivery, answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _, web};
use uuid::Uuid;

use super::credentials::{Proof, Refusal, Source};
use super::durable::Durable;
use super::intake;
use crate::clock::Clock;
use crate::domain::{Arrival, DeliveryId, Evidence, SourceName, Unreadable};
use crate::ingress::body::{self, BodyLimit};
use crate::ingress::{Authenticated, Ingress};
use crate::problem::responses::{
    Errors, InvalidKey, InvalidParameter, InvalidSignature, MissingCredentials, NotDurable,
    NotFound, PayloadTooLarge, RateLimited, RequestTimeout, Unavailable, UnreadableDelivery,
};
use crate::problem::{Code, Problem};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::EventKind;

/// Header with the sender's ID of a delivery, the same on every attempt.
const DELIVERY_ID: HeaderName = HeaderName::from_static("x-bithuman-delivery");
/// Header set by the dashboard's Test button.
const TEST: HeaderName = HeaderName::from_static("x-test-webhook");
/// Longest delivery ID, in bytes; a longer one is ignored.
const MAX_DELIVERY_ID_BYTES: usize = 256;
/// `Retry-After` of a 503, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// State of the webhook, shared by all workers.
#[derive(Clone)]
pub struct Webhook {
    /// Sources by name.
    pub sources: Arc<HashMap<SourceName, Source>>,
    /// Makes deliveries durable.
    pub durable: Durable,
    /// Client addresses, failed authentications, and the memory budget of bodies.
    pub ingress: Ingress,
    /// Source of `received_at`.
    pub clock: Clock,
    /// Largest body, in bytes.
    pub max_body_bytes: usize,
    /// Counters of deliveries and refusals.
    pub metrics: Arc<Metrics>,
}

/// Adds the routes, with and without a trailing slash: a redirect would lose the body.
pub fn routes(config: &mut web::ServiceConfig) {
    for path in ["/webhook", "/webhook/", "/webhook/{source}", "/webhook/{source}/"] {
        config.service(web::resource(path).route(web::post().to(receive)).default_service(
            web::to(async || {
                let problem = Problem::new(Code::MethodNotAllowed, "Send deliveries with POST.");
                let mut answer = HttpResponse::from_error(problem);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                answer
            }),
        ));
    }
}

/// Receives a delivery, and counts the answer.
#[utoipa::path(post, path = "/webhook/{source}", tag = "Webhook",
    responses((status = 200, description = "The delivery is durable.", body = Object, example = json!({"status": "ok"})),
        Errors<(InvalidParameter, MissingCredentials, InvalidKey, InvalidSignature, NotFound, RequestTimeout, PayloadTooLarge, UnreadableDelivery, RateLimited, NotDurable, Unavailable)>))]
pub(crate) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    webhook: web::Data<Webhook>,
) -> Result<HttpResponse, Problem> {
    let (started, mut kind) = (Instant::now(), EventKind::Other);
    let source = webhook.source(request.match_info().get("source"));
    let name = source.as_ref().ok().map(|source| &source.name);
    let answer = match &source {
        Ok(source) => ingest(&request, payload, &webhook, source, &mut kind).await,
        Err(unknown) => Err(unknown.clone()),
    };
    if let Some(reason) = answer.as_ref().err().and_then(refusal_label) {
        webhook.metrics.webhook.refused(name, reason, webhook.clock.now());
    }
    let status = answer.as_ref().map_or_else(Problem::status_code, HttpResponse::status);
    webhook.metrics.webhook.answered(name, kind, status.as_u16(), started.elapsed());
    answer
}

async fn ingest(
    request: &HttpRequest,
    payload: web::Payload,
    webhook: &Webhook,
    source: &Source,
    kind: &mut EventKind,
) -> Result<HttpResponse, Problem> {
    let headers = request.headers();
    let reject = |refusal: Refusal| {
        let at = webhook.clock.now();
        webhook.metrics.webhook.refused(Some(&source.name), check_label(&refusal), at);
        let client = webhook.ingress.client(request.head());
        webhook.ingress.refusal(client, || rejection(source, client, &refusal))
    };
    // Without valid credentials in the head the body is not read.
    let claim = match source.check_head(headers, webhook.clock.now()) {
        Ok(claim) => claim,
        Err(refusal) => {
            body::skip(payload, headers).await;
            return Err(reject(refusal));
        }
    };
    let mut room = webhook.ingress.bodies.room(webhook.ingress.client(request.head()));
    let body = body::read(payload, headers, webhook.body_limit(), &mut room).await?;
    let received_at = webhook.clock.now();
    let proof = source.check_body(&claim, headers, &body, received_at).map_err(reject)?;
    let arrival = Arrival {
        id: DeliveryId::new(received_at),
        received_at,
        source: source.name.clone(),
        evidence: evidence(headers, proof),
        body,
    };
    let id = arrival.id.0;
    let intake = intake::store(&webhook.durable, source, arrival, room).await;
    *kind = intake.kind;
    intake.stored.map_err(|refusals| {
        request.extensions_mut().insert(Authenticated);
        tracing::error!(source = %source.name, delivery = %id, %refusals,
            "delivery could not be stored");
        Problem::new(Code::NotDurable, "The delivery was not stored; send it again.")
            .retry_after(RETRY_AFTER_SECONDS)
    })?;
    webhook.metrics.webhook.kept(&source.name, *kind, received_at);
    match intake.fault {
        None => {
            if *kind == EventKind::Test {
                tracing::info!(source = %source.name, delivery = %id, "test delivery received");
            }
            Ok(HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#))
        }
        Some(fault) => {
            request.extensions_mut().insert(Authenticated);
            Err(unreadable(source, id, &fault))
        }
    }
}

impl Webhook {
    fn body_limit(&self) -> BodyLimit {
        BodyLimit {
            max_bytes: self.max_body_bytes,
            name: "A delivery",
            hint: "; VERBATIM_MAX_BODY raises the limit",
        }
    }

    fn source(&self, name: Option<&str>) -> Result<&Source, Problem> {
        SourceName::parse(name.unwrap_or(SourceName::DEFAULT))
            .ok()
            .and_then(|name| self.sources.get(&name))
            .ok_or_else(|| {
                Problem::new(
                    Code::NotFound,
                    "No source has this name; sources are configured under [[sources]].",
                )
            })
    }
}

fn evidence(headers: &HeaderMap, proof: Proof) -> Evidence {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Evidence {
        sender_delivery_id: text(&DELIVERY_ID)
            .filter(|id| (1..=MAX_DELIVERY_ID_BYTES).contains(&id.len()))
            .map(ToOwned::to_owned),
        signed: proof.signed,
        stale: proof.stale,
        test: text(&TEST).is_some_and(|value| value.eq_ignore_ascii_case("true")),
        event_id: None,
    }
}

/// Returns the label of the failed check.
fn check_label(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::MissingSignature => "missing_signature",
        Refusal::SignaturePrefix => "signature_prefix",
        Refusal::SignatureForm => "signature_form",
        Refusal::WrongSignature => "wrong_signature",
        Refusal::MissingHeader(_) => "missing_header",
        Refusal::WrongHeader(_) => "wrong_header",
        Refusal::MissingTimestamp => "missing_timestamp",
        Refusal::StaleTimestamp => "stale_timestamp",
    }
}

/// Returns the label of a refusal; `None` if a check of the credentials has counted it already.
fn refusal_label(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code() {
        Code::PayloadTooLarge => "payload_too_large",
        Code::RequestTimeout => "request_timeout",
        Code::UnreadableDelivery => "unreadable_delivery",
        Code::NotDurable => "not_durable",
        Code::Unavailable => "unavailable",
        Code::InvalidParameter => "invalid_parameter",
        Code::NotFound => "unknown_source",
        _ => return None,
    })
}

fn rejection(source: &Source, client: IpAddr, refusal: &Refusal) -> Problem {
    tracing::warn!(source = %source.name, %client, check = %refusal, "webhook delivery rejected");
    let code = match refusal {
        Refusal::MissingSignature | Refusal::MissingHeader(_) | Refusal::MissingTimestamp => {
            Code::MissingCredentials
        }
        Refusal::SignaturePrefix
        | Refusal::SignatureForm
        | Refusal::WrongSignature
        | Refusal::StaleTimestamp => Code::InvalidSignature,
        Refusal::WrongHeader(_) => Code::InvalidKey,
    };
    Problem::new(code, sentence(&refusal.to_string()))
}

fn unreadable(source: &Source, id: Uuid, fault: &Unreadable) -> Problem {
    tracing::warn!(source = %source.name, delivery = %id, field = fault.field, problem = %fault.problem,
        "delivery cannot be read; its bytes are kept in quarantine");
    Problem::new(
        Code::UnreadableDelivery,
        format!("The field {}: {}. The bytes are kept in quarantine.", fault.field, fault.problem),
    )
    .with("field", fault.field)
}

/// Adds a capital letter and a full stop, as in every `detail`.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}
