//! `verbatim simulate`: plays the sender.

mod body;
mod contract;
pub(super) mod http;
pub(super) mod ledger;
mod pacing;
mod phrases;
mod report;
mod script;
mod sender;
mod stage;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::builder::{StringValueParser, TypedValueParser as _};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Secret;
use contract::Contract;
use ledger::Ledger;
use pacing::Pacer;
use report::{Report, Tally};
use sender::Sender;
use stage::{Stage, play};

/// Sessions of a run that is told neither how many nor how long.
const DEFAULT_SESSIONS: u64 = 100;
/// How often the progress bar shows that time passes.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where deliveries go, such as `http://127.0.0.1:8080/webhook`
    #[arg(long, value_name = "URL", value_parser = http::parse_url)]
    url: Url,
    /// Secret to sign with (of several, comma-separated, the first). Prefer the environment
    /// variable: other users can read a command line
    #[arg(long, env = "VERBATIM_WEBHOOK_SECRET", hide_env_values = true, value_parser = StringValueParser::new().map(Secret::new))]
    secret: Option<Secret>,
    /// Header that every delivery carries, such as 'X-API-Key: …'; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = StringValueParser::new().map(Secret::new))]
    headers: Vec<Secret>,
    /// Conversations to play [default: 100, or as many as --duration has time for]
    #[arg(long, value_name = "N")]
    sessions: Option<u64>,
    /// Deliveries a second over all sessions; latencies are then measured from the moment that a
    /// delivery was scheduled for [default: as fast as they are answered]
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Begin no further delivery after this time, such as 30s or 5m
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Requests in flight at once
    #[arg(long, value_name = "C", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: u16,
    /// The same seed plays the same conversations [default: a new one each time]
    #[arg(long, value_name = "K")]
    seed: Option<u64>,
    /// File that gets a JSON line for each delivery that was answered with success; `verify` reads
    /// it. One that exists is continued
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// PEM file with the certificates to trust, instead of the system's: for a service whose
    /// certificate is self-signed
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Which generation of the sender to play
    #[arg(long, value_enum, default_value_t)]
    contract: Contract,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("it must be a number above 0".into()),
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sessions = args.sessions.or(args.duration.is_none().then_some(DEFAULT_SESSIONS));
    let seed = args.seed.unwrap_or_else(rand::random);
    let connections = usize::from(args.concurrency);
    let secret = args.secret.as_ref().and_then(first_secret);
    let client = http::client(&args.url, args.ca_file.as_deref())?;
    let sender = Sender::new(client, args.url, secret, &args.headers, args.contract, connections)?;
    let ledger = args.ledger.as_deref().map(Ledger::open).transpose()?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;

    let stage = Arc::new(Stage {
        sender,
        contract: args.contract,
        seed,
        clock: Clock::system(),
        pacer: Pacer::new(args.rate, args.duration),
        seats: Arc::new(Semaphore::new(connections)),
        tally: Mutex::new(Tally::new()?),
        ledger: ledger.as_ref().map(Ledger::lines),
        progress: progress_bar(sessions)?,
        stop,
    });
    let played = play(&stage, sessions).await;
    stage.progress.finish_and_clear();
    let given_up = report(&stage)?;
    // The ledger's writer ends when nobody can write to it any more.
    drop(stage);
    if let Some(ledger) = ledger {
        ledger.close().await?;
    }
    played?;
    Ok(if given_up == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what was done; how many deliveries were given up.
fn report(stage: &Stage<Sender>) -> std::io::Result<u64> {
    let tally = stage.tally();
    let report = Report {
        tally: &tally,
        elapsed: stage.pacer.elapsed(),
        seed: stage.seed,
        open_loop: stage.pacer.is_open_loop(),
        interrupted: stage.stop.is_cancelled(),
    };
    write!(std::io::stdout(), "{report}")?;
    Ok(tally.given_up)
}

/// The receiver's variable may name several secrets while one is rotated: the first one signs.
fn first_secret(listed: &Secret) -> Option<Secret> {
    let first = listed.expose().split(',').map(str::trim).find(|one| !one.is_empty())?;
    Some(Secret::new(first.to_owned()))
}

/// The first signal ends the run in good order, the second one at once.
fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        for last in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if last {
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(())
}

/// On standard error; indicatif hides it where that is no terminal.
fn progress_bar(sessions: Option<u64>) -> anyhow::Result<ProgressBar> {
    let (bar, style) = match sessions {
        Some(sessions) => (
            ProgressBar::new(sessions),
            "{elapsed_precise} {wide_bar} {human_pos}/{human_len} sessions, {msg} answered",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{elapsed_precise} {spinner} {human_pos} sessions, {msg} answered",
        ),
    };
    let bar = bar.with_style(ProgressStyle::with_template(style)?).with_message("0");
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    Ok(bar)
}
