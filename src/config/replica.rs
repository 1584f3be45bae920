//! The standby that answers are read from, and how far it may be behind.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Secret;

/// How far a standby may be behind where nothing else is set: its readers do not notice, and a
/// checkpoint or a vacuum of the primary does not send them away.
const DEFAULT_MAX_LAG: Duration = Duration::from_secs(10);
/// Shortest limit: the lag is measured every second.
const SHORTEST_MAX_LAG: Duration = Duration::from_secs(2);
/// Longest limit. A standby that is behind by more is out of order.
const LONGEST_MAX_LAG: Duration = Duration::from_hours(1);

/// A standby of the database.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// How to connect to it.
    pub url: Secret,
    /// It is read while it is behind by no more than this.
    pub max_lag: Duration,
}

impl ReplicaSettings {
    pub(super) fn resolve(
        url: Option<&Secret>,
        max_lag: Option<&str>,
    ) -> anyhow::Result<Option<Self>> {
        let max_lag = max_lag.map_or(Ok(DEFAULT_MAX_LAG), |text| {
            humantime::parse_duration(text).with_context(|| {
                format!("read-max-lag is a duration such as 10s, and {text:?} is not")
            })
        })?;
        ensure!(
            (SHORTEST_MAX_LAG..=LONGEST_MAX_LAG).contains(&max_lag),
            "read-max-lag is between 2s and 1h, and {} is not",
            humantime::format_duration(max_lag)
        );
        Ok(url.map(|url| Self { url: url.clone(), max_lag }))
    }
}

#[cfg(test)]
mod tests {
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
        let read_max_lag = lag.map(Into::into);
        Settings::resolve(ServeArgs { database, read_max_lag, ..ServeArgs::default() })
    }

    #[test]
    fn a_standby_has_a_url_and_a_limit() {
        let (primary, standby) = (Some("postgres://a/v"), Some("postgres://b/v"));
        let replica = |lag| resolve(primary, standby, lag).map(|settings| settings.replica);
        let found = replica(None).unwrap().unwrap();
        assert_eq!((found.url.expose(), found.max_lag), ("postgres://b/v", DEFAULT_MAX_LAG));
        assert_eq!(replica(Some("1m")).unwrap().unwrap().max_lag, Duration::from_mins(1));
        for wrong in ["10", "1s", "2h"] {
            let error = replica(Some(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("read-max-lag is "), "{error}");
        }
        assert!(resolve(primary, None, None).unwrap().replica.is_none());
        assert!(resolve(primary, Some(" "), None).unwrap().replica.is_none());
    }

    #[test]
    fn the_private_database_has_no_standby() {
        let error = resolve(None, Some("postgres://b/v"), None).unwrap_err().to_string();
        assert!(error.contains("set DATABASE_URL"), "{error}");
    }
}
