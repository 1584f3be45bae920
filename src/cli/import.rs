//! `verbatim import`: deliveries that somebody kept, sent once more.
//!
//! They go over HTTP to a service that runs, as the sender's own do: the same door, inbox and drain.
//! So what was there is not doubled, what was erased stays away, and a run that was cut short is
//! simply done again. The service alone judges what can be read.

mod deliver;
mod delivery;
mod lines;
mod tally;
mod utf16;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::sender::Target;
use super::stop;
use crate::clock::Clock;
use deliver::{Courier, Verdict};
use lines::Line;
use tally::{Rejected, Tally};

/// How long an answer may take: longer than the service itself waits for a body and for Postgres.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// How often the progress bar shows that time passes.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with a delivery a line; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Requests in flight at once. Less leaves more of the service to others
    #[arg(long, value_name = "C", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// New file that gets the lines which the service cannot read, to be mended and imported. (The
    /// service has put them into quarantine, too)
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Longest line that is read; a longer one is reported and passed over. Besides, the service
    /// has a limit on deliveries
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    max_line: ByteSize,
    /// How long a delivery is tried while the service is away, or has no room
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { files, mut target, concurrency, rejected, max_line, patience } = args;
    target.url = webhook(target.url);
    let progress = progress_bar(lines::size(&files)?)?;
    let (url, stop) = (target.url.clone(), CancellationToken::new());
    let courier = Courier {
        sender: Arc::new(target.sender(TIME_LIMIT, concurrency.into())?),
        url,
        clock: Clock::system(),
        patience,
        progress: progress.clone(),
        stop: stop.clone(),
        told: Arc::default(),
    };
    let mut tally = Tally::new(Rejected::open(rejected)?, progress.clone());
    stop::on_signals(&stop)?;
    let max_bytes = usize::try_from(max_line.as_u64())?;
    let lines = lines::read(files, max_bytes, progress.clone());
    let imported = import(&courier, lines, concurrency.into(), &mut tally).await;
    progress.finish_and_clear();
    std::io::stdout().write_all(tally.to_string().as_bytes())?;
    let all_taken = tally.close()?;
    imported?;
    if stop.is_cancelled() {
        say(&progress, "interrupted; the same command imports the rest");
    }
    Ok(if all_taken && !stop.is_cancelled() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends every line, and waits for what is said of each. The first one goes alone: where the
/// credentials are wrong, that is one failed attempt and not many.
async fn import(
    courier: &Courier,
    mut lines: mpsc::Receiver<anyhow::Result<Line>>,
    concurrency: usize,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut in_flight: JoinSet<(Line, anyhow::Result<Verdict>)> = JoinSet::new();
    let (mut room, mut open, mut ended) = (1, true, Ok(()));
    loop {
        tokio::select! {
            biased;
            () = courier.stop.cancelled(), if open => open = false,
            Some(done) = in_flight.join_next() => {
                room = concurrency;
                let (line, verdict) = done?;
                if let Err(error) = tally.settle(&line, verdict) {
                    // The others need not wait for what they will not get either.
                    courier.stop.cancel();
                    (open, ended) = (false, ended.and(Err(error)));
                }
            }
            line = lines.recv(), if open && in_flight.len() < room => match line {
                Some(Ok(line)) => {
                    tally.lines += 1;
                    let courier = courier.clone();
                    in_flight.spawn(async move {
                        let verdict = courier.deliver(&line).await;
                        (line, verdict)
                    });
                }
                Some(Err(error)) => (open, ended) = (false, ended.and(Err(error))),
                None => open = false,
            },
            else => return ended,
        }
    }
}

/// The webhook, where only the service is named.
fn webhook(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let is_webhook = path.rsplit('/').take(2).any(|part| part == "webhook");
    if !is_webhook {
        url.set_path(&format!("{path}/webhook"));
    }
    url
}

/// On standard error; indicatif hides it where that is no terminal.
fn progress_bar(bytes: Option<u64>) -> anyhow::Result<ProgressBar> {
    let (bar, style) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{elapsed_precise} {wide_bar} {bytes}/{total_bytes}, {eta} left, {msg}",
        ),
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {bytes}, {msg}"),
    };
    let bar = bar.with_style(ProgressStyle::with_template(style)?);
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    Ok(bar)
}

/// A line on standard error, above the progress bar.
fn say(progress: &ProgressBar, line: &str) {
    progress.suspend(|| {
        // Where nobody listens there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{line}");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_as_good_as_its_webhook() {
        for (given, expected) in [
            ("http://h:1", "http://h:1/webhook"),
            ("http://h:1/", "http://h:1/webhook"),
            ("http://h/verbatim/", "http://h/verbatim/webhook"),
            ("http://h/webhook", "http://h/webhook"),
            ("http://h/webhook/", "http://h/webhook/"),
            ("http://h/webhook/kiosk-7", "http://h/webhook/kiosk-7"),
            ("http://h/a/webhook/kiosk-7/", "http://h/a/webhook/kiosk-7/"),
        ] {
            assert_eq!(webhook(Url::parse(given).unwrap()).as_str(), expected);
        }
    }
}
