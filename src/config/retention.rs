//! Retention of conversations and deliveries: the default, and that of single sources.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, NaiveTime, Utc};

use super::file_only::FileSource;
use super::text::{duration, setting};

const DAY: Duration = Duration::from_hours(24);
/// Shortest retention: rows are deleted by whole days.
const SHORTEST: Duration = DAY;
/// Longest retention: more than anybody needs, and multiples of it are far from the ends of
/// Postgres' calendar.
const LONGEST: Duration = DAY.saturating_mul(36_500);
/// Default retention of the log of deliveries: long enough to investigate a fault of last month.
/// The messages in it are stored with the conversations too, and have their retention.
const DEFAULT_DELIVERIES: Duration = DAY.saturating_mul(30);

/// Retention of everything that expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRules {
    /// Conversations: messages, and sessions without messages.
    pub messages: AgeLimits,
    /// The log of deliveries, raw bytes included.
    pub deliveries: AgeLimits,
}

setting! {
    /// Age at which rows are deleted; `None` is never.
    #[derive(Clone, Copy, Debug)]
    AgeLimit(Option<Duration>) = parse
}

/// Age limits by source; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgeLimits {
    /// Limit for sources that are not in `of_sources`.
    pub usual: Option<Duration>,
    /// Limits of single sources, by name.
    pub of_sources: BTreeMap<String, Option<Duration>>,
}

impl RetentionRules {
    pub(super) fn resolve(
        messages: Option<AgeLimit>,
        deliveries: Option<AgeLimit>,
        sources: &[FileSource],
    ) -> anyhow::Result<Self> {
        let mut keep = Self {
            messages: AgeLimits::of(messages.and_then(|limit| limit.0)),
            deliveries: AgeLimits::of(deliveries.map_or(Some(DEFAULT_DELIVERIES), |limit| limit.0)),
        };
        for source in sources {
            for (setting, text, limits) in [
                ("keep_messages", &source.keep_messages, &mut keep.messages),
                ("keep_deliveries", &source.keep_deliveries, &mut keep.deliveries),
            ] {
                let Some(text) = text else { continue };
                let age = parse(text)
                    .map_err(|error| anyhow!("source {}: {setting} {error}", source.name))?;
                limits.of_sources.insert(source.name.clone(), age);
            }
        }
        Ok(keep)
    }
}

impl AgeLimits {
    /// Returns the same limit for all sources.
    #[must_use]
    pub fn of(usual: Option<Duration>) -> Self {
        Self { usual, of_sources: BTreeMap::new() }
    }

    /// Returns the age at which rows of every source have expired; `None` if a source has no limit.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        let of_sources = self.of_sources.values().copied();
        of_sources
            .chain([self.usual])
            .try_fold(Duration::ZERO, |longest, age| Some(longest.max(age?)))
    }

    /// Returns true if no source has a limit.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.usual.is_none() && self.of_sources.values().all(Option::is_none)
    }

    /// Returns true if sources have different limits.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.of_sources.values().any(|age| *age != self.usual)
    }
}

/// Returns the midnight before which rows have expired: they are deleted by whole days.
#[must_use]
pub fn oldest(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    (now - age).date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// Parses an age limit; `None` is no limit.
fn parse(text: &str) -> anyhow::Result<Option<Duration>> {
    if ["0", "forever"].contains(&text) {
        return Ok(None);
    }
    let keep = duration(text, "30d, or forever")?;
    if keep.is_zero() {
        return Ok(None);
    }
    anyhow::ensure!(
        (SHORTEST..=LONGEST).contains(&keep),
        "must be between a day and a hundred years, not {text:?}"
    );
    Ok(Some(keep))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::File;

    #[test]
    fn retention_is_limited_or_unlimited() {
        for (text, days) in [
            (None, Some(30)),
            (Some("7d"), Some(7)),
            (Some("24h"), Some(1)),
            (Some("0"), None),
            (Some("0d"), None),
            (Some("forever"), None),
        ] {
            let limit = text.map(|text| text.parse().unwrap());
            let keep = RetentionRules::resolve(None, limit, &[]).unwrap().deliveries.usual;
            assert_eq!(keep, days.map(|days| DAY * days), "{text:?}");
        }
        for wrong in ["", "30", "ever", "-1d", "23h", "101years"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn source_can_have_its_own_retention() {
        let file = File::parse(
            "keep_messages = \"365d\"
             [[sources]]
             name = \"kiosk\"
             keep_messages = \"7d\"
             keep_deliveries = \"forever\"",
        )
        .unwrap();
        let keep =
            RetentionRules::resolve(file.args.keep_messages, None, &file.only.sources).unwrap();
        assert_eq!(keep.messages.usual, Some(DAY * 365));
        assert_eq!(keep.messages.of_sources["kiosk"], Some(DAY * 7));
        assert_eq!(keep.messages.longest(), Some(DAY * 365));
        assert_eq!(keep.deliveries.usual, Some(DEFAULT_DELIVERIES));
        assert_eq!(keep.deliveries.longest(), None);
        assert!(keep.deliveries.differ() && !keep.deliveries.is_unlimited());
        assert!(RetentionRules::resolve(None, None, &[]).unwrap().messages.is_unlimited());
    }
}
