//! Pause of a follower of the journal after a batch.

use std::time::Duration;

/// Shortest pause of a follower that has caught up: few large batches cost less than many small ones.
const MIN_PAUSE: Duration = Duration::from_millis(200);

/// Returns the pause after a batch. It leaves half of the time to other work, and lets the next batch
/// grow unless the follower is behind.
pub(super) fn pause_after_batch(took: Duration, behind: bool) -> Duration {
    if behind { took } else { took.max(MIN_PAUSE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follower_that_is_behind_does_not_wait_for_more() {
        let (quick, slow) = (Duration::from_millis(20), Duration::from_secs(1));
        assert_eq!(pause_after_batch(quick, true), quick);
        assert_eq!(pause_after_batch(quick, false), MIN_PAUSE);
        assert_eq!(pause_after_batch(slow, false), slow);
    }
}
