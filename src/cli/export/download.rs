//! Asks for the rows, and asks again for the rest where the connection is cut.

use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::Query;
use super::spool::Spool;
use crate::cli::http;
use crate::config::Secret;
use crate::domain::json_line::escape_separators_from;

/// Longest silence in the middle of an answer. A filter that lets little through keeps the service
/// looking for a while.
const SILENCE_LIMIT: Duration = Duration::from_mins(5);
/// How the last member of a row begins.
const CURSOR: &[u8] = b",\"cursor\":\"";
/// Rows after which the progress bar is told.
const SHOWN_EVERY: u64 = 500;

/// An export as it is asked for.
pub(super) struct Download {
    client: Client,
    url: Url,
    key: Secret,
}

/// Why an attempt did not bring everything.
enum Cut {
    /// Asking again makes it no better.
    Refused(anyhow::Error),
    /// It may be better later.
    Broken(anyhow::Error, Option<Duration>),
}

impl Download {
    /// The export `name` of the API at `base`, with these filters.
    pub(super) fn new(
        client: ClientBuilder,
        base: &Url,
        name: &str,
        filters: &Query,
        key: Secret,
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

    /// What is asked for: the same for the same filters at the same service.
    pub(super) fn question(&self) -> &str {
        self.url.as_str()
    }

    /// Brings all rows that are not in the spool yet.
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
                Err(Cut::Refused(error)) => return Err(error),
                Err(Cut::Broken(error, wait)) => (error, wait),
            };
            if spool.rows() > before {
                idle = 0;
            }
            let Some(pause) = http::PAUSES.get(idle) else { return Err(error) };
            idle += 1;
            progress.set_message(format!("cut off ({error}), going on"));
            tokio::time::sleep(wait.unwrap_or(*pause)).await;
        }
    }

    async fn attempt(&self, spool: &mut Spool, progress: &ProgressBar) -> Result<(), Cut> {
        let mut url = self.url.clone();
        if let Some(cursor) = spool.cursor() {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let broken = |error: reqwest::Error| Cut::Broken(plain(error), None);
        let sent = self.client.get(url).bearer_auth(self.key.expose()).send().await;
        let mut response = check(sent.map_err(broken)?).await?;
        let mut rest = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            rest.extend_from_slice(&chunk);
            let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in rest[..end].split_inclusive(|byte| *byte == b'\n') {
                let (row, cursor) = split(line).map_err(Cut::Refused)?;
                spool.push(&row, cursor).map_err(Cut::Refused)?;
                if spool.rows().is_multiple_of(SHOWN_EVERY) {
                    super::show(progress, spool);
                }
            }
            rest.drain(..end);
        }
        // The answer is whole, since its last chunk came: a row that is not would be a fault.
        if rest.is_empty() {
            return Ok(());
        }
        Err(Cut::Refused(anyhow::anyhow!("the service ended its answer in the middle of a row")))
    }
}

/// A row, and the cursor that came with it as its last member.
fn split(line: &[u8]) -> anyhow::Result<(Vec<u8>, &str)> {
    let parts = || {
        let at = line.windows(CURSOR.len()).rposition(|window| window == CURSOR)?;
        let cursor = line[at + CURSOR.len()..].strip_suffix(b"\"}\n")?;
        Some((&line[..at], str::from_utf8(cursor).ok()?))
    };
    let (row, cursor) =
        parts().context("this is no export of Verbatim: a row came without its cursor")?;
    let mut row = [row, b"}"].concat();
    // An older service sends them as they are.
    escape_separators_from(&mut row, 0);
    Ok((row, cursor))
}

/// The answer, if it is one with rows.
async fn check(response: Response) -> Result<Response, Cut> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let wait = http::retry_after(response.headers());
    let detail = http::detail(&response.bytes().await.unwrap_or_default());
    let detail = detail.as_deref().unwrap_or("that is all it says");
    let error = anyhow::anyhow!("the service answered {status}: {detail}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Err(Cut::Broken(error, wait))
    } else {
        Err(Cut::Refused(error))
    }
}

/// Without the URL, which holds the cursor and is long.
fn plain(error: reqwest::Error) -> anyhow::Error {
    if http::is_refused(&error) {
        return anyhow::anyhow!("nobody listens there: connection refused");
    }
    anyhow::Error::new(error.without_url()).context("the connection was cut")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_stands_before_its_cursor_whatever_it_says() {
        let line = br#"{"message":",\"cursor\":\"x\"}","altered":false,"cursor":"a-_9"}"#;
        let line = [&line[..], b"\n"].concat();
        let (row, cursor) = split(&line).unwrap();
        assert_eq!(row, br#"{"message":",\"cursor\":\"x\"}","altered":false}"#);
        assert_eq!(cursor, "a-_9");
        assert!(split(b"{\"message\":1}\n").is_err());
    }
}
