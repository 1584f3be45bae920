//! JSON shapes of `/v1/setup`.

use crate::api::views::health::{FiguresState, SearchState};
use crate::config::SourceSettings;
use crate::telemetry::metrics::{Recent, Spread};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::timestamp::Timestamp;

/// Sources as they are set up, and the health of the service.
#[derive(Serialize, ToSchema)]
pub(crate) struct Setup {
    /// Time of the answer.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) as_of: Timestamp,
    /// Sources, the default one first.
    pub(crate) sources: Vec<Source>,
    /// Deliveries to names that no source has, in the last 24 hours; null where there were none.
    pub(crate) unknown_source: Option<Refusal>,
    /// Health of the service.
    pub(crate) health: SetupHealth,
}

/// A source of deliveries.
#[derive(Serialize, ToSchema)]
pub(crate) struct Source {
    /// Its name.
    #[schema(example = "default")]
    pub(crate) name: String,
    /// Path that its deliveries go to.
    #[schema(example = "/webhook")]
    pub(crate) path: String,
    /// URL of that path, by the address that this request was sent to. Null where it names none.
    #[schema(example = "https://verbatim.example.com/webhook")]
    pub(crate) url: Option<String>,
    /// Credentials that each delivery must carry: all of them.
    pub(crate) credentials: Vec<Credential>,
    /// Arrival of the last delivery, tests aside. Null where none is among the latest.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    pub(crate) last_delivery_at: Option<Timestamp>,
    /// Arrival of the last test.
    #[schema(example = "2026-09-28T09:30:00.000000Z")]
    pub(crate) last_test_at: Option<Timestamp>,
    /// Refused deliveries of the last 24 hours, counted by this service since its start; the most
    /// recent first.
    pub(crate) refusals: Vec<Refusal>,
}

/// Something that a delivery must carry. Its value is shown to nobody.
#[derive(Serialize, ToSchema)]
pub(crate) struct Credential {
    /// `signature` or `header`.
    #[schema(example = "signature")]
    kind: &'static str,
    /// Name of the header.
    #[schema(example = "x-bithuman-signature")]
    header: String,
    /// Values, or secrets to sign with, of which any one is accepted: several while one is rotated.
    #[schema(example = 1)]
    accepted: usize,
    /// The signature must cover a timestamp of the last five minutes.
    #[schema(example = false)]
    needs_timestamp: bool,
}

/// Refused deliveries of one reason.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// Check that failed, as in `verbatim_webhook_refusals_total`, or code of the answer.
    #[schema(example = "wrong_signature")]
    reason: &'static str,
    /// Number of deliveries.
    #[schema(example = 3)]
    count: u64,
    /// The last of them.
    #[schema(example = "2026-09-28T14:50:00.000000Z")]
    last_at: Timestamp,
    /// Advice to the operator.
    #[schema(example = "Copy the secret from the sender's settings once more.")]
    advice: &'static str,
}

/// Health of the service. Members that do not depend on the database are known without it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SetupHealth {
    /// Deliveries that are not in PostgreSQL yet.
    pub(crate) inbox: Inbox,
    /// The way from there to PostgreSQL.
    pub(crate) drain: Drain,
    /// Lag of search; null before it was looked at.
    pub(crate) search: Option<SearchState>,
    /// Lag of figures; null before the first batch.
    pub(crate) figures: Option<FiguresState>,
    /// Times of the latest answers to deliveries, 1,000 at the most, of this service since its start.
    pub(crate) latency: Vec<Latency>,
    /// The disk that the inbox is on.
    pub(crate) disk: Vec<Disk>,
    /// Versions of what runs.
    pub(crate) versions: Versions,
    /// Start of this service.
    #[schema(example = "2026-09-28T09:30:00.000000Z")]
    pub(crate) started_at: Timestamp,
}

/// Deliveries that are not in PostgreSQL yet.
#[derive(Serialize, ToSchema)]
#[schema(as = SetupInbox)]
pub(crate) struct Inbox {
    /// New deliveries can be written.
    #[schema(example = true)]
    pub(crate) writable: bool,
    /// Number of deliveries.
    #[schema(example = 0)]
    pub(crate) deliveries: usize,
    /// Room that they take.
    #[schema(example = 0)]
    pub(crate) bytes: u64,
    /// Room that they may take.
    #[schema(example = 4_294_967_296_u64)]
    pub(crate) quota_bytes: u64,
    /// Seconds since the oldest of them arrived; null without any.
    #[schema(example = json!(null))]
    pub(crate) oldest_age_seconds: Option<f64>,
}

/// The way from the inbox to PostgreSQL.
#[derive(Serialize, ToSchema)]
#[schema(as = SetupDrain)]
pub(crate) struct Drain {
    /// PostgreSQL answers.
    #[schema(example = true)]
    pub(crate) reachable: bool,
    /// It does not take deliveries: it is away or read-only, or the last attempt failed.
    #[schema(example = false)]
    pub(crate) failing: bool,
    /// Last commit of deliveries by this service; null before the first one.
    #[schema(example = "2026-09-28T14:54:14.102233Z")]
    pub(crate) last_commit_at: Option<Timestamp>,
}

