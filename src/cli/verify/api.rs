//! The questions that are asked of the service: two of its read API, and how full its inbox is.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use crate::cli::http;
use crate::config::Secret;

/// What a path segment may show as it is: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Longest wait for one answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How often a question is asked again when the API says that it was asked too much.
const TURNED_AWAY_MAX: u32 = 5;
/// Longest wait before it is asked again, in seconds, whatever the API says.
const TURNED_AWAY_SECONDS: u64 = 30;
/// Pause between two looks at the inbox.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The read API at some address.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: Url,
    key: Secret,
}

/// As much of a session as is checked.
#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub(super) opened_by: String,
    pub(super) message_count: u64,
}

/// As much of a message as is checked.
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

/// As much of `/readyz` as is looked at.
#[derive(Debug, Deserialize)]
struct Ready {
    inbox: InboxState,
}

#[derive(Debug, Deserialize)]
struct InboxState {
    deliveries: u64,
}

impl Api {
    /// The API under `base`, asked with `key`.
    pub(super) fn new(client: ClientBuilder, base: Url, key: Secret) -> anyhow::Result<Self> {
        let client = http::build(client.timeout(TIME_LIMIT))?;
        Ok(Self { client, base, key })
    }

    /// Waits until the inbox is empty, and no longer than `patience`: what it holds cannot be read
    /// yet. How many deliveries it holds in the end; none where the service does not tell, as
    /// behind a proxy that lets `/v1` through alone.
    pub(super) async fn drained(&self, patience: Duration) -> anyhow::Result<u64> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/readyz", self.base.path().trim_end_matches('/')));
        url.set_query(None);
        let began = tokio::time::Instant::now();
        loop {
            // A service that is not ready says so with 503 and the same body.
            let Ok(Ready { inbox }) = self.ask(&url).await?.json().await else { return Ok(0) };
            if inbox.deliveries == 0 || began.elapsed() >= patience {
                return Ok(inbox.deliveries);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The session, or nothing if the API knows none.
    pub(super) async fn session(
        &self,
        agent_id: &str,
        session_id: &str,
    ) -> anyhow::Result<Option<Session>> {
        let url = self.url(session_id, "", &[("agent_id", agent_id)])?;
        self.get(url).await
    }

    /// One page of its messages, and the cursor of the next one.
    pub(super) async fn messages(
        &self,
        agent_id: &str,
        session_id: &str,
        cursor: Option<&str>,
    ) -> anyhow::Result<(Vec<Line>, Option<String>)> {
        let mut query = vec![("agent_id", agent_id), ("limit", "500"), ("order", "asc")];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page: Option<Page> = self.get(self.url(session_id, "/messages", &query)?).await?;
        let page = page.with_context(|| format!("the session {session_id:?} vanished"))?;
        Ok((page.data, page.next_cursor))
    }

    fn url(&self, session_id: &str, of_it: &str, query: &[(&str, &str)]) -> anyhow::Result<Url> {
        // URLs cannot say these: they mean "here" and "one up", encoded or not.
        if matches!(session_id, "" | "." | "..") {
            bail!("the session id {session_id:?} cannot stand in a URL");
        }
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/v1/sessions/{}{of_it}",
            self.base.path().trim_end_matches('/'),
            utf8_percent_encode(session_id, SEGMENT)
        ));
        url.query_pairs_mut().clear().extend_pairs(query);
        Ok(url)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: Url) -> anyhow::Result<Option<T>> {
        let response = self.ask(&url).await?;
        match response.status() {
            StatusCode::OK => {
                let answer = response.json().await;
                answer.map(Some).with_context(|| format!("cannot read the answer of {url}"))
            }
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => bail!("the API does not know this key (401)"),
            StatusCode::FORBIDDEN => bail!("the key may not read sessions (403)"),
            status => {
                let text = response.text().await.unwrap_or_default();
                let said: String = text.chars().take(300).collect();
                bail!("{url} answered {status}: {said}")
            }
        }
    }

    /// Asks, and asks again later where there were too many questions.
    async fn ask(&self, url: &Url) -> anyhow::Result<Response> {
        let mut turned_away = 0;
        loop {
            let request = self.client.get(url.clone()).bearer_auth(self.key.expose());
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) if http::is_refused(&error) => {
                    bail!("nobody listens at {}: connection refused", self.base)
                }
                Err(error) => return Err(error).context("the API cannot be asked"),
            };
            if response.status() != StatusCode::TOO_MANY_REQUESTS || turned_away == TURNED_AWAY_MAX
            {
                return Ok(response);
            }
            turned_away += 1;
            let wait = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            let seconds = wait.and_then(|wait| wait.parse().ok()).unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(seconds.min(TURNED_AWAY_SECONDS))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_whatever_is_in_it() {
        let base = Url::parse("http://localhost:1/verbatim/?x=1").unwrap();
        let api =
            Api::new(http::client(&base, None).unwrap(), base, Secret::new("k".into())).unwrap();
        let url = api.url("a/b%2F c?d#é\n", "/messages", &[("agent_id", "A&B")]).unwrap();
        assert_eq!(
            url.as_str(),
            "http://localhost:1/verbatim/v1/sessions/a%2Fb%252F%20c%3Fd%23%C3%A9%0A/messages\
             ?agent_id=A%26B"
        );
        assert!(api.url("..", "", &[]).is_err());
    }
}
