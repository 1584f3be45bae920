//! Grouped look-up of unknown keys: one query for many requests.
//!
//! A flood of wrong keys must cost little, and a valid key must be accepted at the same moment from the
//! same address, even one that was made an instant ago. So for addresses that failed often, one query
//! looks up all keys that arrived before it began. Nothing is cached.

use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::problem::Problem;
use crate::store::Store;
use crate::store::keys::KeyHash;

/// Pause between two queries: keys are collected in it, and a flood causes at most 20 queries a second.
const PAUSE: Duration = Duration::from_millis(50);
/// Most keys of one query. Each waiting request has a connection, so there are never many more.
const MAX_AT_ONCE: usize = 1_000;

/// Hashes of all keys that are not revoked, looked up in groups. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct KeyHashes {
    asked: Arc<Mutex<Asked>>,
    store: Store,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<(KeyHash, oneshot::Sender<Result<bool, Problem>>)>,
    /// True while a task runs for the waiting requests.
    is_read: bool,
}

/// The runtime ended during a look-up.
#[derive(Debug, thiserror::Error)]
#[error("look-up of keys interrupted")]
struct BrokenOff;

impl KeyHashes {
    /// Returns a look-up that makes no query before it is used.
    pub(crate) fn new(store: Store) -> Self {
        Self { asked: Arc::default(), store }
    }

    /// Returns true if a key has this hash, by a query that begins after this call.
    pub(crate) async fn hold(&self, hash: KeyHash) -> Result<bool, Problem> {
        let (sender, receiver) = oneshot::channel();
        let begins = {
            let mut asked = self.lock();
            asked.waiting.push((hash, sender));
            !mem::replace(&mut asked.is_read, true)
        };
        if begins {
            tokio::spawn(Reading { hashes: self.clone(), is_done: false }.run());
        }
        receiver.await.map_err(|_| Problem::internal(BrokenOff))?
    }

    /// Locks the requests. No foreign code runs under the lock, so a poisoned one is intact.
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Task that queries the database while requests wait.
struct Reading {
    hashes: KeyHashes,
    is_done: bool,
}

impl Reading {
    async fn run(mut self) {
        loop {
            let group = {
                let mut asked = self.hashes.lock();
                // The request may be gone.
                asked.waiting.retain(|(_, sender)| !sender.is_closed());
                if asked.waiting.is_empty() {
                    // Under the same lock, so that the next request starts a new task.
                    asked.is_read = false;
                    self.is_done = true;
                    return;
                }
                let most = asked.waiting.len().min(MAX_AT_ONCE);
                asked.waiting.drain(..most).collect::<Vec<_>>()
            };
            let hashes: Vec<_> = group.iter().map(|(hash, _)| *hash).collect();
            let found = self.hashes.store.find_key_hashes(&hashes).await;
            let found = found.map(HashSet::<_>::from_iter).map_err(Problem::from);
            for (hash, sender) in group {
                let answer = found.as_ref().map(|found| found.contains(&hash));
                let _ = sender.send(answer.map_err(Clone::clone));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Reading {
    /// Drops the senders when the runtime ends, which fails the waiting requests.
    fn drop(&mut self) {
        if !self.is_done {
            let mut asked = self.hashes.lock();
            asked.is_read = false;
            asked.waiting.clear();
        }
    }
}
