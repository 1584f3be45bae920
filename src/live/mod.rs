//! Stream of new events to all listeners.
//!
//! One task a process, the *tailer*, reads the journal for all listeners, and only while there are
//! any. It renders each event once and keeps it in a *ring* of bounded size. Each listener reads
//! the ring at its own pace, so nothing is buffered for one listener. A listener that is too slow
//! for the ring is disconnected and reconnects with its position. A listener that starts at a
//! position reads the journal itself until it reaches the ring. Positions are those of the journal,
//! so there is neither a gap nor a duplicate at the change.

mod listener;
mod ring;
mod tailer;

pub use listener::{Listener, Next};
pub use ring::Event;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};

use crate::ingress::{KeyId, Shares, Short};
use crate::lifecycle::Lifecycle;
use crate::store::changes::{Change, ChangeFilter, Most};
use crate::store::journal::Place;
use crate::store::{Position, Store, StoreError};
use ring::Ring;

/// Limit of listeners in a process; one key may have half of them. Each costs a connection, a task
/// and buffers: about 50 KiB, and 100 KiB while its client does not read.
pub const MAX_LISTENERS: usize = 4_000;
/// Listeners that may read the journal themselves at once. Few, since all listeners reconnect after
/// a restart, and other readers need the database, too.
const CATCHING_UP: usize = 3;
/// Listeners of one key that may do so at once. The others wait and do not delay other keys.
const CATCHING_UP_BY_KEY: usize = 2;
/// Limit of one read of the journal, in events and bytes.
const READING: Most = Most { items: 200, bytes: 1 << 20 };

/// Renders an event for all listeners.
pub type Render = Box<dyn Fn(&Position<Place>, &Change) -> Bytes + Send + Sync>;

/// Stream of new events. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    store: Store,
    life: Lifecycle,
    render: Render,
    ring: RwLock<Ring>,
    /// Notifies listeners when the ring has changed.
    grown: watch::Sender<()>,
    /// Wakes the tailer when a listener joins.
    joined: Notify,
    seats: Shares<KeyId>,
    catching_up: Semaphore,
    /// Limits reads of the journal by listeners of each key that are behind.
    turns: Mutex<HashMap<KeyId, Weak<Semaphore>>>,
    /// Memory budget for events that listeners have read themselves.
    room: Shares<KeyId>,
}

/// Reason why a listener cannot join.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// The process has reached the limit of listeners.
    #[error("the limit of {MAX_LISTENERS} listeners is reached")]
    Full,
    /// The key has reached its share of the listeners.
    #[error("the key has reached its share of all listeners")]
    KeyFull,
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Position at which a listener starts.
#[derive(Clone, Debug)]
pub enum Start {
    /// The present end of the journal.
    Now,
    /// The events after a position.
    After(Position<Place>),
}

/// Listener that has joined.
#[derive(Debug)]
pub struct Joined {
    /// The listener.
    pub listener: Listener,
    /// `true` if the requested position is not available. Events between it and now are not
    /// delivered.
    pub gap: bool,
}

impl Live {
    /// Starts the tailer, which runs until the service stops. `committed` is notified when this
    /// process has written to the journal; it is only a hint.
    #[must_use]
    pub fn start(
        store: Store,
        render: Render,
        room: Shares<KeyId>,
        committed: watch::Receiver<()>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let live = Self(Arc::new(Shared {
            store,
            life: lifecycle.clone(),
            render,
            ring: RwLock::default(),
            grown: watch::Sender::default(),
            joined: Notify::new(),
            seats: Shares::new(MAX_LISTENERS),
            catching_up: Semaphore::new(CATCHING_UP),
            turns: Mutex::default(),
            room,
        }));
        lifecycle.spawn("live tailer", tailer::run(live.clone(), committed));
        live
    }

    /// Adds a listener for a key.
    pub async fn join(
        &self,
        key: KeyId,
        filter: ChangeFilter,
        start: Start,
    ) -> Result<Joined, NotJoined> {
        let seat = self.0.seats.take(key, 1).map_err(|short| match short {
            Short::Own => NotJoined::KeyFull,
            Short::All => NotJoined::Full,
        })?;
        let (position, gap) = match start {
            Start::After(position) if self.0.store.has_journal_position(&position).await? => {
                (position, false)
            }
            Start::After(_) => (self.0.store.journal_end().await?, true),
            Start::Now => (self.0.store.journal_end().await?, false),
        };
        let listener = Listener::new(self.clone(), key, filter, position, seat);
        self.0.joined.notify_one();
        Ok(Joined { listener, gap })
    }

    /// Adds a listener without a query to the database.
    #[cfg(test)]
    pub(crate) fn join_without_query(&self, key: KeyId) -> Option<Listener> {
        let seat = self.0.seats.take(key, 1).ok()?;
        Some(Listener::new(self.clone(), key, ChangeFilter::default(), Position::START, seat))
    }

    /// Returns the number of listeners.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.0.seats.held()
    }

    /// Returns the semaphore that limits how many listeners of a key read the journal at once.
    fn turns_of(&self, key: KeyId) -> Arc<Semaphore> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = turns.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        turns.retain(|_, turns| turns.strong_count() > 0);
        let new = Arc::new(Semaphore::new(CATCHING_UP_BY_KEY));
        turns.insert(key, Arc::downgrade(&new));
        new
    }

    /// Locks the ring. Poison is ignored: no foreign code runs under the lock, so the ring is
    /// intact.
    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ring and notifies the listeners.
    fn change_ring(&self, change: impl FnOnce(&mut RwLockWriteGuard<'_, Ring>)) {
        change(&mut self.0.ring.write().unwrap_or_else(PoisonError::into_inner));
        self.0.grown.send_replace(());
    }

    fn event(&self, position: Position<Place>, change: Change) -> Event {
        let text = (self.0.render)(&position, &change);
        Event::new(position, change, text)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("listeners", &self.listeners()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listeners_are_limited_for_each_key_and_in_all() {
        // No server listens there: a rejected listener never queries it.
        let nobody: crate::postgres::Connector =
            "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
        let store = Store::new(crate::postgres::read_pool(nobody));
        let render: Render = Box::new(|_, _| Bytes::new());
        let (_commits, committed) = watch::channel(());
        let live = Live::start(store, render, Shares::new(1), committed, &Lifecycle::new());
        let (one, other) = (None, Some(uuid::Uuid::nil()));
        let all_of = |key| std::iter::from_fn(|| live.join_without_query(key)).collect::<Vec<_>>();
        let mut listeners = all_of(one);
        assert_eq!(listeners.len(), MAX_LISTENERS / 2, "one key has half of the seats");
        let refused = live.join(one, ChangeFilter::default(), Start::Now).await;
        assert!(matches!(refused, Err(NotJoined::KeyFull)));
        let theirs = all_of(other);
        assert_eq!(theirs.len(), MAX_LISTENERS / 4);
        let singles =
            (1..).map_while(|key| live.join_without_query(Some(uuid::Uuid::from_u128(key))));
        let singles: Vec<_> = singles.collect();
        let refused = live.join(Some(uuid::Uuid::max()), ChangeFilter::default(), Start::Now).await;
        assert!(matches!(refused, Err(NotJoined::Full)));
        assert_eq!(live.listeners(), MAX_LISTENERS);
        drop((theirs, singles));
        listeners.pop();
        assert!(live.join_without_query(one).is_some());
    }
}
