//! Simulated agents: topic, time zone, weekly rhythm and speed.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc, Weekday};
use chrono_tz::Tz;

use super::phrases::Topic;

/// Agent of the simulated account.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) topic: Topic,
    /// Time zone of its visitors.
    pub(super) zone: Tz,
    /// Median time from the end of a question to the beginning of the answer, in seconds.
    pub(super) reply_seconds: f64,
    rhythm: Rhythm,
    /// Sessions relative to the other agents', on a weekday.
    share: f64,
    /// Saturdays and Sundays relative to a weekday.
    weekend: f64,
}

/// Hours at which people talk with an agent.
#[derive(Clone, Copy, Debug)]
enum Rhythm {
    /// Peaks before and after lunch.
    Office,
    /// From morning to closing time.
    Shop,
    /// Peaks after dinner.
    Evening,
}

use Rhythm::{Evening, Office, Shop};

#[rustfmt::skip]
pub(super) const AGENTS: &[Agent] = &[
    Agent { id: "A80HVD8577", name: "Pip", topic: Topic::Museum, zone: Tz::Europe__London,
        reply_seconds: 0.9, rhythm: Shop, share: 0.5, weekend: 1.4 },
    Agent { id: "A91XMB7113", name: "Clara", topic: Topic::Orders, zone: Tz::Europe__Berlin,
        reply_seconds: 0.8, rhythm: Office, share: 1.3, weekend: 0.15 },
    Agent { id: "A27QKT4402", name: "Mateo", topic: Topic::Travel, zone: Tz::America__Sao_Paulo,
        reply_seconds: 1.2, rhythm: Evening, share: 0.7, weekend: 0.6 },
    Agent { id: "A63JWN9058", name: "Ada", topic: Topic::Support, zone: Tz::America__New_York,
        reply_seconds: 1.6, rhythm: Office, share: 1.2, weekend: 0.1 },
    Agent { id: "A15BRC3316", name: "Lumi", topic: Topic::Kiosk, zone: Tz::Europe__Berlin,
        reply_seconds: 0.7, rhythm: Shop, share: 0.6, weekend: 0.8 },
    Agent { id: "A48ZFP6120", name: "Noor", topic: Topic::Orders, zone: Tz::Asia__Kolkata,
        reply_seconds: 4.5, rhythm: Office, share: 0.9, weekend: 0.2 },
    Agent { id: "A72GYS2945", name: "Kenji", topic: Topic::Travel, zone: Tz::Asia__Tokyo,
        reply_seconds: 7.0, rhythm: Evening, share: 0.6, weekend: 0.5 },
];

impl Agent {
    /// Returns the expected sessions at `at`, relative to other times and agents.
    pub(super) fn intensity(&self, at: DateTime<Utc>) -> f64 {
        let local = at.with_timezone(&self.zone);
        let day = match local.weekday() {
            Weekday::Sat | Weekday::Sun => self.weekend,
            _ => 1.0,
        };
        self.share * day * self.rhythm.weight(local.hour())
    }
}

impl Rhythm {
    /// Weight of an hour of the local day: 1 at the peak.
    fn weight(self, hour: u32) -> f64 {
        match (self, hour) {
            (Office, 9 | 13 | 16) | (Shop, 10 | 18) | (Evening, 18 | 22) => 0.7,
            (Office, 10 | 11 | 14 | 15) | (Shop, 11..=17) | (Evening, 19..=21) => 1.0,
            (Office, 8 | 12 | 17) | (Shop, 9 | 19) | (Evening, 12..=17) => 0.4,
            (Office, 7 | 18..=20) | (Shop, 8 | 20) | (Evening, 8..=11 | 23) => 0.15,
            _ => 0.01,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn office_is_busy_on_weekdays_in_its_time_zone() {
        let intensity = |id: &str, at: &str| {
            let agent = AGENTS.iter().find(|agent| agent.id == id).unwrap();
            agent.intensity(at.parse().unwrap())
        };
        // Monday, 10:30 in Berlin, 04:30 in New York.
        let (clara, ada) = ("A91XMB7113", "A63JWN9058");
        let monday = "2026-11-16T09:30:00Z";
        assert!(intensity(clara, monday) > 50.0 * intensity(ada, monday));
        assert!(intensity(ada, "2026-11-16T15:30:00Z") > 50.0 * intensity(ada, monday));
        assert!(intensity(clara, monday) > 5.0 * intensity(clara, "2026-11-15T09:30:00Z"));
    }
}
