//! `verbatim analytics rebuild`: computes the facts behind all figures anew, or checks them.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;

use crate::config::{ServeArgs, Settings};
use crate::jobs::facts::{Rebuilt, compare, rebuild};
use crate::postgres::Database;
use crate::store::facts::{CheckReport, FactRules};

/// Sessions of each kind that a report names.
const MOST_NAMED: usize = 20;
/// What to do where the command and the service have other settings.
const OTHER_RULES: &str = "figures are kept under other visit gaps or roles: give this command the settings of the \
     service, or start the service once with these";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute all figures anew, while the service runs
    ///
    /// Nothing has to be stopped: figures stay readable, and are replaced session by session.
    Rebuild(Box<RebuildArgs>),
}

#[derive(Debug, clap::Args)]
struct RebuildArgs {
    /// Report differences and change nothing; the exit status is 1 if there are any
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Rebuild(args) = args.command;
    let settings = Settings::resolve(args.serve)?;
    let rules = FactRules::of(&settings.visit_gaps, &settings.roles);
    let database = Database::attach(&settings.database).await?;
    let worked = work(&database, &rules, args.check).await;
    // A server that was started for this is stopped whatever became of it.
    let stopped = database.stop().await;
    let (text, code) = worked?;
    stopped?;
    print(&text);
    Ok(code)
}

async fn work(
    database: &Database,
    rules: &FactRules,
    only_check: bool,
) -> anyhow::Result<(String, ExitCode)> {
    let connector = database.connector();
    if only_check {
        let report = compare(connector, rules).await?;
        if !report.same_rules {
            bail!(OTHER_RULES);
        }
        let code = if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        return Ok((describe(&report), code));
    }
    match rebuild(connector, rules).await? {
        Rebuilt::OtherRules => bail!(OTHER_RULES),
        Rebuilt::Sessions(sessions) => {
            Ok((format!("sessions rebuilt: {sessions}\n"), ExitCode::SUCCESS))
        }
    }
}

fn describe(report: &CheckReport) -> String {
    let CheckReport { sessions, pending, different, orphaned, wrong_sums, .. } = report;
    let mut text = format!(
        "sessions compared: {sessions}\nsessions not yet reflected: {pending}\n\
         sessions that differ: {}\nsessions that are gone: {}\nsums that differ: {wrong_sums}\n",
        different.len(),
        orphaned.len(),
    );
    for (what, ids) in [("differs", different), ("is gone", orphaned)] {
        for id in ids.iter().take(MOST_NAMED) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "session {id} {what}");
        }
    }
    text
}

#[expect(clippy::print_stdout, reason = "the answer to the person who asked")]
fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_report_names_the_first_sessions_that_differ() {
        let different = (1..=30).map(Uuid::from_u128).collect();
        let report = CheckReport {
            same_rules: true,
            sessions: 40,
            pending: 2,
            different,
            orphaned: Vec::new(),
            wrong_sums: 0,
        };
        let text = describe(&report);
        assert!(text.starts_with("sessions compared: 40\nsessions not yet reflected: 2\n"));
        assert!(text.contains("\nsessions that differ: 30\n"), "{text}");
        assert_eq!(text.matches(" differs\n").count(), MOST_NAMED);
        assert!(!report.is_clean());
    }
}
