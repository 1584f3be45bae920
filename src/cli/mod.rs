//! The command line: one command a file.

mod alerts;
mod analytics;
mod api_key;
mod completions;
mod doctor;
mod export;
mod healthcheck;
mod http;
mod import;
mod keys;
mod manual;
mod migrate;
mod open;
mod readers;
mod retention;
mod sender;
mod serve;
mod simulate;
mod stop;
mod upgrade_postgres;
mod verify;

use std::process::ExitCode;

use clap::builder::{OsStr, Resettable};
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{self, DatabaseArgs, LogFormat, ServeArgs};

/// Keeps every conversation that a bitHuman agent has, word for word, and gives it back
#[derive(Debug, Parser)]
#[command(name = "verbatim", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything: webhook, API, web page, background jobs
    Serve(Box<ServeArgs>),
    /// Print a one-time link that signs a browser in to the page, and open it on a desktop
    Open(Box<open::Args>),
    /// Bring the database's schema up to date
    Migrate(DatabaseArgs),
    /// Look at everything that a service needs, and say what to do about each fault
    Doctor(Box<doctor::Args>),
    /// Ask a service on this machine whether it takes deliveries, for containers
    ///
    /// Prints what `GET /readyz` answers. The exit status is 1 if that is not 200, or if nothing answers in
    /// time.
    Healthcheck(Box<healthcheck::Args>),
    /// Make, list and revoke API keys
    Keys(keys::Args),
    /// List alerts, and try their receivers
    Alerts(alerts::Args),
    /// Create, list and drop database roles that may read figures with SQL
    Readers(readers::Args),
    /// Compute figures anew, or check them
    Analytics(analytics::Args),
    /// Drop now what is over age, or say what would go
    Retention(Box<retention::Args>),
    /// Bring conversations out: messages or sessions, as JSON lines, CSV or Parquet
    Export(Box<export::Args>),
    /// Bring deliveries in from files of JSON lines, through the webhook of a running service
    ///
    /// A line is a delivery: the body as bitHuman posted it, in any generation of its contract, or
    /// what `GET /v1/deliveries/{id}` gives. Files may be compressed with gzip or zstd.
    ///
    /// Lines go in as new deliveries do, and what is there already is not stored again, so there is
    /// nothing to resume: after a run that was cut short, give the same command once more. A repeat
    /// is known by its exact bytes. What was erased does not come back. What has no time of its own
    /// counts as said when it is imported.
    ///
    /// The exit status is 1 where a line was not taken.
    Import(Box<import::Args>),
    /// Play the sender: realistic conversations, signed
    Simulate(simulate::Args),
    /// Read back that every delivery of a ledger is there exactly once
    Verify(verify::Args),
    /// Move the private database to another major version of PostgreSQL
    ///
    /// A new cluster is made beside the old one and filled table by table; rows and digests are compared.
    /// Then it takes the old one's place, which is kept until --remove-old. Both versions' servers must
    /// be installed; nothing else of theirs is needed.
    ///
    /// A service that runs does the work itself: it takes deliveries meanwhile, which wait in the inbox,
    /// and goes on reading. Where none runs, the command does it. What was cut short goes on with the
    /// next start of the service, or the same command.
    UpgradePostgres(upgrade_postgres::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
    /// Write the manual pages to a folder
    #[command(hide = true)]
    Manual(manual::Args),
}

/// Has every variable of the environment count without the white space around it, and not at all
/// where nothing is left: `${X:-}` of a compose file sets what nobody meant to set, and a file that
/// became a variable ends with a line break.
fn tidy(command: clap::Command) -> clap::Command {
    command.mut_args(tidy_variable).mut_subcommands(tidy)
}

fn tidy_variable(arg: Arg) -> Arg {
    let value = arg.get_env().and_then(std::env::var_os);
    let Some(value) = value.as_deref().and_then(config::tidied) else { return arg };
    let arg = arg.env(Resettable::<OsStr>::Reset);
    if value.is_empty() { arg } else { arg.default_value(value).hide_default_value(true) }
}

impl Cli {
    /// From the command line and the environment; ends the process where they make no sense.
    #[must_use]
    pub fn read() -> Self {
        let matches = tidy(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Runs the command to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self.command {
                Command::Serve(args) => serve::run(*args).await,
                Command::Migrate(args) => {
                    crate::telemetry::init(LogFormat::Pretty);
                    migrate::run(args).await
                }
                Command::Doctor(args) => doctor::run(*args).await,
                Command::Alerts(args) => alerts::run(args).await,
                Command::Analytics(args) => analytics::run(args).await,
                Command::Retention(args) => retention::run(*args).await,
                Command::Export(args) => export::run(*args).await,
                Command::Import(args) => import::run(*args).await,
                Command::Healthcheck(args) => healthcheck::run(*args).await,
                Command::Keys(args) => keys::run(args).await,
                Command::Open(args) => open::run(*args).await,
                Command::Readers(args) => readers::run(args).await,
                Command::Simulate(args) => simulate::run(args).await,
                Command::UpgradePostgres(args) => upgrade_postgres::run(args).await,
                Command::Verify(args) => verify::run(args).await,
                Command::Completions(args) => completions::run(&args),
                Command::Manual(args) => manual::run(&args),
            }
        })
    }
}
