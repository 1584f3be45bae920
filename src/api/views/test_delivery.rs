//! JSON shapes of `/v1/setup/test`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::query::json_body::read_object;
use crate::problem::{Code, Problem};
use crate::store::setup::DeliveryOutcome;
use crate::webhook::test_sender::{Sent, TestEvent};

/// The request's body of a test.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTest)]
pub(crate) struct NewTest {
    /// Name of the source.
    #[serde(default = "default_source")]
    #[schema(default = "default", min_length = 1, max_length = 64, example = "default")]
    pub(crate) source: String,
    /// Kind of the delivery.
    #[serde(default)]
    pub(crate) event: Event,
    /// Send it without the mark of a test: a `room.join` or `chat.push` is then stored as a
    /// conversation of the agent `test_agent_123`, and counted in figures.
    #[serde(default)]
    #[schema(default = false, example = false)]
    pub(crate) real: bool,
}

fn default_source() -> String {
    "default".into()
}

/// Kind of a test delivery.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = TestEvent)]
pub(crate) enum Event {
    /// Delivery of the dashboard's Test button.
    #[default]
    #[serde(rename = "test")]
    Test,
    /// A visitor comes.
    #[serde(rename = "room.join")]
    Join,
    /// Something is said.
    #[serde(rename = "chat.push")]
    Message,
}

impl From<Event> for TestEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::Test => Self::Test,
            Event::Join => Self::Join,
            Event::Message => Self::Message,
        }
    }
}

impl NewTest {
    /// Reads a request's body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        read_object(body).map_err(|error| {
            let detail = format!(
                "The body is JSON such as {{\"source\":\"default\",\"event\":\"test\"}}, and this is \
                 not: {error}."
            );
            Problem::new(Code::InvalidParameter, detail)
        })
    }
}

/// Result of a test delivery.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestResult {
    /// Name of the source.
    #[schema(example = "default")]
    source: String,
    /// Kind of the delivery.
    event: Event,
    /// Status of the answer, which is 200 where all is well; null without an answer.
    #[schema(example = 200)]
    status: Option<u16>,
    /// Reason why there was no answer.
    #[schema(example = json!(null))]
    error: Option<&'static str>,
    /// Time until the answer was complete.
    #[schema(example = 2.1)]
    milliseconds: f64,
    /// The answer, as the sender gets it.
    #[schema(example = json!({"status": "ok"}))]
    answer: Value,
    /// Our id of the delivery. Null where it was refused, and while it waits in the inbox.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    delivery_id: Option<Uuid>,
    /// Outcome as in `/v1/deliveries`: `test` unless it was `real`.
    #[schema(example = "test")]
    outcome: Option<String>,
    /// Reason of the quarantine.
    #[schema(example = json!(null))]
    reason: Option<String>,
    /// The agent that it names.
    #[schema(example = "test_agent_123")]
    agent_id: Option<String>,
    /// Our id of the session that it is part of now.
    #[schema(example = json!(null))]
    session: Option<Uuid>,
    /// True where it counts in a conversation and in figures.
    #[schema(example = false)]
    stored_as_real: bool,
}

impl TestResult {
    /// Describes what came back, and what the delivery became.
    pub(crate) fn new(test: NewTest, sent: Sent, became: Option<DeliveryOutcome>) -> Self {
        let answer = serde_json::from_str(&sent.body).unwrap_or(Value::String(sent.body));
        let result = Self {
            source: test.source,
            event: test.event,
            status: sent.status,
            error: sent.error,
            milliseconds: sent.took.as_secs_f64() * 1e3,
            answer: if sent.status.is_some() { answer } else { Value::Null },
            delivery_id: None,
            outcome: None,
            reason: None,
            agent_id: None,
            session: None,
            stored_as_real: false,
        };
        let Some(became) = became else { return result };
        Self {
            delivery_id: Some(became.id),
            stored_as_real: became.outcome == "stored",
            outcome: Some(became.outcome),
            reason: became.reason,
            agent_id: became.agent_id,
            session: became.session,
            ..result
        }
    }
}
