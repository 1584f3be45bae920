//! `verbatim import`: sends stored deliveries again.
//!
//! They go over HTTP to a running service, as bitHuman's own do: through the same ingest, inbox and
//! drain. So duplicates are ignored, erased messages are not stored again, and an interrupted run
//! can be repeated. The service alone decides what is readable.

mod deliver;
mod delivery;
mod lines;
mod progress;
mod tally;
mod utf16;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::sender::Target;
use super::stop;
use crate::clock::Clock;
use deliver::{Deliverer, Outcome};
use lines::Line;
use tally::{Rejected, Tally};

/// Limit on the time until an answer: longer than the service waits for a body and for Postgres.
const TIME_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with one delivery per line; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Limit on concurrent requests. Less leaves more of the service to others
    #[arg(long, value_name = "C", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// New file for lines that the service cannot read, to correct and import. The service stores
    /// them in quarantine, too
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Limit on a line; longer ones are reported and skipped. The service has a limit, too
    /// (`max-body`)
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    max_line: ByteSize,
    /// Time for which a delivery is retried while the service is down or busy
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { files, mut target, concurrency, rejected, max_line, patience } = args;
    target.url = webhook(target.url);
    let progress = progress::bar(lines::size(&files)?)?;
    let (url, stop) = (target.url.clone(), CancellationToken::new());
    let deliverer = Deliverer {
        sender: Arc::new(target.sender(TIME_LIMIT, concurrency.into())?),
        url,
        clock: Clock::system(),
        patience,
        progress: progress.clone(),
        stop: stop.clone(),
        has_reported: Arc::default(),
    };
    let mut tally = Tally::new(Rejected::open(rejected)?, progress.clone());
    stop::on_signals(&stop)?;
    let max_bytes = usize::try_from(max_line.as_u64())?;
    let lines = lines::read(files, max_bytes, progress.clone());
    let imported = import(&deliverer, lines, concurrency.into(), &mut tally).await;
    progress.finish_and_clear();
    std::io::stdout().write_all(tally.to_string().as_bytes())?;
    let all_accepted = tally.close()?;
    imported?;
    if stop.is_cancelled() {
        progress::report(&progress, "interrupted: run the same command again to import the rest");
    }
    Ok(if all_accepted && !stop.is_cancelled() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends every line, and waits for its outcome. The first line is sent alone, so that wrong
/// credentials cause only one failed attempt.
async fn import(
    deliverer: &Deliverer,
    mut lines: mpsc::Receiver<anyhow::Result<Line>>,
    concurrency: usize,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut running: JoinSet<(Line, anyhow::Result<Outcome>)> = JoinSet::new();
    let (mut limit, mut open, mut result) = (1, true, Ok(()));
    loop {
        tokio::select! {
            biased;
            () = deliverer.stop.cancelled(), if open => open = false,
            Some(done) = running.join_next() => {
                limit = concurrency;
                let (line, outcome) = done?;
                if let Err(error) = tally.add(&line, outcome) {
                    // The other lines would fail in the same way.
                    deliverer.stop.cancel();
                    (open, result) = (false, result.and(Err(error)));
                }
            }
            line = lines.recv(), if open && running.len() < limit => match line {
                Some(Ok(line)) => {
                    tally.lines += 1;
                    let deliverer = deliverer.clone();
                    running.spawn(async move {
                        let outcome = deliverer.deliver(&line).await;
                        (line, outcome)
                    });
                }
                Some(Err(error)) => (open, result) = (false, result.and(Err(error))),
                None => open = false,
            },
            else => return result,
        }
    }
}

/// Appends the webhook's path to a URL that names only the service.
fn webhook(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let is_webhook = path.rsplit('/').take(2).any(|part| part == "webhook");
    if !is_webhook {
        url.set_path(&format!("{path}/webhook"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_of_a_service_gets_the_path_of_its_webhook() {
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
