//! Download of the rows. A broken connection is retried from the last row.

use std::time::Duration;

use anyhow::Context as _;
use indicatif::{HumanBytes, ProgressBar};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::spool::Spool;
use crate::cli::http;
use crate::domain::json_line::escape_separators_from;

/// Longest silence within an answer. With a filter that matches little, the service searches for a
/// while.
const SILENCE_LIMIT: Duration = Duration::from_mins(5);
/// Beginning of a row's last member.
const CURSOR: &[u8] = b",\"cursor\":\"";
/// Rows between two updates of the progress bar.
const ROWS_PER_UPDATE: u64 = 500;

/// Names and values of a query string.
pub(super) type Query = Vec<(&'static str, String)>;

/// Request for an export.
pub(super) struct Download {
    client: Client,
    url: Url,
    key: SecretString,
}

/// Reason why an attempt did not fetch all rows.
enum Failure {
    /// A retry cannot help.
    Permanent(anyhow::Error),
    /// A retry may help, after the wait that the service asks for.
    Temporary(anyhow::Error, Option<Duration>),
}

impl Download {
    /// Prepares the export `name` of the API at `base`, with these filters.
    pub(super) fn new(
        client: ClientBuilder,
        base: &Url,
        name: &str,
        filters: &Query,
        key: SecretString,
    ) -> anyhow::Result<Self> {
        let client = http::build(client.read_timeout(SILENCE_LIMIT))?;
        let mut url = base.clone();
        url.set_path(&format!("{}/v1/export/{name}", base.path().trim_end_matches('/')));
        url.query_pairs_mut()
            .clear()
            .extend_pairs(filters)
            .extend_pairs([("format", "jsonl"), ("with_cursor", "true")]);
        Ok(Self { client, url, key })
    }

    /// Returns the export's URL, which is the same for the same filters and service.
    pub(super) fn request(&self) -> &str {
        self.url.as_str()
    }

    /// Fetches all rows that are not in the spool yet.
    pub(super) async fn run(
        &self,
        spool: &mut Spool,
        progress: &ProgressBar,
    ) -> anyhow::Result<()> {
        let mut idle = 0;
        loop {
            let before = spool.rows();
            let (error, wait) = match self.attempt(spool, progress).await {
                Ok(()) => return Ok(()),
                Err(Failure::Permanent(error)) => return Err(error),
                Err(Failure::Temporary(error, wait)) => (error, wait),
            };
            if spool.rows() > before {
                idle = 0;
            }
            let Some(pause) = http::PAUSES.get(idle) else { return Err(error) };
            idle += 1;
            progress.set_message(format!("interrupted ({error}), retrying"));
            tokio::time::sleep(wait.unwrap_or(*pause)).await;
        }
    }

    async fn attempt(&self, spool: &mut Spool, progress: &ProgressBar) -> Result<(), Failure> {
        let mut url = self.url.clone();
        if let Some(cursor) = spool.cursor() {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let broken = |error: reqwest::Error| Failure::Temporary(without_url(error), None);
        let sent = self.client.get(url).bearer_auth(self.key.expose_secret()).send().await;
        let mut response = check(sent.map_err(broken)?).await?;
        let mut rest = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            rest.extend_from_slice(&chunk);
            let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in rest[..end].split_inclusive(|byte| *byte == b'\n') {
                let (row, cursor) = split(line).map_err(Failure::Permanent)?;
                spool.push(&row, cursor).map_err(Failure::Permanent)?;
                if spool.rows().is_multiple_of(ROWS_PER_UPDATE) {
                    show(progress, spool);
                }
            }
            rest.drain(..end);
        }
        // The last chunk has arrived, so the answer is complete and must end with a row.
        if rest.is_empty() {
            return Ok(());
        }
        Err(Failure::Permanent(anyhow::anyhow!("the answer ended in the middle of a row")))
    }
}

/// Updates the progress bar.
fn show(progress: &ProgressBar, spool: &Spool) {
    progress.set_position(spool.rows());
    progress.set_message(HumanBytes(spool.bytes()).to_string());
}

/// Splits a line into the row and the cursor, which is its last member.
fn split(line: &[u8]) -> anyhow::Result<(Vec<u8>, &str)> {
    let parts = || {
        let at = line.windows(CURSOR.len()).rposition(|window| window == CURSOR)?;
        let cursor = line[at + CURSOR.len()..].strip_suffix(b"\"}\n")?;
        Some((&line[..at], str::from_utf8(cursor).ok()?))
    };
    let (row, cursor) =
        parts().context("a row has no cursor: the service at this URL is not Verbatim")?;
    let mut row = [row, b"}"].concat();
    // Older services do not escape them.
    escape_separators_from(&mut row, 0);
    Ok((row, cursor))
}

/// Returns an answer that has rows, and any other as an error.
async fn check(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let wait = http::retry_after(response.headers());
    let detail = http::detail(&response.bytes().await.unwrap_or_default());
    let detail = detail.as_deref().unwrap_or("no detail");
    let error = anyhow::anyhow!("the service answered {status}: {detail}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Err(Failure::Temporary(error, wait))
    } else {
        Err(Failure::Permanent(error))
    }
}

/// Converts an error. The URL is removed: it contains the cursor and is long.
fn without_url(error: reqwest::Error) -> anyhow::Error {
    if http::is_refused(&error) {
        return anyhow::anyhow!("connection refused: nothing listens at this address");
    }
    anyhow::Error::new(error.without_url()).context("connection lost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_that_quotes_a_cursor_is_split_at_its_own() {
        let line = br#"{"message":",\"cursor\":\"x\"}","altered":false,"cursor":"a-_9"}"#;
        let line = [&line[..], b"\n"].concat();
        let (row, cursor) = split(&line).unwrap();
        assert_eq!(row, br#"{"message":",\"cursor\":\"x\"}","altered":false}"#);
        assert_eq!(cursor, "a-_9");
        assert!(split(b"{\"message\":1}\n").is_err());
    }
}
