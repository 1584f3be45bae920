//! A service that runs on the address, if one does.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::report::{Area, Report, chain};
use crate::cli::http;
use crate::config::Settings;
use crate::webhook::front_door::reachable;

const AREA: Area = Area::Service;

/// How long an answer is waited for: a service that is well answers within a millisecond.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// As much of `/readyz` as is looked at.
#[derive(Debug, Deserialize)]
struct Ready {
    status: String,
    inbox: InboxState,
    postgres: PostgresState,
}

#[derive(Debug, Deserialize)]
struct InboxState {
    writable: bool,
    deliveries: u64,
    oldest_age_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct PostgresState {
    reachable: bool,
    writable: bool,
}

/// A service that answers.
pub(super) struct Running;

pub(super) async fn check(settings: &Settings, report: &mut Report) -> Option<Running> {
    let address = reachable(settings.listen);
    match ask(address, settings.tls.is_some(), report).await {
        Ok(running) => running,
        Err(error) => {
            report.fail(
                AREA,
                "answer",
                format!(
                    "what listens on {address} does not answer as Verbatim does: {}",
                    chain(&*error)
                ),
                "see with `ss -ltnp` which program has the port; stop that one, or choose another \
                 address with --listen",
            );
            None
        }
    }
}

async fn ask(
    address: SocketAddr,
    with_tls: bool,
    report: &mut Report,
) -> anyhow::Result<Option<Running>> {
    let scheme = if with_tls { "https" } else { "http" };
    let base = Url::parse(&format!("{scheme}://{address}/"))?;
    let mut builder = http::client(&base, None)?.timeout(TIME_LIMIT);
    if with_tls {
        // The certificate is for the name by which others reach it. Nothing is told to whoever
        // answers, and nothing that it says is trusted.
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    let client = http::build(builder)?;
    let alive = match client.get(base.join("healthz")?).send().await {
        Ok(alive) => alive,
        Err(error) if http::is_refused(&error) => {
            report.warn(
                AREA,
                "answer",
                format!("nothing listens on {address}"),
                "start it with `verbatim serve`; if it runs, ask with the settings that it has",
            );
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let alive: serde_json::Value = alive.error_for_status()?.json().await?;
    anyhow::ensure!(alive["status"] == "ok", "/healthz says something else");
    let ready = client.get(base.join("readyz")?).send().await?;
    let known = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&ready.status());
    anyhow::ensure!(known, "/readyz answers {}", ready.status());
    judge(address, &ready.json().await?, report);
    Ok(Some(Running))
}

fn judge(address: SocketAddr, ready: &Ready, report: &mut Report) {
    let Ready { status, inbox, postgres } = ready;
    let waiting = match inbox.oldest_age_seconds {
        Some(age) => format!("{} deliveries wait, the oldest for {age:.0} s", inbox.deliveries),
        None => "nothing waits".to_owned(),
    };
    let says = format!("it runs on {address}, and is {status}: {waiting}");
    match (inbox.writable, postgres.writable) {
        (true, true) => report.ok(AREA, "answer", says),
        (true, false) => report.warn(
            AREA,
            "answer",
            format!(
                "{says}; Postgres {}",
                if postgres.reachable { "takes no deliveries" } else { "does not answer it" }
            ),
            "see database below, and the service's log; the inbox keeps what arrives for as long \
             as its quota lasts",
        ),
        (false, true) => report.warn(
            AREA,
            "answer",
            format!("{says}; the inbox cannot be written, so each answer waits for Postgres"),
            "see inbox and disk below, and the service's log",
        ),
        (false, false) => report.fail(
            AREA,
            "answer",
            format!("{says}; neither inbox nor Postgres takes a delivery, so all are answered 503"),
            "see inbox, disk and database below; either of them back is enough to take deliveries",
        ),
    }
}
