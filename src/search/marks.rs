//! Marks of documents, which narrow a search. A mark has no position and equals no token.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Marks the documents of a message that has several. No token equals it.
pub(super) const LONG_MARK: &str = "%";

/// Returns the mark of an agent's messages, with which the index finds them among many others. No
/// token equals it. Two agents may share a mark, so a search must still check the agent.
#[must_use]
pub fn agent_mark(agent_id: &str) -> String {
    let digest = Sha256::digest(agent_id);
    format!("@{}", hex::encode(&digest[..8]))
}

/// Returns the mark of a day's messages (UTC), with which a search finds the newest first.
#[must_use]
pub fn day_mark(at: DateTime<Utc>) -> String {
    format!("#{:x}", at.timestamp().div_euclid(DAY))
}
