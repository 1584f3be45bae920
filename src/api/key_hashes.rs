//! Finding out which of many unknown keys there are, without asking the database for each.
//!
//! Somebody who shows wrong keys without end must cost next to nothing, and whoever has a right key
//! must get in all the same, at the same moment and from the same address, even with a key that was
//! made an instant ago. So where wrong keys come in numbers, all that have come meanwhile are looked
//! for by one query, which begins after each of them has come: nothing is remembered.

use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::problem::Problem;
use crate::store::Store;
use crate::store::keys::KeyHash;

/// How long the next query waits after one: so many keys are collected meanwhile, and no flood
/// costs the database more than 20 queries a second.
const PAUSE: Duration = Duration::from_millis(50);
/// Most keys that one query looks for. Each of those who wait has a connection, so there are
/// never many more.
const MOST_AT_ONCE: usize = 1_000;

/// The hashes of all keys that were not revoked, asked for in groups. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct KeyHashes {
    asked: Arc<Mutex<Asked>>,
    store: Store,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<(KeyHash, oneshot::Sender<Result<bool, Problem>>)>,
    /// A task looks for those who wait.
    is_read: bool,
}

/// Those who look for keys end with their runtime.
#[derive(Debug, thiserror::Error)]
#[error("looking for keys was broken off")]
struct BrokenOff;

impl KeyHashes {
    /// Asks nothing before it is needed.
    pub(super) fn new(store: Store) -> Self {
        Self { asked: Arc::default(), store }
    }

    /// Whether there is a key of this hash, as a query says that begins after this call.
    pub(super) async fn hold(&self, hash: KeyHash) -> Result<bool, Problem> {
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

    /// No code of others runs under the lock, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that asks the database, for as long as somebody waits.
struct Reading {
    hashes: KeyHashes,
    is_done: bool,
}

impl Reading {
    async fn run(mut self) {
        loop {
            let group = {
                let mut asked = self.hashes.lock();
                // One who went away.
                asked.waiting.retain(|(_, sender)| !sender.is_closed());
                if asked.waiting.is_empty() {
                    // Under the same lock, so that whoever comes next begins anew.
                    asked.is_read = false;
                    self.is_done = true;
                    return;
                }
                let most = asked.waiting.len().min(MOST_AT_ONCE);
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
    /// In a runtime that ends: lets go of those who wait, which tells them.
    fn drop(&mut self) {
        if !self.is_done {
            let mut asked = self.hashes.lock();
            asked.is_read = false;
            asked.waiting.clear();
        }
    }
}
