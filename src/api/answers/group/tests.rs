//! No answer is older than its question, and nobody is left waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::api::answers::group::{GroupReads, MAX_READS, Unread};

type Reads = Arc<GroupReads<&'static str, Result<usize, &'static str>>>;

/// Readings that the test lets end one by one; each finds its own number, from 1 on.
#[derive(Clone)]
struct Stage {
    reads: Reads,
    begun: mpsc::UnboundedSender<usize>,
    count: Arc<AtomicUsize>,
    end: Arc<Semaphore>,
}

impl Stage {
    fn new() -> (Self, mpsc::UnboundedReceiver<usize>) {
        let (begun, seen) = mpsc::unbounded_channel();
        let end = Arc::new(Semaphore::new(0));
        (Self { reads: Reads::default(), begun, count: Arc::default(), end }, seen)
    }

    /// Asks, and returns once the request waits.
    async fn ask(&self, key: &'static str) -> JoinHandle<Outcome> {
        let before = self.waiting(key);
        let stage = self.clone();
        let asked = tokio::spawn(async move {
            let inner = stage.clone();
            stage.reads.read(key, move || inner.clone().perform()).await
        });
        while self.waiting(key) == before && !asked.is_finished() {
            tokio::task::yield_now().await;
        }
        asked
    }

    /// Returns the number of requests that wait for the next read; `None` if the key is not read.
    fn waiting(&self, key: &str) -> Option<usize> {
        self.reads.reads.lock().get(key).map(Vec::len)
    }

