//! What is sent: deliveries of which no two are alike, made from a seed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use verbatim::clock::Clock;

/// The secret of the source `default`.
pub(crate) const SECRET: &str = "the secret that signs";
/// The source of those that do not sign, and the header that it wants.
pub(crate) const UNSIGNED_SOURCE: &str = "d";
pub(crate) const UNSIGNED_HEADER: &str = "X-Webhook-Secret: open sesame";

const AGENTS: u32 = 12;
/// Conversations that go on at a time, and how many deliveries one has.
const OPEN_SESSIONS: usize = 40;
const SESSION_LENGTH: u32 = 40;
/// One delivery of so many is a large one, of so many words.
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

/// Which sender is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// Signed, and tried again where there was no answer.
    B,
    /// Known by a header, and sent once.
    D,
}

/// What it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Join,
    Said { role: &'static str, message: String },
}

pub(crate) type Sha = [u8; 32];

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) contract: Contract,
    pub(crate) session_id: String,
    pub(crate) event: Event,
    pub(crate) body: Vec<u8>,
    pub(crate) sha: Sha,
}

impl Delivery {
    /// The source that it goes to.
    pub(crate) fn source(&self) -> &'static str {
        match self.contract {
            Contract::B => "default",
            Contract::D => UNSIGNED_SOURCE,
        }
    }

    /// The request, as it goes over the wire.
    pub(crate) fn request(&self) -> Vec<u8> {
        let mut bytes = self.head(self.body.len(), "").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Its head, which says that the body has `length` bytes; `more` are further header lines,
    /// each with its line end.
    pub(crate) fn head(&self, length: usize, more: &str) -> String {
        let (path, credentials) = match self.contract {
            Contract::B => ("/webhook".to_owned(), signature(SECRET, &self.body)),
            Contract::D => (format!("/webhook/{UNSIGNED_SOURCE}"), UNSIGNED_HEADER.to_owned()),
        };
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             {credentials}\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    }
}

/// The header line that signs `body`.
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
    sessions: Vec<Session>,
}

#[derive(Clone, Debug)]
struct Session {
    contract: Contract,
    agent_id: String,
    session_id: String,
    length: u32,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), made: 0, sessions: Vec::new() }
    }

    /// The next delivery, of either contract.
    pub(crate) fn next(&mut self) -> Delivery {
        if self.sessions.len() < OPEN_SESSIONS {
            let session = self.open_session();
            self.sessions.push(session);
        }
        let at = self.rng.random_range(0..self.sessions.len());
        self.tell(at)
    }

    /// The next delivery of the signed contract: cut short, it is nobody's.
    pub(crate) fn next_signed(&mut self) -> Delivery {
        loop {
            let delivery = self.next();
            if delivery.contract == Contract::B {
                return delivery;
            }
        }
    }

    fn open_session(&mut self) -> Session {
        let id: [u8; 16] = self.rng.random();
        Session {
            contract: if self.rng.random_bool(0.5) { Contract::B } else { Contract::D },
            agent_id: format!("A{:05}", self.rng.random_range(0..AGENTS)),
            session_id: uuid::Uuid::from_bytes(id).to_string(),
            length: 0,
        }
    }

    fn tell(&mut self, at: usize) -> Delivery {
        let number = self.made;
        self.made += 1;
        let now = seconds_now();
        let session = &mut self.sessions[at];
        session.length += 1;
        let session = session.clone();
        let (contract, session_id) = (session.contract, session.session_id.clone());
        let (event, event_type, data) = if session.length == 1 {
            let data = json!({ "room_name": format!("room {number}"), "participant_count": 2,
                "session_id": session_id });
            (Event::Join, "room.join", data)
        } else {
            let role = if self.rng.random_bool(0.5) { "user" } else { "assistant" };
            let message = self.words(number);
            let data = json!({ "role": role, "message": message, "session_id": session_id,
                "timestamp": now });
            (Event::Said { role, message }, "chat.push", data)
        };
        if session.length == SESSION_LENGTH {
            self.sessions.swap_remove(at);
        }
        let body = json!({ "agent_id": session.agent_id, "event_type": event_type, "data": data,
            "timestamp": now });
        let body = body.to_string().into_bytes();
        let sha = Sha256::digest(&body).into();
        Delivery { contract, session_id, event, body, sha }
    }

    /// The number makes every text another one.
    fn words(&mut self, number: u32) -> String {
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

/// Unix seconds as the sender's clock, which is this machine's, has them.
#[expect(clippy::cast_precision_loss, reason = "a float is what the sender has")]
fn seconds_now() -> f64 {
    Clock::system().now().timestamp_micros() as f64 / 1e6
}
