//! The deliveries, created and signed beforehand. They are distinct, and the same in each run
//! except for their times.

use std::ops::{Bound, Range, RangeBounds};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sha2::Sha256;
use verbatim::clock::Clock;

/// Secret that the service checks signatures with.
pub(crate) const SECRET: &str = "the benchmark's own";
/// Agents that the sessions belong to.
const AGENTS: u32 = 50;
/// Longest time between two deliveries, in microseconds.
const STEP_US: i64 = 10_000;

const WORDS: [&str; 38] = [
    "order", "refund", "shipping", "parcel", "invoice", "hello", "thanks", "please", "account",
    "password", "reset", "delivery", "monday", "agent", "human", "speak", "help", "status",
    "number", "broken", "screen", "colour", "size", "return", "policy", "when", "where", "how",
    "much", "cost", "upgrade", "plan", "cancel", "trial", "avatar", "voice", "museum", "fox",
];

/// All requests, one after the other in one buffer.
#[derive(Debug)]
pub(crate) struct Deliveries {
    bytes: Vec<u8>,
    made: Vec<Made>,
}

#[derive(Debug)]
struct Made {
    request: Range<usize>,
    /// Offset of the body.
    body: usize,
    is_message: bool,
}

impl Deliveries {
    /// Creates `count` deliveries in `sessions` sessions.
    pub(crate) fn make(count: usize, sessions: u32) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
        let ids: Vec<uuid::Uuid> = (0..sessions)
            .map(|_| uuid::Builder::from_random_bytes(rng.random()).into_uuid())
            .collect();
        let mut joined = vec![false; ids.len()];
        // The last one is sent about now.
        let steps = i64::try_from(count).unwrap_or(0);
        let mut now_us = Clock::system().now().timestamp_micros() - steps * STEP_US / 2;
        let mut all = Self { bytes: Vec::new(), made: Vec::with_capacity(count) };
        for _ in 0..count {
            now_us += rng.random_range(1..STEP_US);
            let session = rng.random_range(0..ids.len());
            let is_message = std::mem::replace(&mut joined[session], true);
            let agent = session % AGENTS as usize;
            let agent = format!("A{agent:02}QRS{:04}", agent * 7_919 % 10_000);
            let data = data(is_message, &agent, &ids[session].to_string(), now_us, &mut rng);
            let event = if is_message { "chat.push" } else { "room.join" };
            let body = format!(
                r#"{{"agent_id": "{agent}", "event_type": "{event}", "data": {data}, "timestamp": {}}}"#,
                seconds(now_us + 7),
            );
            let signature = key.clone().chain_update(&body).finalize().into_bytes();
            all.push(&body, &hex::encode(signature), is_message);
        }
        all
    }

    fn push(&mut self, body: &str, signature: &str, is_message: bool) {
        let start = self.bytes.len();
        let head = format!(
            "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             X-bitHuman-Signature: sha256={signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.bytes.extend_from_slice(head.as_bytes());
        let body_start = self.bytes.len();
        self.bytes.extend_from_slice(body.as_bytes());
        self.made.push(Made { request: start..self.bytes.len(), body: body_start, is_message });
    }

    /// Returns the number of deliveries.
    pub(crate) fn len(&self) -> usize {
        self.made.len()
    }

    /// Returns the whole request.
    pub(crate) fn request(&self, index: usize) -> &[u8] {
        &self.bytes[self.made[index].request.clone()]
    }

    /// Returns the body.
    pub(crate) fn body(&self, index: usize) -> &[u8] {
        let made = &self.made[index];
        &self.bytes[made.body..made.request.end]
    }

    /// Returns the number of messages in `range`.
    pub(crate) fn messages(&self, range: impl RangeBounds<usize>) -> usize {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        let range: (Bound<usize>, Bound<usize>) = range;
        self.made[range].iter().filter(|made| made.is_message).count()
    }
}

fn data(is_message: bool, agent: &str, session: &str, at_us: i64, rng: &mut StdRng) -> String {
    if !is_message {
        let participants = rng.random_range(1..=3);
        return format!(
            r#"{{"room_name": "room-{agent}-{}", "participant_count": {participants}, "session_id": "{session}"}}"#,
            &session[..4],
        );
    }
    let count = rng.random_range(4..=40);
    let words: Vec<&str> = (0..count).filter_map(|_| WORDS.choose(rng).copied()).collect();
    let role = if rng.random_bool(0.5) { "user" } else { "assistant" };
    format!(
        r#"{{"role": "{role}", "message": "{}", "session_id": "{session}", "timestamp": {}}}"#,
        words.join(" "),
        seconds(at_us),
    )
}

/// Formats Unix seconds as the sender writes them.
fn seconds(micros: i64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