    async fn perform(self) -> Result<usize, &'static str> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.begun.send(number).unwrap();
        self.end.acquire().await.unwrap().forget();
        Ok(number)
    }

    fn end_one(&self) {
        self.end.add_permits(1);
    }

    async fn finish(&self) {
        while !self.reads.reads.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

type Outcome = Result<Result<usize, &'static str>, Unread>;

#[tokio::test]
async fn requests_during_a_read_share_the_next_one() {
    let (stage, mut begun) = Stage::new();
    let first = stage.ask("a").await;
    assert_eq!(begun.recv().await, Some(1));
    let mut later = Vec::new();
    for _ in 0..50 {
        later.push(stage.ask("a").await);
    }
    assert_eq!(stage.waiting("a"), Some(50));
    stage.end_one();
    assert_eq!(first.await.unwrap(), Ok(Ok(1)));
    assert_eq!(begun.recv().await, Some(2));
    let last = stage.ask("a").await;
    stage.end_one();
    for each in later {
        assert_eq!(each.await.unwrap(), Ok(Ok(2)));
    }
    stage.end_one();
    assert_eq!(last.await.unwrap(), Ok(Ok(3)));
    stage.finish().await;
}

#[tokio::test]
async fn keys_are_read_beside_each_other() {
    let (stage, mut begun) = Stage::new();
    let one = stage.ask("a").await;
    assert_eq!(begun.recv().await, Some(1));
    let other = stage.ask("b").await;
    assert_eq!(begun.recv().await, Some(2), "it does not wait for the first");
    stage.end.add_permits(2);
    assert_eq!(one.await.unwrap(), Ok(Ok(1)));
    assert_eq!(other.await.unwrap(), Ok(Ok(2)));
    stage.finish().await;
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_nothing_along() {
    let (stage, mut begun) = Stage::new();
    let first = stage.ask("a").await;
    begun.recv().await;
    let (gone, stays) = (stage.ask("a").await, stage.ask("a").await);
    first.abort();
    gone.abort();
    assert!(first.await.is_err() && gone.await.is_err());
    stage.end_one();
    assert_eq!(begun.recv().await, Some(2));
    stage.end_one();
    assert_eq!(stays.await.unwrap(), Ok(Ok(2)));
    stage.finish().await;
}

#[tokio::test]
async fn requests_that_were_cancelled_cause_no_read() {
    let (stage, mut begun) = Stage::new();
    let first = stage.ask("a").await;
    begun.recv().await;
    let gone = stage.ask("a").await;
    gone.abort();
    assert!(gone.await.is_err());
    stage.end_one();
    assert_eq!(first.await.unwrap(), Ok(Ok(1)));
    stage.finish().await;
    assert_eq!(stage.count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_reading_that_fails_fails_all_it_serves_and_none_after() {
    let reads = Reads::default();
    let fails = Arc::new(Semaphore::new(0));
    let ask = |outcome: Result<usize, &'static str>| {
        let (reads, fails) = (Arc::clone(&reads), Arc::clone(&fails));
        tokio::spawn(async move {
            let reading = move || {
                let fails = Arc::clone(&fails);
                async move {
                    fails.acquire().await.unwrap().forget();
                    outcome
                }
            };
            reads.read("a", reading).await
        })
    };
    let all: Vec<_> = (0..8).map(|_| ask(Err("no"))).collect();
    fails.add_permits(8);
    for each in all {
        assert_eq!(each.await.unwrap(), Ok(Err("no")));
    }
    fails.add_permits(1);
    assert_eq!(ask(Ok(9)).await.unwrap(), Ok(Ok(9)));
}

#[tokio::test]
async fn a_reading_that_panics_leaves_nobody_waiting_and_the_key_free() {
    let reads = Reads::default();
    let (begun, end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let ask = || {
        let (reads, begun, end) = (Arc::clone(&reads), Arc::clone(&begun), Arc::clone(&end));
        tokio::spawn(async move {
            let reading = move || {
                let (begun, end) = (Arc::clone(&begun), Arc::clone(&end));
                async move {
                    begun.add_permits(1);
                    end.acquire().await.unwrap().forget();
                    panic!("on purpose")
                }
            };
            let outcome = reads.read("a", reading).await;
            // The error arrives only once the key is free again.
            let afresh = reads.read("a", || async { Ok(7) }).await;
            (outcome, afresh)
        })
    };
    let served = ask();
    begun.acquire().await.unwrap().forget();
    let waits = ask();
    while reads.reads.lock().get("a").is_none_or(Vec::is_empty) {
        tokio::task::yield_now().await;
    }
    end.add_permits(1);
    for each in [served, waits] {
        assert_eq!(each.await.unwrap(), (Err(Unread::Died), Ok(Ok(7))));
    }
}

#[tokio::test]
async fn too_many_keys_at_once_are_rejected_and_a_key_in_progress_is_not() {
    let reads = GroupReads::<usize, ()>::default();
    let mut taken = Vec::new();
    for key in 0..MAX_READS {
        taken.push(reads.join(key, oneshot::channel().0).unwrap().unwrap());
    }
    let more = reads.join(MAX_READS, oneshot::channel().0);
    assert!(matches!(more, Err(Unread::TooMany)));
    assert!(reads.join(0, oneshot::channel().0).unwrap().is_none());
    drop(taken);
    assert!(reads.reads.lock().is_empty());
}

/// With any schedule of threads, an answer is never older than its request, and a key is never read
/// twice at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_answer_is_from_a_reading_that_began_after_its_request() {
    const KEYS: usize = 3;
    #[derive(Default)]
    struct World {
        committed: [AtomicUsize; KEYS],
        running: [AtomicUsize; KEYS],
        readings: AtomicUsize,
    }
    let world = Arc::new(World::default());
    let reads = Arc::new(GroupReads::<usize, usize>::default());
    let asker = |number: usize| {
        let (world, reads) = (Arc::clone(&world), Arc::clone(&reads));
        async move {
            for turn in 0..300 {
                let key = (number + turn) % KEYS;
                let committed = world.committed[key].fetch_add(1, Ordering::SeqCst) + 1;
                let seen = Arc::clone(&world);
                let reading = move || {
                    let world = Arc::clone(&seen);
                    async move {
                        assert_eq!(world.running[key].fetch_add(1, Ordering::SeqCst), 0);
                        world.readings.fetch_add(1, Ordering::SeqCst);
                        let found = world.committed[key].load(Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        world.running[key].fetch_sub(1, Ordering::SeqCst);
                        found
                    }
                };
                let asked = reads.read(key, reading);
                if turn % 7 == 0 {
                    // One who may go away at any point.
                    let _ = tokio::time::timeout(Duration::from_micros(20), asked).await;
                } else {
                    assert!(asked.await.unwrap() >= committed);
                }
            }
        }
    };
    let askers: Vec<_> = (0..32).map(|number| tokio::spawn(asker(number))).collect();
    for each in askers {
        each.await.unwrap();
    }
    while !reads.reads.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(world.readings.load(Ordering::SeqCst) < 32 * 300, "some were shared");
}
