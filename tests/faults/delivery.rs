//! Deliveries made from a seed. No two are alike.

use chrono::SecondsFormat;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use verbatim::clock::Clock;

/// The secret of the source `default`.
pub(crate) const SECRET: &str = "the secret that signs";
/// Source of the contracts that do not sign, and the header that it requires.
pub(crate) const UNSIGNED_SOURCE: &str = "d";
pub(crate) const UNSIGNED_HEADER: &str = "X-Webhook-Secret: open sesame";

const AGENTS: u32 = 12;
/// Conversations that are open at the same time, and deliveries of each.
const OPEN_SESSIONS: usize = 40;
const SESSION_LENGTH: u32 = 40;
/// A large delivery comes once in this many, and has this many words.
const LARGE_EVERY: u32 = 200;
const LARGE_WORDS: usize = 4_000;
const WORDS: &[&str] = &[
    "avatar",
    "room",
    "\"yes\"",
    "Olá",
    "voilà",
    "\u{1f98a}",
    "日本語",
    "line\nbreak",
    "tab\there",
    "back\\slash",
    "кот",
    "no",
    "and",
    "then",
    "\u{7f}",
    "مرحبا",
    "<b>",
    "NULL",
    "'; --",
    "e\u{301}",
];

/// Deliveries after which an old conversation is over, and its sender reports the end.
const OLD_SESSION_LENGTH: u32 = 6;
/// The contracts of conversations, in turn.
const CONTRACTS: [Contract; 12] = {
    use Contract::{A, B, C, D};
    [B, D, B, D, A, B, D, B, C, D, B, D]
};
/// Places in each hundred deliveries of the account event, the dashboard's test and an event of an
/// unknown type.
const HUNDRED: u32 = 100;
const ACCOUNT_SLOT: u32 = 30;
const DASHBOARD_SLOT: u32 = 55;
const UNKNOWN_SLOT: u32 = 80;
const ACCOUNT_EVENTS: [&str; 5] =
    ["agent.ready", "agent.failed", "video.completed", "video.failed", "ping"];

/// Contract of the sender that is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// The oldest: other names, times as text, and an end event. Identified by a header, sent once.
    A,
    /// Signed, and sent again if there was no answer.
    B,
    /// Other name for the agent, no time in messages. Identified by a header, sent once.
    C,
    /// Identified by a header, sent once.
    D,
    /// The second system: signs the time, too, has event IDs, and sends again.
    Account,
    /// The Test button: signed like B, and sent once.
    Dashboard,
}

impl Contract {
    fn is_signed(self) -> bool {
        matches!(self, Self::B | Self::Account | Self::Dashboard)
    }

    /// Returns true if the sender sends a delivery again that was not answered.
    pub(crate) fn retries(self) -> bool {
        matches!(self, Self::B | Self::Account)
    }

    /// Name of the contract in the log of deliveries.
    pub(crate) fn generation(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B | Self::Dashboard => "b",
            Self::C => "c",
            Self::D => "d",
            Self::Account => "account",
        }
    }
}

/// Event that the sender reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Join,
    Message {
        role: &'static str,
        message: String,
    },
    /// End of the conversation.
    End {
        reason: String,
    },
    /// Event of the account, without a conversation.
    Account,
    /// The Test button.
    Test,
    /// Event of an unknown type.
    Unknown,
}

impl Event {
    /// Expected outcome in the log of deliveries.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Unknown => "unhandled",
            _ => "stored",
        }
    }
}

pub(crate) type Sha = [u8; 32];

/// Content of a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) contract: Contract,
    /// Type as stored: event types of newer contracts in their newest spelling.
    pub(crate) event_type: &'static str,
    pub(crate) agent_id: String,
    /// Only in deliveries of a conversation.
    pub(crate) session_id: Option<String>,
    pub(crate) event: Event,
}

impl Content {
    /// Source that the delivery is sent to.
    pub(crate) fn source(&self) -> &'static str {
        if self.contract.is_signed() { "default" } else { UNSIGNED_SOURCE }
    }
}

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) content: Content,
    /// Further header lines, each with its line end: mostly credentials.
    headers: String,
    pub(crate) body: Vec<u8>,
    pub(crate) sha: Sha,
}

