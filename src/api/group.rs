//! Group reading: whoever asks for what is being read at this moment waits for the next reading,
//! and shares it with all others who wait.
//!
//! It is the mirror of group commit. A reading that runs may have begun before a request came, and
//! miss what was committed between the two; so nobody joins it. The next one begins when it ends,
//! and serves all that came meanwhile. Every answer is therefore from a reading that began after
//! its request: nothing is ever stale, there is nothing to invalidate, and however many ask, each
//! thing is read by one at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::problem::REQUEST_ID;

/// Most things that are read at the same time. Far above what Postgres can be asked at once, and a
/// bound on readings whose callers have gone away.
const MOST_FLIGHTS: usize = 10_000;

/// Readings under way, by what is read. There is an entry only while something is read. Cheap to
/// clone.
#[derive(Debug)]
pub(super) struct GroupReads<K, T> {
    flights: Arc<Flights<K, T>>,
}

/// For each thing that is being read, those who wait for its next reading.
type Waiting<K, T> = HashMap<K, Vec<oneshot::Sender<T>>>;

#[derive(Debug)]
struct Flights<K, T>(Mutex<Waiting<K, T>>);

/// A reading that gave no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// It panicked, or its runtime ended.
    #[error("a reading died; what it said stands above")]
    Died,
    /// It was not begun.
    #[error("too much is being read at once")]
    TooMany,
}

impl<K, T> Clone for GroupReads<K, T> {
    fn clone(&self) -> Self {
        Self { flights: Arc::clone(&self.flights) }
    }
}

impl<K, T> Default for GroupReads<K, T> {
    fn default() -> Self {
        Self { flights: Arc::new(Flights(Mutex::default())) }
    }
}

impl<K, T> GroupReads<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + 'static,
{
    /// What a reading finds that begins after this call. `key` says all that the outcome depends
    /// on: of those who wait under the same key, the `reading` of any one serves all.
    ///
    /// A caller who goes away takes nothing along: the readings are a task of their own.
    pub(super) async fn read<R>(
        &self,
        key: K,
        reading: impl Fn() -> R + Send + 'static,
    ) -> Result<T, Unread>
    where
        R: Future<Output = T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        if let Some(flight) = self.wait(key, sender)? {
            // A reading's future takes many kilobytes, and spawning copies it a dozen times.
            let run = Box::pin(flight.run(reading));
            // What it logs belongs to the request that began it.
            match REQUEST_ID.try_with(Clone::clone) {
                Ok(id) => tokio::spawn(REQUEST_ID.scope(id, run)),
                Err(_) => tokio::spawn(run),
            };
        }
        receiver.await.map_err(|_| Unread::Died)
    }

    /// Joins those who wait; with a flight to be run, where nobody reads this yet.
    fn wait(&self, key: K, sender: oneshot::Sender<T>) -> Result<Option<Flight<K, T>>, Unread> {
        let mut waiting = self.flights.lock();
        let full = waiting.len() >= MOST_FLIGHTS;
        match waiting.entry(key) {
            Entry::Occupied(mut running) => {
                running.get_mut().push(sender);
                Ok(None)
            }
            Entry::Vacant(_) if full => Err(Unread::TooMany),
            Entry::Vacant(none) => {
                let (flights, key) = (Arc::clone(&self.flights), none.key().clone());
                none.insert(vec![sender]);
                Ok(Some(Flight { flights, key, served: Vec::new(), landed: false }))
            }
        }
    }
}

impl<K, T> Flights<K, T> {
    /// No code of others runs under the lock, so that a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Waiting<K, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing's readings, one after the other, for as long as somebody waits.
struct Flight<K: Eq + Hash, T> {
    flights: Arc<Flights<K, T>>,
    key: K,
    /// Those whom the running reading serves.
    served: Vec<oneshot::Sender<T>>,
    landed: bool,
}

impl<K: Eq + Hash, T: Clone> Flight<K, T> {
    async fn run<R: Future<Output = T>>(mut self, reading: impl Fn() -> R) {
        while self.board() {
            let value = reading().await;
            for each in self.served.drain(..) {
                // One who went away.
                let _ = each.send(value.clone());
            }
        }
    }

    /// Takes up all who wait. Where there are none, or all went away, this flight is over.
    fn board(&mut self) -> bool {
        let mut waiting = self.flights.lock();
        self.served = waiting.get_mut(&self.key).map(mem::take).unwrap_or_default();
        self.served.retain(|each| !each.is_closed());
        if self.served.is_empty() {
            waiting.remove(&self.key);
            self.landed = true;
        }
        !self.landed
    }
}

impl<K: Eq + Hash, T> Drop for Flight<K, T> {
    /// After a panic, or in a runtime that ends: frees the key first, so that whoever is told of it
    /// and asks again starts afresh; then lets go of all who wait, which tells them.
    fn drop(&mut self) {
        if !self.landed {
            let orphans = self.flights.lock().remove(&self.key);
            drop(orphans);
        }
    }
}

#[cfg(test)]
mod tests;
