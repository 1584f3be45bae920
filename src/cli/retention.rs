//! `verbatim retention`: drops now what the job of a running service would drop by and by, or says
//! what that would be.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::clock::Clock;
use crate::config::{Keep, ServeArgs, Settings};
use crate::jobs::retention;
use crate::postgres::{Database, read_pool};
use crate::store::Store;
use crate::store::old::Old;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say what would go, and drop nothing
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
    // A private server that was started for this waits for its connections to close.
    pool.close().await;
    let stopped = database.stop().await;
    say(worked?.trim_end());
    stopped?;
    Ok(ExitCode::SUCCESS)
}

async fn work(store: &Store, keep: &Keep, dry_run: bool) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let old = retention::plan::plan(store, now, keep).await?;
    let mut text = table(&old);
    if !dry_run {
        let gone = retention::run_once(store, now, keep).await?;
        text.push('\n');
        for (table, rows) in &gone.rows.0 {
            let _ = writeln!(text, "{table}: {rows} gone");
        }
        let log = gone.log;
        let _ =
            writeln!(text, "log of deliveries: {} days and {} strays gone", log.days, log.strays);
        if log.quarantined_kept > 0 {
            let _ = writeln!(text, "in quarantine or held, and kept: {}", log.quarantined_kept);
        }
    }
    Ok(text)
}

/// What is over age, a line a table and source.
fn table(old: &[Old]) -> String {
    if old.is_empty() {
        return "Nothing is over age.\n".into();
    }
    let mut text = format!("{:<12}{:<24}{:>14}\n", "TABLE", "SOURCE", "OVER AGE");
    for one in old {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<12}{:<24}{:>14}", one.table, one.source, one.rows);
    }
    text
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_a_table_and_source() {
        let old = Old { table: "messages", source: "kiosk".into(), rows: 1_200 };
        let text = table(&[old]);
        assert!(text.ends_with("messages    kiosk                             1200\n"), "{text}");
        assert_eq!(table(&[]), "Nothing is over age.\n");
    }
}
