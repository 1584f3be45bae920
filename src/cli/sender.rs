//! Sending of one delivery, as bitHuman does it: target, signature, and answer.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::http;
use crate::config::read_credential;

const SIGNATURE: HeaderName = HeaderName::from_static("x-bithuman-signature");
/// Time of a delivery. The signature covers it, if it is present.
pub(super) const TIMESTAMP: HeaderName = HeaderName::from_static("x-bithuman-timestamp");
/// Limit on an answer's body, in bytes. A longer one is cut off, and its connection is closed.
const ANSWER_MAX: usize = 64 << 10;

/// Target of deliveries, and its credentials.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// URL of the webhook, such as `http://127.0.0.1:8080/webhook`
    #[arg(long, value_name = "URL", value_parser = http::parse_url)]
    pub(super) url: Url,
    /// Secret to sign with; the first of a comma-separated list. Prefer the environment variable:
    /// other users can read a command line
    #[arg(long, env = "VERBATIM_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<SecretString>,
    /// File with the secret, such as a mounted secret
    #[arg(long, env = "VERBATIM_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Header to send with every delivery, such as 'X-API-Key: …'; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<SecretString>,
    /// PEM file with certificates to trust instead of the system's, for a service with a
    /// self-signed certificate
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Target {
    /// Returns a sender that waits up to `time_limit` for an answer, and keeps up to `connections`
    /// open.
    pub(super) fn sender(self, time_limit: Duration, connections: usize) -> anyhow::Result<Sender> {
        let client = http::client(&self.url, self.ca_file.as_deref())?
            .default_headers(parse_headers(&self.headers)?)
            .timeout(time_limit)
            .pool_max_idle_per_host(connections);
        let secret = match (self.secret, self.secret_file) {
            (None, Some(file)) => Some(SecretString::from(read_credential(&file)?)),
            (secret, _) => secret,
        };
        let secret = secret.as_ref().and_then(first_secret);
        Ok(Sender { client: http::build(client)?, url: self.url, secret })
    }
}

/// Outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// The receiver answered.
    Status(u16),
    /// The connection was refused.
    Refused,
    /// No connection for another reason, such as an unknown host or a certificate.
    Unreachable,
    /// No answer within the time limit.
    TimedOut,
    /// The connection broke before the answer was complete.
    Lost,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `pad` honours the width of a table's column.
            Self::Status(status) => f.pad(&status.to_string()),
            Self::Refused => f.pad("connection refused"),
            Self::Unreachable => f.pad("no connection"),
            Self::TimedOut => f.pad("timed out"),
            Self::Lost => f.pad("connection lost"),
        }
    }
}

/// Outcome of an attempt, with the answer's details.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// Wait that the receiver asks for (`Retry-After`).
    pub(super) retry_after: Option<Duration>,
    /// The answer's body, up to the limit.
    pub(super) body: Vec<u8>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, retry_after: None, body: Vec::new() }
    }
}

/// Sends deliveries over HTTP.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    url: Url,
    secret: Option<SecretString>,
}

impl Sender {
    /// Returns a sender that does not sign.
    pub(super) fn unsigned(self) -> Self {
        Self { secret: None, ..self }
    }

    /// Sends `body` with additional headers, and waits for the answer.
    pub(super) async fn send(&self, body: Bytes, headers: HeaderMap) -> Reply {
        let mut request = self.client.post(self.url.clone());
        if let Some(secret) = &self.secret {
            request = request.header(SIGNATURE, signature(secret, headers.get(&TIMESTAMP), &body));
        }
        match request.headers(headers).body(body).send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_timeout() => Answer::TimedOut.into(),
            Err(error) if http::is_refused(&error) => Answer::Refused.into(),
            Err(error) if error.is_connect() => Answer::Unreachable.into(),
            Err(_) => Answer::Lost.into(),
        }
    }
}

/// Reads the answer with its body: only then the connection is free for the next request.
async fn read(mut response: Response) -> Reply {
    let status = response.status().as_u16();
    let retry_after = http::retry_after(response.headers());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() < ANSWER_MAX => body.extend_from_slice(&chunk),
            Ok(_) => return Reply { answer: Answer::Status(status), retry_after, body },
            Err(error) if error.is_timeout() => return Answer::TimedOut.into(),
            Err(_) => return Answer::Lost.into(),
        }
    }
}

/// Returns the first secret of a list, which the receiver's variable may be during a rotation.
fn first_secret(listed: &SecretString) -> Option<SecretString> {
    let first = listed
        .expose_secret()
        .split([',', '\n', '\r'])
        .map(str::trim)
        .find(|one| !one.is_empty())?;
    Some(SecretString::from(first))
}

/// Returns `sha256=<hex>` over the raw body, or over the time and the body.
fn signature(secret: &SecretString, timestamp: Option<&HeaderValue>, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("a key of any length");
    if let Some(timestamp) = timestamp {
        mac.update(timestamp.as_bytes());
        mac.update(b".");
    }
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Parses `Name: value` lines. Errors do not quote the line: it may contain a secret.
fn parse_headers(lines: &[SecretString]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (index, line) in lines.iter().enumerate() {
        let option = || format!("--header number {}", index + 1);
        let (name, value) = line
            .expose_secret()
            .split_once(':')
            .with_context(|| format!("{} has no colon: write 'Name: value'", option()))?;
        let name = HeaderName::try_from(name.trim())
            .ok()
            .with_context(|| format!("{} has a name that HTTP does not allow", option()))?;
        let mut value = HeaderValue::try_from(value.trim())
            .ok()
            .with_context(|| format!("{} has a value that HTTP does not allow", option()))?;
        value.set_sensitive(true);
        if name == CONTENT_TYPE {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_the_hmac_of_the_body() {
        // RFC 4231, test case 2.
        let secret = SecretString::from("Jefe");
        let signature = signature(&secret, None, b"what do ya want for nothing?");
        assert_eq!(
            signature,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn invalid_header_is_reported_by_number_and_not_quoted() {
        let parse = |lines: &[&str]| {
            let lines: Vec<SecretString> =
                lines.iter().map(|&line| SecretString::from(line)).collect();
            parse_headers(&lines)
        };
        let error = parse(&["A: 1", "hunter2"]).unwrap_err().to_string();
        assert_eq!(error, "--header number 2 has no colon: write 'Name: value'");
        assert!(parse(&["na me: hunter2"]).is_err() && parse(&["A: hun\nter2"]).is_err());
        let headers = parse(&["X-Api-Key: a:b", "x-api-key:c"]).unwrap();
        let values: Vec<_> = headers.get_all("x-api-key").iter().collect();
        assert_eq!(values, ["a:b", "c"]);
    }
}
