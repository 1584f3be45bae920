//! The standby that the read API uses, and the lag up to which it does.

use std::time::Duration;

use anyhow::ensure;
use secrecy::SecretString;

use super::text::{duration, setting};

/// Default limit: too short for clients to notice, but long enough for a checkpoint or vacuum of
/// the primary.
const DEFAULT_MAX_LAG: Duration = Duration::from_secs(10);
/// Shortest limit: the lag is measured every second.
const SHORTEST_MAX_LAG: Duration = Duration::from_secs(2);
/// Longest limit: a standby with more lag is out of order.
const MAX_MAX_LAG: Duration = Duration::from_hours(1);

/// Standby of the database.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// URL of the standby.
    pub url: SecretString,
    /// Lag up to which the standby is used.
    pub max_lag: Duration,
}

setting! {
    /// Lag up to which a standby is used.
    #[derive(Clone, Copy, Debug)]
    MaxLag(Duration) = parse, default DEFAULT_MAX_LAG
}

fn parse(text: &str) -> anyhow::Result<Duration> {
    let max_lag = duration(text, "10s")?;
    ensure!(
        (SHORTEST_MAX_LAG..=MAX_MAX_LAG).contains(&max_lag),
        "must be between 2s and 1h, not {}",
        humantime::format_duration(max_lag)
    );
    Ok(max_lag)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::{DatabaseArgs, ServeArgs, Settings};

    fn resolve(
        url: Option<&str>,
        read: Option<&str>,
        lag: Option<&str>,
    ) -> anyhow::Result<Settings> {
        let database = DatabaseArgs {
            database_url: url.map(Into::into),
            read_database_url: read.map(Into::into),
            ..DatabaseArgs::default()
        };
        let read_max_lag = lag.map(str::parse).transpose()?;
        Settings::resolve(ServeArgs { database, read_max_lag, ..ServeArgs::default() })
    }

    #[test]
    fn standby_has_a_url_and_a_limit() {
        let (primary, standby) = (Some("postgres://a/v"), Some("postgres://b/v"));
        let replica = |lag| resolve(primary, standby, lag).map(|settings| settings.replica);
        let found = replica(None).unwrap().unwrap();
        assert_eq!((found.url.expose_secret(), found.max_lag), ("postgres://b/v", DEFAULT_MAX_LAG));
        assert_eq!(replica(Some("1m")).unwrap().unwrap().max_lag, Duration::from_mins(1));
        for wrong in ["10", "1s", "2h"] {
            let error = replica(Some(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("must be "), "{error}");
        }
        assert!(resolve(primary, None, None).unwrap().replica.is_none());
        assert!(resolve(primary, Some(" "), None).unwrap().replica.is_none());
    }

    #[test]
    fn standby_of_the_private_database_is_rejected() {
        let error = resolve(None, Some("postgres://b/v"), None).unwrap_err().to_string();
        assert!(error.contains("set DATABASE_URL"), "{error}");
    }
}
