//! Status of a conversation: live, idle or ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Silences that change the status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceLimits {
    /// Time for which a session is live after its last event.
    pub live_for: Duration,
    /// Silence after which a session has ended.
    pub ended_after: Duration,
}

/// Length of a bucket of [`activity_bucket`].
const BUCKET_MICROS: i64 = 5 * 60 * 1_000_000;

/// Returns the start of the five-minute bucket that contains `at`. Lists of sessions are indexed by
/// it.
#[must_use]
pub fn activity_bucket(at: DateTime<Utc>) -> DateTime<Utc> {
    let start = at.timestamp_micros().div_euclid(BUCKET_MICROS) * BUCKET_MICROS;
    DateTime::from_timestamp_micros(start).unwrap_or(at)
}

impl Default for SilenceLimits {
    /// Returns two minutes, and the thirty minutes that the sender's guide treats as the end.
    fn default() -> Self {
        Self { live_for: Duration::from_mins(2), ended_after: Duration::from_mins(30) }
    }
}

/// Status of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Active recently.
    Live,
    /// Silent, but may continue.
    Idle,
    /// Ended, by the sender or by silence.
    Ended,
}

/// Status of a session, derived from its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Status.
    pub status: Status,
    /// Time of its end: the sender's, or else that of its last event.
    pub ended_at: Option<DateTime<Utc>>,
    /// The sender's reason, or `silence`.
    pub end_reason: Option<String>,
}

impl SilenceLimits {
    /// Returns the time after which a session's last activity makes it live.
    #[must_use]
    pub fn live_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.live_for
    }

    /// Returns the time after which a session's last activity keeps it from ending by silence.
    #[must_use]
    pub fn open_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.ended_after
    }

    /// Returns the status of a session at `now`. `end_event` is the time and reason of the sender's
    /// latest end event; any later activity revokes it.
    #[must_use]
    pub fn standing(
        &self,
        now: DateTime<Utc>,
        last_activity_at: DateTime<Utc>,
        end_event: Option<(DateTime<Utc>, Option<String>)>,
    ) -> Standing {
        if let Some((at, reason)) = end_event.filter(|(at, _)| *at >= last_activity_at) {
            return Standing {
                status: Status::Ended,
                ended_at: Some(at),
                end_reason: Some(reason.unwrap_or_else(|| "session_end".into())),
            };
        }
        if last_activity_at > self.live_since(now) {
            Standing { status: Status::Live, ended_at: None, end_reason: None }
        } else if last_activity_at > self.open_since(now) {
            Standing { status: Status::Idle, ended_at: None, end_reason: None }
        } else {
            Standing {
                status: Status::Ended,
                ended_at: Some(last_activity_at),
                end_reason: Some("silence".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_705_312_200, 0).unwrap() + TimeDelta::seconds(seconds)
    }

    #[test]
    fn silence_makes_a_session_idle_then_ended() {
        let limits = SilenceLimits::default();
        let status = |silence| limits.standing(at(silence), at(0), None).status;
        assert_eq!(status(0), Status::Live);
        assert_eq!(status(119), Status::Live);
        assert_eq!(status(120), Status::Idle);
        assert_eq!(status(1799), Status::Idle);
        assert_eq!(status(1800), Status::Ended);

        let ended = limits.standing(at(1800), at(0), None);
        assert_eq!(ended.ended_at, Some(at(0)), "it ended at its last activity");
        assert_eq!(ended.end_reason.as_deref(), Some("silence"));
    }

    #[test]
    fn bucket_begins_at_a_multiple_of_five_minutes() {
        let bucket = |seconds| activity_bucket(at(seconds));
        assert_eq!(at(0).timestamp() % 300, 0);
        assert_eq!([bucket(0), bucket(299), bucket(300), bucket(-1)], [0, 0, 300, -300].map(at));
    }

    #[test]
    fn end_event_ends_a_session_at_once() {
        let limits = SilenceLimits::default();
        let end = || Some((at(7), Some("user_disconnect".to_owned())));
        for last_activity in [5, 7] {
            let ended = limits.standing(at(8), at(last_activity), end());
            assert_eq!((ended.status, ended.ended_at), (Status::Ended, Some(at(7))));
            assert_eq!(ended.end_reason.as_deref(), Some("user_disconnect"));
        }
    }

    #[test]
    fn activity_after_the_end_event_revokes_it() {
        let limits = SilenceLimits::default();
        let standing = |now| {
            let end = Some((at(7), Some("user_disconnect".to_owned())));
            limits.standing(at(now), at(9), end)
        };
        assert_eq!(standing(10).status, Status::Live);
        assert_eq!(standing(10).end_reason, None);
        assert_eq!(standing(9 + 1799).status, Status::Idle);
        let ended = standing(9 + 1800);
        assert_eq!((ended.status, ended.ended_at), (Status::Ended, Some(at(9))));
        assert_eq!(ended.end_reason.as_deref(), Some("silence"));
    }
}
