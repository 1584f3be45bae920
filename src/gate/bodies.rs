//! Room for bodies that are being read: so much over all connections, a share for each client, and
//! what does not go on makes way for what does.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::network_of;
use super::pace::Pace;
use super::shares::{Share, Shares, Short};

/// Room for all bodies together, in bytes. It holds 64 of the largest deliveries that are taken
/// unless configured otherwise, and a usual delivery takes no part in it.
const BUDGET_BYTES: usize = 64 << 20;
/// How many of the largest bodies one client must have room for, where those are configured larger.
const LARGEST_AT_ONCE: usize = 2;
/// A body of up to so many bytes needs no room: nearly every delivery, so that those get through
/// while large ones fill the room. The limit on connections bounds what these take.
pub(super) const FREE_BYTES: usize = 16 << 10;
/// How long a body waits for room. The sender waits 10 s for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks meanwhile for a body that has fallen behind.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The rate that keeps a body its room while others wait for some, in bytes a second.
const RATE: u32 = 64 << 10;
/// How far behind that rate a body has to be to make way.
const STALLED: Duration = Duration::from_secs(1);

/// The room, shared by all connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shares: Shares<IpAddr>,
    /// Those that have some of the room.
    growing: Mutex<Vec<Arc<Growing>>>,
}

/// A body that has some of the room, and is not whole.
#[derive(Debug)]
struct Growing {
    owner: IpAddr,
    progress: Mutex<Progress>,
    makes_way: CancellationToken,
}

#[derive(Debug)]
struct Progress {
    pace: Pace,
    at: Instant,
}

/// The part of the room that one body takes, returned when this is dropped.
#[derive(Debug)]
pub struct Room {
    all: Bodies,
    owner: IpAddr,
    taken: Option<(Share<IpAddr>, Arc<Growing>)>,
    bytes: usize,
}

/// No room came free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Bodies {
    /// Enough where one body has up to `max_body_bytes`.
    #[must_use]
    pub fn for_bodies_of(max_body_bytes: usize) -> Self {
        // One client gets half of it.
        Self::new(BUDGET_BYTES.max(2 * LARGEST_AT_ONCE * max_body_bytes))
    }

    fn new(bytes: usize) -> Self {
        Self(Arc::new(Inner { shares: Shares::new(bytes), growing: Mutex::default() }))
    }

    /// For a body of which nothing is there yet.
    #[must_use]
    pub fn room(&self, client: IpAddr) -> Room {
        Room { all: self.clone(), owner: network_of(client), taken: None, bytes: FREE_BYTES }
    }

    /// No code of others runs under the lock, so a poisoned one is whole.
    fn growing(&self) -> MutexGuard<'_, Vec<Arc<Growing>>> {
        self.0.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the body give its room back that is farthest behind: of `owner` where its share is what
    /// is short, else of anybody.
    fn make_way(&self, owner: IpAddr, short: Short) {
        let now = Instant::now();
        let growing = self.growing();
        let candidates = growing.iter().filter(|body| short == Short::All || body.owner == owner);
        let behind = candidates.map(|body| (body.behind(now), body));
        let stalled =
            behind.filter(|(behind, body)| *behind >= STALLED && !body.makes_way.is_cancelled());
        if let Some((_, body)) = stalled.max_by_key(|(behind, _)| *behind) {
            body.makes_way.cancel();
        }
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self::new(BUDGET_BYTES)
    }
}

impl Growing {
    fn new(owner: IpAddr) -> Self {
        let progress = Mutex::new(Progress { pace: Pace::new(RATE), at: Instant::now() });
        Self { owner, progress, makes_way: CancellationToken::new() }
    }

    fn behind(&self, now: Instant) -> Duration {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.pace.behind() + now.saturating_duration_since(progress.at)
    }

