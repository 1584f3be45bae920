//! Rules of alerts, and their validation.

use std::time::Duration;

use chrono::Weekday;
use chrono_tz::{TZ_VARIANTS, Tz};

use super::amount::Amount;
use super::condition::{Condition, Relative, Side};
use crate::analytics::calendar::Calendar;
use crate::analytics::catalog::{METRICS, Metric, Stat, Unit};

/// Most alerts of a service: each is read again at every evaluation.
pub const MAX_ALERTS: usize = 100;
/// Most agents that a rule names.
const MAX_AGENTS: usize = 100;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;
/// Default range of time.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);
/// Shortest range: figures are up to date within a second or two.
const SHORTEST_WINDOW: Duration = Duration::from_mins(1);
/// Longest range of a rule with an absolute limit.
const MAX_WINDOW: Duration = Duration::from_hours(31 * 24);
/// Longest range of a rule that compares with earlier weeks: they must not overlap.
const MAX_RELATIVE_WINDOW: Duration = Duration::from_hours(7 * 24);
/// Longest time for which a condition may have to hold.
const MAX_HOLD: Duration = Duration::from_hours(7 * 24);
/// Default number of earlier weeks.
const DEFAULT_WEEKS: u32 = 4;
/// Most earlier weeks.
const MAX_WEEKS: u32 = 12;
/// Largest limit, as a multiple of the normal value.
const LARGEST_FACTOR: f64 = 1_000.0;

/// Figure that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject {
    /// Metric of the catalogue.
    Catalog {
        /// The metric.
        metric: &'static Metric,
        /// Its statistic.
        stat: Stat,
    },
    /// Seconds since the last event of an agent.
    Quiet,
    /// Seconds since any delivery arrived.
    NoDelivery,
    /// Age of the oldest delivery that is not in Postgres, in seconds.
    UndrainedAge,
    /// Deliveries that went to quarantine.
    Quarantined,
}

/// Names of the metrics that are not in the catalogue.
const OPERATIONAL: [(&str, Subject); 4] = [
    ("quiet", Subject::Quiet),
    ("no_delivery", Subject::NoDelivery),
    ("undrained_age", Subject::UndrainedAge),
    ("quarantined", Subject::Quarantined),
];

impl Subject {
    /// Name in settings, messages and answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Catalog { metric, .. } => metric.name,
            other => {
                let known = OPERATIONAL.iter().find(|(_, subject)| subject == other);
                known.map_or("", |(name, _)| name)
            }
        }
    }

    /// Statistic of a metric of the catalogue.
    #[must_use]
    pub fn stat(&self) -> Option<Stat> {
        match self {
            Self::Catalog { stat, .. } => Some(*stat),
            _ => None,
        }
    }

    /// Unit of the value.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::Catalog { metric, .. } => metric.unit,
            Self::Quarantined => Unit::Count,
            Self::Quiet | Self::NoDelivery | Self::UndrainedAge => Unit::Seconds,
        }
    }

    /// Returns `true` if the service knows the figure without the database.
    #[must_use]
    pub fn is_known_without_database(&self) -> bool {
        matches!(self, Self::NoDelivery | Self::UndrainedAge)
    }

    fn has_window(&self) -> bool {
        matches!(self, Self::Catalog { .. } | Self::Quarantined)
    }

    fn has_agents(&self) -> bool {
        matches!(self, Self::Catalog { .. } | Self::Quiet)
    }
}

/// Rule in settings.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Name.
    pub name: String,
    /// Metric.
    pub metric: String,
    /// Statistic of a metric of the catalogue.
    pub stat: Option<String>,
    /// Range of time of the figure.
    pub window: Option<String>,
    /// Agents that it is about; empty for all.
    pub agents: Vec<String>,
    /// Absolute limit.
    pub above: Option<Amount>,
    /// Absolute limit.
    pub below: Option<Amount>,
    /// Limit as a multiple of the normal value.
    pub above_normal: Option<f64>,
    /// Limit as a multiple of the normal value.
    pub below_normal: Option<f64>,
    /// Earlier weeks whose median is the normal value.
    pub weeks: Option<u32>,
    /// Time zone of weekdays and hours.
    pub tz: Option<String>,
    /// Time for which the condition must hold.
    pub hold: Option<String>,
}

