//! `verbatim drain`: writes the inbox of a data folder to Postgres without a service, for a folder
//! whose service is gone for good.
//!
//! It uses the lock, the inbox and the drain's worker of `serve`. It listens on no port, runs no
//! background job, and does not migrate the schema.

mod emptying;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::stop;
use crate::config::{DatabaseArgs, DatabaseSettings, Listed, LogFormat, assistant_roles};
use crate::domain::Roles;
use crate::inbox;
use crate::postgres::Database;
use crate::telemetry;
use emptying::{Emptying, End, Limits};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Give up when Postgres has stored nothing for this time [default: wait without a limit]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Roles that mark a message as the assistant's, comma-separated, as for `serve`
    /// [default: agent,ai,avatar,bot,chatbot,model]
    #[arg(long, env = "VERBATIM_ASSISTANT_ROLES", value_name = "WORDS")]
    assistant_roles: Option<Listed<Roles>>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = DatabaseSettings::resolve(&args.database)?;
    let roles = assistant_roles(&args.database, args.assistant_roles)?;
    let file = settings.inbox_file();
    let is_there = inbox::exists(&file);
    ensure!(
        is_there.with_context(|| format!("cannot read {}", file.display()))?,
        "{} has no inbox: name the data folder of a service with --data-dir",
        settings.data_dir.display()
    );
    telemetry::init(LogFormat::Pretty);
    let stop = CancellationToken::new();
    stop::on_signals(&stop)?;
    let progress = progress_bar()?;
    let database = Database::open_to_drain(&settings).await?;
    let emptied = async {
        let limits = Limits { stop, timeout: args.timeout };
        let emptying = Emptying::open(&file, limits, progress.clone()).await?;
        let end = emptying.run(&database, roles).await;
        let rest = emptying.close().await?;
        Ok::<_, anyhow::Error>((end?, rest))
    };
    let emptied = emptied.await;
    progress.finish_and_clear();
    // Stops a server that was started for this, even after an error.
    let stopped = database.stop().await;
    let (end, rest) = emptied?;
    stopped?;
    let stored = HumanCount(u64::try_from(rest.stored)?).to_string();
    writeln!(std::io::stdout(), "{:<24}{stored:>12}", "deliveries drained")?;
    let Some(reason) = reason(&end, rest.left, &file) else { return Ok(ExitCode::SUCCESS) };
    writeln!(std::io::stderr(), "{reason}")?;
    Ok(ExitCode::FAILURE)
}

/// Describes an end that leaves something behind.
fn reason(end: &End, left: usize, file: &Path) -> Option<String> {
    let left = match left {
        0 => format!("what is left stays in {}", file.display()),
        left => format!("{} deliveries are left in {}", HumanCount(left as u64), file.display()),
    };
    match end {
        End::Empty => None,
        End::Unreadable(files) => Some(format!(
            "{files} damaged files beside {} cannot be read now, and are kept: check the disk, and \
             run the same command again",
            file.display()
        )),
        End::Interrupted => Some(format!("interrupted: {left}; run the same command again")),
        End::TimedOut(time) => Some(format!(
            "Postgres stored nothing for {}: {left}; run the same command again when it works",
            humantime::format_duration(*time)
        )),
    }
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "{elapsed_precise} {wide_bar} {msg} deliveries left, {per_sec}";
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_that_leaves_deliveries_names_their_number_and_file() {
        let reason = |end, left| reason(&end, left, Path::new("d/inbox.sqlite"));
        assert_eq!(reason(End::Empty, 0), None);
        let text = reason(End::Interrupted, 1_200).unwrap();
        assert!(text.contains("1,200 deliveries are left in d/inbox.sqlite"), "{text}");
        let text = reason(End::TimedOut(Duration::from_mins(5)), 0).unwrap();
        assert!(text.contains("stored nothing for 5m: what is left stays in"), "{text}");
        let text = reason(End::Unreadable(2), 0).unwrap();
        assert!(text.starts_with("2 damaged files beside d/inbox.sqlite"), "{text}");
    }
}
