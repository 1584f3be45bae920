//! `verbatim analytics rebuild`: computes the facts behind all figures again, or checks them.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;

use crate::config::{ServeArgs, Settings};
use crate::jobs::facts::{Rebuilt, compare, rebuild};
use crate::postgres::Database;
use crate::store::facts::{CheckReport, FactRules};

/// Limit on the sessions of each kind that a report names.
const MAX_NAMED: usize = 20;
/// Error if the settings differ from the service's.
const OTHER_RULES: &str = "figures were computed with other visit gaps or roles: use the settings of the service, or \
     start the service once with these";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute all figures again, while the service runs
    ///
    /// Figures can be read meanwhile, and are replaced session by session.
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
    // Stops a server that was started for this, even after an error.
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
    for (fault, ids) in [("differs", different), ("is gone", orphaned)] {
        for id in ids.iter().take(MAX_NAMED) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "session {id} {fault}");
        }
    }
    text
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn report_names_the_first_sessions_that_differ() {
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
        assert_eq!(text.matches(" differs\n").count(), MAX_NAMED);
        assert!(!report.is_clean());
    }
}
