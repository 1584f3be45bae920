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
mod stream;
mod tailer;

pub use listener::{Listener, Next};
pub use ring::Event;
pub use stream::{Live, MAX_LISTENERS, Render};

use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::{Notify, Semaphore, watch};

use crate::ingress::{KeyId, Shares, Short};
use crate::lifecycle::Lifecycle;
use crate::store::changes::ChangeFilter;
use crate::store::journal::Place;
use crate::store::{Position, Store, StoreError};
use stream::{CATCHING_UP, Shared};

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
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
