//! Identities: random and computed ones.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Our ID of one request: a UUIDv7, created at ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub Uuid);

impl DeliveryId {
    /// Creates an ID for a request that arrived at `at`: the time, then random bits.
    #[must_use]
    pub fn new(at: DateTime<Utc>) -> Self {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid())
    }

    /// Returns the millisecond in which the request arrived, `[from, to)`; `None` for an ID that is
    /// not ours.
    #[must_use]
    pub fn millisecond(self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if self.0.get_version_num() != 7 {
            return None;
        }
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        let from = DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)?;
        Some((from, from + TimeDelta::milliseconds(1)))
    }
}

/// Identity of a delivery and its duplicates; the ID of a message.
///
/// The first 128 bits of a SHA-256 over the source and the exact bytes of the body, which a
/// signature covers; a `UUIDv8`, since version 5 would be SHA-1. It depends on no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

impl EventId {
    /// Computes the identity of a body that a source delivered, as it arrived.
    #[must_use]
    pub fn of(source: &SourceName, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(source.as_str());
        // This byte ends the name, in which it cannot occur.
        hash.update([0]);
        hash.update(body);
        let digest: [u8; 32] = hash.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(Uuid::new_v8(first))
    }
}

/// Our ID of a conversation: a UUIDv5 of source, agent and sender's session ID, so that no lookup
/// is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub Uuid);

/// Namespace of session IDs. It must never change: every session ID depends on it.
const SESSION_NAMESPACE: Uuid = Uuid::from_u128(0x8a2f_6c1e_55d0_4b7b_9d3a_4e61_c0de_7a1c);

impl SessionId {
    /// Computes the ID of a conversation.
    #[must_use]
    pub fn of(source: &SourceName, agent_id: &str, sender_session_id: &str) -> Self {
        // Stored text contains no U+0000, so it separates the parts unambiguously.
        let name = format!("{source}\0{agent_id}\0{sender_session_id}");
        Self(Uuid::new_v5(&SESSION_NAMESPACE, name.as_bytes()))
    }
}

/// Name of a configured source, as in `/webhook/{name}`: 1 to 64 of `a-z 0-9 - _`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceName(Arc<str>);

/// Error of an invalid source name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid source name {0:?}: use 1 to 64 of a-z, 0-9, '-' and '_'")]
pub struct InvalidSourceName(String);

impl SourceName {
    /// Name of the source of `POST /webhook`.
    pub const DEFAULT: &'static str = "default";

    /// Longest name, in bytes.
    const MAX_BYTES: usize = 64;

    /// Parses a name.
    pub fn parse(name: &str) -> Result<Self, InvalidSourceName> {
        let fits = (1..=Self::MAX_BYTES).contains(&name.len())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if fits { Ok(Self(name.into())) } else { Err(InvalidSourceName(name.into())) }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SourceName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
