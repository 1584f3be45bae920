//! Listener of the stream: its position and the events that it receives next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ring::{Event, RingRead};
use super::stream::{Live, READING};
use crate::ingress::{KeyId, Share};
use crate::store::changes::ChangeFilter;
use crate::store::journal::Place;
use crate::store::{Position, StoreError};

/// Time limit for bringing the journal by agent up to date in one turn.
const FOLLOWING: Duration = Duration::from_secs(1);
/// Bytes of events that one read of the ring returns; a single event may exceed it. A listener
/// holds no more.
const BATCH_BYTES: usize = 32 << 10;

/// Listener of the stream.
#[derive(Debug)]
pub struct Listener {
    live: Live,
    key: KeyId,
    filter: ChangeFilter,
    /// All matching events up to here were delivered.
    position: Position<Place>,
    /// Generation of the ring, once the listener has reached it.
    in_ring: Option<u64>,
    grown: watch::Receiver<()>,
    _seat: Share<KeyId>,
}

/// Result of waiting for the next events.
#[derive(Debug)]
pub enum Next {
    /// New events from the shared ring.
    Events(Vec<Arc<Event>>),
    /// New events that were read from the journal for this listener alone, with the memory budget
    /// to hold as long as they are in use.
    Own(Vec<Arc<Event>>, Share<KeyId>),
    /// No event arrived until the deadline.
    Nothing,
    /// The listener was so slow that the following events have left the ring. It can reconnect with
    /// its position.
    TooSlow,
    /// The events after the position are not available: the journal was truncated or replaced.
    Lost,
    /// The service is stopping.
    Stopping,
}

impl Listener {
    pub(super) fn new(
        live: Live,
        key: KeyId,
        filter: ChangeFilter,
        position: Position<Place>,
        seat: Share<KeyId>,
    ) -> Self {
        let grown = live.0.grown.subscribe();
        Self { live, key, filter, position, in_ring: None, grown, _seat: seat }
    }

    /// Returns the position up to which all events were delivered.
    #[must_use]
    pub fn position(&self) -> &Position<Place> {
        &self.position
    }

    /// Waits for the next events, until `until` at most. After `TooSlow`, `Lost` and `Stopping` the
    /// stream has ended. After a database error the call can be repeated.
    pub async fn next(&mut self, until: Instant) -> Result<Next, StoreError> {
        loop {
            if self.live.0.life.is_stopping() {
                return Ok(Next::Stopping);
            }
            // Before the ring is read, so that a later change is noticed.
            self.grown.mark_unchanged();
            match self.read_ring() {
                Some(Next::Nothing) => {}
                Some(result) => return Ok(result),
                None => match self.catch_up(until).await? {
                    Next::Nothing if Instant::now() < until => continue,
                    result => return Ok(result),
                },
            }
            let life = self.live.0.life.clone();
            tokio::select! {
                // The sender lives as long as `live`.
                _ = self.grown.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(Next::Nothing),
                () = life.stopping() => return Ok(Next::Stopping),
            }
            if Instant::now() >= until {
                return Ok(Next::Nothing);
            }
        }
    }

    /// Reads the ring; `None` if the journal must be read instead.
    fn read_ring(&mut self) -> Option<Next> {
        let ring = self.live.ring();
        if self.in_ring.is_some_and(|generation| generation != ring.generation()) {
            return Some(Next::Lost);
        }
        match ring.read(self.position.key, &self.filter, BATCH_BYTES) {
            RingRead::Inactive => Some(Next::Nothing),
            RingRead::Behind => self.in_ring.map(|_| Next::TooSlow),
            RingRead::Events(events, reached) => {
                self.in_ring = Some(ring.generation());
                drop(ring);
                if let Some(reached) = reached {
                    self.position = reached;
                }
                Some(if events.is_empty() { Next::Nothing } else { Next::Events(events) })
            }
        }
    }

    /// Reads the next part of the journal for this listener alone, once it has a turn and memory
    /// for it.
    async fn catch_up(&mut self, until: Instant) -> Result<Next, StoreError> {
        let turns = self.live.turns_of(self.key);
        let turn = async {
            let turn_of_key = turns.acquire().await;
            (turn_of_key, self.live.0.catching_up.acquire().await)
        };
        let turn = tokio::time::timeout_at(until, turn).await;
        let Ok((Ok(turn_of_key), Ok(turn))) = turn else { return Ok(Next::Nothing) };
        let most = usize::try_from(READING.bytes).unwrap_or(usize::MAX);
        let Ok(mut room) = self.live.0.room.take(self.key, most) else {
            drop((turn_of_key, turn));
            tokio::time::sleep_until(until).await;
            return Ok(Next::Nothing);
        };
        let store = &self.live.0.store;
        if self.filter.bound && !store.follow_journal(FOLLOWING).await? {
            return Ok(Next::Nothing);
        }
        let Some(changes) = store.changes(Some(&self.position), &self.filter, READING).await?
        else {
            return Ok(Next::Lost);
        };
        drop((turn_of_key, turn));
        self.position = changes.reached;
        let event = |(position, change)| Arc::new(self.live.event(position, change));
        let events: Vec<_> = changes.items.into_iter().map(event).collect();
        if events.is_empty() {
            return Ok(Next::Nothing);
        }
        room.set(events.iter().map(|event| event.text.len()).sum());
        Ok(Next::Own(events, room))
    }
}
