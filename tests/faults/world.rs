//! The world of one scenario: a service, its Postgres, the network between them, and the ledger.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::balancer::Balancer;
use super::delivery::{Content, Event};
use super::http::{Connection, PATIENCE};
use super::ledger::{Figures, Ledger};
use super::load::{Load, Running};
use super::oracle;
use super::postgres::{self, Postgres, Template};
use super::print_line;
use super::proxy::Proxy;
use super::service::{Service, Spec};
use super::surroundings::{ServiceClock, SmallDisk};

/// Longest time until the inbox is empty after the last fault. The service closes a half-open
/// connection after a minute.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(150);
/// Longest time until the API shows a fresh delivery.
const FRESH_MAX: Duration = Duration::from_secs(40);
/// Limit for stalls during faults of Postgres. It is far above the time of an answer and far below
/// the length of a fault, so an answer that waits for Postgres exceeds it.
const STALL_MAX: Duration = Duration::from_secs(4);
/// Longest time that a stopping service waits for Postgres to store what is left.
const LAST_DRAIN: Duration = Duration::from_secs(10);
/// Length of the load before the first fault and after the last one.
const CALM: Duration = Duration::from_secs(2);

/// Options of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// Runs the short form.
    pub(crate) short: bool,
    /// Number of kills of the service.
    pub(crate) kills: Option<u32>,
    /// Length of faults, in seconds.
    pub(crate) hold: Option<u64>,
}

impl Options {
    /// Returns the value for the form that runs.
    pub(crate) fn choose<T>(&self, short: T, thorough: T) -> T {
        if self.short { short } else { thorough }
    }

    /// Returns the length of a fault: the option's, or that of the form that runs.
    pub(crate) fn hold(&self, short: u64, thorough: u64) -> Duration {
        Duration::from_secs(self.hold.unwrap_or(self.choose(short, thorough)))
    }
}

/// One run of one scenario.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) options: Options,
    /// Derived from the run's seed and the scenario's name, so that it is the same if the scenario
    /// runs alone.
    pub(crate) seed: u64,
    /// Folder of this scenario, deleted at the end.
    pub(crate) folder: PathBuf,
    pub(crate) template: Arc<Template>,
    report: Arc<Mutex<Report>>,
    begin: Instant,
}

/// Results of a scenario so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) figures: Figures,
    pub(crate) faults: usize,
    /// Faults of a mix that did not start, for instance because another was on.
    pub(crate) not_started: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// Time from the end of load and faults to an empty inbox.
    pub(crate) drain: Option<Duration>,
    /// Of the service, in bytes.
    pub(crate) peak_memory: u64,
    /// Further figures, as text.
    pub(crate) notes: Vec<String>,
}

/// Reports that this machine cannot run the scenario. It counts as skipped, never as passed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Skip(pub(crate) String);

/// Returns the error that ends a scenario that this machine cannot run.
pub(crate) fn skip(why: impl Into<String>) -> anyhow::Error {
    Skip(why.into()).into()
}

/// Surroundings that a scenario needs.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// The service runs its private PostgreSQL. Otherwise the suite runs one for it.
    pub(crate) private: bool,
    /// The service reaches Postgres through a [`Proxy`]; further ones do not.
    pub(crate) proxy: bool,
    /// Number of further services on the same database. A [`Balancer`] is before all of them.
    pub(crate) further_services: usize,
    /// The service reads from a streaming standby of the suite's server.
    pub(crate) standby: bool,
    /// Settings of the suite's server, `name=value`.
    pub(crate) postgres: &'static [&'static str],
    /// Disk for the cluster of the suite's server.
    pub(crate) cluster: Option<SmallDisk>,
    /// Disk for the inbox, mounted there.
    pub(crate) inbox: Option<SmallDisk>,
    /// Clock of the service.
    pub(crate) clock: Option<ServiceClock>,
    /// Arguments and environment of the service.
    pub(crate) service: Spec,
}

