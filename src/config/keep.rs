//! How long things are kept, of all sources and of some.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, NaiveTime, Utc};

use super::raw::File;

const DAY: Duration = Duration::from_hours(24);
/// What is deleted by whole days cannot be kept for less than one.
const SHORTEST: Duration = DAY;
/// Beyond any use, and with room for multiples far from the ends of Postgres' calendar.
const LONGEST: Duration = DAY.saturating_mul(36_500);
/// How long the log of deliveries is kept where nothing is said: long enough to find out what went
/// wrong last month. What was said in it is kept with the conversations, for as long as they are.
const DEFAULT_DELIVERIES: Duration = DAY.saturating_mul(30);

/// How long everything is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Conversations: messages, and sessions that have none any more.
    pub messages: Ages,
    /// The log of deliveries, raw bytes included.
    pub deliveries: Ages,
}

/// How old something may get, by the source that it came from; `None` is any age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// Where nothing else is said.
    pub usual: Option<Duration>,
    /// Of these sources.
    pub of_sources: BTreeMap<String, Option<Duration>>,
}

impl Keep {
    pub(super) fn resolve(
        messages: Option<&str>,
        deliveries: Option<&str>,
        file: &File,
    ) -> anyhow::Result<Self> {
        let mut keep = Self {
            messages: Ages::of(parse(
                "keep-messages",
                messages.or(file.keep_messages.as_deref()),
                None,
            )?),
            deliveries: Ages::of(parse(
                "keep-deliveries",
                deliveries.or(file.keep_deliveries.as_deref()),
                Some(DEFAULT_DELIVERIES),
            )?),
        };
        for source in &file.sources {
            let name = || format!("source {}", source.name);
            if let Some(text) = source.keep_messages.as_deref() {
                let age = parse("keep_messages", Some(text), None).with_context(name)?;
                keep.messages.of_sources.insert(source.name.clone(), age);
            }
            if let Some(text) = source.keep_deliveries.as_deref() {
                let age = parse("keep_deliveries", Some(text), None).with_context(name)?;
                keep.deliveries.of_sources.insert(source.name.clone(), age);
            }
        }
        Ok(keep)
    }
}

impl Ages {
    /// The same for all sources.
    #[must_use]
    pub fn of(usual: Option<Duration>) -> Self {
        Self { usual, of_sources: BTreeMap::new() }
    }

    /// The age at which everything goes, whatever its source; `None` where some of it stays.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        let of_sources = self.of_sources.values().copied();
        of_sources
            .chain([self.usual])
            .try_fold(Duration::ZERO, |longest, age| Some(longest.max(age?)))
    }

    /// Nothing ever goes.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        self.usual.is_none() && self.of_sources.values().all(Option::is_none)
    }

    /// Some sources' things go sooner than others'.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.of_sources.values().any(|age| *age != self.usual)
    }
}

/// What is older than that is over age. Things go by whole days, so it is a midnight.
#[must_use]
pub fn oldest(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    (now - age).date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// Reads for how long something is kept; `None` is for ever.
fn parse(
    name: &str,
    text: Option<&str>,
    default: Option<Duration>,
) -> anyhow::Result<Option<Duration>> {
    let Some(text) = text else { return Ok(default) };
    if ["0", "forever"].contains(&text) {
        return Ok(None);
    }
    let keep = humantime::parse_duration(text).with_context(|| {
        format!("{name} is a duration such as 30d, or forever, and {text:?} is not")
    })?;
    if keep.is_zero() {
        return Ok(None);
    }
    anyhow::ensure!(
        (SHORTEST..=LONGEST).contains(&keep),
        "{name} is a day at least and a hundred years at the most, and {text:?} is not"
    );
    Ok(Some(keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_kept_for_a_time_or_for_ever() {
        for (text, days) in [
            (None, Some(30)),
            (Some("7d"), Some(7)),
            (Some("24h"), Some(1)),
            (Some("0"), None),
            (Some("0d"), None),
            (Some("forever"), None),
        ] {
            let keep = parse("keep", text, Some(DEFAULT_DELIVERIES)).unwrap();
            assert_eq!(keep, days.map(|days| DAY * days), "{text:?}");
        }
        for wrong in ["", "30", "ever", "-1d", "23h", "101years"] {
            assert!(parse("keep", Some(wrong), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_source_can_have_its_own() {
        let file: File = toml::from_str(
            "keep_messages = \"365d\"
             [[sources]]
             name = \"kiosk\"
             keep_messages = \"7d\"
             keep_deliveries = \"forever\"",
        )
        .unwrap();
        let keep = Keep::resolve(None, None, &file).unwrap();
        assert_eq!(keep.messages.usual, Some(DAY * 365));
        assert_eq!(keep.messages.of_sources["kiosk"], Some(DAY * 7));
        assert_eq!(keep.messages.longest(), Some(DAY * 365));
        assert_eq!(keep.deliveries.usual, Some(DEFAULT_DELIVERIES));
        assert_eq!(keep.deliveries.longest(), None);
        assert!(keep.deliveries.differ() && !keep.deliveries.is_for_ever());
        assert!(Keep::resolve(None, None, &File::default()).unwrap().messages.is_for_ever());
    }
}