/// Rule of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Name.
    pub name: String,
    /// Figure that it is about.
    pub subject: Subject,
    /// Range of time up to now; `None` for current figures.
    pub window: Option<Duration>,
    /// Agents that it is about, sorted; `None` for all.
    pub agents: Option<Vec<String>>,
    /// Condition under which it fires.
    pub condition: Condition,
    /// Time for which the condition must hold.
    pub hold: Duration,
    /// Calendar of weekdays and hours.
    pub calendar: Calendar,
}

/// Reason for rejecting a rule, with a hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alert {name:?}: {problem}")]
pub struct RuleError {
    name: String,
    problem: String,
}

impl Rule {
    /// Validates a rule.
    pub fn new(draft: &Draft) -> Result<Self, RuleError> {
        let read = || {
            check_name(&draft.name)?;
            let subject = subject(draft)?;
            let condition = condition(draft, &subject)?;
            Ok(Self {
                name: draft.name.clone(),
                window: window(draft, &subject, &condition)?,
                agents: agents(draft, &subject)?,
                hold: match &draft.hold {
                    Some(text) => duration("for", text, Duration::ZERO, MAX_HOLD)?,
                    None => Duration::ZERO,
                },
                calendar: Calendar { zone: zone(draft)?, week_starts: Weekday::Mon },
                subject,
                condition,
            })
        };
        read().map_err(|problem| RuleError { name: draft.name.clone(), problem })
    }

    /// Returns `true` if a caller who may see only these agents may see the alert.
    #[must_use]
    pub fn is_visible_to(&self, visible: Option<&[String]>) -> bool {
        match (visible, &self.agents) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(visible), Some(agents)) => agents.iter().all(|agent| visible.contains(agent)),
        }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_fit = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if is_fit {
        return Ok(());
    }
    Err(format!("`name` is 1 to {MAX_NAME} of a-z, 0-9, '-' and '_'"))
}

fn subject(draft: &Draft) -> Result<Subject, String> {
    let operational = OPERATIONAL.iter().find(|(name, _)| *name == draft.metric);
    if let Some((name, subject)) = operational {
        return match &draft.stat {
            None => Ok(*subject),
            Some(_) => Err(format!("`{name}` has no `stat`; leave it out")),
        };
    }
    let Some(metric) = Metric::find(&draft.metric) else {
        let names = METRICS.iter().map(|metric| metric.name);
        let names: Vec<_> = OPERATIONAL.iter().map(|(name, _)| *name).chain(names).collect();
        return Err(format!("`metric` is one of: {}", names.join(", ")));
    };
    let Some(text) = &draft.stat else {
        return match metric.statistics {
            [stat] => Ok(Subject::Catalog { metric, stat: *stat }),
            several => Err(format!("`{}` needs a `stat`: {}", metric.name, stats(several))),
        };
    };
    let stat = metric.statistics.iter().find(|stat| stat.as_str() == text);
    let stat = stat.ok_or_else(|| {
        format!("`stat` of `{}` is one of: {}", metric.name, stats(metric.statistics))
    })?;
    Ok(Subject::Catalog { metric, stat: *stat })
}

fn stats(stats: &[Stat]) -> String {
    stats.iter().map(|stat| stat.as_str()).collect::<Vec<_>>().join(", ")
}

fn condition(draft: &Draft, subject: &Subject) -> Result<Condition, String> {
    let above = draft.above.is_some() || draft.above_normal.is_some();
    let below = draft.below.is_some() || draft.below_normal.is_some();
    let (side, absolute, factor) = match (above, below) {
        (true, false) => (Side::Above, &draft.above, draft.above_normal),
        (false, true) => (Side::Below, &draft.below, draft.below_normal),
        (true, true) => return Err("it is either above a limit or below one: remove one".into()),
        (false, false) => {
            return Err(
                "it needs a limit: `above`, `below`, `above_normal` or `below_normal`".into()
            );
        }
    };
    let name = side.as_str();
    let absolute = absolute.as_ref().map(|amount| limit(name, amount, subject)).transpose()?;
    let relative = match (factor, draft.weeks) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err("`weeks` needs `above_normal` or `below_normal`".into());
        }
        (Some(factor), weeks) => Some(relative(name, factor, weeks, subject)?),
    };
    Ok(Condition { side, absolute, relative })
}

