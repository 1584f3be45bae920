//! One scenario's world: a service, its Postgres, the network between them, and the ledger.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::delivery::{Content, Event};
use super::http::{Connection, PATIENCE};
use super::ledger::{Figures, Ledger};
use super::load::{Load, Running};
use super::oracle;
use super::postgres::{self, Postgres, Template};
use super::proxy::Proxy;
use super::say;
use super::service::{Service, Spec};
use super::surroundings::{ServiceClock, SmallDisk};

/// How long the inbox may take to be empty, once all is well. A connection that is half open is
/// given up after a minute.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(150);
/// How long a fresh delivery may take until the API shows it.
const FRESH_MAX: Duration = Duration::from_secs(40);
/// No fault of Postgres' may hold up answers for so long. It is far above what an answer takes,
/// and far below what any of the faults lasts: whoever waits for Postgres is found out.
const STALL_MAX: Duration = Duration::from_secs(4);
/// How long a service that stops may wait for Postgres to take what is there.
const LAST_DRAIN: Duration = Duration::from_secs(10);
/// Load before the first fault, and after the last one.
const CALM: Duration = Duration::from_secs(2);

/// What was asked for on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// Quick rather than thorough.
    pub(crate) short: bool,
    /// How often the service is killed.
    pub(crate) kills: Option<u32>,
    /// How long faults last, in seconds.
    pub(crate) hold: Option<u64>,
}

impl Options {
    /// One of two, by how thorough the run is.
    pub(crate) fn choose<T>(&self, short: T, thorough: T) -> T {
        if self.short { short } else { thorough }
    }

    /// How long a fault lasts, where nothing else was asked for.
    pub(crate) fn hold(&self, short: u64, thorough: u64) -> Duration {
        Duration::from_secs(self.hold.unwrap_or(self.choose(short, thorough)))
    }
}

/// One run of one scenario.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) options: Options,
    /// This scenario's own, made from the run's and its name: alone it meets the same faults.
    pub(crate) seed: u64,
    /// A folder that is its alone, and goes with it.
    pub(crate) folder: PathBuf,
    pub(crate) template: Arc<Template>,
    report: Arc<Mutex<Report>>,
    begin: Instant,
}

/// What a scenario came to, as far as it got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) figures: Figures,
    pub(crate) faults: usize,
    /// Faults of a mix that could not be set on, such as while another was on.
    pub(crate) not_had: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// From the end of load and faults to an empty inbox.
    pub(crate) drain: Option<Duration>,
    /// Of the service, in bytes.
    pub(crate) peak_memory: u64,
    /// Further figures, in words.
    pub(crate) notes: Vec<String>,
}

/// This machine cannot run the scenario; it counts as skipped, never as passed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Skip(pub(crate) String);

/// Ends a scenario that this machine cannot run.
pub(crate) fn skip(why: impl Into<String>) -> anyhow::Error {
    Skip(why.into()).into()
}

/// What a scenario wants.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// The service runs its own PostgreSQL; else the suite runs one for it.
    pub(crate) private: bool,
    /// The service reaches Postgres through a [`Proxy`].
    pub(crate) proxy: bool,
    /// The service reads from a streaming standby of the suite's server.
    pub(crate) standby: bool,
    /// Settings of the suite's server, `name=value`.
    pub(crate) postgres: &'static [&'static str],
    /// A disk for the cluster of the suite's server.
    pub(crate) cluster: Option<SmallDisk>,
    /// A disk for the inbox, which is mounted there.
    pub(crate) inbox: Option<SmallDisk>,
    /// A clock for the service.
    pub(crate) clock: Option<ServiceClock>,
    /// How the service is started.
    pub(crate) service: Spec,
}

/// What must hold of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Every attempt is answered 200, and none waits: the service and its inbox are well.
    #[default]
    AllAnswered,
    /// Attempts may come to nothing while the service is away, or while neither its inbox nor
    /// Postgres takes them, and at no other time; 200 is kept all the same.
    Refusals,
}

impl Trial {
    pub(crate) fn new(
        options: Options,
        seed: u64,
        folder: PathBuf,
        template: Arc<Template>,
    ) -> Self {
        let report = Arc::default();
        Self { options, seed, folder, template, report, begin: Instant::now() }
    }