/// Requirements on the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Every attempt is answered 200 without a stall: the service and its inbox work.
    #[default]
    AllAnswered,
    /// Attempts may fail while the service is away, or while neither its inbox nor Postgres can
    /// store them, and at no other time. What was answered 200 must still be stored.
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

    /// Returns a random number generator for the trial's seed. Each `purpose` has another sequence.
    pub(crate) fn rng(&self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Builds a world, and starts the service in it.
    pub(crate) async fn world(&self, setup: Setup) -> anyhow::Result<World> {
        let mut spec = setup.service;
        let (mut server, mut proxy, mut standby, mut direct_url) = (None, None, None, None);
        if !setup.private {
            let folder = self.folder.join("postgres");
            let place = setup.cluster.as_ref().map_or(&folder, |disk| &disk.folder);
            let cluster = place.join("cluster");
            let started =
                Postgres::create(&self.template, &folder, &cluster, setup.postgres).await?;
            let mut port = started.port();
            direct_url = Some(Postgres::url(port));
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
        let mut others = Vec::new();
        for number in 0..setup.further_services {
            let folder = self.folder.join(format!("service-{}", number + 2));
            std::fs::create_dir(&folder)?;
            let spec = Spec { database_url: direct_url.clone(), data: None, ..spec.clone() };
            others.push(Service::new(&folder, spec)?);
        }
        let service = Service::new(&self.folder, spec)?;
        let addresses = std::iter::once(&service).chain(&others).map(|one| one.address);
        let balancer = match setup.further_services {
            0 => None,
            _ => Some(Balancer::start(addresses.collect()).await?),
        };
        let world = World {
            service,
            others,
            balancer,
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
        for service in world.services() {
            service.start().await?;
        }
        // The schema is there, and everything works.
        world.fresh_delivery().await.context("at the start")?;
        Ok(world)
    }

    /// Returns the results so far.
    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A service in its surroundings.
#[derive(Debug)]
pub(crate) struct World {
    // Stopped in this order.
    pub(crate) service: Service,
    others: Vec<Service>,
    balancer: Option<Balancer>,
    proxy: Option<Proxy>,
    standby: Option<Postgres>,
    postgres: Option<Postgres>,
    cluster: Option<SmallDisk>,
    inbox: Option<SmallDisk>,
    clock: Option<ServiceClock>,
    /// Times at which neither the inbox nor Postgres could store a delivery.
    excuses: Mutex<Vec<(Instant, Instant)>>,
    pub(crate) ledger: Arc<Ledger>,
    report: Arc<Mutex<Report>>,
    begin: Instant,
}

impl World {
    /// Returns the suite's server.
    pub(crate) fn postgres(&self) -> anyhow::Result<&Postgres> {
        self.postgres.as_ref().context("this scenario has no server of the suite's")
    }

    /// Returns the standby of the suite's server.
    pub(crate) fn standby(&self) -> anyhow::Result<&Postgres> {
        self.standby.as_ref().context("this scenario has no standby")
    }

    /// Returns the proxy between service and server.
    pub(crate) fn proxy(&self) -> anyhow::Result<&Proxy> {
        self.proxy.as_ref().context("this scenario has no proxy")
    }

    /// Returns the balancer before several services.
    pub(crate) fn balancer(&self) -> anyhow::Result<&Balancer> {
        self.balancer.as_ref().context("this scenario has one service")
    }

    /// Returns the services, without those that were killed for good.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.all_services().filter(|service| !service.is_retired())
    }

    fn all_services(&self) -> impl Iterator<Item = &Service> {
        std::iter::once(&self.service).chain(&self.others)
    }

    /// Returns the address for senders: the balancer's if there is one.
    fn address(&self) -> SocketAddr {
        self.balancer.as_ref().map_or(self.service.address, Balancer::address)
    }

    /// Returns the disk of the cluster.
    pub(crate) fn cluster_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.cluster.as_ref().context("this scenario has no disk for the cluster")
    }

    /// Returns the disk of the inbox.
    pub(crate) fn inbox_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.inbox.as_ref().context("this scenario has no disk for the inbox")
    }

    /// Returns the service's clock.
    pub(crate) fn clock(&self) -> anyhow::Result<&ServiceClock> {
        self.clock.as_ref().context("this scenario has no clock for the service")
    }

    /// Records that the inbox may have refused deliveries since `begin`. If Postgres is away as
    /// well, they are answered 503.
    pub(crate) fn excuse_since(&self, begin: Instant) {
        let mut excuses = self.excuses.lock().unwrap_or_else(PoisonError::into_inner);
        excuses.push((begin, Instant::now()));
    }

    /// Starts a load.
    pub(crate) fn load(&self, load: Load) -> Running {
        load.start(self.address(), &self.ledger)
    }

    /// Waits without a fault.
    pub(crate) async fn calm(&self) {
        tokio::time::sleep(CALM).await;
    }

    /// Counts a fault, and prints it with the time.
    pub(crate) fn fault(&self, what: &str) {
        self.report().faults += 1;
        self.log(what);
    }

    /// Prints a line with the time.
    pub(crate) fn log(&self, what: &str) {
        print_line(&format!("  {:7.2} s  {what}", self.begin.elapsed().as_secs_f64()));
    }

    /// Prints a further figure, and adds it to the report.
    pub(crate) fn add_note(&self, what: String) {
        self.log(&what);
        self.report().notes.push(what);
    }

    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until Postgres has everything, and returns the time that it took.
    pub(crate) async fn drained(&self) -> anyhow::Result<Duration> {
        self.drained_of(|inbox, _| inbox["deliveries"] == 0).await
    }

    /// Waits until Postgres has everything that arrived before the call, and returns the time that
    /// it took. Under load the inbox is rarely empty.
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
        for service in self.services() {
            loop {
                let waited = begin.elapsed();
                let ready = service.json("/readyz").await.unwrap_or_default();
                if is_drained(&ready["inbox"], waited) && ready["postgres"]["reachable"] == true {
                    break;
                }
                ensure!(
                    begin.elapsed() < DRAIN_MAX,
                    "the inbox is not drained: {ready}\n{}",
                    service.log_tail()
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(begin.elapsed())
    }

    /// Ends the load, waits for the drain, and runs the oracle.
    pub(crate) async fn finish(&self, load: Running, expect: Expect) -> anyhow::Result<()> {
        load.stop().await;
        self.judge(expect).await
    }

    /// Waits for the drain, and runs the oracle. The load has ended.
    pub(crate) async fn judge(&self, expect: Expect) -> anyhow::Result<()> {
        self.report().figures = self.ledger.figures();
        let drain = self.drained().await?;
        self.report().drain = Some(drain);
        let mut database = self.database().await?;
        let verdict = oracle::check(&mut database, &self.ledger).await?;
        {
            let mut report = self.report();
            (report.lost, report.doubled) = (verdict.lost, verdict.doubled);
            let peaks = self.all_services().map(Service::peak_memory);
            report.peak_memory = peaks.max().unwrap_or(0);
        }
        verdict.ensure_clean()?;
        self.fresh_delivery().await?;
        // Checks the fresh delivery, too.
        oracle::check(&mut database, &self.ledger).await?.ensure_clean()?;
        let excuses = self.excuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let away: Vec<Span> = self.all_services().flat_map(Service::away).collect();
        check_answers(&self.ledger.figures(), expect, &away, &excuses)
    }

    /// Sends a delivery, and waits until the API of each service shows it.
    pub(crate) async fn fresh_delivery(&self) -> anyhow::Result<()> {
        let (session_id, message) = loop {
            let delivery = self.ledger.next();
            let answered = async {
                let mut connection = Connection::open(self.address()).await?;
                connection.exchange(&delivery.request()).await
            };
            let begin = Instant::now();
            let answered = answered.await;
            self.ledger.record(&delivery, begin, &answered);
            let answer = answered.map_err(|miss| anyhow::anyhow!("a fresh delivery: {miss:?}"))?;
            ensure!(answer.status == 200, "a fresh delivery was answered {}", answer.status);
            let Content { event, session_id, .. } = &delivery.content;
            if let (Event::Message { message, .. }, Some(session_id)) = (event, session_id) {
                break (session_id.clone(), message.clone());
            }
        };
        let path = format!("/v1/sessions/{session_id}/messages?limit=500");
        let deadline = Instant::now() + FRESH_MAX;
        for service in self.services() {
            loop {
                let page = service.json(&path).await.unwrap_or_default();
                let found = page["data"].as_array().is_some_and(|messages| {
                    messages.iter().any(|one| one["message"].as_str() == Some(&message))
                });
                if found {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "the API does not show a fresh delivery: {page}"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.drained().await.map(drop)
    }

    /// Connects to the database, without the proxy.
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

/// Begin and end of a time.
type Span = (Instant, Instant);

fn check_answers(
    figures: &Figures,
    expect: Expect,
    away: &[Span],
    excuses: &[Span],
) -> anyhow::Result<()> {
    ensure!(figures.answered > 0, "nothing was answered");
    let odd: Vec<_> = figures.statuses.keys().filter(|&&status| status != 503).collect();
    ensure!(odd.is_empty(), "correct deliveries were answered {odd:?}");
    if expect == Expect::AllAnswered {
        ensure!(
            figures.refused() == 0,
            "deliveries failed: {:?} {:?}",
            figures.statuses,
            figures.misses
        );
        ensure!(figures.longest_stall < STALL_MAX, "answers stalled: {:?}", figures.longest_stall);
        return Ok(());
    }
    let is_excused = |one: &&Span| {
        away.iter().chain(excuses).any(|&(begin, end)| one.0 <= end && begin <= one.1)
    };
    let unexcused = figures.failed.iter().filter(|one| !is_excused(one)).count();
    ensure!(
        unexcused == 0,
        "{unexcused} attempts failed without an excuse: {:?} {:?}",
        figures.statuses,
        figures.misses
    );
    // Without an inbox an answer may wait for Postgres. While the service stops, nothing is
    // answered.
    let is_prompt = !excuses.is_empty() || figures.longest_stall < PATIENCE + LAST_DRAIN;
    ensure!(is_prompt, "answers stalled: {:?}", figures.longest_stall);
    Ok(())
}