/// Times of answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Latency {
    /// `room.join`, for whose answer the avatar waits, or `other`.
    #[schema(example = "room.join")]
    event: &'static str,
    /// Answers.
    #[schema(example = 1_000)]
    count: usize,
    /// Median.
    #[schema(example = 1.9)]
    p50_ms: f64,
    /// 90th percentile.
    #[schema(example = 2.4)]
    p90_ms: f64,
    /// 99th percentile.
    #[schema(example = 3.5)]
    p99_ms: f64,
    /// Longest.
    #[schema(example = 9.1)]
    max_ms: f64,
}

/// A disk.
#[derive(Serialize, ToSchema)]
pub(crate) struct Disk {
    /// Use of the disk: `data`, the data folder.
    #[schema(example = "data")]
    pub(crate) holds: &'static str,
    /// Room that is left for the service.
    #[schema(example = 51_539_607_552_u64)]
    pub(crate) free_bytes: u64,
    /// All of its room.
    #[schema(example = 107_374_182_400_u64)]
    pub(crate) total_bytes: u64,
}

/// Versions of what runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Versions {
    /// Verbatim.
    #[schema(example = "0.1.0")]
    pub(crate) verbatim: &'static str,
    /// PostgreSQL; null while it is away.
    #[schema(example = "15.14")]
    pub(crate) postgresql: Option<String>,
    /// How the schema stands, as in `/readyz`.
    #[schema(example = "current")]
    pub(crate) schema: &'static str,
}

impl Credential {
    /// Returns what a source requires.
    pub(crate) fn of(source: &SourceSettings) -> Vec<Self> {
        let mut all = Vec::new();
        if !source.secrets.is_empty() {
            all.push(Self {
                kind: "signature",
                header: "x-bithuman-signature".into(),
                accepted: source.secrets.len(),
                needs_timestamp: source.strict_timestamps,
            });
        }
        for required in &source.headers {
            match all.iter_mut().find(|one| one.header == required.name) {
                Some(known) => known.accepted += 1,
                None => all.push(Self {
                    kind: "header",
                    header: required.name.clone(),
                    accepted: 1,
                    needs_timestamp: false,
                }),
            }
        }
        all
    }
}

impl Latency {
    /// Describes answers to deliveries of one kind.
    pub(crate) fn new(event: &'static str, spread: Spread) -> Self {
        let ms = |micros: u32| f64::from(micros) / 1e3;
        Self {
            event,
            count: spread.count,
            p50_ms: ms(spread.p50_us),
            p90_ms: ms(spread.p90_us),
            p99_ms: ms(spread.p99_us),
            max_ms: ms(spread.max_us),
        }
    }
}

impl Refusal {
    /// Describes refusals of one reason.
    pub(crate) fn new(reason: &'static str, recent: Recent) -> Self {
        let Recent { count, last_at } = recent;
        Self { reason, count, last_at: Timestamp(last_at), advice: advice(reason) }
    }

    /// Newest first.
    pub(crate) fn sort(refusals: &mut [Self]) {
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.last_at.0));
    }
}

/// Returns the advice for refusals of one reason.
fn advice(reason: &str) -> &'static str {
    match reason {
        "missing_signature" => {
            "The source has a secret, and the delivery has no signature. Enter the secret in the \
             sender's settings, or remove it here if the sender does not sign, and require a header \
             instead."
        }
        "signature_prefix" | "signature_form" => {
            "The signature is `sha256=` and 64 hex digits, in X-bitHuman-Signature. Change the \
             sender's code to that form."
        }
        "wrong_signature" => {
            "Sender and source have different secrets, or something on the way changes the body. \
             Enter the same secret in both places, and sign the raw body before anything re-encodes \
             it."
        }
        "missing_header" => {
            "The source requires a header that the delivery does not have. Add it in the sender's \
             settings; a proxy may have removed it."
        }
        "wrong_header" => {
            "The header has another value than the source requires. Enter the same value in both \
             places."
        }
        "missing_timestamp" => {
            "The source has `strict_timestamps`, and the signature covers no timestamp. Sign \
             `{timestamp}.{body}` and send X-BitHuman-Timestamp, or turn strict_timestamps off."
        }
        "stale_timestamp" => {
            "The signed time is more than five minutes from this server's clock. Synchronize the \
             clocks; old deliveries that are sent again need strict_timestamps off."
        }
        "payload_too_large" => {
            "The body is larger than the limit. Raise it with VERBATIM_MAX_BODY, and in a proxy \
             before the service."
        }
        "request_timeout" => {
            "The body did not arrive in time. Check the network between sender and service."
        }
        "unreadable_delivery" => {
            "The delivery is kept in quarantine with the field at fault. See the deliveries with \
             `outcome=quarantined`, and retry them after an update."
        }
        "not_durable" => {
            "Neither the inbox nor PostgreSQL took the delivery. Check the room on the disk and \
             PostgreSQL; the log has both errors."
        }
        "unavailable" => {
            "Too many bodies were being received at once, or the service was stopping. The sender \
             can try again."
        }
        "invalid_parameter" => "The request was not complete or malformed. Check a proxy's log.",
        "unknown_source" => {
            "No source has the name in the URL. Compare the URL in the sender's settings with the \
             paths here."
        }
        _ => "The log has the reason.",
    }
}
