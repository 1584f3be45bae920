//! Limits on bodies, connections and the inbox: defaults and checks.

use anyhow::{anyhow, ensure};
use bytesize::ByteSize;

use super::text::setting;

/// Default limit on a delivery's body, in bytes.
const DEFAULT_MAX_BODY: usize = 1 << 20;
/// Highest value of `max-body`, in bytes: a delivery must fit a Postgres `bytea` and a group of the
/// inbox with room to spare.
const LARGEST_MAX_BODY: u64 = 64 << 20;
/// Default limit on the inbox's size on disk, in bytes.
const DEFAULT_INBOX_QUOTA: u64 = 4 << 30;

/// Default limit on open connections: 5,000 idle ones that a proxy may keep, and as many again. An
/// idle connection needs 20 kB, or 27 kB with TLS (measured), so 10,000 need 200 or 270 MB. While a
/// request's head arrives, a connection needs up to 130 kB more.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// Highest value of `max-connections`: one address has not enough ports for more.
const LARGEST_MAX_CONNECTIONS: usize = 60_000;

setting! {
    /// Limit on a delivery's body, in bytes.
    #[derive(Clone, Copy, Debug)]
    MaxBody(usize) = max_body, default DEFAULT_MAX_BODY
}

setting! {
    /// Limit on the inbox's size on disk, in bytes.
    #[derive(Clone, Copy, Debug)]
    InboxQuota(u64) = size, default DEFAULT_INBOX_QUOTA
}

fn max_body(text: &str) -> anyhow::Result<usize> {
    let max_body = size(text)?;
    ensure!(
        (1..=LARGEST_MAX_BODY).contains(&max_body),
        "must be between 1 byte and 64 MiB, not {max_body} bytes"
    );
    Ok(usize::try_from(max_body)?)
}

fn size(text: &str) -> anyhow::Result<u64> {
    let size = text.parse::<ByteSize>();
    size.map(|size| size.as_u64()).map_err(|_| anyhow!("must be a size such as 1MiB, not {text:?}"))
}

/// Returns the limit on open connections.
pub(super) fn max_connections(given: Option<usize>) -> anyhow::Result<usize> {
    let max_connections = given.unwrap_or(DEFAULT_MAX_CONNECTIONS);
    ensure!(
        (1..=LARGEST_MAX_CONNECTIONS).contains(&max_connections),
        "max-connections must be between 1 and {LARGEST_MAX_CONNECTIONS}, not {max_connections}"
    );
    Ok(max_connections)
}
