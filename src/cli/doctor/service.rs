//! Checks of the service that listens on the address, if one does.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::report::{Area, Report, chain};
use crate::cli::http;
use crate::config::Settings;
use crate::webhook::test_sender::reachable;

const AREA: Area = Area::Service;

/// Limit on the time until an answer, which usually takes a millisecond.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Fields of `/readyz` that are checked.
#[derive(Debug, Deserialize)]
struct Readiness {
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

/// Service that answers.
pub(super) struct Running;

pub(super) async fn check(settings: &Settings, report: &mut Report) -> Option<Running> {
    let address = reachable(settings.listen);
    match request(address, settings.tls.is_some(), report).await {
        Ok(running) => running,
        Err(error) => {
            report.fail(
                AREA,
                "answer",
                format!(
                    "the program on {address} does not answer as Verbatim does: {}",
                    chain(&*error)
                ),
                "find the program that has the port with `ss -ltnp`; stop it, or choose another \
                 address with --listen",
            );
            None
        }
    }
}

async fn request(
    address: SocketAddr,
    with_tls: bool,
    report: &mut Report,
) -> anyhow::Result<Option<Running>> {
    let scheme = if with_tls { "https" } else { "http" };
    let base = Url::parse(&format!("{scheme}://{address}/"))?;
    let mut builder = http::client(&base, None)?.timeout(TIME_LIMIT);
    if with_tls {
        // The certificate is for the service's public name. The request contains no secret, and the
        // answer is not trusted.
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
                "start the service with `verbatim serve`. If it runs, run doctor with its settings",
            );
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let alive: serde_json::Value = alive.error_for_status()?.json().await?;
    anyhow::ensure!(alive["status"] == "ok", "/healthz has another status");
    let ready = client.get(base.join("readyz")?).send().await?;
    let known = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&ready.status());
    anyhow::ensure!(known, "/readyz answers {}", ready.status());
    check_readiness(address, &ready.json().await?, report);
    Ok(Some(Running))
}

fn check_readiness(address: SocketAddr, ready: &Readiness, report: &mut Report) {
    let Readiness { status, inbox, postgres } = ready;
    let waiting = match inbox.oldest_age_seconds {
        Some(age) => format!("{} deliveries wait, the oldest for {age:.0} s", inbox.deliveries),
        None => "no deliveries wait".to_owned(),
    };
    let message = format!("runs on {address}, {status}: {waiting}");
    match (inbox.writable, postgres.writable) {
        (true, true) => report.ok(AREA, "answer", message),
        (true, false) => report.warn(
            AREA,
            "answer",
            format!(
                "{message}; Postgres {}",
                if postgres.reachable { "cannot be written" } else { "does not answer it" }
            ),
            "see database below, and the service's log. The inbox stores deliveries until its \
             quota is reached",
        ),
        (false, true) => report.warn(
            AREA,
            "answer",
            format!("{message}; the inbox cannot be written, so each answer waits for Postgres"),
            "see inbox and disk below, and the service's log",
        ),
        (false, false) => report.fail(
            AREA,
            "answer",
            format!("{message}; neither inbox nor Postgres can be written: deliveries get a 503"),
            "see inbox, disk and database below: one of them is enough to accept deliveries",
        ),
    }
}
