//! Room for bodies that are being read: so much over all connections, whatever clients do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for all bodies together, in bytes. It holds 64 of the largest deliveries that are taken
/// unless configured otherwise, and a usual delivery takes no part in it.
const BUDGET_BYTES: usize = 64 << 20;
/// How many of the largest bodies there must be room for, where those are configured larger.
const LARGEST_AT_ONCE: usize = 2;
/// A body of up to so many bytes needs no room: nearly every delivery, so that those get through
/// while large ones fill the room. The limit on connections bounds what these take.
pub(super) const FREE_BYTES: usize = 16 << 10;
/// How long a body waits for room. The sender waits 10 s for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The room, shared by all connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Semaphore>);

/// The part of the room that one body takes, given back when this goes.
#[derive(Debug)]
pub struct Room {
    all: Bodies,
    taken: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// No room came free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Bodies {
    /// Enough where one body has up to `max_body_bytes`.
    #[must_use]
    pub fn for_bodies_of(max_body_bytes: usize) -> Self {
        Self::new(BUDGET_BYTES.max(LARGEST_AT_ONCE * max_body_bytes))
    }

    fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// For a body of which nothing is there yet.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { all: self.clone(), taken: None, bytes: FREE_BYTES }
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self::new(BUDGET_BYTES)
    }
}

impl Room {
    /// How large a body may become as it is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it large enough for so many bytes, which must be more than it has. Waits a little
    /// while there is no room.
    pub async fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let held = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(bytes.saturating_sub(held)).map_err(|_| Full)?;
        let granted = Arc::clone(&self.all.0).acquire_many_owned(more);
        let granted = tokio::time::timeout(PATIENCE, granted).await.map_err(|_| Full)?;
        // An error would say that it was closed, which nobody does.
        let granted = granted.map_err(|_| Full)?;
        match &mut self.taken {
            Some(taken) => taken.merge(granted),
            None => self.taken = Some(granted),
        }
        self.bytes = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bodies_wait_for_room_and_no_longer_than_they_may() {
        let bodies = Bodies::new(100_000);
        let (mut one, mut other) = (bodies.room(), bodies.room());
        one.grow_to(60_000).await.unwrap();
        other.grow_to(30_000).await.unwrap();
        let started = tokio::time::Instant::now();
        assert_eq!(other.grow_to(50_000).await, Err(Full));
        assert_eq!(started.elapsed(), PATIENCE);
        assert_eq!(other.bytes(), 30_000, "it keeps what it had");

        let waiting = tokio::spawn(async move { other.grow_to(50_000).await.map(|()| other) });
        tokio::task::yield_now().await;
        drop(one);
        let other = waiting.await.unwrap().unwrap();
        assert_eq!(other.bytes(), 50_000);
        assert_eq!(bodies.0.available_permits(), 50_000);
        drop(other);
        assert_eq!(bodies.0.available_permits(), 100_000);
    }

    #[test]
    fn there_is_room_for_the_largest_body_twice() {
        for max_body_bytes in [1 << 20, 32 << 20, 64 << 20] {
            let bodies = Bodies::for_bodies_of(max_body_bytes);
            assert!(bodies.0.available_permits() >= 2 * max_body_bytes);
        }
    }
}
