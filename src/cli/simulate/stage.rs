//! The run: concurrent sessions, each in order of time, with a limit on concurrent requests and the
//! sender's retries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::body::Delivery;
use super::contract::Contract;
use super::history::History;
use super::ledger::Record;
use super::pacing::Pacer;
use super::report::Tally;
use super::script::Conversation;
use crate::cli::sender::{Answer, Sender};
use crate::clock::Clock;

/// Limit on open sessions. More than concurrent requests, since a session that waits for a retry
/// does not delay others; but limited, since all may wait while the receiver is down.
const OPEN_SESSIONS_MAX: usize = 10_000;

/// Sender of single requests.
pub(super) trait Post: Send + Sync + 'static {
    /// Sends `body` and waits for the answer, up to the sender's limit.
    fn post(&self, body: Bytes) -> impl Future<Output = Answer> + Send;
}

impl Post for Sender {
    async fn post(&self, body: Bytes) -> Answer {
        self.send(body, HeaderMap::new()).await.answer
    }
}

/// State that all sessions of a run share.
#[derive(Debug)]
pub(super) struct Stage<P> {
    pub(super) sender: P,
    pub(super) contract: Contract,
    pub(super) seed: u64,
    /// Conversations of the past; `None` if they happen now.
    pub(super) history: Option<History>,
    pub(super) clock: Clock,
    pub(super) pacer: Pacer,
    /// Limit on concurrent requests.
    pub(super) permits: Arc<Semaphore>,
    pub(super) tally: Mutex<Tally>,
    pub(super) ledger: Option<mpsc::Sender<Record>>,
    pub(super) progress: indicatif::ProgressBar,
    pub(super) stop: CancellationToken,
}

/// Plays sessions until there are `sessions` of them, the time is over, or the run is stopped.
pub(super) async fn play<P: Post>(
    stage: &Arc<Stage<P>>,
    sessions: Option<u64>,
) -> anyhow::Result<()> {
    let mut open = JoinSet::new();
    for index in 0..sessions.unwrap_or(u64::MAX) {
        while open.len() >= OPEN_SESSIONS_MAX {
            open.join_next().await.transpose()?.transpose()?;
        }
        while let Some(ended) = open.try_join_next() {
            ended??;
        }
        let Some(permit) = stage.permit().await else {
            break;
        };
        if stage.pacer.is_over() {
            break;
        }
        open.spawn(session(Arc::clone(stage), index, permit));
    }
    while let Some(ended) = open.join_next().await {
        ended??;
    }
    Ok(())
}

/// Plays one session. A delivery that is given up is lost, and the session continues, as with
/// bitHuman.
async fn session<P: Post>(
    stage: Arc<Stage<P>>,
    index: u64,
    permit: OwnedSemaphorePermit,
) -> anyhow::Result<()> {
    let mut permit = Some(permit);
    let conversation = match &stage.history {
        Some(history) => history.conversation(index),
        None => Conversation::new(stage.seed, index, stage.clock.now().timestamp_micros()),
    };
    for (line_index, line) in conversation.lines.iter().enumerate() {
        let Some(due) = stage.pacer.next() else { break };
        if !stage.wait(sleep_until(due)).await {
            break;
        }
        if line_index == 0 {
            stage.tally().sessions += 1;
        }
        let delivery = Delivery::new(&conversation, line, stage.contract)?;
        stage.deliver(delivery, due, &mut permit).await;
        if permit.is_none() {
            break;
        }
    }
    stage.progress.inc(1);
    Ok(())
}

impl<P: Post> Stage<P> {
    /// Sends a delivery until it is answered or given up. Removes the permit if the run was stopped
    /// meanwhile.
    async fn deliver(
        &self,
        delivery: Delivery,
        mut due: Instant,
        permit: &mut Option<OwnedSemaphorePermit>,
    ) {
        self.tally().attempted += 1;
        let mut delays = self.contract.retry_delays().iter();
        loop {
            if self.attempt(&delivery, due).await {
                self.tally().answered += 1;
                self.progress.set_message(indicatif::HumanCount(self.tally().answered).to_string());
                self.record(delivery.record).await;
                return;
            }
            let Some(delay) = delays.next() else { break };
            // This session sends nothing while it waits: release the permit for others.
            *permit = None;
            due = Instant::now() + *delay;
            if self.wait(sleep(*delay)).await {
                *permit = self.permit().await;
            }
            if permit.is_none() {
                break;
            }
        }
        self.tally().given_up += 1;
    }

