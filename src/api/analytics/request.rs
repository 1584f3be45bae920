//! What a request for figures names: range, zone, metrics, filters.

use chrono::{DateTime, NaiveDate, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::analytics::calendar::{Bucket, Calendar, Span};
use crate::analytics::catalog::{METRICS, Metric, Stat};
use crate::analytics::range::{Comparison, Period};
use crate::api::params::invalid;
use crate::domain::time;
use crate::problem::Problem;
use crate::store::figures::{Grouping, Split, Wanted};

/// Range where a request names none.
const DEFAULT_PERIOD: Period = Period::Last7d;
/// First year of a range: nothing that is stored is earlier.
const FIRST_YEAR: i32 = 2010;
/// Year after the last one of a range: nothing that is stored is later.
const END_YEAR: i32 = 2100;

/// Returns the meaning of a word, or the problem that names all words.
pub(super) fn word<T: Copy>(
    name: &str,
    text: &str,
    all: &[T],
    spelt: impl Fn(T) -> &'static str,
) -> Result<T, Problem> {
    all.iter().copied().find(|one| spelt(*one) == text).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|one| spelt(*one)).collect();
        invalid(name, &format!("is one of: {}", words.join(", ")))
    })
}

const WEEKDAYS: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// Name of a weekday in requests and answers.
pub(super) fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

/// Returns the calendar of a zone and a first day of the week.
pub(super) fn calendar(tz: Option<&str>, week_starts: Option<&str>) -> Result<Calendar, Problem> {
    let zone = match tz {
        None => Tz::UTC,
        // A plus that was not percent-encoded arrives as a space: `Etc/GMT+3`.
        Some(name) => {
            let name = name.replace(' ', "+");
            let same = |zone: &Tz| zone.name().eq_ignore_ascii_case(&name);
            TZ_VARIANTS.into_iter().find(same).ok_or_else(|| {
                let what = "is a time zone by its name in the IANA's list: Europe/Berlin, UTC";
                invalid("tz", what)
            })?
        }
    };
    let week_starts = match week_starts {
        None => Weekday::Mon,
        Some(text) => word("week_starts", text, &WEEKDAYS, weekday_name)?,
    };
    Ok(Calendar { zone, week_starts })
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
    period: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Range, Problem> {
    let (from, to) = match (from, to, period) {
        (None, None, period) => {
            let period = match period {
                None => DEFAULT_PERIOD,
                Some(text) => word("period", text, &Period::ALL, Period::as_str)?,
            };
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
        Some(date) if (FIRST_YEAR..=END_YEAR).contains(&chrono::Datelike::year(&date)) => {
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

/// Returns the comparison that is named, if any is.
pub(super) fn comparison(text: Option<&str>) -> Result<Option<Comparison>, Problem> {
    let all: Vec<_> = [None].into_iter().chain(Comparison::ALL.map(Some)).collect();
    let spelt = |one: Option<Comparison>| one.map_or("none", Comparison::as_str);
    text.map_or(Ok(None), |text| word("compare", text, &all, spelt))
}

/// Returns the bucket that is named; the one that fits where it is `auto` or nothing.
pub(super) fn bucket(
    calendar: Calendar,
    span: Span,
    text: Option<&str>,
) -> Result<Bucket, Problem> {
    let all: Vec<_> = [None].into_iter().chain(Bucket::ALL.map(Some)).collect();
    let spelt = |one: Option<Bucket>| one.map_or("auto", Bucket::as_str);
    let named = word("bucket", text.unwrap_or("auto"), &all, spelt)?;
    Ok(named.unwrap_or_else(|| Bucket::auto(calendar, span)))
}

/// Returns whether rows are to be CSV.
pub(super) fn is_csv(text: Option<&str>) -> Result<bool, Problem> {
    let spelt = |csv| if csv { "csv" } else { "json" };
    text.map_or(Ok(false), |text| word("format", text, &[false, true], spelt))
}

/// Returns the metrics that are named, or these, in the order of the catalogue.
fn metrics(names: &[String], otherwise: &[&str]) -> Result<Vec<&'static Metric>, Problem> {
    for name in names {
        if Metric::find(name).is_none() {
            let all: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
            return Err(invalid("metric", &format!("is one of: {}", all.join(", "))));
        }
    }
    let chosen = |metric: &&Metric| match names {
        [] => otherwise.is_empty() || otherwise.contains(&metric.name),
        names => names.iter().any(|name| name == metric.name),
    };
    Ok(METRICS.iter().filter(chosen).collect())
}

/// Returns the metric that is named, if it has what an answer needs, or the problem that names all
/// that have it. `where_it_is` says of what they are.
pub(super) fn metric_with(
    name: &str,
    where_it_is: &str,
    has: impl Fn(&Metric) -> bool,
) -> Result<&'static Metric, Problem> {
    Metric::find(name).filter(|metric| has(metric)).ok_or_else(|| {
        let all: Vec<_> = METRICS.iter().filter(|metric| has(metric)).map(|one| one.name).collect();
        invalid("metric", &format!("{where_it_is} is one of: {}", all.join(", ")))
    })
}

fn stat(text: Option<&str>) -> Result<Option<Stat>, Problem> {
    text.map(|text| word("stat", text, &Stat::ALL, Stat::as_str)).transpose()
}

/// Returns each named metric with the named statistic, or with its first one.
pub(super) fn one_stat_each(
    names: &[String],
    text: Option<&str>,
    otherwise: &[&str],
) -> Result<Vec<Wanted>, Problem> {
    metrics(names, otherwise)?.into_iter().map(|metric| one_stat(metric, text)).collect()
}

/// Returns a metric with the named statistic, or with its first one.
pub(super) fn one_stat(metric: &'static Metric, text: Option<&str>) -> Result<Wanted, Problem> {
    match stat(text)? {
        None => Ok(Wanted { metric, stat: metric.statistics[0] }),
        Some(stat) if metric.statistics.contains(&stat) => Ok(Wanted { metric, stat }),
        Some(_) => {
            let words: Vec<_> = metric.statistics.iter().map(|stat| stat.as_str()).collect();
            let what = format!("of `{}` is one of: {}", metric.name, words.join(", "));
            Err(invalid("stat", &what))
        }
    }
}

/// Returns each named metric, or all, with the named statistic, or with all of its own.
pub(super) fn all_stats(names: &[String], text: Option<&str>) -> Result<Vec<Wanted>, Problem> {
    if text.is_some() && !names.is_empty() {
        return one_stat_each(names, text, &[]);
    }
    let stat = stat(text)?;
    let of = |metric: &'static Metric| {
        let stats = metric.statistics.iter().copied();
        stats
            .filter(move |one| stat.is_none_or(|stat| stat == *one))
            .map(move |stat| Wanted { metric, stat })
    };
    Ok(metrics(names, &[])?.into_iter().flat_map(of).collect())
}

/// Name of a grouping's column.
pub(super) fn column(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::By(Split::Agent) => "agent_id",
        other => other.as_str(),
    }
}

/// Returns the grouping that is named, if every metric has it.
pub(super) fn grouping(text: Option<&str>, wanted: &[Wanted]) -> Result<Option<Grouping>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let grouping = word("group_by", text, &Grouping::ALL, Grouping::as_str)?;
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
