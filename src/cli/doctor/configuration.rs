//! Checks of the settings, as `serve` reads them.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;

use secrecy::{ExposeSecret as _, SecretString};
use url::Host;

use super::report::{Area, Report, chain};
use crate::config::{AlertSettings, Receiver, Settings, SourceSettings};
use crate::server::check_certificate;

const AREA: Area = Area::Configuration;

/// Shortest secret, in characters. One signed delivery is enough to guess a shorter one offline.
const SHORTEST_SECRET: usize = 16;
/// Shortest key, in characters. A shorter one can be guessed with requests: slowly, but from
/// anywhere.
const SHORTEST_KEY: usize = 20;
/// Lowest port that does not need root on most systems.
const FIRST_FREE_PORT: u16 = 1024;
/// Bits of a file's mode that give access to all accounts.
const OTHERS_MAY: u32 = 0o007;

pub(super) fn check(settings: &Settings, report: &mut Report) {
    for source in &settings.sources {
        check_source(source, settings, report);
    }
    check_duplicate_secrets(settings, report);
    check_key(settings, report);
    check_address(settings, report);
    check_tls(settings, report);
    check_alerts(settings, report);
}

fn check_source(source: &SourceSettings, settings: &Settings, report: &mut Report) {
    let (secrets, headers) = (source.secrets.len(), source.headers.len());
    if source.is_open() {
        let file = settings.database.data_dir.join("webhook-secret");
        let message = if file.exists() {
            format!("{}: generated secret in {}", source.name, file.display())
        } else {
            format!("{}: none; the first start generates a secret", source.name)
        };
        report.ok(AREA, "source", message);
        return;
    }
    let strict = if source.strict_timestamps { ", strict timestamps" } else { "" };
    let message = format!(
        "{}: {}, {}{strict}",
        source.name,
        count(secrets, "secret"),
        count(headers, "header")
    );
    report.ok(AREA, "source", message);
    for (at, secret) in source.secrets.iter().enumerate() {
        let name = format!("source {}: secret {} of {secrets}", source.name, at + 1);
        check_secret(&name, secret, SHORTEST_SECRET, report);
    }
    for header in &source.headers {
        // In a value such as `Bearer …`, the first word is no secret.
        let secret = header.value.expose_secret().rsplit(' ').next().unwrap_or_default();
        let name = format!("source {}: the value of header {}", source.name, header.name);
        check_secret(&name, &SecretString::from(secret), SHORTEST_SECRET, report);
    }
}

fn check_secret(name: &str, secret: &SecretString, shortest: usize, report: &mut Report) {
    let secret = secret.expose_secret();
    let length = secret.chars().count();
    if length < shortest {
        report.warn(
            AREA,
            "secrets",
            format!("{name} has {}, and can be guessed", count(length, "character")),
            format!(
                "use one of {shortest} characters or more, such as from `openssl rand -base64 32`. \
                 Configure it at the sender, too; during the change, a webhook can have both"
            ),
        );
    }
    let quoted = |quote: char| length > 1 && secret.starts_with(quote) && secret.ends_with(quote);
    if quoted('"') || quoted('\'') {
        report.warn(
            AREA,
            "secrets",
            format!("{name} is in quotes, which count as part of it"),
            "remove the quotes, unless the sender has them, too: some container runtimes and \
             systemd's EnvironmentFile do not remove them",
        );
    }
}

/// Checks that no two places have the same secret: one leak would open both.
fn check_duplicate_secrets(settings: &Settings, report: &mut Report) {
    let secrets = settings.sources.iter().flat_map(|source| &source.secrets);
    let mut earlier = HashSet::new();
    let all = secrets.chain(&settings.api_key).map(SecretString::expose_secret);
    if all.filter(|secret| !secret.is_empty()).any(|secret| !earlier.insert(secret)) {
        report.warn(
            AREA,
            "secrets",
            "one secret is configured twice",
            "use a different secret for each source and for the API key: one leak would open all \
             of them",
        );
    }
}

fn check_key(settings: &Settings, report: &mut Report) {
    let file = settings.database.data_dir.join("api-key");
    match &settings.api_key {
        Some(key) => {
            report.ok(AREA, "API key", "configured");
            check_secret("the API key", key, SHORTEST_KEY, report);
        }
        None if file.exists() => {
            report.ok(AREA, "API key", format!("generated key in {}", file.display()));
        }
        None => report.ok(AREA, "API key", "none; create one with `verbatim keys create`"),
    }
}

fn check_address(settings: &Settings, report: &mut Report) {
    let address = settings.listen;
    // A UDP socket shows whether the machine has the address, and does not occupy the TCP port.
    if let Err(error) = UdpSocket::bind((address.ip(), 0)) {
        report.fail(
            AREA,
            "address",
            format!("{address} is not an address of this machine ({error})"),
            "set --listen or VERBATIM_LISTEN to an address such as 127.0.0.1:8080, or 0.0.0.0:8080 \
             for all",
        );
        return;
    }
    if (1..FIRST_FREE_PORT).contains(&address.port()) && !nix::unistd::Uid::effective().is_root() {
        report.warn(
            AREA,
            "address",
            format!("{address} has a port that most systems reserve for root"),
            "listen on a port from 1024 upwards behind a proxy, or let systemd open the port",
        );
        return;
    }
    if settings.tls.is_none() && !address.ip().is_loopback() {
        report.ok(AREA, "address", format!("{address}, HTTP: a proxy in front must provide TLS"));
    } else if address.ip().is_loopback() {
        report.ok(AREA, "address", format!("{address}, only from this machine"));
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
            "use a certificate with its chain, and its key, both in PEM and readable by the \
             service's account",
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
            format!("run `chmod o-rwx {place}`. If others may have read it, get a new certificate"),
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
                "use an https URL: others on the network can read notifications, though not forge \
                 them",
            );
        }
    }
}

/// Returns true if the receiver is this machine, an address of a private network, or a name without
/// a domain, as containers have.
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

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