    /// Sends one request. Returns true if its answer is a success under the contract.
    async fn attempt(&self, delivery: &Delivery, due: Instant) -> bool {
        let from = if self.pacer.is_open_loop() { due } else { Instant::now() };
        let answer = self.sender.post(delivery.body.clone()).await;
        let mut tally = self.tally();
        tally.record(answer, delivery.is_join(), from.elapsed());
        if tally.all_rejected {
            // Further deliveries would be rejected, too.
            self.stop.cancel();
        }
        drop(tally);
        matches!(answer, Answer::Status(status) if self.contract.accepts(status))
    }

    /// Writes a record to the ledger. An error ends the run; the ledger's writer reports it.
    async fn record(&self, record: Record) {
        if let Some(ledger) = &self.ledger
            && ledger.send(record).await.is_err()
        {
            self.stop.cancel();
        }
    }

    /// Waits for the permit to send a request; `None` if the run was stopped.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            permit = Arc::clone(&self.permits).acquire_owned() => permit.ok(),
        }
    }

    /// Waits for `moment`. Returns false if the run was stopped first.
    async fn wait(&self, moment: tokio::time::Sleep) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = moment => true,
        }
    }

    /// Locks the counts. They are valid even in a poisoned lock, since each update is complete.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    /// Receiver that returns given answers after a delay.
    struct Fake<F> {
        answer: F,
        delay: Duration,
        requests: Mutex<Vec<(Instant, Bytes)>>,
        in_flight: Mutex<(usize, usize)>,
    }

    impl<F: Fn(usize, &Bytes) -> Answer + Send + Sync + 'static> Post for Fake<F> {
        async fn post(&self, body: Bytes) -> Answer {
            let count = {
                let mut requests = self.requests.lock().unwrap();
                requests.push((Instant::now(), body.clone()));
                let mut in_flight = self.in_flight.lock().unwrap();
                in_flight.0 += 1;
                in_flight.1 = in_flight.1.max(in_flight.0);
                requests.len()
            };
            sleep(self.delay).await;
            self.in_flight.lock().unwrap().0 -= 1;
            (self.answer)(count, &body)
        }
    }

    fn stage<F>(contract: Contract, delay: Duration, answer: F) -> Stage<Fake<F>> {
        let now = DateTime::from_timestamp_micros(1_790_607_253_557_594).unwrap();
        Stage {
            sender: Fake { answer, delay, requests: Mutex::default(), in_flight: Mutex::default() },
            contract,
            seed: 5,
            history: None,
            clock: Clock::fixed(now),
            pacer: Pacer::new(None, None),
            permits: Arc::new(Semaphore::new(4)),
            tally: Mutex::new(Tally::new().unwrap()),
            ledger: None,
            progress: indicatif::ProgressBar::hidden(),
            stop: CancellationToken::new(),
        }
    }

    fn seconds_between<F>(stage: &Stage<Fake<F>>) -> Vec<u64> {
        let requests = stage.sender.requests.lock().unwrap();
        requests.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn same_bytes_are_retried_after_1_5_and_30_seconds_and_then_given_up() {
        let stage = stage(Contract::B, Duration::ZERO, |count, _: &Bytes| match count {
            1..=4 => Answer::Status(503),
            _ => Answer::Status(204),
        });
        let stage = Arc::new(stage);
        play(&stage, Some(1)).await.unwrap();
        assert_eq!(seconds_between(&stage)[..4], [1, 5, 30, 0]);
        let requests = stage.sender.requests.lock().unwrap();
        assert!(requests[..4].iter().all(|(_, body)| *body == requests[0].1));
        assert_ne!(requests[3].1, requests[4].1);
        let tally = stage.tally();
        assert_eq!((tally.given_up, tally.answered), (1, tally.attempted - 1));
    }

    #[tokio::test(start_paused = true)]
    async fn answered_retry_ends_the_delivery() {
        let stage = stage(Contract::B, Duration::ZERO, |count, _: &Bytes| match count {
            1 => Answer::TimedOut,
            2 => Answer::Lost,
            _ => Answer::Status(200),
        });
        let stage = Arc::new(stage);
        play(&stage, Some(1)).await.unwrap();
        assert_eq!(seconds_between(&stage)[..3], [1, 5, 0]);
        assert_eq!(stage.tally().given_up, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn contract_d_sends_once_and_accepts_only_200() {
        let stage = stage(Contract::D, Duration::ZERO, |count, _: &Bytes| match count {
            1 => Answer::Status(204),
            2 => Answer::Refused,
            _ => Answer::Status(200),
        });
        let stage = Arc::new(stage);
        play(&stage, Some(3)).await.unwrap();
        let tally = stage.tally();
        assert_eq!(tally.given_up, 2);
        assert_eq!(stage.sender.requests.lock().unwrap().len() as u64, tally.attempted);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_run_concurrently_and_each_in_order() {
        let stage =
            stage(Contract::B, Duration::from_millis(3), |_, _: &Bytes| Answer::Status(200));
        let stage = Arc::new(stage);
        play(&stage, Some(40)).await.unwrap();
        assert_eq!(stage.sender.in_flight.lock().unwrap().1, 4);
        let mut last: HashMap<String, f64> = HashMap::new();
        for (_, body) in stage.sender.requests.lock().unwrap().iter() {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            let at = body["timestamp"].as_f64().unwrap();
            let session = body["data"]["session_id"].as_str().unwrap().to_owned();
            assert!(last.insert(session, at).is_none_or(|before| before < at));
        }
        assert_eq!(last.len(), 40);
        assert_eq!(stage.tally().sessions, 40);
    }

    #[tokio::test(start_paused = true)]
    async fn session_that_waits_for_a_retry_does_not_delay_others() {
        let stage = stage(Contract::B, Duration::ZERO, |count, _: &Bytes| match count {
            1..=12 => Answer::Refused,
            _ => Answer::Status(200),
        });
        let stage = Arc::new(stage);
        play(&stage, Some(12)).await.unwrap();
        // All twelve were sent at once, though there are four permits.
        assert_eq!(seconds_between(&stage)[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(stage.tally().given_up, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn stop_ends_the_wait_for_a_retry_and_starts_no_delivery() {
        let stop = CancellationToken::new();
        let token = stop.clone();
        let mut stage = stage(Contract::B, Duration::ZERO, move |count, _: &Bytes| {
            if count == 3 {
                token.cancel();
                return Answer::Status(503);
            }
            Answer::Status(200)
        });
        stage.stop = stop;
        stage.permits = Arc::new(Semaphore::new(1));
        let stage = Arc::new(stage);
        play(&stage, None).await.unwrap();
        let tally = stage.tally();
        assert_eq!((tally.attempted, tally.answered, tally.given_up), (3, 2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn run_ends_early_only_if_every_delivery_is_rejected() {
        for (first, ends) in [(401, true), (200, false)] {
            let stage = stage(Contract::D, Duration::ZERO, move |count, _: &Bytes| match count {
                1 => Answer::Status(first),
                count if count % 2 == 0 => Answer::Status(404),
                _ => Answer::Status(403),
            });
            let stage = Arc::new(stage);
            play(&stage, Some(40)).await.unwrap();
            let tally = stage.tally();
            assert_eq!((tally.all_rejected, stage.stop.is_cancelled()), (ends, ends));
            assert_eq!(tally.attempted < 30, ends, "{}", tally.attempted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_delivery_starts_after_the_time_limit() {
        let mut stage =
            stage(Contract::B, Duration::from_millis(100), |_, _: &Bytes| Answer::Status(200));
        stage.pacer = Pacer::new(Some(10.0), Some(Duration::from_secs(3)));
        let stage = Arc::new(stage);
        play(&stage, None).await.unwrap();
        assert_eq!(stage.tally().attempted, 30);
    }
}