impl Delivery {
    fn new(content: Content, body: &Value, number: u32) -> Self {
        let body = body.to_string().into_bytes();
        let headers = match content.contract {
            Contract::B => signature(SECRET, &body) + "\r\n",
            Contract::Dashboard => signature(SECRET, &body) + "\r\nX-Test-Webhook: true\r\n",
            Contract::Account => {
                let at = Clock::system().now().timestamp();
                let signed = [format!("{at}.").as_bytes(), &body].concat();
                format!(
                    "{}\r\nX-BitHuman-Timestamp: {at}\r\nX-BitHuman-Event: {}\r\n\
                     X-BitHuman-Delivery: delivery-{number}\r\n",
                    signature(SECRET, &signed),
                    content.event_type,
                )
            }
            Contract::A | Contract::C | Contract::D => format!("{UNSIGNED_HEADER}\r\n"),
        };
        let sha = Sha256::digest(&body).into();
        Self { content, headers, body, sha }
    }

    /// Returns the whole request.
    pub(crate) fn request(&self) -> Vec<u8> {
        let mut bytes = self.head(self.body.len()).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Returns the head of the request, with `length` as the body's length.
    pub(crate) fn head(&self, length: usize) -> String {
        let path = match self.content.source() {
            "default" => String::new(),
            source => format!("/{source}"),
        };
        let headers = &self.headers;
        format!(
            "POST /webhook{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             {headers}Content-Length: {length}\r\n\r\n"
        )
    }
}

/// Returns the header line with the signature of `body`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(body);
    format!("X-bitHuman-Signature: sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Makes deliveries.
#[derive(Debug)]
pub(crate) struct Maker {
    rng: StdRng,
    made: u32,
    opened: usize,
    sessions: Vec<Session>,
}

#[derive(Clone, Debug)]
struct Session {
    contract: Contract,
    agent_id: String,
    session_id: String,
    length: u32,
}

impl Session {
    fn is_over(&self) -> bool {
        self.length
            >= match self.contract {
                Contract::A => OLD_SESSION_LENGTH,
                _ => SESSION_LENGTH,
            }
    }
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), made: 0, opened: 0, sessions: Vec::new() }
    }

    /// Returns the next delivery, of any contract.
    pub(crate) fn next(&mut self) -> Delivery {
        let number = self.made;
        self.made += 1;
        match number % HUNDRED {
            ACCOUNT_SLOT => self.account_event(number),
            DASHBOARD_SLOT => self.dashboard_test(number),
            UNKNOWN_SLOT => self.unknown_type(number),
            _ => self.next_of_session(number),
        }
    }

    /// Returns the next signed delivery of a conversation. Without its last bytes it cannot be
    /// assigned to a conversation.
    pub(crate) fn next_signed(&mut self) -> Delivery {
        loop {
            let delivery = self.next();
            let Content { contract, session_id, .. } = &delivery.content;
            if *contract == Contract::B && session_id.is_some() {
                return delivery;
            }
        }
    }

    fn next_of_session(&mut self, number: u32) -> Delivery {
        if self.sessions.len() < OPEN_SESSIONS {
            let session = self.open_session();
            self.sessions.push(session);
        }
        let at = self.rng.random_range(0..self.sessions.len());
        self.sessions[at].length += 1;
        let session = self.sessions[at].clone();
        if session.is_over() {
            self.sessions.swap_remove(at);
        }
        self.session_event(&session, number)
    }

    fn open_session(&mut self) -> Session {
        let id: [u8; 16] = self.rng.random();
        self.opened += 1;
        Session {
            contract: CONTRACTS[self.opened % CONTRACTS.len()],
            agent_id: self.agent(),
            session_id: uuid::Uuid::from_bytes(id).to_string(),
            length: 0,
        }
    }

    fn agent(&mut self) -> String {
        format!("A{:05}", self.rng.random_range(0..AGENTS))
    }

    fn session_event(&mut self, session: &Session, number: u32) -> Delivery {
        let (event_type, event) = if session.length == 1 {
            ("room.join", Event::Join)
        } else if session.contract == Contract::A && session.is_over() {
            ("session_end", Event::End { reason: format!("it was the {number}th") })
        } else {
            let role = if self.rng.random_bool(0.5) { "user" } else { "assistant" };
            ("chat.push", Event::Message { role, message: self.text(number) })
        };
        let body = match session.contract {
            Contract::A => old_body(session, &event, number),
            _ => body(session, event_type, &event, number),
        };
        let content = Content {
            contract: session.contract,
            event_type,
            agent_id: session.agent_id.clone(),
            session_id: Some(session.session_id.clone()),
            event,
        };
        Delivery::new(content, &body, number)
    }

    fn account_event(&mut self, number: u32) -> Delivery {
        let kind = (number / HUNDRED) as usize % ACCOUNT_EVENTS.len();
        let (agent_id, event_type) = (self.agent(), ACCOUNT_EVENTS[kind]);
        let body = json!({ "id": format!("evt_{number}"), "event": event_type,
            "created": Clock::system().now().timestamp(),
            "data": { "agent_id": agent_id, "code": agent_id } });
        let contract = Contract::Account;
        let event = Event::Account;
        Delivery::new(
            Content { contract, event_type, agent_id, session_id: None, event },
            &body,
            number,
        )
    }

    fn dashboard_test(&mut self, number: u32) -> Delivery {
        self.without_session(Contract::Dashboard, "test", Event::Test, number)
    }

    fn unknown_type(&mut self, number: u32) -> Delivery {
        self.without_session(Contract::B, "avatar.waved", Event::Unknown, number)
    }

    fn without_session(
        &mut self,
        contract: Contract,
        event_type: &'static str,
        event: Event,
        number: u32,
    ) -> Delivery {
        let agent_id = self.agent();
        let body = json!({ "event_type": event_type, "agent_id": agent_id,
            "data": { "message": format!("the {number}th") }, "timestamp": seconds_now() });
        let content = Content { contract, event_type, agent_id, session_id: None, event };
        Delivery::new(content, &body, number)
    }

    /// Returns a text that no other delivery has: it begins with the number.
    fn text(&mut self, number: u32) -> String {
        let large = self.rng.random_range(0..LARGE_EVERY) == 0;
        let count = if large { LARGE_WORDS } else { self.rng.random_range(1..40) };
        let mut text = number.to_string();
        for _ in 0..count {
            text.push(' ');
            text.push_str(WORDS.choose(&mut self.rng).copied().unwrap_or_default());
        }
        text
    }
}

