//! Conversations of the past, with realistic times: more by day than by night, more on weekdays
//! than on weekends, and more each week. On one day, most microphones fail.

use std::time::Duration;

use chrono::{
    DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Timelike as _,
    Utc,
};
use rand::RngExt as _;

use super::agents::{AGENTS, Agent};
use super::phrases::Topic;
use super::script::{Conversation, Draft, Event, rng_of, room_name};

/// Default number of sessions per day.
const SESSIONS_PER_DAY: u64 = 32;
/// Sessions of the history per session of a kiosk, which lasts a day.
const SESSIONS_PER_KIOSK_DAY: u64 = 12;
/// Sessions at the period's end relative to its beginning.
const GROWTH: f64 = 2.2;
/// Position of the day without microphones in the period, from 0 to 1.
const INCIDENT: f64 = 0.8;
/// Least age of a session: a younger one may have nothing to send yet.
const YOUNGEST: TimeDelta = TimeDelta::minutes(2);

/// Share of sessions without messages of visitors.
const SILENT: f64 = 0.10;
/// Share of such sessions on the day without microphones.
const SILENT_IN_INCIDENT: f64 = 0.75;
/// Share of the other sessions that have one question.
const ABANDONED: f64 = 0.16;
/// Share of the other sessions that have a hundred messages or more.
const LONG: f64 = 0.02;
/// Share of sessions without a join.
const NO_JOIN: f64 = 0.03;

/// Local hour at which a kiosk opens.
const OPENING: u32 = 9;
/// Local hour at which a kiosk closes.
const CLOSING: i64 = 20;
/// Shortest time between two visitors of a kiosk, in seconds: longer than the default visit gap.
const BETWEEN_VISITS: f64 = 330.0;

/// Period of the past, with its sessions.
#[derive(Debug)]
pub(super) struct History {
    seed: u64,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
    sessions: u64,
    kiosk_days: Vec<(&'static Agent, NaiveDate)>,
    /// Cumulative expected sessions, by hour and agent.
    expected: Vec<f64>,
    /// Start of the day without microphones.
    incident: DateTime<Utc>,
}

impl History {
    /// Plans `sessions` (or the default number) over the time `since` up to `now`.
    pub(super) fn new(
        seed: u64,
        now: DateTime<Utc>,
        since: Duration,
        sessions: Option<u64>,
    ) -> Self {
        let length = TimeDelta::from_std(since).unwrap_or(TimeDelta::MAX);
        let from = now - length;
        let days = u64::try_from(length.num_days()).unwrap_or_default().max(1);
        let sessions = sessions.unwrap_or(days * SESSIONS_PER_DAY);
        let kiosk_days = kiosk_days(from, now, sessions / SESSIONS_PER_KIOSK_DAY);
        let expected = expected(seed, from, now);
        let incident = workday_at(from + length_of(length, INCIDENT));
        Self { seed, from, now, sessions, kiosk_days, expected, incident }
    }

    /// Returns the number of sessions.
    pub(super) fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Returns the conversation with this index: kiosks first, then the others by start.
    pub(super) fn conversation(&self, index: u64) -> Conversation {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let mut conversation = match self.kiosk_days.get(place) {
            Some((agent, date)) => self.kiosk_day(index, agent, *date),
            None => self.session(index),
        };
        let now_micros = self.now.timestamp_micros();
        conversation.lines.retain(|line| line.at_micros <= now_micros);
        conversation
    }

    fn session(&self, index: u64) -> Conversation {
        let mut rng = rng_of(self.seed, index);
        let kiosks = self.kiosk_days.len() as u64;
        #[expect(clippy::cast_precision_loss, reason = "a share of the period")]
        let (place, places) = ((index - kiosks) as f64, (self.sessions - kiosks).max(1) as f64);
        let (agent, start) = self.start((place + rng.random::<f64>()) / places, rng.random());
        let is_incident = (self.incident..self.incident + TimeDelta::days(1)).contains(&start);
        let silent = if is_incident { SILENT_IN_INCIDENT } else { SILENT };
        let joins = !rng.random_bool(NO_JOIN);
        let mut draft = Draft::new(agent, rng, start.timestamp_micros());
        if joins {
            draft.add(Event::Join);
            let kind = draft.rng.random::<f64>();
            if kind < silent {
                if draft.rng.random_bool(0.6) {
                    draft.add_greeting();
                }
                return draft.finish();
            }
        }
        let kind = draft.rng.random::<f64>();
        if kind < ABANDONED {
            let answered = draft.rng.random_bool(0.8);
            draft.visit_once(answered);
        } else if kind < ABANDONED + LONG {
            let length = draft.rng.random_range(50..=80);
            draft.visit(joins, length);
        } else {
            let length = draft.length();
            draft.visit(joins, length);
        }
        draft.finish()
    }

