//! Range, metrics and groups of a request for metrics.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc, Weekday};

use super::words::{BucketWord, GroupingWord, MetricWord, PeriodWord, StatWord, WeekdayWord};
use crate::analytics::calendar::{Bucket, Calendar, Span};
use crate::analytics::catalog::{METRICS, Metric};
use crate::analytics::range::Period;
use crate::api::query::invalid::invalid;
use crate::api::query::words::OneOf;
use crate::api::query::zone::Zone;
use crate::domain::time;
use crate::problem::Problem;
use crate::store::figures::{Grouping, Split, Wanted};

/// Most rows of an answer, groups included.
pub(super) const MAX_ROWS: usize = 5_000;
/// Media type of rows alone.
pub(super) const CSV: &str = "text/csv; charset=utf-8; header=present";
/// Range of a request without one.
const DEFAULT_PERIOD: Period = Period::Last7d;
/// First year of a range: no stored time is earlier.
const FIRST_YEAR: i32 = 2010;
/// Year after the last one of a range: no stored time is later.
const END_YEAR: i32 = 2100;

/// Returns the calendar of a zone and a first day of the week.
pub(super) fn calendar(tz: Option<Zone>, week_starts: Option<WeekdayWord>) -> Calendar {
    let Zone(zone) = tz.unwrap_or(Zone::UTC);
    let week_starts = week_starts.map_or(Weekday::Mon, |OneOf(day)| day);
    Calendar { zone, week_starts }
}

/// Range of a request, and the period that named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) span: Span,
    pub(super) period: Option<Period>,
}

/// Returns the range that `from` and `to`, or `period`, name at `now`.
pub(super) fn range(
    calendar: Calendar,
    from: Option<&str>,
    to: Option<&str>,
    period: Option<PeriodWord>,
    now: DateTime<Utc>,
) -> Result<Range, Problem> {
    let (from, to) = match (from, to, period) {
        (None, None, period) => {
            let period = period.map_or(DEFAULT_PERIOD, |OneOf(period)| period);
            return Ok(Range { span: period.span(calendar, now), period: Some(period) });
        }
        (_, _, Some(_)) => {
            return Err(invalid("period", "goes without `from` and `to`"));
        }
        (None, Some(_), None) => return Err(invalid("from", "is needed where there is a `to`")),
        (Some(from), to, None) => {
            let to = to.map(|text| instant(calendar, "to", text)).transpose()?;
            (instant(calendar, "from", from)?, to.unwrap_or(now))
        }
    };
    if from >= to {
        let what = "is later than `from`: the range holds `from` and ends before `to`";
        return Err(invalid("to", what));
    }
    Ok(Range { span: Span { from, to }, period: None })
}

/// Reads a time, or the start of a local date.
fn instant(calendar: Calendar, name: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    // A plus that was not percent-encoded arrives as a space: 14:54:13+02:00.
    let with_plus = || {
        let (rest, offset) = text.rsplit_once(' ')?;
        time::any_from_text(&format!("{rest}+{offset}"))
    };
    let year = |year| NaiveDate::from_ymd_opt(year, 1, 1).map(|day| calendar.start_of_day(day));
    let (first, end) = (year(FIRST_YEAR), year(END_YEAR));
    let at = match date {
        Some(date) if (FIRST_YEAR..=END_YEAR).contains(&date.year()) => {
            Some(calendar.start_of_day(date))
        }
        Some(_) => None,
        None => time::any_from_text(text).or_else(with_plus),
    };
    at.filter(|at| first.is_none_or(|first| *at >= first) && end.is_none_or(|end| *at <= end))
        .ok_or_else(|| {
            let what = "is a local date (2026-09-28), a time as RFC 3339 (2026-09-28T14:54:13Z) or \
                        Unix seconds, from 2010 to 2099";
            invalid(name, what)
        })
}

/// Returns the bucket that a query names, or the one that fits.
pub(super) fn bucket(calendar: Calendar, span: Span, word: Option<BucketWord>) -> Bucket {
    word.and_then(|OneOf(bucket)| bucket).unwrap_or_else(|| Bucket::auto(calendar, span))
}

/// Returns the named metrics, or the default ones, in the order of the catalogue.
fn metrics(words: &[MetricWord], default: &[&str]) -> Vec<&'static Metric> {
    let chosen = |metric: &&Metric| match words {
        [] => default.is_empty() || default.contains(&metric.name),
        words => words.iter().any(|OneOf(chosen)| chosen.name == metric.name),
    };
    METRICS.iter().filter(chosen).collect()
}

/// Returns the named metric, if it has what an answer needs, or the problem that lists all that have
/// it. `place` names the answer.
pub(super) fn metric_with(
    name: &str,
    place: &str,
    has: impl Fn(&Metric) -> bool,
) -> Result<&'static Metric, Problem> {
    Metric::find(name).filter(|metric| has(metric)).ok_or_else(|| {
        let all: Vec<_> = METRICS.iter().filter(|metric| has(metric)).map(|one| one.name).collect();
        invalid("metric", &format!("{place} is one of: {}", all.join(", ")))
    })
}

/// Returns each named metric with the named statistic, or with its first one.
pub(super) fn each_with_stat(
    words: &[MetricWord],
    stat: Option<StatWord>,
    default: &[&str],
) -> Result<Vec<Wanted>, Problem> {
    metrics(words, default).into_iter().map(|metric| with_stat(metric, stat)).collect()
}

/// Returns a metric with the named statistic, or with its first one.
pub(super) fn with_stat(
    metric: &'static Metric,
    stat: Option<StatWord>,
) -> Result<Wanted, Problem> {
    match stat {
        None => Ok(Wanted { metric, stat: metric.statistics[0] }),
        Some(OneOf(stat)) if metric.statistics.contains(&stat) => Ok(Wanted { metric, stat }),
        Some(_) => {
            let words: Vec<_> = metric.statistics.iter().map(|stat| stat.as_str()).collect();
            let what = format!("of `{}` is one of: {}", metric.name, words.join(", "));
            Err(invalid("stat", &what))
        }
    }
}

/// Returns each named metric, or all, with the named statistic, or with all that it has.
pub(super) fn with_stats(
    words: &[MetricWord],
    stat: Option<StatWord>,
) -> Result<Vec<Wanted>, Problem> {
    if stat.is_some() && !words.is_empty() {
        return each_with_stat(words, stat, &[]);
    }
    let of = |metric: &'static Metric| {
        let stats = metric.statistics.iter().copied();
        stats
            .filter(move |one| stat.is_none_or(|OneOf(stat)| stat == *one))
            .map(move |stat| Wanted { metric, stat })
    };
    Ok(metrics(words, &[]).into_iter().flat_map(of).collect())
}

/// Returns the name of a grouping's column.
pub(super) fn column(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::By(Split::Agent) => "agent_id",
        other => other.as_str(),
    }
}

/// Returns the named grouping, if every metric supports it.
pub(super) fn grouping(
    word: Option<GroupingWord>,
    wanted: &[Wanted],
) -> Result<Option<Grouping>, Problem> {
    let Some(OneOf(grouping)) = word else { return Ok(None) };
    for Wanted { metric, .. } in wanted {
        if !metric.group_by.contains(&grouping.dimension()) {
            let has = |one: &Grouping| metric.group_by.contains(&one.dimension());
            let words: Vec<_> =
                Grouping::ALL.into_iter().filter(has).map(Grouping::as_str).collect();
            let what = format!("of `{}` is one of: {}", metric.name, words.join(", "));
            return Err(invalid("group_by", &what));
        }
    }
    Ok(Some(grouping))
}
