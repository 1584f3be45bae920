//! `verbatim verify`: checks through the API that every delivery of a ledger is stored once.

mod api;
mod check;
mod expected;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use reqwest::Url;

use super::api_key::ApiKey;
use super::http;
use api::Api;
use check::{Findings, check};
use expected::{Expected, Quotes};

/// Limit on the listed sessions of each fault; all are counted. Missing deliveries are all listed:
/// an operator has to find each.
const LISTED_MAX: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ledger, written by `simulate --ledger`
    #[arg(long, value_name = "FILE")]
    ledger: PathBuf,
    /// URL of the service, such as `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL", value_parser = http::parse_url)]
    url: Url,
    /// PEM file with certificates to trust instead of the system's, for a service with a
    /// self-signed certificate
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    key: ApiKey,
    /// Limit on sessions that are read concurrently
    #[arg(long, value_name = "C", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// Longest wait, such as 30s or 5m, until the service has drained its inbox, before the check
    /// begins
    #[arg(long, value_name = "DURATION", default_value = "1m",
          value_parser = humantime::parse_duration)]
    patience: Duration,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let expected = Expected::read(&args.ledger)?;
    let api =
        Api::new(http::client(&args.url, args.ca_file.as_deref())?, args.url, args.key.read()?)?;
    let (sessions, deliveries) = (expected.sessions.len(), expected.deliveries());
    // An empty ledger would look like success.
    anyhow::ensure!(deliveries > 0, "no delivery in {}", args.ledger.display());
    let left = api.drained(args.patience).await?;
    if left > 0 {
        let left = HumanCount(left);
        writeln!(std::io::stderr(), "{left} deliveries are still in the service's inbox")?;
    }
    let progress = progress_bar(sessions as u64)?;
    let findings = stream::iter(expected.sessions)
        .map(|session| check(&api, session))
        .buffer_unordered(args.concurrency.into())
        .try_fold(Findings::default(), async |mut all, one| {
            all.add(one);
            progress.inc(1);
            Ok(all)
        })
        .await;
    progress.finish_and_clear();
    let findings = findings?;

    let mut out = String::new();
    count(&mut out, "sessions", sessions as u64)?;
    count(&mut out, "deliveries checked", deliveries as u64)?;
    if expected.incomplete_lines > 0 {
        count(&mut out, "incomplete lines", expected.incomplete_lines)?;
    }
    describe(&mut out, &findings, &args.ledger)?;
    std::io::stdout().write_all(out.as_bytes())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn describe(out: &mut String, findings: &Findings, ledger: &Path) -> anyhow::Result<()> {
    count(out, "missing", findings.missing.len() as u64)?;
    let mut places = findings.missing.clone();
    places.sort_unstable();
    let mut quotes = Quotes::from(ledger)?;
    for place in places {
        writeln!(out, "  {}", quotes.line(place)?)?;
    }
    count(out, "duplicates", findings.duplicates)?;
    list(out, &findings.duplicates_in)?;
    count(out, "miscounted sessions", findings.miscounted.len() as u64)?;
    list(out, &findings.miscounted)
}

fn count(out: &mut String, name: &str, number: u64) -> std::fmt::Result {
    writeln!(out, "{name:<24}{:>12}", HumanCount(number).to_string())
}

fn list(out: &mut String, lines: &[String]) -> anyhow::Result<()> {
    for line in lines.iter().take(LISTED_MAX) {
        writeln!(out, "  {line}")?;
    }
    if lines.len() > LISTED_MAX {
        writeln!(out, "  … and {} more", lines.len() - LISTED_MAX)?;
    }
    Ok(())
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
fn progress_bar(sessions: u64) -> anyhow::Result<ProgressBar> {
    let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len} sessions, {eta} left";
    Ok(ProgressBar::new(sessions).with_style(ProgressStyle::with_template(style)?))
}
