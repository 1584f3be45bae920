//! Sentence about an alert, for a person: `Quiet for 47 minutes; normal here on Mondays at 11 is
//! 6.`

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc, Weekday};

use super::reading::Reading;
use super::rule::{Rule, Subject};
use crate::analytics::catalog::{Stat, Unit};

/// Most agents that a sentence names; for more it has the number.
const MAX_NAMED: usize = 3;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

/// Returns the sentence about a reading at `now`.
pub(super) fn sentence(rule: &Rule, reading: Reading, limit: f64, now: DateTime<Utc>) -> String {
    let unit = rule.subject.unit();
    let value = amount(reading.value, unit);
    let window = rule.window.map(|window| format!(" in the last {}", span(window)));
    let window = window.unwrap_or_default();
    let text = match &rule.subject {
        Subject::Quiet => format!("Quiet for {value}"),
        Subject::NoDelivery => format!("No delivery for {value}"),
        Subject::UndrainedAge => format!("Deliveries have waited for the database for {value}"),
        Subject::Quarantined => format!("Deliveries that went to quarantine{window}: {value}"),
        Subject::Catalog { metric, stat } => {
            let stat = match stat {
                Stat::Count | Stat::Distinct | Stat::Ratio => String::new(),
                spread => format!(" ({})", spread.as_str()),
            };
            format!("{}{stat}{window}: {value}", metric.label)
        }
    };
    let beside = match reading.normal {
        Some(normal) => format!("normal {} is {}", hour(rule, now), beside(normal, unit, &value)),
        None => format!("the limit is {}", beside(limit, unit, &value)),
    };
    format!("{text}{}; {beside}.", agents(rule))
}

/// Returns an amount, without its unit if the value before it has the same.
fn beside(number: f64, unit: Unit, value: &str) -> String {
    let shown = amount(number, unit);
    match (shown.split_once(' '), value.split_once(' ')) {
        (Some((number, unit)), Some((_, same)))
            if unit.trim_end_matches('s') == same.trim_end_matches('s') =>
        {
            number.to_owned()
        }
        _ => shown,
    }
}

fn hour(rule: &Rule, now: DateTime<Utc>) -> String {
    let local = rule.calendar.local(now);
    let day = match local.weekday() {
        Weekday::Mon => "Mondays",
        Weekday::Tue => "Tuesdays",
        Weekday::Wed => "Wednesdays",
        Weekday::Thu => "Thursdays",
        Weekday::Fri => "Fridays",
        Weekday::Sat => "Saturdays",
        Weekday::Sun => "Sundays",
    };
    format!("here on {day} at {}", local.hour())
}

fn agents(rule: &Rule) -> String {
    match rule.agents.as_deref() {
        None => String::new(),
        Some([agent]) => format!(" (agent {agent})"),
        Some(agents) if agents.len() <= MAX_NAMED => format!(" (agents {})", agents.join(", ")),
        Some(agents) => format!(" ({} agents)", agents.len()),
    }
}

fn amount(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => plain(number),
        Unit::Ratio => format!("{} %", plain(number * 100.0)),
        Unit::Seconds if number < 2.0 * MINUTE => counted(number, "second"),
        Unit::Seconds if number < 2.0 * HOUR => counted(number / MINUTE, "minute"),
        Unit::Seconds if number < 2.0 * DAY => counted(number / HOUR, "hour"),
        Unit::Seconds => counted(number / DAY, "day"),
    }
}

fn counted(number: f64, unit: &str) -> String {
    let number = plain(number);
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// Returns a number with one decimal, if it has any.
fn plain(number: f64) -> String {
    let rounded = format!("{number:.1}");
    rounded.strip_suffix(".0").map_or_else(|| rounded.clone(), str::to_owned)
}

fn span(window: Duration) -> String {
    let text = amount(window.as_secs_f64(), Unit::Seconds);
    match text.as_str() {
        "60 minutes" => "hour".to_owned(),
        "24 hours" => "day".to_owned(),
        "60 seconds" => "minute".to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::amount::Amount;
    use super::super::rule::Draft;
    use super::*;

    fn rule(metric: &str, draft: Draft) -> Rule {
        Rule::new(&Draft { name: "n".into(), metric: metric.into(), ..draft }).unwrap()
    }

    #[test]
    fn sentence_contains_the_value_and_the_normal_value_or_limit() {
        // A Monday, 11:20 in Berlin.
        let now = "2026-09-28T09:20:00Z".parse().unwrap();
        let relative = |side: f64| Draft {
            above_normal: Some(side),
            tz: Some("Europe/Berlin".into()),
            ..Draft::default()
        };
        let above = Draft { above: Some(Amount::Number(0.5)), ..Draft::default() };
        let agents = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let text = |rule: &Rule, value: f64, normal: Option<f64>, limit: f64| {
            sentence(rule, Reading { value, normal }, limit, now)
        };
        assert_eq!(
            text(&rule("quiet", relative(3.0)), 2_820.0, Some(360.0), 1_080.0),
            "Quiet for 47 minutes; normal here on Mondays at 11 is 6."
        );
        assert_eq!(
            text(&rule("quiet", relative(3.0)), 10_800.0, Some(60.0), 180.0),
            "Quiet for 3 hours; normal here on Mondays at 11 is 60 seconds."
        );
        let of_one = Draft { agents: agents(&["A1"]), ..relative(2.0) };
        assert_eq!(
            text(&rule("messages", of_one), 3.0, Some(40.5), 81.0),
            "Messages in the last hour: 3 (agent A1); normal here on Mondays at 11 is 40.5."
        );
        let of_many = Draft {
            agents: agents(&["A", "B", "C", "D"]),
            window: Some("15m".into()),
            stat: Some("p90".into()),
            ..above.clone()
        };
        assert_eq!(
            text(&rule("reply_gap", of_many), 14.25, None, 10.0),
            "Reply gap (p90) in the last 15 minutes: 14.2 seconds (4 agents); the limit is 10."
        );
        assert_eq!(
            text(&rule("silent_rate", above.clone()), 0.625, None, 0.5),
            "Silent rate in the last hour: 62.5 %; the limit is 50."
        );
        assert_eq!(
            text(&rule("no_delivery", above), 200_000.0, None, 60.0),
            "No delivery for 2.3 days; the limit is 60 seconds."
        );
    }
}
