//! `verbatim retention`: deletes expired rows now, as the job of a running service does later, or
//! only counts them.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::clock::Clock;
use crate::config::{RetentionRules, ServeArgs, Settings};
use crate::jobs::retention;
use crate::postgres::{Database, read_pool};
use crate::store::Store;
use crate::store::retention::ExpiredRows;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Count expired rows, and delete nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(args.serve)?;
    let database = Database::attach(&settings.database).await?;
    let pool = read_pool(database.connector());
    let worked = work(
        &Store::new(pool.clone()).with_roles(settings.roles.clone()),
        &settings.keep,
        args.dry_run,
    )
    .await;
    // A private server that was started for this stops only when its connections are closed.
    pool.close().await;
    let stopped = database.stop().await;
    print(worked?.trim_end());
    stopped?;
    Ok(ExitCode::SUCCESS)
}

async fn work(store: &Store, keep: &RetentionRules, dry_run: bool) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let old = retention::plan::plan(store, now, keep).await?;
    let mut text = table(&old);
    if !dry_run {
        let gone = retention::run_once(store, now, keep).await?;
        text.push('\n');
        for (table, rows) in &gone.rows.0 {
            let _ = writeln!(text, "{table}: {rows} deleted");
        }
        let log = gone.log;
        let _ = writeln!(
            text,
            "log of deliveries: {} days and {} rows of the default partition deleted",
            log.days, log.strays
        );
        if log.quarantined_kept > 0 {
            let _ = writeln!(text, "kept in quarantine or by a hold: {}", log.quarantined_kept);
        }
        if gone.is_elsewhere {
            let _ = writeln!(text, "a service is deleting expired rows: run this again later");
        }
    }
    Ok(text)
}

/// Formats the expired rows, one line per table and source.
fn table(old: &[ExpiredRows]) -> String {
    if old.is_empty() {
        return "No rows have expired.\n".into();
    }
    let mut text = format!("{:<12}{:<24}{:>14}\n", "TABLE", "SOURCE", "EXPIRED");
    for ExpiredRows { table, source, rows } in old {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{table:<12}{source:<24}{rows:>14}");
    }
    text
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_rows_have_a_line_per_table_and_source() {
        let old = ExpiredRows { table: "messages", source: "kiosk".into(), rows: 1_200 };
        let text = table(&[old]);
        assert!(text.ends_with("messages    kiosk                             1200\n"), "{text}");
        assert_eq!(table(&[]), "No rows have expired.\n");
    }
}
