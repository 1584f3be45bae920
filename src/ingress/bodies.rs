//! Memory budget for request bodies that are being read. All connections share it, each client has
//! a share, and a stalled body gives its memory back when another one needs it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::network::network_of;
use super::pace::Pace;
use super::shares::{Share, Shares, Short};

/// Budget of all bodies together, in bytes: 64 deliveries of the default size limit. A usual
/// delivery uses none of it.
const BUDGET_BYTES: usize = 64 << 20;
/// Number of largest bodies that one client's share fits, if the size limit is raised.
const LARGEST_AT_ONCE: usize = 2;
/// Longest body that uses none of the budget, in bytes. Nearly every delivery is shorter, so it is
/// read even while large ones use the whole budget. The limit on connections bounds the memory of
/// short bodies.
pub(super) const FREE_BYTES: usize = 16 << 10;
/// Longest wait of a body for memory. The sender waits 10 s for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Interval of checks for stalled bodies during that wait.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Rate below which a body may lose its memory while others wait, in bytes a second.
const RATE: u32 = 64 << 10;
/// Delay behind that rate from which a body counts as stalled.
const STALLED: Duration = Duration::from_secs(1);

/// Budget shared by all connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shares: Shares<IpAddr>,
    /// Incomplete bodies that use the budget.
    growing: Mutex<Vec<Arc<Growing>>>,
}

/// Incomplete body that uses the budget.
#[derive(Debug)]
struct Growing {
    owner: IpAddr,
    progress: Mutex<Progress>,
    must_release: CancellationToken,
}

#[derive(Debug)]
struct Progress {
    pace: Pace,
    at: Instant,
}

/// One body's part of the budget, returned when this is dropped.
#[derive(Debug)]
pub struct Room {
    all: Bodies,
    owner: IpAddr,
    used: Option<(Share<IpAddr>, Arc<Growing>)>,
    bytes: usize,
}

/// No memory became free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Bodies {
    /// Creates a budget for bodies of up to `max_body_bytes`.
    #[must_use]
    pub fn for_bodies_of(max_body_bytes: usize) -> Self {
        // One client gets half of it.
        Self::new(BUDGET_BYTES.max(2 * LARGEST_AT_ONCE * max_body_bytes))
    }

    fn new(bytes: usize) -> Self {
        Self(Arc::new(Inner { shares: Shares::new(bytes), growing: Mutex::default() }))
    }

    /// Returns the part of a new body, which uses none of the budget yet.
    #[must_use]
    pub fn room(&self, client: IpAddr) -> Room {
        Room { all: self.clone(), owner: network_of(client), used: None, bytes: FREE_BYTES }
    }

    /// Locks the list. No caller's code runs under the lock, so a poisoned one is consistent.
    fn growing(&self) -> MutexGuard<'_, Vec<Arc<Growing>>> {
        self.0.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the body with the longest delay to give its memory back, if it is stalled. Considers
    /// the bodies of `owner` if its share is used up, otherwise all bodies.
    fn release_stalled(&self, owner: IpAddr, short: Short) {
        let now = Instant::now();
        let growing = self.growing();
        let candidates = growing.iter().filter(|body| short == Short::All || body.owner == owner);
        let behind = candidates.map(|body| (body.behind(now), body));
        let stalled =
            behind.filter(|(behind, body)| *behind >= STALLED && !body.must_release.is_cancelled());
        if let Some((_, body)) = stalled.max_by_key(|(behind, _)| *behind) {
            body.must_release.cancel();
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
        Self { owner, progress, must_release: CancellationToken::new() }
    }

    fn behind(&self, now: Instant) -> Duration {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.pace.behind() + now.saturating_duration_since(progress.at)
    }

    fn record_bytes(&self, bytes: usize) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let waited = now.saturating_duration_since(progress.at);
        progress.pace.waited(waited);
        progress.pace.went_on(bytes);
        progress.at = now;
    }
}

