//! `verbatim simulate`: plays the sender.

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

/// Sessions of a run that is told neither how many nor how long.
const DEFAULT_SESSIONS: u64 = 100;
/// Bounds of `--since`: a rhythm needs a day, and the plan of each hour is in memory.
const SHORTEST_HISTORY: Duration = Duration::from_hours(24);
const LONGEST_HISTORY: Duration = Duration::from_hours(5 * 366 * 24);
/// How often the progress bar shows that time passes.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Conversations to play [default: 100; with --since 32 a day; or as many as --duration has time
    /// for]
    #[arg(long, value_name = "N")]
    sessions: Option<u64>,
    /// Spread the conversations over this time up to now, such as 90d (1d to 5y): by day and by
    /// night, weekdays and weekends, in several time zones, with kiosks, silent and abandoned
    /// sessions. Fills dashboards [default: conversations take place now]
    #[arg(long, value_name = "AGE", value_parser = since)]
    since: Option<Duration>,
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
    /// The same seed plays the same conversations; with --since, at the same time [default: a new
    /// one each time]
    #[arg(long, value_name = "K")]
    seed: Option<u64>,
    /// File that gets a JSON line for each delivery that was answered with success; `verify` reads
    /// it. One that exists is continued
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
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

fn since(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(age) if (SHORTEST_HISTORY..=LONGEST_HISTORY).contains(&age) => Ok(age),
        Ok(_) => Err("it must be between 1d and 5y".into()),
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
        seats: Arc::new(Semaphore::new(connections)),
        tally: Mutex::new(Tally::new()?),
        ledger: ledger.as_ref().map(Ledger::lines),
        progress: progress_bar(sessions)?,
        stop,
    });
    let played = play(&stage, sessions).await;
    stage.progress.finish_and_clear();
    let all_well = report(&stage)?;
    // The ledger's writer ends when nobody can write to it any more.
    drop(stage);
    if let Some(ledger) = ledger {
        ledger.close().await?;
    }
    played?;
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what was done; whether there was something, and nothing was given up.
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
    if tally.shut_out {
        let hint = if stage.contract.signs() {
            "look at --url, --secret and --header"
        } else {
            "look at --url and --header; this contract is not signed, so that --secret does nothing"
        };
        let first = report::SHUT_OUT_AFTER;
        writeln!(std::io::stderr(), "verbatim: the first {first} answers let nothing in: {hint}")?;
    }
    Ok(tally.given_up == 0 && tally.answered > 0)
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
