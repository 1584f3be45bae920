//! Which keys there are, for judging unknown ones without asking the database for each.
//!
//! Somebody who shows wrong keys without end must cost next to nothing, and whoever has a good
//! key must get in all the same, at the same moment and from the same address. So where wrong keys
//! come in numbers, one reading of all hashes serves everybody for a second.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::problem::Problem;
use crate::store::Store;
use crate::store::keys::KeyHash;

/// How long a reading serves, in milliseconds: so long may a new key be unknown to an address with
/// too many failures.
const FRESH_FOR_MS: i64 = 1_000;
/// Most keys that are held: 32 bytes each, and as many again for finding them. Keys are made by
/// hand, so that nobody has as many; with more, each is looked up.
const MOST_KEYS: usize = 100_000;

/// The hashes of all keys that were not revoked. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    read: Arc<Mutex<Reading>>,
    store: Store,
    clock: Clock,
}

#[derive(Debug)]
struct Reading {
    /// When it began; a failed one counts as well, so that those who waited for it fail at once.
    at: Option<DateTime<Utc>>,
    outcome: Result<HashSet<KeyHash>, Problem>,
}

impl Roster {
    /// Nothing is read before it is needed.
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        let nothing = Reading { at: None, outcome: Ok(HashSet::new()) };
        Self { read: Arc::new(Mutex::new(nothing)), store, clock }
    }

    /// Whether a look into the database may find this key; all who ask share one reading.
    pub(super) async fn may_hold(&self, hash: KeyHash) -> Result<bool, Problem> {
        let mut reading = self.read.lock().await;
        let now = self.clock.now();
        let fresh = TimeDelta::milliseconds(FRESH_FOR_MS);
        // Past or, where the clock was stepped back, ahead.
        if reading.at.is_none_or(|at| (now - at).abs() >= fresh) {
            let hashes = self.store.key_hashes(MOST_KEYS + 1).await;
            let outcome = hashes.map(HashSet::from_iter).map_err(Problem::from);
            *reading = Reading { at: Some(now), outcome };
        }
        let hashes = reading.outcome.as_ref().map_err(Clone::clone)?;
        Ok(hashes.len() > MOST_KEYS || hashes.contains(&hash))
    }
}
