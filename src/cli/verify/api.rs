//! Requests to the service: sessions and messages of the read API, and the state of the inbox.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::cli::http;

/// Characters that a path segment may contain unencoded: RFC 3986's unreserved ones.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Limit on the time until an answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Limit on retries of a request after a 429.
const RETRIES_MAX: u32 = 5;
/// Limit on the wait before a retry, in seconds.
const RETRY_AFTER_MAX_SECONDS: u64 = 30;
/// Pause between two requests for the state of the inbox.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Client of the read API.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: Url,
    key: SecretString,
}

/// Fields of a session that are checked.
#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub(super) opened_by: String,
    pub(super) message_count: u64,
}

/// Fields of a message that are checked.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) role: String,
    pub(super) message: String,
    pub(super) timestamp: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
struct Page {
    data: Vec<Line>,
    next_cursor: Option<String>,
}

/// Fields of `/readyz` that are read.
#[derive(Debug, Deserialize)]
struct Readiness {
    inbox: InboxState,
}

#[derive(Debug, Deserialize)]
struct InboxState {
    deliveries: u64,
}

impl Api {
    /// Returns a client of the API at `base`, with `key`.
    pub(super) fn new(client: ClientBuilder, base: Url, key: SecretString) -> anyhow::Result<Self> {
        let client = http::build(client.timeout(TIME_LIMIT))?;
        Ok(Self { client, base, key })
    }

    /// Waits until the inbox is empty, at most for `patience`: its deliveries cannot be read yet.
    /// Returns the number of deliveries that are left, or 0 if the service does not report it, as
    /// behind a proxy that forwards only `/v1`.
    pub(super) async fn drained(&self, patience: Duration) -> anyhow::Result<u64> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/readyz", self.base.path().trim_end_matches('/')));
        url.set_query(None);
        let began = tokio::time::Instant::now();
        loop {
            // A service that is not ready answers 503 with the same body.
            let Ok(Readiness { inbox }) = self.send(&url).await?.json().await else {
                return Ok(0);
            };
            if inbox.deliveries == 0 || began.elapsed() >= patience {
                return Ok(inbox.deliveries);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the session, or `None` if the API has none.
    pub(super) async fn session(
        &self,
        agent_id: &str,
        session_id: &str,
    ) -> anyhow::Result<Option<Session>> {
        let url = self.url(session_id, "", &[("agent_id", agent_id)])?;
        self.get(url).await
    }

    /// Returns a page of the session's messages, and the cursor of the next page.
    pub(super) async fn messages(
        &self,
        agent_id: &str,
        session_id: &str,
        cursor: Option<&str>,
    ) -> anyhow::Result<(Vec<Line>, Option<String>)> {
        let mut query = vec![("agent_id", agent_id), ("limit", "500"), ("order", "asc")];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page: Option<Page> = self.get(self.url(session_id, "/messages", &query)?).await?;
        let page = page.with_context(|| format!("session {session_id:?} was removed meanwhile"))?;
        Ok((page.data, page.next_cursor))
    }

    fn url(&self, session_id: &str, rest: &str, query: &[(&str, &str)]) -> anyhow::Result<Url> {
        // In a URL these mean the same folder and the one above, even if encoded.
        if matches!(session_id, "" | "." | "..") {
            bail!("session ID {session_id:?} is not possible in a URL");
        }
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/v1/sessions/{}{rest}",
            self.base.path().trim_end_matches('/'),
            utf8_percent_encode(session_id, SEGMENT)
        ));
        url.query_pairs_mut().clear().extend_pairs(query);
        Ok(url)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: Url) -> anyhow::Result<Option<T>> {
        let response = self.send(&url).await?;
        match response.status() {
            StatusCode::OK => {
                let answer = response.json().await;
                answer.map(Some).with_context(|| format!("cannot read the answer of {url}"))
            }
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => bail!("the API key is not valid (401)"),
            StatusCode::FORBIDDEN => bail!("the API key may not read sessions (403)"),
            status => {
                let text = response.text().await.unwrap_or_default();
                let beginning: String = text.chars().take(300).collect();
                bail!("{url} answered {status}: {beginning}")
            }
        }
    }

    /// Sends a request, and retries it after a 429.
    async fn send(&self, url: &Url) -> anyhow::Result<Response> {
        let mut retries = 0;
        loop {
            let request = self.client.get(url.clone()).bearer_auth(self.key.expose_secret());
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) if http::is_refused(&error) => {
                    bail!("connection refused: nothing listens at {}", self.base)
                }
                Err(error) => return Err(error).context("the request to the API failed"),
            };
            if response.status() != StatusCode::TOO_MANY_REQUESTS || retries == RETRIES_MAX {
                return Ok(response);
            }
            retries += 1;
            let wait = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            let seconds = wait.and_then(|wait| wait.parse().ok()).unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(seconds.min(RETRY_AFTER_MAX_SECONDS))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_is_encoded_as_one_segment() {
        let base = Url::parse("http://localhost:1/verbatim/?x=1").unwrap();
        let api =
            Api::new(http::client(&base, None).unwrap(), base, SecretString::from("k")).unwrap();
        let url = api.url("a/b%2F c?d#é\n", "/messages", &[("agent_id", "A&B")]).unwrap();
        assert_eq!(
            url.as_str(),
            "http://localhost:1/verbatim/v1/sessions/a%2Fb%252F%20c%3Fd%23%C3%A9%0A/messages\
             ?agent_id=A%26B"
        );
        assert!(api.url("..", "", &[]).is_err());
    }
}
