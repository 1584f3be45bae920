//! The settings, as `serve` would take them.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;

use url::Host;

use super::report::{Area, Report, chain};
use crate::config::{AlertSettings, Receiver, Secret, Settings, SourceSettings};
use crate::server::check_certificate;

const AREA: Area = Area::Configuration;

/// Shorter secrets can be guessed by somebody who saw one signed delivery.
const SHORTEST_SECRET: usize = 16;
/// Shorter keys can be guessed by asking; slower, and from anywhere.
const SHORTEST_KEY: usize = 20;
/// Ports below are root's, unless the system says otherwise.
const FIRST_FREE_PORT: u16 = 1024;
/// The bits of a file's mode that open it to all accounts.
const OTHERS_MAY: u32 = 0o007;

pub(super) fn check(settings: &Settings, report: &mut Report) {
    for source in &settings.sources {
        check_source(source, settings, report);
    }
    check_repeats(settings, report);
    check_key(settings, report);
    check_address(settings, report);
    check_tls(settings, report);
    check_alerts(settings, report);
}

fn check_source(source: &SourceSettings, settings: &Settings, report: &mut Report) {
    let (secrets, headers) = (source.secrets.len(), source.headers.len());
    if source.is_open() {
        let kept = settings.database.data_dir.join("webhook-secret");
        let says = if kept.exists() {
            format!("{}: the secret that was made, in {}", source.name, kept.display())
        } else {
            format!("{}: none; the first start makes a secret", source.name)
        };
        report.ok(AREA, "source", says);
        return;
    }
    let strict = if source.strict_timestamps { ", strict timestamps" } else { "" };
    let says = format!(
        "{}: {}, {}{strict}",
        source.name,
        count(secrets, "secret"),
        count(headers, "header")
    );
    report.ok(AREA, "source", says);
    for (at, secret) in source.secrets.iter().enumerate() {
        let what = format!("source {}: secret {} of {secrets}", source.name, at + 1);
        check_secret(&what, secret, SHORTEST_SECRET, report);
    }
    for header in &source.headers {
        // A value such as `Bearer …` begins with what everybody knows.
        let secret = header.value.expose().rsplit(' ').next().unwrap_or_default();
        let what = format!("source {}: the value of the header {}", source.name, header.name);
        check_secret(&what, &Secret::new(secret.to_owned()), SHORTEST_SECRET, report);
    }
}

fn check_secret(what: &str, secret: &Secret, shortest: usize, report: &mut Report) {
    let secret = secret.expose();
    let length = secret.chars().count();
    if length < shortest {
        report.warn(
            AREA,
            "secrets",
            format!("{what} has {}, and can be guessed", count(length, "character")),
            format!(
                "take one of {shortest} characters or more: `openssl rand -base64 32` makes one. \
                 Give it to the sender, too; for a webhook both may be configured meanwhile"
            ),
        );
    }
    let quoted = |quote: char| length > 1 && secret.starts_with(quote) && secret.ends_with(quote);
    if quoted('"') || quoted('\'') {
        report.warn(
            AREA,
            "secrets",
            format!("{what} stands in quotes, which count as a part of it"),
            "leave the quotes away, unless the sender has them, too: container runtimes and \
             systemd's EnvironmentFile do not all take them off",
        );
    }
}

/// One secret in two places opens both, where one of them leaks.
fn check_repeats(settings: &Settings, report: &mut Report) {
    let secrets = settings.sources.iter().flat_map(|source| &source.secrets);
    let mut seen = HashSet::new();
    let all = secrets.chain(&settings.api_key).map(Secret::expose);
    if all.filter(|secret| !secret.is_empty()).any(|secret| !seen.insert(secret)) {
        report.warn(
            AREA,
            "secrets",
            "one secret is configured twice",
            "give each source, and the API key, a secret of its own: whoever has one of them \
             has the others otherwise",
        );
    }
}

fn check_key(settings: &Settings, report: &mut Report) {
    let kept = settings.database.data_dir.join("api-key");
    match &settings.api_key {
        Some(key) => {
            report.ok(AREA, "API key", "configured");
            check_secret("the API key", key, SHORTEST_KEY, report);
        }
        None if kept.exists() => {
            report.ok(AREA, "API key", format!("the one that was made, in {}", kept.display()));
        }
        None => report.ok(AREA, "API key", "none configured; `verbatim keys create` makes one"),
    }
}

fn check_address(settings: &Settings, report: &mut Report) {
    let address = settings.listen;
    // A socket of the other kind: it tells whether the address is this machine's, and takes
    // nothing that a service wants to listen on.
    if let Err(error) = UdpSocket::bind((address.ip(), 0)) {
        report.fail(
            AREA,
            "address",
            format!("{address} is not an address of this machine ({error})"),
            "set --listen or VERBATIM_LISTEN to one, such as 127.0.0.1:8080, or 0.0.0.0:8080 for \
             all of them",
        );
        return;
    }
    if (1..FIRST_FREE_PORT).contains(&address.port()) && !nix::unistd::Uid::effective().is_root() {
        report.warn(
            AREA,
            "address",
            format!("{address} has a port that systems keep for root"),
            "listen on a port from 1024 on behind a proxy, or let systemd open the port",
        );
        return;
    }
    if settings.tls.is_none() && !address.ip().is_loopback() {
        report.ok(AREA, "address", format!("{address}, over HTTP: the proxy in front speaks TLS"));
    } else if address.ip().is_loopback() {
        report.ok(AREA, "address", format!("{address}, for this machine alone"));
    } else {
        report.ok(AREA, "address", format!("{address}"));
    }
}

fn check_tls(settings: &Settings, report: &mut Report) {
    let Some(pair) = &settings.tls else { return };
    if let Err(error) = check_certificate(pair) {
        report.fail(
            AREA,
            "TLS",
            chain(&*error),
            "name a certificate with its chain, and the key that belongs to it, both in PEM and \
             readable by the account that runs the service",
        );
        return;
    }
    let mode = pair.key.metadata().map_or(0, |found| found.permissions().mode() & 0o7777);
    let place = pair.key.display();
    if mode & OTHERS_MAY != 0 {
        report.fail(
            AREA,
            "TLS",
            format!("everybody may open the key {place} (mode {mode:04o})"),
            format!("chmod o-rwx {place}, and get another certificate if others have read it"),
        );
    } else {
        report.ok(AREA, "TLS", format!("certificate {} and its key", pair.cert.display()));
    }
}

fn check_alerts(settings: &Settings, report: &mut Report) {
    if settings.alerts.is_empty() {
        return;
    }
    report.ok(AREA, "alerts", count(settings.alerts.len(), "alert"));
    for AlertSettings { rule, receiver } in &settings.alerts {
        if receiver.url.scheme() == "http" && !is_private(receiver) {
            report.warn(
                AREA,
                "alerts",
                format!("notifications of alert {} go to {} over HTTP", rule.name, receiver.host()),
                "give it an https URL: others on the way can read which agents are quiet, though \
                 not change a notification",
            );
        }
    }
}

/// The receiver is this machine, an address of a private network, or a name without a domain, as
/// containers have.
fn is_private(receiver: &Receiver) -> bool {
    match receiver.url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Some(Host::Domain(name)) => !name.contains('.'),
        None => true,
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
