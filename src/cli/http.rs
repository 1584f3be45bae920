//! HTTP client of the commands that connect to a service.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{ClientBuilder, Url};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::Settings;
use crate::webhook::test_sender::reachable;

/// Waits after the first, second, … attempt in a row without progress.
pub(super) const PAUSES: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];
/// Limit on the wait that a service asks for, in seconds.
const RETRY_AFTER_MAX_SECONDS: u64 = 60;

/// Parses an HTTP or HTTPS URL, for clap.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("must begin with http:// or https:// and contain a host".into())
    }
}

/// Returns the URL at which a service with these settings answers on this machine.
pub(super) fn own_url(settings: &Settings) -> anyhow::Result<Url> {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    Ok(Url::parse(&format!("{scheme}://{}/", reachable(settings.listen)))?)
}

/// Returns a keep-alive HTTP/1.1 client for `url` that follows no redirects and ignores proxies of
/// the environment. With `ca_file` it trusts only the certificates in that file.
pub(super) fn client(url: &Url, ca_file: Option<&Path>) -> anyhow::Result<ClientBuilder> {
    let builder = ClientBuilder::new()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("verbatim/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "https" && ca_file.is_none() {
        // Fails if a provider is installed already, which is used then.
        let _ = CryptoProvider::install_default(ring::default_provider());
        return Ok(builder);
    }
    // Plain HTTP needs no certificates. Loading the system's fails where there are none, as in a
    // small container.
    let trusted = ca_file.map_or_else(|| Ok(RootCertStore::empty()), trusted)?;
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(builder.tls_backend_preconfigured(tls))
}

/// Reads the certificates of a PEM file.
fn trusted(ca_file: &Path) -> anyhow::Result<RootCertStore> {
    let file = ca_file.display();
    let text = std::fs::read(ca_file).with_context(|| format!("cannot read --ca-file {file}"))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate =
            certificate.with_context(|| format!("invalid PEM in --ca-file {file}"))?;
        trusted
            .add(certificate)
            .with_context(|| format!("invalid certificate in --ca-file {file}"))?;
    }
    anyhow::ensure!(!trusted.is_empty(), "no PEM certificate in --ca-file {file}");
    Ok(trusted)
}

/// Builds the client.
pub(super) fn build(builder: ClientBuilder) -> anyhow::Result<reqwest::Client> {
    builder.build().context("cannot set up the HTTP client")
}

/// Returns true if the host refused the connection.
pub(super) fn is_refused(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}

/// Returns the wait of `Retry-After`, if the header has a number of seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_MAX_SECONDS)))
}

/// Returns the `detail` of a problem.
pub(super) fn detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(problem.get("detail")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_without_http_or_a_host_is_rejected() {
        for text in ["", "localhost:8080", "ftp://a/", "/webhook", "http://", "mailto:a@b.c"] {
            assert!(parse_url(text).is_err(), "{text}");
        }
        assert!(parse_url("http://127.0.0.1:8080/webhook").is_ok());
    }
}
