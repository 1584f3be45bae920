//! All scenarios, one a line.
//!
//! A scenario is an `async fn(&Trial) -> anyhow::Result<()>`. It builds a world ([`Trial::world`]),
//! starts a load ([`World::load`](crate::world::World::load)), injects faults, removes them, and
//! ends with [`World::finish`](crate::world::World::finish), which waits for the drain and runs the
//! oracle. It prints each fault with `World::fault`, and returns [`skip`](crate::world::skip) if
//! this machine cannot run it. Random numbers come from [`Trial::rng`], so that a seed repeats
//! them.
//!
//! A fault that is set on, lasts, and is removed is a line in [`faults`](crate::faults) instead,
//! and a scenario by `lasting!`.

pub(crate) mod clients;
mod clock;
pub(crate) mod database;
pub(crate) mod disk;
mod oracle;
mod service;
mod services;
mod standby;
mod upgrade;

use std::pin::Pin;

use crate::faults;
use crate::world::Trial;

pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// A scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Part of the short form.
    pub(crate) quick: bool,
    pub(crate) run: for<'a> fn(&'a Trial) -> Outcome<'a>,
}

/// `scenario!(name, description, function)`.
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

/// `lasting!(name of a fault, description)`.
macro_rules! lasting {
    ($name:literal, $about:literal) => {
        Scenario {
            name: $name,
            about: $about,
            quick: false,
            run: |trial| Box::pin(faults::run_scenario(trial, $name)),
        }
    };
}

/// All scenarios, in the order in which they run.
#[rustfmt::skip]
pub(crate) const ALL: &[Scenario] = &[
    scenario!("oracle", "the oracle finds what the suite has broken", oracle::finds).quick(),
    scenario!("kill", "kill -9 of the service, repeated", service::kill).quick(),
    scenario!("kill-both", "kill -9 of the service and of its private PostgreSQL at once", service::kill_both),
    lasting!("kill-postmaster", "kill -9 of the postmaster"),
    lasting!("postgres-stop", "every process of Postgres is stopped (SIGSTOP)").quick(),
    lasting!("postgres-restart", "Postgres is restarted, repeated"),
    lasting!("postgres-refuses", "Postgres is stopped, and connections are refused"),
    lasting!("connections-exhausted", "other clients use every connection"),
    lasting!("recovery", "Postgres is in recovery: a standby, until it is promoted"),
    lasting!("read-only", "Postgres is read-only (25006)").quick(),
    lasting!("table-locked", "another session has locked a table"),
    lasting!("statement-timeout", "Postgres cancels each statement after a millisecond"),
    scenario!("deadlock", "deadlocks of the drain with another session", database::deadlock),
    scenario!("postgres-disk-full", "the disk of the database is full", database::disk_full),
    lasting!("net-delay", "the network to Postgres delays 300 ms each way"),
    lasting!("net-cut", "the network to Postgres is cut"),
    lasting!("net-half-open", "the network to Postgres drops everything"),
    scenario!("start-half-open", "the service starts while the network drops everything", service::start_half_open),
    lasting!("net-cut-after-commit", "connections are cut between COMMIT and its reply").quick(),
    scenario!("standby", "the standby for reads is stopped, killed, paused, lags, and is promoted", standby::standby).quick(),
    scenario!("inbox-disk-full", "the disk of the inbox is full", disk::full),
    scenario!("inbox-read-only", "the disk of the inbox is read-only: from the start, and by an error", disk::read_only),
    scenario!("inbox-sync-fails", "the disk of the inbox fails its syncs (EIO)", disk::sync_fails),
    scenario!("inbox-truncated", "the inbox's file has lost its end", disk::truncated).quick(),
    scenario!("inbox-noise", "noise in the inbox's file", disk::noise).quick(),
    scenario!("inbox-noise-log", "noise in the log of the inbox's file", disk::noise_in_log).quick(),
    scenario!("inbox-older-version", "an inbox's file of the first layout, and one of a newer", disk::older_version).quick(),
    scenario!("power-cut", "the inbox's disk loses power, repeated", disk::power_cut),
    scenario!("clock-jump", "the service's clock jumps, forward and back", clock::jump),
    scenario!("slow-bodies", "bodies that arrive byte by byte, and some that never end", clients::slow_bodies),
    scenario!("half-bodies", "clients that disconnect in the middle of a body", clients::half_bodies).quick(),
    scenario!("disconnect", "clients that disconnect before the answer", clients::disconnect).quick(),
    scenario!("idle-connections", "5,000 idle connections", clients::idle_connections),
    scenario!("pipelined", "many requests in one write", clients::pipelined).quick(),
    scenario!("wrong-length", "bodies longer and shorter than their Content-Length", clients::wrong_length).quick(),
    scenario!("flood", "20,000 wrong signatures from another address", clients::flood).quick(),
    scenario!("rolling-restart", "restarts under load, the socket held by another process (LISTEN_FDS)", service::rolling_restart),
    scenario!("services-kill", "kill -9 and restarts of any of three services behind a balancer", services::kill),
    scenario!("services-partition", "one of three services is cut off from Postgres, and killed meanwhile", services::partition),
    scenario!("services-orphan", "one of three services is gone, and its inbox is drained by a command", services::orphan).quick(),
    scenario!("postgres-files-replaced", "the private PostgreSQL's files are upgraded while it runs", upgrade::files_replaced),
    scenario!("postgres-major-version", "the private PostgreSQL moves to another major version, and the service is killed meanwhile", upgrade::major_version),
    scenario!("outage", "Postgres is away for minutes at 500 deliveries a second", database::outage),
];

impl Scenario {
    /// Adds it to the short form: it needs a few seconds and no special surroundings.
    const fn quick(self) -> Self {
        Self { quick: true, ..self }
    }
}
