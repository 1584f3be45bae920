//! `verbatim simulate`: sends simulated conversations, as bitHuman does.

mod agents;
mod body;
mod contract;
mod history;
pub(super) mod ledger;
mod pacing;
mod phrases;
mod report;
mod script;
mod stage;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::sender::{Sender, Target};
use super::stop;
use crate::clock::Clock;
use contract::Contract;
use history::History;
use ledger::Ledger;
use pacing::Pacer;
use report::{Report, Tally};
use stage::{Stage, play};

/// Number of sessions without `--sessions`, `--since` and `--duration`.
const DEFAULT_SESSIONS: u64 = 100;
/// Shortest `--since`: the daily rhythm needs a day.
const SHORTEST_HISTORY: Duration = Duration::from_hours(24);
/// Longest `--since`: the plan of each hour is in memory.
const MAX_HISTORY: Duration = Duration::from_hours(5 * 366 * 24);
/// Interval at which the progress bar is drawn.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Number of conversations [default: 100; with --since 32 per day; with --duration unlimited]
    #[arg(long, value_name = "N")]
    sessions: Option<u64>,
    /// Send conversations of the past, over this time up to now, such as 90d (1d to 5y), to fill
    /// dashboards: days and nights, weekdays and weekends, several time zones, kiosks, silent and
    /// abandoned sessions [default: conversations happen now]
    #[arg(long, value_name = "AGE", value_parser = since)]
    since: Option<Duration>,
    /// Deliveries per second over all sessions. Latencies are then measured from the scheduled time
    /// of a delivery [default: unlimited]
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Send no new deliveries after this time, such as 30s or 5m
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Limit on concurrent requests
    #[arg(long, value_name = "C", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: u16,
    /// Seed of the conversations: the same seed sends the same ones, with --since at the same times
    /// relative to now [default: random]
    #[arg(long, value_name = "K")]
    seed: Option<u64>,
    /// File for `verify`: a JSON line is appended for each delivery that was answered with success
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Generation of bitHuman's webhook contract to simulate
    #[arg(long, value_enum, default_value_t)]
    contract: Contract,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("must be a number above 0".into()),
    }
}

fn since(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(age) if (SHORTEST_HISTORY..=MAX_HISTORY).contains(&age) => Ok(age),
        Ok(_) => Err("must be between 1d and 5y".into()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (clock, seed) = (Clock::system(), args.seed.unwrap_or_else(rand::random));
    let history = args.since.map(|since| History::new(seed, clock.now(), since, args.sessions));
    let sessions = match &history {
        Some(history) => Some(history.sessions()),
        None => args.sessions.or(args.duration.is_none().then_some(DEFAULT_SESSIONS)),
    };
    let connections = usize::from(args.concurrency);
    let sender = args.target.sender(args.contract.time_limit(), connections)?;
    let sender = if args.contract.signs() { sender } else { sender.unsigned() };
    let ledger = args.ledger.as_deref().map(Ledger::open).transpose()?;
    let stop = CancellationToken::new();
    stop::on_signals(&stop)?;

    let stage = Arc::new(Stage {
        sender,
        contract: args.contract,
        seed,
        history,
        clock,
        pacer: Pacer::new(args.rate, args.duration),
        permits: Arc::new(Semaphore::new(connections)),
        tally: Mutex::new(Tally::new()?),
        ledger: ledger.as_ref().map(Ledger::lines),
        progress: progress_bar(sessions)?,
        stop,
    });
    let played = play(&stage, sessions).await;
    stage.progress.finish_and_clear();
    let succeeded = report(&stage)?;
    // The ledger's writer ends when all its handles are dropped.
    drop(stage);
    if let Some(ledger) = ledger {
        ledger.close().await?;
    }
    played?;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the report. Returns true if deliveries were answered, and none was given up.
fn report(stage: &Stage<Sender>) -> std::io::Result<bool> {
    let tally = stage.tally();
    let report = Report {
        tally: &tally,
        elapsed: stage.pacer.elapsed(),
        seed: stage.seed,
        open_loop: stage.pacer.is_open_loop(),
        interrupted: stage.stop.is_cancelled(),
    };
    write!(std::io::stdout(), "{report}")?;
    if tally.all_rejected {
        let hint = if stage.contract.signs() {
            "check --url, --secret and --header"
        } else {
            "check --url and --header (this contract is not signed, so --secret has no effect)"
        };
        let count = report::REJECTIONS_MAX;
        writeln!(std::io::stderr(), "verbatim: the first {count} requests were rejected: {hint}")?;
    }
    Ok(tally.given_up == 0 && tally.answered > 0)
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
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
