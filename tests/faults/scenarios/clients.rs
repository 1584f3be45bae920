//! Clients: slow, cut short, impatient, idle, in a hurry, wrong, and hostile.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use rand::RngExt as _;
use tokio::task::JoinSet;

use crate::delivery::{Delivery, signature};
use crate::http::{Connection, Miss};
use crate::load::Load;
use crate::world::{Expect, Setup, Trial, World};

/// Good answers during a flood.
const FLOOD_P99_MAX: Duration = Duration::from_millis(50);
/// Where the flood comes from: the whole of 127/8 is this machine's, on Linux.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Requests of one write.
const PIPELINE: usize = 50;

/// How a request is answered of which the client sends only part, at its pace.
async fn slowly(world: &World, delivery: &Delivery, pause: Duration) -> Result<u16, Miss> {
    let mut connection = Connection::open(world.service.address).await?;
    connection.send(delivery.head(delivery.body.len()).as_bytes()).await?;
    for chunk in delivery.body.chunks(delivery.body.len().div_ceil(40)) {
        connection.send(chunk).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(connection.answer().await?.status)
}

/// Bodies that take seconds are taken; those that never end are refused, and nobody waits for
/// them.
pub(crate) async fn slow_bodies(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let count = trial.options.choose(20, 200);
    world.fault(&format!("{count} bodies that take seconds, and {count} that never end"));
    let slow = async {
        let all = (0..count).map(|_| async {
            let delivery = world.ledger.next();
            let status = slowly(&world, &delivery, Duration::from_millis(100)).await;
            ensure!(status == Ok(200), "a slow body was answered {status:?}");
            world.ledger.note_answered(&delivery);
            Ok(())
        });
        futures_util::future::try_join_all(all).await
    };
    let endless = async {
        let all = (0..count).map(|_| async {
            // Its last byte never comes.
            let delivery = world.ledger.next_forbidden();
            let mut connection = open(&world).await?;
            let head = delivery.head(delivery.body.len());
            let _ = connection.send(head.as_bytes()).await;
            let _ = connection.send(&delivery.body[..delivery.body.len() - 1]).await;
            anyhow::Ok(connection)
        });
        let mut open = futures_util::future::try_join_all(all).await?;
        // The service gives them half a minute.
        tokio::time::sleep(Duration::from_secs(31)).await;
        for connection in &mut open {
            let status = connection.answer().await.map(|answer| answer.status);
            // Closed without a word is as good.
            ensure!(
                matches!(status, Ok(408) | Err(Miss::Broken)),
                "a body without an end was answered {status:?}"
            );
        }
        Ok(())
    };
    let (slow, endless) = tokio::join!(slow, endless);
    slow?;
    endless?;
    world.finish(load, Expect::AllAnswered).await
}

/// Clients that go away in the middle of a body leave nothing behind.
pub(crate) async fn half_bodies(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let mut rng = trial.rng(10);
    let count = trial.options.choose(100, 1_000);
    world.fault(&format!("{count} half bodies"));
    for _ in 0..count {
        let delivery = world.ledger.next_forbidden();
        let mut connection = open(&world).await?;
        let _ = connection.send(delivery.head(delivery.body.len()).as_bytes()).await;
        let cut = rng.random_range(0..delivery.body.len());
        let _ = connection.send(&delivery.body[..cut]).await;
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Clients that have sent everything and do not wait: it is stored once or not at all.
pub(crate) async fn disconnect(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let mut rng = trial.rng(10);
    let count = trial.options.choose(200, 2_000);
    world.fault(&format!("{count} clients that go away before the answer"));
    for _ in 0..count {
        let delivery = world.ledger.next();
        let mut connection = open(&world).await?;
        let _ = connection.send(&delivery.request()).await;
        // Some at once, and some while the inbox commits.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..3_000))).await;
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Thousands of connections that say nothing keep nobody from being answered.
pub(crate) async fn idle_connections(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let count = trial.options.choose(1_000, 5_000);
    world.fault(&format!("{count} idle connections"));
    let mut idle = Vec::with_capacity(count);
    while idle.len() < count {
        idle.push(open(&world).await?);
    }
    tokio::time::sleep(trial.options.hold(5, 20)).await;
    let still = idle.iter().filter(|connection| !connection.is_closed()).count();
    world.note(format!("{still} of {count} idle connections were still open in the end"));
    world.finish(load, Expect::AllAnswered).await
}

/// Many requests in one write: each has its answer, in order.
pub(crate) async fn pipelined(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let writes = trial.options.choose(20, 200);
    world.fault(&format!("{writes} times {PIPELINE} requests in one write"));
    let mut connection = open(&world).await?;
    for _ in 0..writes {
        let deliveries: Vec<Delivery> = (0..PIPELINE).map(|_| world.ledger.next()).collect();
        let bytes: Vec<u8> = deliveries.iter().flat_map(Delivery::request).collect();
        connection.send(&bytes).await.map_err(|miss| anyhow::anyhow!("{miss:?}"))?;
        for delivery in &deliveries {
            match connection.answer().await {
                Ok(answer) if answer.status == 200 => world.ledger.note_answered(delivery),
                other => bail!("a pipelined request was answered {other:?}"),
            }
        }
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Heads that lie about the body's length.
pub(crate) async fn wrong_length(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let mut rng = trial.rng(10);
    let count = trial.options.choose(100, 1_000);
    world.fault(&format!("{count} bodies shorter and {count} longer than their head says"));
    for _ in 0..count {
        let delivery = world.ledger.next_forbidden();
        let length = delivery.body.len();
        // The rest of the body never comes.
        let mut connection = open(&world).await?;
        let more = length + rng.random_range(1..1_000);
        let _ = connection.send(delivery.head(more).as_bytes()).await;
        let _ = connection.send(&delivery.body).await;
        // The rest of the body is no request.
        let mut connection = open(&world).await?;
        let less = rng.random_range(0..length);
        let _ = connection.send(delivery.head(less).as_bytes()).await;
        let _ = connection.send(&delivery.body).await;
        let answer = connection.answer().await;
        ensure!(
            !matches!(&answer, Ok(answer) if answer.status == 200),
            "a body that was cut short was answered {answer:?}"
        );
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Wrong signatures as fast as they are refused; the good ones are answered as ever.
pub(crate) async fn flood(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    world.calm().await;
    let total: u64 = trial.options.choose(4_000, 20_000);
    world.fault(&format!("{total} wrong signatures"));
    let begin = Instant::now();
    let left = Arc::new(AtomicU64::new(total));
    let mut senders = JoinSet::new();
    for sender in 0..4_u64 {
        let (left, address) = (left.clone(), world.service.address);
        senders.spawn(async move {
            let (mut connection, mut refused) = (None, 0_u64);
            while take_one(&left) {
                let body = format!("{{\"agent_id\": \"flood {sender} {refused}\"}}");
                let wrong = signature("not the secret", body.as_bytes());
                let request = format!(
                    "POST /webhook HTTP/1.1\r\nHost: localhost\r\n{wrong}\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => Connection::open_from(from_elsewhere(), address).await?,
                };
                match open.exchange(request.as_bytes()).await {
                    Ok(answer) if matches!(answer.status, 401 | 429) => {
                        refused += 1;
                        if !answer.closes {
                            connection = Some(open);
                        }
                    }
                    // A limit that closes the connection is an answer, too.
                    Err(Miss::Broken) => refused += 1,
                    _ => return Err(Miss::TimedOut),
                }
            }
            Ok(refused)
        });
    }
    let mut refused = 0;
    while let Some(sender) = senders.join_next().await {
        refused += sender?.map_err(|miss| anyhow::anyhow!("the flood: {miss:?}"))?;
    }
    let took = begin.elapsed();
    ensure!(refused == total, "{refused} of {total} were refused");
    world.note(format!("{total} wrong signatures were refused in {:.1} s", took.as_secs_f64()));
    world.finish(load, Expect::AllAnswered).await?;
    let p99 = world.ledger.figures().latency(0.99);
    // A build for debugging is several times as slow; it says so, and is not judged.
    ensure!(cfg!(debug_assertions) || p99 < FLOOD_P99_MAX, "p99 was {p99:?}");
    Ok(())
}

fn take_one(left: &AtomicU64) -> bool {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn from_elsewhere() -> Option<IpAddr> {
    cfg!(target_os = "linux").then_some(ELSEWHERE)
}

async fn open(world: &World) -> anyhow::Result<Connection> {
    let opened = Connection::open(world.service.address).await;
    opened.map_err(|miss| anyhow::anyhow!("no connection to the service: {miss:?}"))
}