impl Room {
    /// Returns the size that the body may reach without growing this, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Grows to `bytes`, which must be more than the present size. Waits up to 2 s for
    /// memory.
    pub async fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let deadline = Instant::now() + PATIENCE;
        let all = self.all.clone();
        loop {
            let mut freed = std::pin::pin!(all.0.shares.freed());
            // Registers before the attempt, so that no notification is missed.
            freed.as_mut().enable();
            let Err(short) = self.try_grow_to(bytes) else { return Ok(()) };
            let now = Instant::now();
            if now >= deadline {
                return Err(Full);
            }
            all.release_stalled(self.owner, short);
            let _ = tokio::time::timeout_at(deadline.min(now + CHECK_INTERVAL), freed).await;
        }
    }

    fn try_grow_to(&mut self, bytes: usize) -> Result<(), Short> {
        match &mut self.used {
            Some((share, _)) => share.grow(bytes.saturating_sub(share.amount()))?,
            None => {
                let share = self.all.0.shares.take(self.owner, bytes)?;
                let growing = Arc::new(Growing::new(self.owner));
                self.all.growing().push(Arc::clone(&growing));
                self.used = Some((share, growing));
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Records `bytes` received.
    pub fn record_bytes(&self, bytes: usize) {
        if let Some((_, growing)) = &self.used {
            growing.record_bytes(bytes);
        }
    }

    /// Marks the body as complete: it keeps its memory until this is dropped.
    pub fn mark_complete(&self) {
        self.unregister();
    }

    /// Resolves when the body must give its memory back, since it is stalled and others wait.
    pub async fn must_release(&self) {
        match &self.used {
            Some((_, growing)) => growing.must_release.cancelled().await,
            None => std::future::pending().await,
        }
    }

    fn unregister(&self) {
        if let Some((_, growing)) = &self.used {
            self.all.growing().retain(|other| !Arc::ptr_eq(other, growing));
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.unregister();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2));

    #[tokio::test(start_paused = true)]
    async fn stalled_body_makes_way_for_another() {
        let bodies = Bodies::new(100_000);
        let (mut stalled, mut quick) = (bodies.room(ONE), bodies.room(ONE));
        stalled.grow_to(30_000).await.unwrap();
        tokio::time::advance(STALLED).await;
        quick.grow_to(20_000).await.unwrap();
        let mut third = bodies.room(ONE);
        let grown = tokio::spawn(async move { third.grow_to(25_000).await });
        // The reader then drops the bytes that it has read.
        stalled.must_release().await;
        drop(stalled);
        assert_eq!(grown.await.unwrap(), Ok(()));
        assert!(tokio::time::timeout(STALLED / 2, quick.must_release()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn progressing_bodies_keep_their_memory() {
        let bodies = Bodies::new(100_000);
        let mut one = bodies.room(ONE);
        one.grow_to(50_000).await.unwrap();
        let progress = async {
            loop {
                one.record_bytes(RATE as usize / 10);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let mut other = bodies.room(ONE);
        let started = Instant::now();
        let refused = tokio::select! {
            refused = other.grow_to(20_000) => refused,
            () = progress => unreachable!(),
        };
        assert_eq!((refused, started.elapsed()), (Err(Full), PATIENCE));
        assert_eq!(other.bytes(), FREE_BYTES, "its size is unchanged");
        assert!(bodies.room(OTHER).grow_to(20_000).await.is_ok(), "the share is one client's");
    }

    #[tokio::test(start_paused = true)]
    async fn trickling_body_counts_as_stalled_and_a_complete_one_does_not() {
        let bodies = Bodies::new(100_000);
        let (mut trickle, mut complete) = (bodies.room(ONE), bodies.room(ONE));
        trickle.grow_to(30_000).await.unwrap();
        complete.grow_to(20_000).await.unwrap();
        complete.mark_complete();
        for _ in 0..20 {
            tokio::time::advance(STALLED / 10).await;
            trickle.record_bytes(1);
        }
        let mut third = bodies.room(ONE);
        assert_eq!(third.grow_to(25_000).await, Err(Full), "no reader has reacted yet");
        assert!(trickle.used.as_ref().unwrap().1.must_release.is_cancelled());
        assert!(!complete.used.as_ref().unwrap().1.must_release.is_cancelled());
    }

    #[test]
    fn client_share_fits_the_largest_body_twice() {
        for max_body_bytes in [1 << 20, 32 << 20, 64 << 20] {
            let bodies = Bodies::for_bodies_of(max_body_bytes);
            let mut room = bodies.room(ONE);
            room.try_grow_to(max_body_bytes).unwrap();
            assert_eq!(bodies.room(ONE).try_grow_to(max_body_bytes), Ok(()));
        }
    }
}
