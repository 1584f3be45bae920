//! One attempt: the request as the sender makes it, and what came back.

use std::fmt;

use anyhow::Context as _;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Response, Url};
use sha2::Sha256;

use super::contract::Contract;
use super::http;
use crate::config::Secret;

const SIGNATURE: HeaderName = HeaderName::from_static("x-bithuman-signature");
/// As much of an answer as is read, in bytes; a longer one costs its connection.
const ANSWER_MAX: usize = 64 << 10;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// The receiver answered.
    Status(u16),
    /// Nobody listens there.
    Refused,
    /// No connection for another reason: an unknown host, a certificate.
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

/// Makes an attempt.
pub(super) trait Post: Send + Sync + 'static {
    /// Sends `body` and waits for the answer, up to the sender's limit.
    fn post(&self, body: Bytes) -> impl Future<Output = Answer> + Send;
}

/// The real one, over HTTP.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    url: Url,
    secret: Option<Secret>,
}

impl Sender {
    /// A sender that follows `contract` and keeps up to `connections` open.
    pub(super) fn new(
        client: ClientBuilder,
        url: Url,
        secret: Option<Secret>,
        headers: &[Secret],
        contract: Contract,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let client = client
            .default_headers(parse_headers(headers)?)
            .timeout(contract.time_limit())
            .pool_max_idle_per_host(connections);
        let client = http::build(client)?;
        Ok(Self { client, url, secret: secret.filter(|_| contract.signs()) })
    }
}

impl Post for Sender {
    async fn post(&self, body: Bytes) -> Answer {
        let mut request = self.client.post(self.url.clone());
        if let Some(secret) = &self.secret {
            request = request.header(SIGNATURE, signature(secret, &body));
        }
        match request.body(body).send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_timeout() => Answer::TimedOut,
            Err(error) if http::is_refused(&error) => Answer::Refused,
            Err(error) if error.is_connect() => Answer::Unreachable,
            Err(_) => Answer::Lost,
        }
    }
}

/// Reads the body too: the connection is free for the next request only then.
async fn read(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let mut length = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if length < ANSWER_MAX => length += chunk.len(),
            Ok(_) => return Answer::Status(status),
            Err(error) if error.is_timeout() => return Answer::TimedOut,
            Err(_) => return Answer::Lost,
        }
    }
}

/// `sha256=<hex>` over the raw body.
fn signature(secret: &Secret, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// `Name: value` lines as headers. What is wrong is told without the line: it may hold a secret.
fn parse_headers(lines: &[Secret]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (index, line) in lines.iter().enumerate() {
        let which = || format!("--header number {}", index + 1);
        let (name, value) = line
            .expose()
            .split_once(':')
            .with_context(|| format!("{} has no colon: write 'Name: value'", which()))?;
        let name = HeaderName::try_from(name.trim())
            .ok()
            .with_context(|| format!("{} has a name that HTTP does not allow", which()))?;
        let mut value = HeaderValue::try_from(value.trim())
            .ok()
            .with_context(|| format!("{} has a value that HTTP does not allow", which()))?;
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
    fn a_signature_is_the_one_of_the_body() {
        // RFC 4231, test case 2.
        let signature = signature(&Secret::new("Jefe".into()), b"what do ya want for nothing?");
        assert_eq!(
            signature,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_bad_header_is_told_by_its_number_and_never_quoted() {
        let of = |lines: &[&str]| {
            let lines: Vec<Secret> = lines.iter().map(|&line| Secret::new(line.into())).collect();
            parse_headers(&lines)
        };
        let error = of(&["A: 1", "hunter2"]).unwrap_err().to_string();
        assert_eq!(error, "--header number 2 has no colon: write 'Name: value'");
        assert!(of(&["na me: hunter2"]).is_err() && of(&["A: hun\nter2"]).is_err());
        let headers = of(&["X-Api-Key: a:b", "x-api-key:c"]).unwrap();
        let values: Vec<_> = headers.get_all("x-api-key").iter().collect();
        assert_eq!(values, ["a:b", "c"]);
    }
}
