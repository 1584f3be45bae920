//! `verbatim healthcheck`: checks whether a service on this machine stores deliveries.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;

use super::http;
use crate::config::{ServeArgs, Settings};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// URL of the service [default: the address from its settings]
    #[arg(long, value_parser = http::parse_url)]
    url: Option<Url>,
    /// Limit on the time until the answer
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let base = match args.url {
        Some(url) => url,
        None => http::own_url(&Settings::resolve(args.serve)?)?,
    };
    let url = base.join("/readyz").context("the URL cannot have a path")?;
    // A certificate for a domain is not valid for an address of this machine. The request contains
    // no secret, and the answer is only printed.
    let client = http::client(&url, None)?.tls_danger_accept_invalid_certs(url.scheme() == "https");
    let client = http::build(client.timeout(args.timeout))?;
    let answer = client.get(url.clone()).send().await;
    let answer = answer.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let body = answer.text().await.map_err(reqwest::Error::without_url)?;
    print(&body);
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    println!("{text}");
}
