//! Group reads: requests for a key that is being read wait for the next read and share it.
//!
//! This is group commit for reads. A running read may have begun before a request arrived, and miss
//! a commit between the two, so no request joins it. The next read begins when it ends, and serves
//! all requests of that time. So every answer is from a read that began after its request: answers
//! are never stale, there is nothing to invalidate, and each key is read once at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::problem::REQUEST_ID;

/// Most keys that are read at the same time. Far above the queries that Postgres can run, and a limit
/// on reads whose callers have left.
const MAX_READS: usize = 10_000;

/// Reads in progress by key. A key has an entry only while it is read. Cheap to clone.
#[derive(Debug)]
pub(crate) struct GroupReads<K, T> {
    reads: Arc<Reads<K, T>>,
}

/// Requests that wait for the next read, by key.
type Waiting<K, T> = HashMap<K, Vec<oneshot::Sender<T>>>;

#[derive(Debug)]
struct Reads<K, T>(Mutex<Waiting<K, T>>);

/// Read without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// It panicked, or its runtime ended.
    #[error("a read died; its message is logged before")]
    Died,
    /// Too many keys are being read.
    #[error("too much is being read at once")]
    TooMany,
}

impl<K, T> Clone for GroupReads<K, T> {
    fn clone(&self) -> Self {
        Self { reads: Arc::clone(&self.reads) }
    }
}

impl<K, T> Default for GroupReads<K, T> {
    fn default() -> Self {
        Self { reads: Arc::new(Reads(Mutex::default())) }
    }
}

impl<K, T> GroupReads<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + 'static,
{
    /// Returns the outcome of a read that begins after this call. `key` covers everything that the
    /// outcome depends on: the `reading` of any request serves all that wait for the same key.
    ///
    /// A caller that leaves does not stop the read, which is a separate task.
    pub(crate) async fn read<R>(
        &self,
        key: K,
        reading: impl Fn() -> R + Send + 'static,
    ) -> Result<T, Unread>
    where
        R: Future<Output = T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        if let Some(read) = self.join(key, sender)? {
            // A read's future takes many kilobytes, and spawning copies it a dozen times.
            let run = Box::pin(read.run(reading));
            // Its log lines belong to the request that began it.
            match REQUEST_ID.try_with(Clone::clone) {
                Ok(id) => tokio::spawn(REQUEST_ID.scope(id, run)),
                Err(_) => tokio::spawn(run),
            };
        }
        receiver.await.map_err(|_| Unread::Died)
    }

    /// Joins the requests that wait for a key. Returns the read to run, if the key is not being read.
    fn join(&self, key: K, sender: oneshot::Sender<T>) -> Result<Option<Read<K, T>>, Unread> {
        let mut waiting = self.reads.lock();
        let full = waiting.len() >= MAX_READS;
        match waiting.entry(key) {
            Entry::Occupied(mut running) => {
                running.get_mut().push(sender);
                Ok(None)
            }
            Entry::Vacant(_) if full => Err(Unread::TooMany),
            Entry::Vacant(none) => {
                let (reads, key) = (Arc::clone(&self.reads), none.key().clone());
                none.insert(vec![sender]);
                Ok(Some(Read { reads, key, served: Vec::new(), is_finished: false }))
            }
        }
    }
}

impl<K, T> Reads<K, T> {
    /// Locks the map. No foreign code runs under the lock, so a poisoned one is intact.
    fn lock(&self) -> MutexGuard<'_, Waiting<K, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads of one key, one after the other, while requests wait.
struct Read<K: Eq + Hash, T> {
    reads: Arc<Reads<K, T>>,
    key: K,
    /// Requests that the running read serves.
    served: Vec<oneshot::Sender<T>>,
    is_finished: bool,
}

impl<K: Eq + Hash, T: Clone> Read<K, T> {
    async fn run<R: Future<Output = T>>(mut self, reading: impl Fn() -> R) {
        while self.start() {
            let value = reading().await;
            for each in self.served.drain(..) {
                // The caller may have left.
                let _ = each.send(value.clone());
            }
        }
    }

    /// Starts a read for all waiting requests. Returns false, and finishes, if there are none.
    fn start(&mut self) -> bool {
        let mut waiting = self.reads.lock();
        self.served = waiting.get_mut(&self.key).map(mem::take).unwrap_or_default();
        self.served.retain(|each| !each.is_closed());
        if self.served.is_empty() {
            waiting.remove(&self.key);
            self.is_finished = true;
        }
        !self.is_finished
    }
}

impl<K: Eq + Hash, T> Drop for Read<K, T> {
    /// Cleans up after a panic, or in a runtime that ends: frees the key first, so that a repeated
    /// request starts a new read; then drops the senders, which fails all waiting requests.
    fn drop(&mut self) {
        if !self.is_finished {
            let orphans = self.reads.lock().remove(&self.key);
            drop(orphans);
        }
    }
}

#[cfg(test)]
mod tests;
