//! What comes, told to all who listen as it comes.
//!
//! One task a process, the *tailer*, reads the journal for all listeners, and only while there are
//! any. What it reads it renders once and keeps in a *ring* of bounded size, out of which each
//! listener takes what it wants at its own pace. So nothing is buffered for a listener: one that is
//! so slow that the ring has moved on is cut off, and comes back by its position. A listener that
//! comes with a position reads the journal by itself until it has reached the ring; positions are
//! those of the journal, so that the change leaves no gap and repeats nothing.

mod listener;
mod ring;
mod tailer;

pub use listener::{Listener, Told};
pub use ring::Event;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};

use crate::gate::{KeyId, Shares, Short};
use crate::lifecycle::Lifecycle;
use crate::store::changes::{Change, ChangeFilter, Most};
use crate::store::journal::Place;
use crate::store::{Position, Store, StoreError};
use ring::Ring;

/// Most listeners of a process; one key alone may have half of them. Each costs a connection, a
/// task and some buffers: some 50 KiB, and 100 KiB while it takes nothing.
pub const MOST_LISTENERS: usize = 4_000;
/// Listeners that read the journal by themselves at the same time: few, since after a restart all
/// of them come at once, and other readers want to be answered, too.
const CATCHING_UP: usize = 3;
/// Of one key's, which wait for each other and not for those of other keys.
const CATCHING_UP_BY_KEY: usize = 2;
/// What one reading of the journal may bring: a moment's work, and little memory.
const READING: Most = Most { items: 200, bytes: 1 << 20 };

/// Writes an event down, as all listeners are to be told it.
pub type Render = Box<dyn Fn(&Position<Place>, &Change) -> Bytes + Send + Sync>;

/// What comes, for all who listen. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    store: Store,
    life: Lifecycle,
    render: Render,
    ring: RwLock<Ring>,
    /// Ticks when the ring has changed.
    grown: watch::Sender<()>,
    /// Wakes the tailer: the first listener is here.
    joined: Notify,
    seats: Shares<KeyId>,
    catching_up: Semaphore,
    /// The turns of each key that has listeners who were behind.
    turns: Mutex<HashMap<KeyId, Weak<Semaphore>>>,
    /// Room for what listeners have read by themselves.
    room: Shares<KeyId>,
}

/// Why somebody cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// There are as many listeners as there may be.
    #[error("there are {MOST_LISTENERS} listeners already")]
    Full,
    /// The key has as many as one key may have.
    #[error("the key has its share of all listeners already")]
    KeyFull,
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// From where somebody listens.
#[derive(Clone, Debug)]
pub enum Start {
    /// What comes from now on.
    Now,
    /// What came after a position.
    After(Position<Place>),
}

/// Somebody who listens from now on.
#[derive(Debug)]
pub struct Joined {
    /// To be asked what comes.
    pub listener: Listener,
    /// Whether the position that was asked for could be gone on from; where it could not, what
    /// lies between it and now is not told.
    pub gap: bool,
}

impl Live {
    /// Starts the tailer, which lives until the service stops. `committed` ticks when something was
    /// written to the journal in this process: a hint and no more.
    #[must_use]
    pub fn start(
        store: Store,
        render: Render,
        room: Shares<KeyId>,
        committed: watch::Receiver<()>,
        life: &Lifecycle,
    ) -> Self {
        let begun = Self(Arc::new(Shared {
            store,
            life: life.clone(),
            render,
            ring: RwLock::default(),
            grown: watch::Sender::default(),
            joined: Notify::new(),
            seats: Shares::new(MOST_LISTENERS),
            catching_up: Semaphore::new(CATCHING_UP),
            turns: Mutex::default(),
            room,
        }));
        life.spawn("live tailer", tailer::run(begun.clone(), committed));
        begun
    }

    /// Begins to listen with a key.
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
            Start::After(position) if self.0.store.journal_knows(&position).await? => {
                (position, false)
            }
            Start::After(_) => (self.0.store.journal_end().await?, true),
            Start::Now => (self.0.store.journal_end().await?, false),
        };
        let listener = Listener::new(self.clone(), key, filter, position, seat);
        self.0.joined.notify_one();
        Ok(Joined { listener, gap })
    }

    /// A listener who asks no database first.
    #[cfg(test)]
    pub(crate) fn join_unasked(&self, key: KeyId) -> Option<Listener> {
        let seat = self.0.seats.take(key, 1).ok()?;
        Some(Listener::new(self.clone(), key, ChangeFilter::default(), Position::START, seat))
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.0.seats.held()
    }

    /// The turns of a key's listeners to read the journal by themselves.
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

    /// No code of others runs under the lock, so that a poisoned one is whole.
    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ring, and tells the listeners.
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
    async fn there_is_a_last_seat() {
        // Nobody listens there: who is refused has not got as far.
        let nobody: crate::postgres::Connector =
            "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
        let store = Store::new(crate::postgres::read_pool(nobody));
        let render: Render = Box::new(|_, _| Bytes::new());
        let (_commits, committed) = watch::channel(());
        let hall = Live::start(store, render, Shares::new(1), committed, &Lifecycle::new());
        let (one, other) = (None, Some(uuid::Uuid::nil()));
        let all_of = |key| std::iter::from_fn(|| hall.join_unasked(key)).collect::<Vec<_>>();
        let mut listeners = all_of(one);
        assert_eq!(listeners.len(), MOST_LISTENERS / 2, "one key has half of the seats");
        let refused = hall.join(one, ChangeFilter::default(), Start::Now).await;
        assert!(matches!(refused, Err(NotJoined::KeyFull)));
        let theirs = all_of(other);
        assert_eq!(theirs.len(), MOST_LISTENERS / 4);
        let singles = (1..).map_while(|key| hall.join_unasked(Some(uuid::Uuid::from_u128(key))));
        let singles: Vec<_> = singles.collect();
        let refused = hall.join(Some(uuid::Uuid::max()), ChangeFilter::default(), Start::Now).await;
        assert!(matches!(refused, Err(NotJoined::Full)));
        assert_eq!(hall.listeners(), MOST_LISTENERS);
        drop((theirs, singles));
        listeners.pop();
        assert!(hall.join_unasked(one).is_some());
    }
}