    /// Random numbers that are the same for the same seed; `purpose` keeps users apart.
    pub(crate) fn rng(&self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Builds a world, and starts the service in it.
    pub(crate) async fn world(&self, setup: Setup) -> anyhow::Result<World> {
        let mut spec = setup.service;
        let (mut server, mut proxy, mut standby) = (None, None, None);
        if !setup.private {
            let folder = self.folder.join("postgres");
            let place = setup.cluster.as_ref().map_or(&folder, |disk| &disk.folder);
            let cluster = place.join("cluster");
            let started =
                Postgres::create(&self.template, &folder, &cluster, setup.postgres).await?;
            let mut port = started.port();
            if setup.proxy {
                let started = Proxy::start(port, self.rng(1).random()).await?;
                port = started.port();
                proxy = Some(started);
            }
            spec.database_url = Some(Postgres::url(port));
            if setup.standby {
                let folder = self.folder.join("standby");
                let made = started.make_standby(&self.template, &folder).await?;
                let url = Postgres::url(made.port());
                spec.environment.push(("VERBATIM_READ_DATABASE_URL".to_owned(), url));
                spec.arguments.extend(["--read-max-lag".to_owned(), "2s".to_owned()]);
                standby = Some(made);
            }
            server = Some(started);
        }
        if let Some(clock) = &setup.clock {
            spec.environment.extend(clock.environment());
        }
        let world = World {
            service: Service::new(&self.folder, spec)?,
            standby,
            postgres: server,
            proxy,
            cluster: setup.cluster,
            inbox: setup.inbox,
            clock: setup.clock,
            excuses: Mutex::default(),
            ledger: Arc::new(Ledger::new(self.rng(2).random())?),
            report: self.report.clone(),
            begin: self.begin,
        };
        world.service.start().await?;
        // The schema is there, and all is well.
        world.fresh_delivery().await.context("at the start")?;
        Ok(world)
    }

    /// What it came to so far.
    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A service in its surroundings.
#[derive(Debug)]
pub(crate) struct World {
    // Stopped in this order.
    pub(crate) service: Service,
    proxy: Option<Proxy>,
    standby: Option<Postgres>,
    postgres: Option<Postgres>,
    cluster: Option<SmallDisk>,
    inbox: Option<SmallDisk>,
    clock: Option<ServiceClock>,
    /// From when to when a delivery could be kept nowhere.
    excuses: Mutex<Vec<(Instant, Instant)>>,
    pub(crate) ledger: Arc<Ledger>,
    report: Arc<Mutex<Report>>,
    begin: Instant,
}

impl World {
    /// The suite's server.
    pub(crate) fn postgres(&self) -> anyhow::Result<&Postgres> {
        self.postgres.as_ref().context("this scenario has no server of the suite's")
    }

    /// The standby of it.
    pub(crate) fn standby(&self) -> anyhow::Result<&Postgres> {
        self.standby.as_ref().context("this scenario has no standby")
    }

    /// The way to it.
    pub(crate) fn proxy(&self) -> anyhow::Result<&Proxy> {
        self.proxy.as_ref().context("this scenario has no proxy")
    }

    /// The disk of the cluster.
    pub(crate) fn cluster_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.cluster.as_ref().context("the cluster has no disk of its own here")
    }

    /// The disk of the inbox.
    pub(crate) fn inbox_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.inbox.as_ref().context("the inbox has no disk of its own here")
    }

    /// The service's clock.
    pub(crate) fn clock(&self) -> anyhow::Result<&ServiceClock> {
        self.clock.as_ref().context("the service has no clock of its own here")
    }

    /// Since then the inbox may have refused deliveries. With Postgres away, too, that is a 503.
    pub(crate) fn excuse_since(&self, begin: Instant) {
        let mut excuses = self.excuses.lock().unwrap_or_else(PoisonError::into_inner);
        excuses.push((begin, Instant::now()));
    }

    /// Begins to send.
    pub(crate) fn load(&self, load: Load) -> Running {
        load.start(self.service.address, &self.ledger)
    }

    /// A while in which nothing happens.
    pub(crate) async fn calm(&self) {
        tokio::time::sleep(CALM).await;
    }

    /// Says what is being done to it, and when.
    pub(crate) fn fault(&self, what: &str) {
        self.report().faults += 1;
        self.tell(what);
    }

    /// Says what else happens.
    pub(crate) fn tell(&self, what: &str) {
        say(&format!("  {:7.2} s  {what}", self.begin.elapsed().as_secs_f64()));
    }

    /// A further figure, for the end.
    pub(crate) fn note(&self, what: String) {
        self.tell(&what);
        self.report().notes.push(what);
    }

    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until Postgres has everything; how long that took.
    pub(crate) async fn drained(&self) -> anyhow::Result<Duration> {
        self.drained_of(|inbox, _| inbox["deliveries"] == 0).await
    }

    /// Waits until Postgres has everything that has come until now, while the load goes on; how long
    /// that took. Under load there is hardly a moment at which nothing waits.
    pub(crate) async fn caught_up(&self) -> anyhow::Result<Duration> {
        let is_newer = |inbox: &serde_json::Value, waited: Duration| {
            let age = inbox["oldest_age_seconds"].as_f64();
            inbox["deliveries"] == 0 || age.is_some_and(|age| age < waited.as_secs_f64())
        };
        self.drained_of(is_newer).await
    }