    fn went_on(&self, bytes: usize) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let waited = now.saturating_duration_since(progress.at);
        progress.pace.waited(waited);
        progress.pace.went_on(bytes);
        progress.at = now;
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
        let deadline = Instant::now() + PATIENCE;
        let all = self.all.clone();
        loop {
            let mut freed = std::pin::pin!(all.0.shares.freed());
            // From now on, so that nothing is missed between the attempt and the wait.
            freed.as_mut().enable();
            let Err(short) = self.try_grow_to(bytes) else { return Ok(()) };
            let now = Instant::now();
            if now >= deadline {
                return Err(Full);
            }
            all.make_way(self.owner, short);
            let _ = tokio::time::timeout_at(deadline.min(now + LOOK_INTERVAL), freed).await;
        }
    }

    fn try_grow_to(&mut self, bytes: usize) -> Result<(), Short> {
        match &mut self.taken {
            Some((share, _)) => share.grow(bytes.saturating_sub(share.amount()))?,
            None => {
                let share = self.all.0.shares.take(self.owner, bytes)?;
                let growing = Arc::new(Growing::new(self.owner));
                self.all.growing().push(Arc::clone(&growing));
                self.taken = Some((share, growing));
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// So many bytes more have come.
    pub fn went_on(&self, bytes: usize) {
        if let Some((_, growing)) = &self.taken {
            growing.went_on(bytes);
        }
    }

    /// All of it is there: it keeps its room to the end.
    pub fn is_whole(&self) {
        self.leave();
    }

    /// Resolves when the body is to give its room back, since others wait for some and it does not
    /// go on.
    pub async fn makes_way(&self) {
        match &self.taken {
            Some((_, growing)) => growing.makes_way.cancelled().await,
            None => std::future::pending().await,
        }
    }

    fn leave(&self) {
        if let Some((_, growing)) = &self.taken {
            self.all.growing().retain(|other| !Arc::ptr_eq(other, growing));
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2));

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_go_on_makes_way_for_one_that_does() {
        let bodies = Bodies::new(100_000);
        let (mut stalled, mut quick) = (bodies.room(ONE), bodies.room(ONE));
        stalled.grow_to(30_000).await.unwrap();
        tokio::time::advance(STALLED).await;
        quick.grow_to(20_000).await.unwrap();
        let mut third = bodies.room(ONE);
        let grown = tokio::spawn(async move { third.grow_to(25_000).await });
        // Being told, a reader drops what it has read.
        stalled.makes_way().await;
        drop(stalled);
        assert_eq!(grown.await.unwrap(), Ok(()));
        assert!(tokio::time::timeout(STALLED / 2, quick.makes_way()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_go_on_keep_their_room() {
        let bodies = Bodies::new(100_000);
        let mut one = bodies.room(ONE);
        one.grow_to(50_000).await.unwrap();
        let goes_on = async {
            loop {
                one.went_on(RATE as usize / 10);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let mut other = bodies.room(ONE);
        let started = Instant::now();
        let refused = tokio::select! {
            refused = other.grow_to(20_000) => refused,
            () = goes_on => unreachable!(),
        };
        assert_eq!((refused, started.elapsed()), (Err(Full), PATIENCE));
        assert_eq!(other.bytes(), FREE_BYTES, "it has what it had");
        assert!(bodies.room(OTHER).grow_to(20_000).await.is_ok(), "the share is one client's");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_not_going_on_and_a_whole_body_is_left_alone() {
        let bodies = Bodies::new(100_000);
        let (mut trickle, mut whole) = (bodies.room(ONE), bodies.room(ONE));
        trickle.grow_to(30_000).await.unwrap();
        whole.grow_to(20_000).await.unwrap();
        whole.is_whole();
        for _ in 0..20 {
            tokio::time::advance(STALLED / 10).await;
            trickle.went_on(1);
        }
        let mut third = bodies.room(ONE);
        assert_eq!(third.grow_to(25_000).await, Err(Full), "nobody has listened yet");
        assert!(trickle.taken.as_ref().unwrap().1.makes_way.is_cancelled());
        assert!(!whole.taken.as_ref().unwrap().1.makes_way.is_cancelled());
    }

    #[test]
    fn one_client_has_room_for_the_largest_body_twice() {
        for max_body_bytes in [1 << 20, 32 << 20, 64 << 20] {
            let bodies = Bodies::for_bodies_of(max_body_bytes);
            let mut room = bodies.room(ONE);
            room.try_grow_to(max_body_bytes).unwrap();
            assert_eq!(bodies.room(ONE).try_grow_to(max_body_bytes), Ok(()));
        }
    }
}
