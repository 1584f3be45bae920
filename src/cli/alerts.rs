//! `verbatim alerts`: lists the configured alerts, and sends a sample to a receiver.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use crate::alerts::Message;
use crate::clock::Clock;
use crate::config::{AlertSettings, ServeArgs, Settings};
use crate::domain::DeliveryId;
use crate::jobs::alerts::{Client, Outgoing};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the configured alerts
    List(Box<ServeArgs>),
    /// Send a sample of an alert to its receiver, once
    ///
    /// The sample is signed like a notification, and its type is `alert.test`. The exit status is 1
    /// if the receiver does not answer 2xx.
    Test(Box<TestArgs>),
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// Name of the alert
    name: String,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(serve) => {
            print(&table(&Settings::resolve(*serve)?.alerts));
            Ok(ExitCode::SUCCESS)
        }
        Command::Test(args) => {
            let alerts = Settings::resolve(args.serve)?.alerts;
            let found = alerts.iter().find(|alert| alert.rule.name == args.name);
            let alert = found.with_context(|| {
                format!("no alert {:?}: list all with `verbatim alerts list`", args.name)
            })?;
            test(alert).await
        }
    }
}

async fn test(alert: &AlertSettings) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    let body = Message::sample(&alert.rule, now).body(&alert.rule);
    let client = Client::new([&alert.receiver])?;
    let id = DeliveryId::new(now).0;
    let outgoing = Outgoing { id, at: now, body: &body };
    let (sent, code) = match client.send(&alert.receiver, outgoing).await {
        Ok(status) => (format!("delivered: the receiver answered {status}"), ExitCode::SUCCESS),
        Err(error) => (format!("not delivered: {error}"), ExitCode::FAILURE),
    };
    print(&format!("{sent}\nreceiver: {}\nwebhook-id: {id}\n{body}\n", alert.receiver.host()));
    Ok(code)
}

/// Formats the alerts, one per line.
fn table(alerts: &[AlertSettings]) -> String {
    if alerts.is_empty() {
        return "No alerts are configured: add `[[alerts]]` to the TOML file.\n".into();
    }
    let mut text = format!("{:<32}{:<24}{:<8}RECEIVER\n", "NAME", "METRIC", "STAT");
    for AlertSettings { rule, receiver } in alerts {
        let stat = rule.subject.stat().map_or("", |stat| stat.as_str());
        let (name, metric, host) = (&rule.name, rule.subject.name(), receiver.host());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<32}{metric:<24}{stat:<8}{host}");
    }
    text
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    print!("{text}");
}
