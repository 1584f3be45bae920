//! One who listens: where it stands, and what it is told next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ring::{Event, Taken};
use super::{Live, READING};
use crate::gate::{KeyId, Share};
use crate::store::changes::ChangeFilter;
use crate::store::journal::Place;
use crate::store::{Position, StoreError};

/// Longest that a turn brings the journal by agent up to date.
const FOLLOWING: Duration = Duration::from_secs(1);
/// Bytes of events that are taken at a time; one event may pass it. All that a listener holds.
const TAKEN_BYTES: usize = 32 << 10;

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener {
    live: Live,
    key: KeyId,
    filter: ChangeFilter,
    /// Up to where it has been told everything that it wants.
    position: Position<Place>,
    /// It has reached the ring, whose generation this is.
    in_ring: Option<u64>,
    grown: watch::Receiver<()>,
    _seat: Share<KeyId>,
}

/// What a listener is told.
#[derive(Debug)]
pub enum Told {
    /// What came, out of what all listeners share.
    Events(Vec<Arc<Event>>),
    /// What came, read for this listener alone; with the room that it takes, to be kept for as long.
    Own(Vec<Arc<Event>>, Share<KeyId>),
    /// Nothing, in the time that it was ready to wait.
    Nothing,
    /// It took so long to take what it was told that what follows is no longer at hand. It can come
    /// back with its position.
    TooSlow,
    /// What follows its position is not to be had: the journal was cut off, or is another one.
    Lost,
    /// The service stops.
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

    /// Up to where it has been told everything.
    #[must_use]
    pub fn position(&self) -> &Position<Place> {
        &self.position
    }

    /// What comes next; after anything but `Events` and `Nothing` it is over. An error is the
    /// database's, and it may be asked again.
    pub async fn next(&mut self, until: Instant) -> Result<Told, StoreError> {
        loop {
            if self.live.0.life.is_stopping() {
                return Ok(Told::Stopping);
            }
            // Before the look at the ring, so that what comes after the look is noticed.
            self.grown.mark_unchanged();
            match self.look() {
                Some(Told::Nothing) => {}
                Some(told) => return Ok(told),
                None => match self.catch_up(until).await? {
                    Told::Nothing if Instant::now() < until => continue,
                    told => return Ok(told),
                },
            }
            let life = self.live.0.life.clone();
            tokio::select! {
                // The sender lives as long as `live`.
                _ = self.grown.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(Told::Nothing),
                () = life.stopping() => return Ok(Told::Stopping),
            }
            if Instant::now() >= until {
                return Ok(Told::Nothing);
            }
        }
    }

    /// Takes what the ring has; `None` where it has to be read from the journal.
    fn look(&mut self) -> Option<Told> {
        let ring = self.live.ring();
        if self.in_ring.is_some_and(|generation| generation != ring.generation()) {
            return Some(Told::Lost);
        }
        match ring.take(self.position.key, &self.filter, TAKEN_BYTES) {
            Taken::Asleep => Some(Told::Nothing),
            Taken::Behind => self.in_ring.map(|_| Told::TooSlow),
            Taken::Events(events, reached) => {
                self.in_ring = Some(ring.generation());
                drop(ring);
                if let Some(reached) = reached {
                    self.position = reached;
                }
                Some(if events.is_empty() { Told::Nothing } else { Told::Events(events) })
            }
        }
    }

    /// Reads the journal by itself, a part at a time, when it is its turn and there is room for what
    /// it reads.
    async fn catch_up(&mut self, until: Instant) -> Result<Told, StoreError> {
        let turns = self.live.turns_of(self.key);
        let turn = async {
            let among_its_own = turns.acquire().await;
            (among_its_own, self.live.0.catching_up.acquire().await)
        };
        let turn = tokio::time::timeout_at(until, turn).await;
        let Ok((Ok(among_its_own), Ok(turn))) = turn else { return Ok(Told::Nothing) };
        let most = usize::try_from(READING.bytes).unwrap_or(usize::MAX);
        let Ok(mut room) = self.live.0.room.take(self.key, most) else {
            drop((among_its_own, turn));
            tokio::time::sleep_until(until).await;
            return Ok(Told::Nothing);
        };
        let store = &self.live.0.store;
        if self.filter.bound && !store.follow_journal(FOLLOWING).await? {
            return Ok(Told::Nothing);
        }
        let Some(changes) = store.changes(Some(&self.position), &self.filter, READING).await?
        else {
            return Ok(Told::Lost);
        };
        drop((among_its_own, turn));
        self.position = changes.reached;
        let event = |(position, change)| Arc::new(self.live.event(position, change));
        let events: Vec<_> = changes.items.into_iter().map(event).collect();
        if events.is_empty() {
            return Ok(Told::Nothing);
        }
        room.set(events.iter().map(|event| event.text.len()).sum());
        Ok(Told::Own(events, room))
    }
}
