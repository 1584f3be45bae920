//! `verbatim doctor`: checks everything that the service needs, and prints a remedy for each fault.
//! It changes nothing. Each kind of check has a file.

mod clock;
mod configuration;
mod database;
mod deliveries;
mod disk;
mod inbox;
mod replica;
mod report;
mod service;
mod time_limit;

use std::process::ExitCode;

use crate::clock::Clock;
use crate::config::{ServeArgs, Settings};
use report::{Area, Report, chain};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    examine(args.serve, &Clock::system(), &mut report).await;
    let text = if args.json { report.json() } else { report.text() };
    #[expect(clippy::print_stdout, reason = "the output of the command")]
    {
        println!("{text}");
    }
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(args: ServeArgs, clock: &Clock, report: &mut Report) {
    let config_file = args.database.config.clone();
    let settings = match Settings::resolve(args) {
        Ok(settings) => settings,
        Err(error) => {
            report.fail(
                Area::Configuration,
                "settings",
                chain(&*error),
                "`serve` does not start with these, and nothing else was checked: correct this \
                 first, and run doctor again",
            );
            return;
        }
    };
    configuration::check(&settings, report);
    let running = service::check(&settings, report).await;
    let database = database::check(&settings, clock, report).await;
    replica::check(&settings, report).await;
    inbox::check(&settings, clock, running.is_some(), report).await;
    disk::check(&settings, config_file.as_deref(), report);
    clock::check(database.as_ref(), report).await;
    if let Some(database) = database {
        deliveries::check(&database, clock, report).await;
        database.close().await;
    }
}