fn limit(name: &str, amount: &Amount, subject: &Subject) -> Result<f64, String> {
    let seconds = subject.unit() == Unit::Seconds;
    let limit = match amount {
        Amount::Number(number) => *number,
        Amount::Duration(text) if seconds => {
            let limit = humantime::parse_duration(text).map_err(|_| {
                format!("`{name}` is a number of seconds or a duration such as \"15m\"")
            })?;
            limit.as_secs_f64()
        }
        Amount::Duration(_) => {
            return Err(format!("`{name}` of `{}` is a number", subject.name()));
        }
    };
    if !limit.is_finite() || limit < 0.0 {
        return Err(format!("`{name}` is 0 or more"));
    }
    if subject.unit() == Unit::Ratio && limit > 1.0 {
        return Err(format!("`{name}` of `{}` is a share from 0 to 1", subject.name()));
    }
    Ok(limit)
}

fn relative(
    name: &str,
    factor: f64,
    weeks: Option<u32>,
    subject: &Subject,
) -> Result<Relative, String> {
    if !subject.has_agents() {
        return Err(format!(
            "`{}` has no normal value to compare with: give `{name}` instead of `{name}_normal`",
            subject.name()
        ));
    }
    if !(factor > 0.0 && factor <= LARGEST_FACTOR) {
        return Err(format!(
            "`{name}_normal` is a multiple of the normal value, from above 0 to {LARGEST_FACTOR}"
        ));
    }
    let weeks = weeks.unwrap_or(DEFAULT_WEEKS);
    if !(1..=MAX_WEEKS).contains(&weeks) {
        return Err(format!("`weeks` is from 1 to {MAX_WEEKS}"));
    }
    Ok(Relative { factor, weeks })
}

fn window(
    draft: &Draft,
    subject: &Subject,
    condition: &Condition,
) -> Result<Option<Duration>, String> {
    match (&draft.window, subject.has_window()) {
        (None, has_window) => Ok(has_window.then_some(DEFAULT_WINDOW)),
        (Some(_), false) => Err(format!("`{}` has no `window`; leave it out", subject.name())),
        (Some(text), true) => {
            let longest = match condition.relative {
                Some(_) => MAX_RELATIVE_WINDOW,
                None => MAX_WINDOW,
            };
            duration("window", text, SHORTEST_WINDOW, longest).map(Some)
        }
    }
}

fn duration(
    name: &str,
    text: &str,
    shortest: Duration,
    longest: Duration,
) -> Result<Duration, String> {
    let found = humantime::parse_duration(text)
        .map_err(|_| format!("`{name}` is a duration such as 15m, not {text:?}"))?;
    if (shortest..=longest).contains(&found) {
        return Ok(found);
    }
    let shown = humantime::format_duration;
    Err(format!("`{name}` is from {} to {}", shown(shortest), shown(longest)))
}

fn agents(draft: &Draft, subject: &Subject) -> Result<Option<Vec<String>>, String> {
    if draft.agents.is_empty() {
        return Ok(None);
    }
    if !subject.has_agents() {
        return Err(format!("`{}` is about all agents: leave `agents` out", subject.name()));
    }
    if draft.agents.len() > MAX_AGENTS {
        return Err(format!("`agents` names {MAX_AGENTS} agents at most"));
    }
    if let Some(pattern) = draft.agents.iter().find(|agent| agent.contains(['*', '?'])) {
        return Err(format!(
            "`agents` are whole IDs, and {pattern:?} is a pattern: list the agents, or leave \
             `agents` out for all of them"
        ));
    }
    let mut agents = draft.agents.clone();
    agents.sort_unstable();
    agents.dedup();
    if agents.len() < draft.agents.len() {
        return Err("`agents` names an agent twice".into());
    }
    Ok(Some(agents))
}

fn zone(draft: &Draft) -> Result<Tz, String> {
    let Some(name) = &draft.tz else { return Ok(Tz::UTC) };
    TZ_VARIANTS.into_iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        "`tz` is a time zone by its name in the IANA's list: Europe/Berlin, UTC".into()
    })
}

#[cfg(test)]
mod tests;
