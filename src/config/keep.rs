//! How long things are kept.

use std::time::Duration;

use anyhow::Context as _;

const DAY: Duration = Duration::from_hours(24);
/// What is deleted by whole days cannot be kept for less than one.
const SHORTEST: Duration = DAY;
/// Beyond any use, and with room for multiples far from the ends of Postgres' calendar.
const LONGEST: Duration = DAY.saturating_mul(36_500);
/// How long the log of deliveries is kept where nothing is said: long enough to find out what went
/// wrong last month. What was said in it is kept with the conversations, for as long as they are.
const DEFAULT_DELIVERIES: Duration = DAY.saturating_mul(30);

/// Reads for how long the log of deliveries is kept; `None` is for ever.
pub(super) fn deliveries(text: Option<&str>) -> anyhow::Result<Option<Duration>> {
    let Some(text) = text else { return Ok(Some(DEFAULT_DELIVERIES)) };
    if ["0", "forever"].contains(&text) {
        return Ok(None);
    }
    let keep = humantime::parse_duration(text).with_context(|| {
        format!("keep-deliveries is a duration such as 30d, or forever, and {text:?} is not")
    })?;
    if keep.is_zero() {
        return Ok(None);
    }
    anyhow::ensure!(
        (SHORTEST..=LONGEST).contains(&keep),
        "keep-deliveries is a day at least and a hundred years at the most, and {text:?} is not"
    );
    Ok(Some(keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_kept_for_a_time_or_for_ever() {
        for (text, days) in [
            (None, Some(30)),
            (Some("7d"), Some(7)),
            (Some("24h"), Some(1)),
            (Some("0"), None),
            (Some("0d"), None),
            (Some("forever"), None),
        ] {
            let keep = deliveries(text).unwrap();
            assert_eq!(keep, days.map(|days| DAY * days), "{text:?}");
        }
        for wrong in ["", "30", "ever", "-1d", "23h", "101years"] {
            assert!(deliveries(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
