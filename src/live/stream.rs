//! Stream of new events: the state that the tailer and all listeners use, and its limits.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};

use super::ring::{Event, Ring};
use crate::ingress::{KeyId, Shares};
use crate::lifecycle::Lifecycle;
use crate::store::changes::{Change, Most};
use crate::store::journal::Place;
use crate::store::{Position, Store};

/// Limit of listeners in a process; one key may have half of them. Each costs a connection, a task
/// and buffers: about 50 KiB, and 100 KiB while its client does not read.
pub const MAX_LISTENERS: usize = 4_000;
/// Listeners that may read the journal themselves at once. Few, since all listeners reconnect after
/// a restart, and other readers need the database, too.
pub(super) const CATCHING_UP: usize = 3;
/// Listeners of one key that may do so at once. The others wait and do not delay other keys.
const CATCHING_UP_BY_KEY: usize = 2;
/// Limit of one read of the journal, in events and bytes.
pub(super) const READING: Most = Most { items: 200, bytes: 1 << 20 };

/// Renders an event for all listeners.
pub type Render = Box<dyn Fn(&Position<Place>, &Change) -> Bytes + Send + Sync>;

/// Stream of new events. Cheap to clone.
#[derive(Clone)]
pub struct Live(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) life: Lifecycle,
    pub(super) render: Render,
    pub(super) ring: RwLock<Ring>,
    /// Notifies listeners when the ring has changed.
    pub(super) grown: watch::Sender<()>,
    /// Wakes the tailer when a listener joins.
    pub(super) joined: Notify,
    pub(super) seats: Shares<KeyId>,
    pub(super) catching_up: Semaphore,
    /// Limits reads of the journal by listeners of each key that are behind.
    pub(super) turns: Mutex<HashMap<KeyId, Weak<Semaphore>>>,
    /// Memory budget for events that listeners have read themselves.
    pub(super) room: Shares<KeyId>,
}

impl Live {
    /// Returns the number of listeners.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.0.seats.held()
    }

    /// Returns the semaphore that limits how many listeners of a key read the journal at once.
    pub(super) fn turns_of(&self, key: KeyId) -> Arc<Semaphore> {
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
    pub(super) fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ring and notifies the listeners.
    pub(super) fn change_ring(&self, change: impl FnOnce(&mut RwLockWriteGuard<'_, Ring>)) {
        change(&mut self.0.ring.write().unwrap_or_else(PoisonError::into_inner));
        self.0.grown.send_replace(());
    }

    pub(super) fn event(&self, position: Position<Place>, change: Change) -> Event {
        let text = (self.0.render)(&position, &change);
        Event::new(position, change, text)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("listeners", &self.listeners()).finish_non_exhaustive()
    }
}
