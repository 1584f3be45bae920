//! All scenarios, a line each.
//!
//! A scenario is an `async fn(&Trial) -> anyhow::Result<()>`: it asks the trial for a world
//! ([`Trial::world`]), puts load on it ([`World::load`](crate::world::World::load)), does its
//! worst, puts things right, and ends with [`World::finish`](crate::world::World::finish), which
//! waits for the drain and asks the oracle. It says what it does with `World::fault`, and returns
//! [`skip`](crate::world::skip) where this machine cannot run it. Random numbers come from
//! [`Trial::rng`], so that a seed repeats them.
//!
//! A fault that is set on, lasts, and is put right is a line in [`faults`](crate::faults) instead,
//! and a scenario by `held!`.

pub(crate) mod clients;
mod clock;
pub(crate) mod database;
pub(crate) mod disk;
mod oracle;
mod service;
mod standby;
mod upgrade;

use std::pin::Pin;

use crate::faults;
use crate::world::Trial;

pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// A scenario by its name.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Part of the short form.
    pub(crate) quick: bool,
    pub(crate) run: for<'a> fn(&'a Trial) -> Outcome<'a>,
}

/// `scenario!(name, what it does, function)`.
macro_rules! scenario {
    ($name:literal, $about:literal, $function:path) => {
        Scenario {
            name: $name,
            about: $about,
            quick: false,
            run: |trial| Box::pin($function(trial)),
        }
    };
}

/// `held!(name of a fault, what it does)`.
macro_rules! held {
    ($name:literal, $about:literal) => {
        Scenario {
            name: $name,
            about: $about,
            quick: false,
            run: |trial| Box::pin(faults::hold(trial, $name)),
        }
    };
}

/// In the order in which they run.
#[rustfmt::skip]
pub(crate) const ALL: &[Scenario] = &[
    scenario!("oracle", "the oracle itself: it finds what the suite has broken", oracle::finds).quick(),
    scenario!("kill", "kill -9 of the service, again and again", service::kill).quick(),
    scenario!("kill-both", "kill -9 of the service and of its private PostgreSQL at once", service::kill_both),
    held!("kill-postmaster", "kill -9 of the postmaster"),
    held!("postgres-stop", "every process of Postgres is held still (SIGSTOP)").quick(),
    held!("postgres-restart", "Postgres is restarted, again and again"),
    held!("postgres-refuses", "Postgres is stopped, and connections are refused"),
    held!("connections-exhausted", "others have taken every connection"),
    held!("recovery", "Postgres is in recovery: a standby, until it is promoted"),
    held!("read-only", "Postgres takes no writes (25006)").quick(),
    held!("table-locked", "somebody else has locked a table"),
    held!("statement-timeout", "Postgres gives each statement a millisecond"),
    scenario!("deadlock", "deadlocks, forced from outside upon the drain", database::deadlock),
    scenario!("postgres-disk-full", "the disk of the database is full", database::disk_full),
    held!("net-delay", "the network to Postgres takes 300 ms each way"),
    held!("net-cut", "the network to Postgres is cut"),
    held!("net-half-open", "the network to Postgres swallows everything"),
    scenario!("start-half-open", "the service starts while the network swallows everything", service::start_half_open),
    held!("net-cut-after-commit", "connections are cut between COMMIT and its reply").quick(),
    scenario!("standby", "the standby that answers are read from is stopped, killed, held still, lags, and is promoted", standby::standby).quick(),
    scenario!("inbox-disk-full", "the disk of the inbox is full", disk::full),
    scenario!("inbox-read-only", "the disk of the inbox takes no writes: from the start, and by an error", disk::read_only),
    scenario!("inbox-sync-fails", "the disk of the inbox fails its syncs (EIO)", disk::sync_fails),
    scenario!("inbox-truncated", "the inbox's file has lost its end", disk::truncated).quick(),
    scenario!("inbox-noise", "noise in the inbox's file", disk::noise).quick(),
    scenario!("inbox-noise-log", "noise in the log of the inbox's file", disk::noise_in_log).quick(),
    scenario!("inbox-older-version", "an inbox's file of the first layout, and one of a newer", disk::older_version).quick(),
    scenario!("power-cut", "the inbox's disk loses power, again and again", disk::power_cut),
    scenario!("clock-jump", "the service's clock jumps, forward and back", clock::jump),
    scenario!("slow-bodies", "bodies that come byte by byte, and some that never end", clients::slow_bodies),
    scenario!("half-bodies", "clients that go away in the middle of a body", clients::half_bodies).quick(),
    scenario!("disconnect", "clients that go away before the answer", clients::disconnect).quick(),
    scenario!("idle-connections", "5,000 connections that say nothing", clients::idle_connections),
    scenario!("pipelined", "many requests in one write", clients::pipelined).quick(),
    scenario!("wrong-length", "bodies longer and shorter than their head says", clients::wrong_length).quick(),
    scenario!("flood", "20,000 wrong signatures from elsewhere", clients::flood).quick(),
    scenario!("rolling-restart", "restarts under load, the socket held by another (LISTEN_FDS)", service::rolling_restart),
    scenario!("postgres-files-replaced", "the private PostgreSQL's files are upgraded while it runs", upgrade::files_replaced),
    scenario!("postgres-major-version", "the private PostgreSQL moves to another major version, and the service is killed meanwhile", upgrade::major_version),
    scenario!("outage", "Postgres is away for minutes at 500 deliveries a second", database::outage),
];

impl Scenario {
    /// It is part of the short form, too: it takes a few seconds and needs nothing of the machine.
    const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }
}
