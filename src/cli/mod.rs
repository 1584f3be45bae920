//! The command line: one file per command.

mod alerts;
mod analytics;
mod api_key;
mod completions;
mod doctor;
mod drain;
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

/// Stores every conversation of your bitHuman agents, word for word
#[derive(Debug, Parser)]
#[command(name = "verbatim", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: webhook, API, web page, background jobs
    Serve(Box<ServeArgs>),
    /// Print a one-time link that signs a browser in to the page, and open it on a desktop
    Open(Box<open::Args>),
    /// Migrate the database's schema
    Migrate(DatabaseArgs),
    /// Check everything that the service needs, and print a remedy for each fault
    ///
    /// Changes nothing. The exit status is 1 if a check failed.
    Doctor(Box<doctor::Args>),
    /// Check whether a service on this machine stores deliveries, for containers
    ///
    /// Prints the body of `GET /readyz`. The exit status is 1 if the answer is not 200, or does not
    /// arrive in time.
    Healthcheck(Box<healthcheck::Args>),
    /// Write the inbox of a data folder to Postgres, without a service
    ///
    /// For a folder whose service is gone: the machine that has its disk needs no service. Deliveries
    /// that Postgres has already are not stored again. Use the database and the account of the
    /// service. A folder with a private database needs no URL: its server runs meanwhile.
    ///
    /// Waits for Postgres, and stops when the inbox is empty. After an interruption, run the same
    /// command again. The exit status is 1 if anything is left.
    Drain(Box<drain::Args>),
    /// Create, list and revoke API keys
    Keys(keys::Args),
    /// List alerts, and test their receivers
    Alerts(alerts::Args),
    /// Create, list and drop database roles that read figures with SQL
    Readers(readers::Args),
    /// Compute figures again, or check them
    Analytics(analytics::Args),
    /// Delete expired rows now, or count them
    Retention(Box<retention::Args>),
    /// Export messages or sessions to a file: JSON lines, CSV or Parquet
    Export(Box<export::Args>),
    /// Import deliveries from files of JSON lines, through the webhook of a running service
    ///
    /// Each line is a delivery: the body as bitHuman posted it, in any generation of its contract,
    /// or the JSON of `GET /v1/deliveries/{id}`. Files may be compressed with gzip or zstd.
    ///
    /// A delivery that is already stored is not stored again, so there is nothing to resume: after
    /// an interruption, run the same command again. Duplicates are recognized by their exact bytes.
    /// Erased messages are not restored. A message without a time gets the time of the import.
    ///
    /// The exit status is 1 if a line was not stored.
    Import(Box<import::Args>),
    /// Send realistic, signed conversations, as bitHuman does
    Simulate(simulate::Args),
    /// Check that every delivery of a ledger is stored exactly once
    Verify(verify::Args),
    /// Move the private database to another major version of PostgreSQL
    ///
    /// Creates a new cluster beside the old one, copies table by table, and compares rows and
    /// digests. Then the new cluster replaces the old one, which is kept until --remove-old. Only
    /// the servers of both versions must be installed.
    ///
    /// A running service does the work itself. Meanwhile it accepts deliveries, which wait in the
    /// inbox, and answers reads. If no service runs, the command does the work. After an
    /// interruption, the next start of the service continues, or the same command.
    UpgradePostgres(upgrade_postgres::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Write manual pages to a folder
    #[command(hide = true)]
    Manual(manual::Args),
}

/// Trims every environment variable, and ignores those that are empty then: `${X:-}` in a compose
/// file sets an empty variable, and one that was read from a file ends with a line break.
fn trim_variables(command: clap::Command) -> clap::Command {
    command.mut_args(trim_variable).mut_subcommands(trim_variables)
}

fn trim_variable(arg: Arg) -> Arg {
    let value = arg.get_env().and_then(std::env::var_os);
    let Some(value) = value.as_deref().and_then(config::tidied) else { return arg };
    let arg = arg.env(Resettable::<OsStr>::Reset);
    if value.is_empty() { arg } else { arg.default_value(value).hide_default_value(true) }
}

impl Cli {
    /// Parses the command line and the environment. Exits the process if they are not of this form,
    /// and returns an error if the value of a setting is invalid.
    pub fn read() -> anyhow::Result<Self> {
        let matches = trim_variables(Self::command()).try_get_matches();
        let cli = matches.and_then(|matches| Self::from_arg_matches(&matches));
        cli.map_err(|error| config::rejected(&error).unwrap_or_else(|| error.exit()))
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
                Command::Drain(args) => drain::run(*args).await,
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
                Command::Completions(args) => completions::run(&args, Self::command()),
                Command::Manual(args) => manual::run(&args, Self::command()),
            }
        })
    }
}