    async fn drained_of(
        &self,
        is_drained: impl Fn(&serde_json::Value, Duration) -> bool,
    ) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let waited = begin.elapsed();
            let ready = self.service.json("/readyz").await.unwrap_or_default();
            if is_drained(&ready["inbox"], waited) && ready["postgres"]["reachable"] == true {
                return Ok(begin.elapsed());
            }
            ensure!(
                begin.elapsed() < DRAIN_MAX,
                "the inbox is not drained: {ready}\n{}",
                self.service.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the load, waits for the drain, and asks the oracle.
    pub(crate) async fn finish(&self, load: Running, expect: Expect) -> anyhow::Result<()> {
        load.stop().await;
        self.judge(expect).await
    }

    /// The same, where the load has ended already.
    pub(crate) async fn judge(&self, expect: Expect) -> anyhow::Result<()> {
        self.report().figures = self.ledger.figures();
        let drain = self.drained().await?;
        self.report().drain = Some(drain);
        let mut database = self.database().await?;
        let verdict = oracle::check(&mut database, &self.ledger).await?;
        {
            let mut report = self.report();
            (report.lost, report.doubled) = (verdict.lost, verdict.doubled);
            report.peak_memory = self.service.peak_memory();
        }
        verdict.hold()?;
        self.fresh_delivery().await?;
        // The fresh one is counted, too.
        oracle::check(&mut database, &self.ledger).await?.hold()?;
        let excuses = self.excuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hold_answers(&self.ledger.figures(), expect, &self.service.away(), &excuses)
    }

    /// A delivery goes in, and comes out by the API.
    pub(crate) async fn fresh_delivery(&self) -> anyhow::Result<()> {
        let (session_id, message) = loop {
            let delivery = self.ledger.next();
            let answered = async {
                let mut connection = Connection::open(self.service.address).await?;
                connection.exchange(&delivery.request()).await
            };
            let begin = Instant::now();
            let answered = answered.await;
            self.ledger.note(&delivery, begin, &answered);
            let answer = answered.map_err(|miss| anyhow::anyhow!("a fresh delivery: {miss:?}"))?;
            ensure!(answer.status == 200, "a fresh delivery was answered {}", answer.status);
            let Content { event, session_id, .. } = &delivery.content;
            if let (Event::Said { message, .. }, Some(session_id)) = (event, session_id) {
                break (session_id.clone(), message.clone());
            }
        };
        let path = format!("/v1/sessions/{session_id}/messages?limit=500");
        let deadline = Instant::now() + FRESH_MAX;
        loop {
            let page = self.service.json(&path).await.unwrap_or_default();
            let found = page["data"].as_array().is_some_and(|messages| {
                messages.iter().any(|one| one["message"].as_str() == Some(&message))
            });
            if found {
                self.drained().await?;
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the API does not show a fresh delivery: {page}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The database, past every proxy.
    pub(crate) async fn database(&self) -> anyhow::Result<PgConnection> {
        if let Some(server) = &self.postgres {
            return server.admin("verbatim").await;
        }
        let socket = self.service.data.join("postgres/socket");
        let options = PgConnectOptions::new_without_pgpass()
            .host(&socket.to_string_lossy())
            .username("verbatim")
            .database("verbatim");
        postgres::connect(&options).await
    }
}

/// From when to when.
type Span = (Instant, Instant);

fn hold_answers(
    figures: &Figures,
    expect: Expect,
    away: &[Span],
    excuses: &[Span],
) -> anyhow::Result<()> {
    ensure!(figures.answered > 0, "nothing was answered: there was nothing to lose");
    let odd: Vec<_> = figures.statuses.keys().filter(|&&status| status != 503).collect();
    ensure!(odd.is_empty(), "deliveries in good order were answered {odd:?}");
    if expect == Expect::AllAnswered {
        ensure!(
            figures.refused() == 0,
            "deliveries came to nothing: {:?} {:?}",
            figures.statuses,
            figures.misses
        );
        ensure!(figures.longest_stall < STALL_MAX, "answers stalled: {:?}", figures.longest_stall);
        return Ok(());
    }
    let is_excused = |one: &&Span| {
        away.iter().chain(excuses).any(|&(begin, end)| one.0 <= end && begin <= one.1)
    };
    let unexcused = figures.in_vain.iter().filter(|one| !is_excused(one)).count();
    ensure!(
        unexcused == 0,
        "{unexcused} attempts came to nothing while they could be kept: {:?} {:?}",
        figures.statuses,
        figures.misses
    );
    // Without an inbox an answer may wait for Postgres; and nothing is answered while the service
    // stops.
    let is_prompt = !excuses.is_empty() || figures.longest_stall < PATIENCE + LAST_DRAIN;
    ensure!(is_prompt, "answers stalled: {:?}", figures.longest_stall);
    Ok(())
}
