//! Silence that makes a session idle, and that ends it.

use std::time::Duration;

use super::text::{duration, setting};
use crate::domain::session::SilenceLimits;

/// Longest silence: nobody needs more, and `now - limit` is then far from the calendar's ends.
const LONGEST: Duration = Duration::from_hours(24 * 365);

setting! {
    /// Silence of a session.
    #[derive(Clone, Copy, Debug)]
    Silence(Duration) = |text| duration(text, "30m")
}

/// Returns the limits, if they fit together.
pub(super) fn limits(
    live_for: Option<Silence>,
    ended_after: Option<Silence>,
) -> anyhow::Result<SilenceLimits> {
    let default = SilenceLimits::default();
    let limits = SilenceLimits {
        live_for: live_for.map_or(default.live_for, |silence| silence.0),
        ended_after: ended_after.map_or(default.ended_after, |silence| silence.0),
    };
    anyhow::ensure!(
        limits.live_for <= limits.ended_after,
        "live-for must not be longer than ended-after"
    );
    anyhow::ensure!(limits.ended_after <= LONGEST, "ended-after must not be longer than a year");
    Ok(limits)
}
