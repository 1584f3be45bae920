//! Faulty clients: slow, cut short, impatient, idle, hasty, wrong, and hostile.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use rand::RngExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::{Delivery, signature};
use crate::faults::Heal;
use crate::http::{Connection, Miss};
use crate::load::Load;
use crate::world::{Expect, Setup, Trial, World};

/// Shortest length of a flood: its p99 is that of a thousand good deliveries.
const FLOOD_MIN: Duration = Duration::from_secs(5);
/// Longest time until enough wrong signatures are rejected.
const FLOOD_MAX: Duration = Duration::from_mins(2);
/// Clients of each kind in a mix.
const SOME: usize = 20;
const SOME_IDLE: usize = 300;
/// Limit for good answers during a flood.
const FLOOD_P99_MAX: Duration = Duration::from_millis(50);
/// Source address of the flood. On Linux all of 127/8 belongs to the machine.
const FLOOD_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Requests in one write.
const PIPELINE: usize = 50;

/// Sends a request in parts, with pauses, and returns the status of the answer.
async fn slowly(world: &World, delivery: &Delivery, pause: Duration) -> Result<u16, Miss> {
    let mut connection = Connection::open(world.service.address).await?;
    connection.send(delivery.head(delivery.body.len()).as_bytes()).await?;
    for chunk in delivery.body.chunks(delivery.body.len().div_ceil(40)) {
        connection.send(chunk).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(connection.answer().await?.status)
}

/// Slow bodies are accepted. Bodies that never end are rejected, and delay no other sender.
pub(crate) async fn slow_bodies(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let count = trial.options.choose(20, 200);
    world.fault(&format!("{count} slow bodies, and {count} that never end"));
    let slow = async {
        let all = (0..count).map(|_| async {
            let delivery = world.ledger.next();
            let status = slowly(&world, &delivery, Duration::from_millis(100)).await;
            ensure!(status == Ok(200), "a slow body was answered {status:?}");
            world.ledger.record_answered(&delivery);
            Ok(())
        });
        futures_util::future::try_join_all(all).await
    };
    let endless = async {
        let all = (0..count).map(|_| async {
            // The last byte is never sent.
            let delivery = world.ledger.next_forbidden();
            let mut connection = open(&world).await?;
            let head = delivery.head(delivery.body.len());
            let _ = connection.send(head.as_bytes()).await;
            let _ = connection.send(&delivery.body[..delivery.body.len() - 1]).await;
            anyhow::Ok(connection)
        });
        let mut open = futures_util::future::try_join_all(all).await?;
        // The service closes such a request after half a minute.
        tokio::time::sleep(Duration::from_secs(31)).await;
        for connection in &mut open {
            let status = connection.answer().await.map(|answer| answer.status);
            // To close the connection without an answer is right, too.
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

/// Clients that disconnect in the middle of a body leave nothing behind.
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

/// Clients that send everything and do not wait: the delivery is stored once or not at all.
pub(crate) async fn disconnect(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let mut rng = trial.rng(10);
    let count = trial.options.choose(200, 2_000);
    world.fault(&format!("{count} clients that disconnect before the answer"));
    for _ in 0..count {
        let delivery = world.ledger.next();
        let mut connection = open(&world).await?;
        let _ = connection.send(&delivery.request()).await;
        // Some disconnect at once, some while the inbox commits.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..3_000))).await;
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Thousands of idle connections delay no other client.
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
    world.add_note(format!("{still} of {count} idle connections were still open at the end"));
    world.finish(load, Expect::AllAnswered).await
}

/// Many requests in one write: each is answered, in order.
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
                Ok(answer) if answer.status == 200 => world.ledger.record_answered(delivery),
                other => bail!("a pipelined request was answered {other:?}"),
            }
        }
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Requests with a wrong Content-Length.
pub(crate) async fn wrong_length(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    let mut rng = trial.rng(10);
    let count = trial.options.choose(100, 1_000);
    world.fault(&format!("{count} bodies shorter and {count} longer than their Content-Length"));
    for _ in 0..count {
        wrong_lengths(&world, |length| {
            (length + rng.random_range(1..1_000), rng.random_range(0..length))
        })
        .await?;
    }
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Sends a body that is shorter and one that is longer than its Content-Length. `lies` returns the
/// two wrong lengths for the right one.
async fn wrong_lengths(
    world: &World,
    mut lies: impl FnMut(usize) -> (usize, usize),
) -> anyhow::Result<()> {
    let delivery = world.ledger.next_forbidden();
    let (more, less) = lies(delivery.body.len());
    // The rest of the body is never sent.
    let mut connection = open(world).await?;
    let _ = connection.send(delivery.head(more).as_bytes()).await;
    let _ = connection.send(&delivery.body).await;
    // The rest of the body is not a request.
    let mut connection = open(world).await?;
    let _ = connection.send(delivery.head(less).as_bytes()).await;
    let _ = connection.send(&delivery.body).await;
    let answer = connection.answer().await;
    ensure!(
        !matches!(&answer, Ok(answer) if answer.status == 200),
        "a body that was cut short was answered {answer:?}"
    );
    Ok(())
}

/// Wrong signatures as fast as they are rejected. Good deliveries are answered as before.
pub(crate) async fn flood(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    world.calm().await;
    let total: u64 = trial.options.choose(4_000, 20_000);
    world.fault(&format!("{total} wrong signatures, or more"));
    world.ledger.measure();
    let (begin, flood) = (Instant::now(), Flood::start(&world));
    while begin.elapsed() < FLOOD_MIN || flood.refused() < total {
        ensure!(begin.elapsed() < FLOOD_MAX, "only {} were rejected", flood.refused());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (good, p99) = world.ledger.measured(0.99);
    let refused = flood.stop().await?;
    world.add_note(format!(
        "{refused} wrong signatures were rejected in {:.1} s; the p99 of {good} good deliveries \
         meanwhile was {:.1} ms",
        begin.elapsed().as_secs_f64(),
        p99.as_secs_f64() * 1e3
    ));
    world.finish(load, Expect::AllAnswered).await?;
    // A debug build is several times as slow, and is not judged.
    ensure!(cfg!(debug_assertions) || p99 < FLOOD_P99_MAX, "p99 was {p99:?}");
    Ok(())
}

/// Sends wrong signatures until it is stopped.
struct Flood {
    refused: Arc<AtomicU64>,
    stop: CancellationToken,
    senders: JoinSet<Result<(), Miss>>,
}

impl Flood {
    fn start(world: &World) -> Self {
        let (refused, stop) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let mut senders = JoinSet::new();
        for sender in 0..4 {
            let flood = flood_of_one(sender, world.service.address, refused.clone(), stop.clone());
            senders.spawn(flood);
        }
        Self { refused, stop, senders }
    }

    fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Stops, and returns the number of rejections. Fails if any was not rejected.
    async fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.cancel();
        while let Some(sender) = self.senders.join_next().await {
            sender?.map_err(|miss| anyhow::anyhow!("the flood: {miss:?}"))?;
        }
        Ok(self.refused())
    }
}

async fn flood_of_one(
    sender: u64,
    address: SocketAddr,
    refused: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<(), Miss> {
    let (mut connection, mut number) = (None, 0_u64);
    while !stop.is_cancelled() {
        number += 1;
        let body = format!("{{\"agent_id\": \"flood {sender} {number}\"}}");
        let wrong = signature("not the secret", body.as_bytes());
        let request = format!(
            "POST /webhook HTTP/1.1\r\nHost: localhost\r\n{wrong}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open_from(flood_address(), address).await?,
        };
        match open.exchange(request.as_bytes()).await {
            Ok(answer) if matches!(answer.status, 401 | 429) => {
                if !answer.closes {
                    connection = Some(open);
                }
            }
            // A limit that closes the connection is an answer, too.
            Err(Miss::Broken) => {}
            _ => return Err(Miss::TimedOut),
        }
        refused.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// For a mix: a flood. The service may end while it lasts.
pub(crate) async fn lasting_flood(world: &World) -> anyhow::Result<Heal<'_>> {
    drop(open(world).await?);
    let flood = Flood::start(world);
    Ok(Box::pin(async move {
        let refused = flood.refused();
        world.log(&format!("{refused} wrong signatures were rejected"));
        let _ = flood.stop().await;
        Ok(())
    }))
}

/// For a mix: bodies whose second half is late.
pub(crate) async fn some_slow_bodies(world: &World) -> anyhow::Result<Heal<'_>> {
    let mut begun = Vec::new();
    for _ in 0..SOME {
        let (delivery, mut connection) = (world.ledger.next(), open(world).await?);
        let _ = connection.send(delivery.head(delivery.body.len()).as_bytes()).await;
        let _ = connection.send(&delivery.body[..delivery.body.len() / 2]).await;
        begun.push((delivery, connection));
    }
    Ok(Box::pin(async move {
        for (delivery, connection) in &mut begun {
            let _ = connection.send(&delivery.body[delivery.body.len() / 2..]).await;
            // If the service was away meanwhile, there is no answer.
            if connection.answer().await.is_ok_and(|answer| answer.status == 200) {
                world.ledger.record_answered(delivery);
            }
        }
        Ok(())
    }))
}

/// For a mix: bodies whose second half is never sent.
pub(crate) async fn some_half_bodies(world: &World) -> anyhow::Result<Heal<'_>> {
    for part in 0..SOME {
        let (delivery, mut connection) = (world.ledger.next_forbidden(), open(world).await?);
        let _ = connection.send(delivery.head(delivery.body.len()).as_bytes()).await;
        let _ = connection.send(&delivery.body[..delivery.body.len() * part / SOME]).await;
    }
    Ok(Box::pin(async { Ok(()) }))
}

/// For a mix: requests with a wrong Content-Length.
pub(crate) async fn some_wrong_lengths(world: &World) -> anyhow::Result<Heal<'_>> {
    for part in 0..SOME {
        wrong_lengths(world, |length| (length + 1 + part, length * part / SOME)).await?;
    }
    Ok(Box::pin(async { Ok(()) }))
}

/// For a mix: idle connections.
pub(crate) async fn some_idle_connections(world: &World) -> anyhow::Result<Heal<'_>> {
    let mut idle = Vec::new();
    while idle.len() < SOME_IDLE {
        idle.push(open(world).await?);
    }
    Ok(Box::pin(async move {
        drop(idle);
        Ok(())
    }))
}

fn flood_address() -> Option<IpAddr> {
    cfg!(target_os = "linux").then_some(FLOOD_ADDRESS)
}

async fn open(world: &World) -> anyhow::Result<Connection> {
    let opened = Connection::open(world.service.address).await;
    opened.map_err(|miss| anyhow::anyhow!("no connection to the service: {miss:?}"))
}