/// Unix seconds of this machine's clock, which is the sender's.
#[expect(clippy::cast_precision_loss, reason = "the sender writes a float")]
fn seconds_now() -> f64 {
    Clock::system().now().timestamp_micros() as f64 / 1e6
}

/// Body in the format since contract B.
fn body(session: &Session, event_type: &str, event: &Event, number: u32) -> Value {
    let now = seconds_now();
    let mut data = match event {
        Event::Message { role, message } => json!({ "role": role, "message": message }),
        _ => json!({ "room_name": format!("room {number}"), "participant_count": 2 }),
    };
    data["session_id"] = json!(session.session_id);
    if matches!(event, Event::Message { .. }) && session.contract != Contract::C {
        data["timestamp"] = json!(now);
    }
    let agent = if session.contract == Contract::C { "agent_code" } else { "agent_id" };
    json!({ agent: session.agent_id, "event_type": event_type, "data": data, "timestamp": now })
}

/// Body in the oldest format.
fn old_body(session: &Session, event: &Event, number: u32) -> Value {
    let now = Clock::system().now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut body = json!({ "timestamp": now, "agentId": session.agent_id,
        "sessionId": session.session_id, "user": { "id": "user_456" } });
    let (name, key, value) = match event {
        Event::Message { role, message } => (
            "chat_push",
            "message",
            json!({ "id": format!("msg_{number}"), "role": role, "content": message,
                "type": "text" }),
        ),
        Event::End { reason } => {
            ("session_end", "session", json!({ "messageCount": number, "endReason": reason }))
        }
        _ => ("room_join", "room", json!({ "name": format!("room {number}"), "participants": 1 })),
    };
    body["event"] = json!(name);
    body[key] = value;
    body
}