    /// Returns agent and start of the session at a share (0 to 1) of all expected sessions.
    fn start(&self, share: f64, within: f64) -> (&'static Agent, DateTime<Utc>) {
        let total = self.expected.last().copied().unwrap_or_default();
        let cell = self.expected.partition_point(|before| *before <= share * total);
        let cell = cell.min(self.expected.len().saturating_sub(1));
        let hour = i64::try_from(cell / AGENTS.len()).unwrap_or_default();
        let start = self.from + TimeDelta::hours(hour) + length_of(TimeDelta::hours(1), within);
        let latest = (self.now - YOUNGEST).max(self.from);
        (&AGENTS[cell % AGENTS.len()], start.min(latest))
    }

    /// Generates a kiosk's day: one session, with visitors and with people who only pass by.
    fn kiosk_day(&self, index: u64, agent: &'static Agent, date: NaiveDate) -> Conversation {
        let mut rng = rng_of(self.seed, index);
        let start = opening(agent, date) + length_of(TimeDelta::minutes(30), rng.random());
        let closing = start + TimeDelta::hours(CLOSING - i64::from(OPENING));
        let last = closing.min(self.now).timestamp_micros();
        let busy = agent.intensity(opening(agent, date) + TimeDelta::hours(3)).max(0.1);
        let mut draft = Draft::new(agent, rng, start.timestamp_micros());
        // A kiosk has the same room every day.
        draft.room_name = room_name(agent.id, &mut rng_of(0, 0));
        draft.add(Event::Join);
        while draft.now_micros < last {
            if draft.rng.random_bool(0.15) {
                draft.add_greeting();
            } else {
                let questions = draft.rng.random_range(1..=4);
                draft.visit(true, questions);
            }
            draft.wait(BETWEEN_VISITS, 0.0);
            draft.wait(400.0 / busy, 0.9);
        }
        draft.finish()
    }
}

/// Returns up to `most` days of kiosks, distributed evenly over the period.
fn kiosk_days(
    from: DateTime<Utc>,
    now: DateTime<Utc>,
    most: u64,
) -> Vec<(&'static Agent, NaiveDate)> {
    let mut days = Vec::new();
    for agent in AGENTS.iter().filter(|agent| agent.topic == Topic::Kiosk) {
        let first = from.with_timezone(&agent.zone).date_naive();
        let dates = first.iter_days().take_while(|date| *date <= now.date_naive() + Days::new(1));
        let open = dates.filter(|date| {
            let opening = opening(agent, *date);
            opening >= from && opening + TimeDelta::hours(1) <= now
        });
        days.extend(open.map(|date| (agent, date)));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(days.len());
    (0..most).map(|place| days[place * days.len() / most]).collect()
}

/// Returns the time at which a kiosk opens.
fn opening(agent: &Agent, date: NaiveDate) -> DateTime<Utc> {
    let local = date.and_time(NaiveTime::MIN) + TimeDelta::hours(i64::from(OPENING));
    // No time zone changes its offset at this hour.
    let at = agent.zone.from_local_datetime(&local).earliest();
    at.map_or_else(|| local.and_utc(), |at| at.to_utc())
}

/// Adds up the expected sessions of each hour and agent.
fn expected(seed: u64, from: DateTime<Utc>, now: DateTime<Utc>) -> Vec<f64> {
    let length = (now - from).as_seconds_f64().max(1.0);
    let (mut all, mut total) = (Vec::new(), 0.0);
    let mut at = from;
    while at < now {
        // Days differ at random.
        let day = u64::try_from(at.timestamp().div_euclid(86_400)).unwrap_or_default();
        let noise = rng_of(seed ^ u64::MAX, day).random_range(0.8..1.25);
        let growth = 1.0 + (GROWTH - 1.0) * (at - from).as_seconds_f64() / length;
        for agent in AGENTS {
            if agent.topic != Topic::Kiosk {
                total += agent.intensity(at + TimeDelta::minutes(30)) * growth * noise;
            }
            all.push(total);
        }
        at += TimeDelta::hours(1);
    }
    all
}

/// Returns the start of the UTC day, or of the next Monday if the day is on a weekend.
fn workday_at(at: DateTime<Utc>) -> DateTime<Utc> {
    let day = at - TimeDelta::seconds(i64::from(at.num_seconds_from_midnight()));
    let weekday = u64::from(day.weekday().num_days_from_monday());
    day + Days::new(if weekday >= 5 { 7 - weekday } else { 0 })
}

/// Returns a share of a duration.
#[expect(clippy::cast_possible_truncation, reason = "within the length")]
fn length_of(length: TimeDelta, share: f64) -> TimeDelta {
    TimeDelta::microseconds((length.as_seconds_f64() * 1e6 * share) as i64)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> DateTime<Utc> {
        "2026-11-18T14:20:00Z".parse().unwrap()
    }

    fn all(seed: u64, days: u32, sessions: Option<u64>) -> Vec<Conversation> {
        let history = History::new(seed, now(), DAY * days, sessions);
        (0..history.sessions()).map(|index| history.conversation(index)).collect()
    }

    fn start(conversation: &Conversation) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(conversation.lines[0].at_micros).unwrap()
    }

    fn count_messages(conversation: &Conversation, by: &str) -> usize {
        let is_by = |event: &Event| matches!(event, Event::Message { role, .. } if *role == by);
        conversation.lines.iter().filter(|line| is_by(&line.event)).count()
    }

    fn is_kiosk(conversation: &Conversation) -> bool {
        conversation.agent_id == "A15BRC3316"
    }

    #[test]
    fn same_seed_and_time_plan_the_same_history() {
        assert_eq!(format!("{:?}", all(7, 30, None)), format!("{:?}", all(7, 30, None)));
        assert_ne!(format!("{:?}", all(7, 30, None)), format!("{:?}", all(8, 30, None)));
    }

    #[test]
    fn events_are_within_the_period_and_in_order() {
        for days in [1, 2, 90, 1_825] {
            let from = (now() - TimeDelta::days(i64::from(days))).timestamp_micros();
            for conversation in all(1, days, Some(300)) {
                let times: Vec<i64> = conversation.lines.iter().map(|one| one.at_micros).collect();
                assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
                assert!(!times.is_empty() && times[0] >= from, "{days} days");
                assert!(*times.last().unwrap() <= now().timestamp_micros());
            }
        }
    }

    #[test]
    fn quarter_has_realistic_volumes_and_rhythms() {
        let all = all(3, 90, None);
        let messages: usize = all.iter().map(|one| one.lines.len()).sum();
        assert!((2_500..4_000).contains(&all.len()), "{} sessions", all.len());
        assert!((25_000..80_000).contains(&messages), "{messages} events");
        let ids: HashSet<_> = all.iter().map(|one| one.session_id).collect();
        assert_eq!(ids.len(), all.len());
        let agents: HashSet<_> = all.iter().map(|one| one.agent_id).collect();
        assert_eq!(agents.len(), AGENTS.len());

        let mut by_day: BTreeMap<NaiveDate, usize> = BTreeMap::new();
        let mut by_hour = [0; 24];
        for one in all.iter().filter(|one| one.agent_id == "A91XMB7113") {
            by_hour[start(one).with_timezone(&chrono_tz::Europe::Berlin).hour() as usize] += 1;
        }
        for one in &all {
            *by_day.entry(start(one).date_naive()).or_default() += 1;
        }
        assert!(by_day.len() >= 90);
        let night: usize = by_hour[..6].iter().sum();
        let busy: usize = by_hour[9..15].iter().sum();
        assert!(night * 20 < busy, "{by_hour:?}");
        let average = |weekend: bool| {
            let days: Vec<_> = by_day
                .iter()
                .filter(|(day, _)| (day.weekday().num_days_from_monday() >= 5) == weekend)
                .map(|(_, count)| *count)
                .collect();
            days.iter().sum::<usize>() / days.len()
        };
        assert!(average(false) * 10 > average(true) * 15, "{by_day:?}");
        let (first, last): (usize, usize) =
            (by_day.values().take(28).sum(), by_day.values().rev().take(28).sum());
        assert!(last * 10 > first * 14, "{first} and {last}");
    }

    #[test]
    fn some_visitors_are_silent_leave_or_stay_long() {
        let all = all(3, 90, None);
        let share = |count: usize| count * 1_000 / all.len();
        let count = |test: &dyn Fn(&&Conversation) -> bool| share(all.iter().filter(test).count());
        let silent = count(&|one| !is_kiosk(one) && count_messages(one, "user") == 0);
        let single = count(&|one| !is_kiosk(one) && count_messages(one, "user") == 1);
        let long = count(&|one| !is_kiosk(one) && one.lines.len() >= 100);
        let no_join = count(&|one| !matches!(one.lines[0].event, Event::Join));
        assert!((60..180).contains(&silent), "{silent} ‰ are silent");
        assert!((120..350).contains(&single), "{single} ‰ have one question");
        assert!((5..40).contains(&long), "{long} ‰ are long");
        assert!((15..50).contains(&no_join), "{no_join} ‰ have no join");
        let mut silent_by_day: BTreeMap<NaiveDate, usize> = BTreeMap::new();
        for one in all.iter().filter(|one| count_messages(one, "user") == 0) {
            *silent_by_day.entry(start(one).date_naive()).or_default() += 1;
        }
        let mut counts: Vec<_> = silent_by_day.values().collect();
        counts.sort_unstable();
        assert!(*counts[counts.len() - 1] >= 2 * *counts[counts.len() - 2], "{silent_by_day:?}");
    }

    #[test]
    fn kiosk_has_one_session_per_day_with_gaps_between_visitors() {
        let all = all(3, 90, None);
        let days: Vec<_> = all.iter().filter(|one| is_kiosk(one)).collect();
        let dates: HashSet<_> = days.iter().map(|one| start(one).date_naive()).collect();
        assert_eq!((days.len(), dates.len()), (90, 90));
        let visits = |one: &Conversation| {
            let gaps = one.lines.windows(2).map(|pair| pair[1].at_micros - pair[0].at_micros);
            gaps.filter(|gap| *gap > 300_000_000).count()
        };
        let total: usize = days.iter().map(|one| visits(one)).sum();
        assert!(total > 90 * 10, "{total} visits of 90 days");
    }
}
