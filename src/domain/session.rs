//! When a conversation is live, idle, or over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How long a silence may last before it means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceLimits {
    /// A session is live for this long after its last event.
    pub live_for: Duration,
    /// A session is over once it has been silent for this long.
    pub ended_after: Duration,
}

/// How much of time one bucket of [`activity_bucket`] covers.
const BUCKET_MICROS: i64 = 5 * 60 * 1_000_000;

/// The five minutes in which `at` lies: the stretch by which lists of sessions are indexed.
#[must_use]
pub fn activity_bucket(at: DateTime<Utc>) -> DateTime<Utc> {
    let start = at.timestamp_micros().div_euclid(BUCKET_MICROS) * BUCKET_MICROS;
    DateTime::from_timestamp_micros(start).unwrap_or(at)
}

impl Default for SilenceLimits {
    /// Two minutes, and the thirty that the sender's guide treats as the end.
    fn default() -> Self {
        Self { live_for: Duration::from_mins(2), ended_after: Duration::from_mins(30) }
    }
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Somebody spoke a moment ago.
    Live,
    /// Silent, but it may go on.
    Idle,
    /// Over: by the sender's word, or by silence.
    Ended,
}

/// What a session's times say about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub status: Status,
    /// When it ended: at the sender's word, or else at its last event.
    pub ended_at: Option<DateTime<Utc>>,
    /// The sender's reason, or `silence`.
    pub end_reason: Option<String>,
}

impl SilenceLimits {
    /// Sessions whose last activity is after this are live.
    #[must_use]
    pub fn live_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.live_for
    }

    /// Sessions whose last activity is after this are not over by silence.
    #[must_use]
    pub fn open_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.ended_after
    }

    /// Where a session stands at `now`. `end_event` is the sender's latest word that it is over, its
    /// time and reason; whatever happens after it takes it back.
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
        assert_eq!(ended.ended_at, Some(at(0)), "it ended when it fell silent");
        assert_eq!(ended.end_reason.as_deref(), Some("silence"));
    }

    #[test]
    fn a_bucket_begins_at_five_minutes_of_the_clock() {
        let bucket = |seconds| activity_bucket(at(seconds));
        assert_eq!(at(0).timestamp() % 300, 0);
        assert_eq!([bucket(0), bucket(299), bucket(300), bucket(-1)], [0, 0, 300, -300].map(at));
    }

    #[test]
    fn the_senders_word_ends_a_session_at_once() {
        let limits = SilenceLimits::default();
        let word = || Some((at(7), Some("user_disconnect".to_owned())));
        for last_activity in [5, 7] {
            let ended = limits.standing(at(8), at(last_activity), word());
            assert_eq!((ended.status, ended.ended_at), (Status::Ended, Some(at(7))));
            assert_eq!(ended.end_reason.as_deref(), Some("user_disconnect"));
        }
    }

    #[test]
    fn what_happens_after_the_senders_word_takes_it_back() {
        let limits = SilenceLimits::default();
        let standing = |now| {
            let word = Some((at(7), Some("user_disconnect".to_owned())));
            limits.standing(at(now), at(9), word)
        };
        assert_eq!(standing(10).status, Status::Live);
        assert_eq!(standing(10).end_reason, None);
        assert_eq!(standing(9 + 1799).status, Status::Idle);
        let ended = standing(9 + 1800);
        assert_eq!((ended.status, ended.ended_at), (Status::Ended, Some(at(9))));
        assert_eq!(ended.end_reason.as_deref(), Some("silence"));
    }
}
