//! Limits on bodies, connections and the inbox: defaults and checks.

/// Default limit on a delivery's body, in bytes.
const DEFAULT_MAX_BODY: u64 = 1 << 20;
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

/// Returns the limit on a delivery's body, in bytes.
pub(super) fn max_body_bytes(flag: Option<&str>, file: Option<&str>) -> anyhow::Result<usize> {
    let max_body = size("max-body", flag.or(file))?.unwrap_or(DEFAULT_MAX_BODY);
    anyhow::ensure!(
        (1..=LARGEST_MAX_BODY).contains(&max_body),
        "max-body must be between 1 byte and 64 MiB, not {max_body} bytes"
    );
    Ok(usize::try_from(max_body)?)
}

/// Returns the limit on the inbox's size on disk, in bytes.
pub(super) fn inbox_quota_bytes(flag: Option<&str>, file: Option<&str>) -> anyhow::Result<u64> {
    Ok(size("inbox-quota", flag.or(file))?.unwrap_or(DEFAULT_INBOX_QUOTA))
}

/// Returns the limit on open connections.
pub(super) fn max_connections(given: Option<usize>) -> anyhow::Result<usize> {
    let max_connections = given.unwrap_or(DEFAULT_MAX_CONNECTIONS);
    anyhow::ensure!(
        (1..=LARGEST_MAX_CONNECTIONS).contains(&max_connections),
        "max-connections must be between 1 and {LARGEST_MAX_CONNECTIONS}, not {max_connections}"
    );
    Ok(max_connections)
}

fn size(name: &str, text: Option<&str>) -> anyhow::Result<Option<u64>> {
    let parse = |text: &str| {
        let size = text.parse::<bytesize::ByteSize>();
        size.map(|size| size.as_u64())
            .map_err(|_| anyhow::anyhow!("{name} must be a size such as 1MiB, not {text:?}"))
    };
    text.map(parse).transpose()
}
