//! JSON shapes of `/v1/analytics`.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::analytics::calendar::{Calendar, Part};
use crate::analytics::catalog::{METRICS, Metric, Stat, Unit};
use crate::api::timestamp::Timestamp;

/// All metrics.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Catalog {
    /// The metrics, in the order of the catalogue.
    data: &'static [Metric],
}

impl Catalog {
    /// The catalogue of this version.
    pub(in crate::api) fn new() -> Self {
        Self { data: &METRICS }
    }
}

/// Figures over a range.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Summary {
    /// Start of the range.
    pub(in crate::api) from: Timestamp,
    /// End of the range, which is not part of it.
    pub(in crate::api) to: Timestamp,
    /// Time zone of the range.
    pub(in crate::api) tz: &'static str,
    /// Time of the answer.
    pub(in crate::api) as_of: Timestamp,
    /// Time of arrival up to which everything is reflected; null while figures are computed anew and
    /// it cannot be told.
    pub(in crate::api) complete_until: Option<Timestamp>,
    /// Earlier range of `previous` and `change`; null without `compare`.
    pub(in crate::api) compare: Option<Compared>,
    /// One for each metric and statistic.
    pub(in crate::api) data: Vec<SummaryFigure>,
}

/// Range that another one is compared with.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Compared {
    /// Its start.
    pub(in crate::api) from: Timestamp,
    /// Its end, which is not part of it.
    pub(in crate::api) to: Timestamp,
}

/// Value of a figure, and of a ratio its parts.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Shown {
    pub(in crate::api) value: Option<f64>,
    pub(in crate::api) whole: Option<i64>,
    pub(in crate::api) parts: Option<(i64, i64)>,
}

impl Shown {
    fn json(&self) -> Value {
        self.whole.map(Value::from).or(self.value.map(Value::from)).unwrap_or(Value::Null)
    }
}

/// Statistic of a metric over a range.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct SummaryFigure {
    /// The metric.
    #[schema(example = "engagement_rate")]
    metric: &'static str,
    /// The statistic.
    stat: Stat,
    /// Unit of the value.
    unit: Unit,
    /// Null where there is nothing to compute it from.
    #[schema(value_type = Option<f64>, example = 0.75)]
    value: Value,
    /// Of a ratio: the number that is divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 12)]
    numerator: Option<i64>,
    /// Of a ratio: the number that it is divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 16)]
    denominator: Option<i64>,
    /// Value over the earlier range; null without `compare`.
    #[schema(value_type = Option<f64>, example = 0.6)]
    previous: Value,
    /// Change since the earlier range as a fraction: 0.25 is a quarter more. Null where it changed
    /// from nothing.
    #[schema(example = 0.25)]
    change: Option<f64>,
}

impl SummaryFigure {
    pub(in crate::api) fn new(
        metric: &'static Metric,
        stat: Stat,
        shown: Shown,
        previous: Option<Shown>,
    ) -> Self {
        let before = previous.and_then(|previous| previous.value).filter(|value| *value != 0.0);
        Self {
            metric: metric.name,
            stat,
            unit: metric.unit,
            value: shown.json(),
            numerator: shown.parts.map(|parts| parts.0),
            denominator: shown.parts.map(|parts| parts.1),
            previous: previous.map_or(Value::Null, |previous| previous.json()),
            change: shown.value.zip(before).map(|(value, before)| (value - before) / before),
        }
    }
}

/// Figures by bucket and group.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Timeseries {
    /// Start of the range.
    pub(in crate::api) from: Timestamp,
    /// End of the range, which is not part of it.
    pub(in crate::api) to: Timestamp,
    /// Time zone of the buckets.
    pub(in crate::api) tz: &'static str,
    /// Time of the answer.
    pub(in crate::api) as_of: Timestamp,
    /// Time of arrival up to which everything is reflected; null while figures are computed anew and
    /// it cannot be told.
    pub(in crate::api) complete_until: Option<Timestamp>,
    /// Size of the buckets.
    #[schema(example = "day")]
    pub(in crate::api) bucket: &'static str,
    /// Flat rows: `start`, `end`, `local_start`, `complete` (the range holds the whole bucket, and it
    /// is over), the group's column, and a column for each metric; for a ratio also its numerator and
    /// denominator.
    #[schema(value_type = Vec<Object>, example = json!([{
        "start": "2026-09-27T22:00:00.000000Z", "end": "2026-09-28T22:00:00.000000Z",
        "local_start": "2026-09-28T00:00:00+02:00", "complete": true, "sessions": 17
    }]))]
    pub(in crate::api) data: Vec<Row>,
}

/// One row: names and values, in order.
#[derive(Debug)]
pub(in crate::api) struct Row(Vec<(Cow<'static, str>, Value)>);

impl Row {
    /// Columns that every row begins with.
    pub(in crate::api) const BUCKET_COLUMNS: [&'static str; 4] =
        ["start", "end", "local_start", "complete"];

    /// The row of a bucket.
    pub(in crate::api) fn new(part: &Part, calendar: Calendar, now: DateTime<Utc>) -> Self {
        let utc = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true).into();
        let local = part.span.from.with_timezone(&calendar.zone);
        let local = local.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        let complete = part.whole && part.span.to <= now;
        let values = [utc(part.span.from), utc(part.span.to), local.into(), complete.into()];
        Self(Self::BUCKET_COLUMNS.into_iter().map(Cow::from).zip(values).collect())
    }

    /// Adds a column.
    pub(in crate::api) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        self.0.push((name.into(), value));
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What makes a spreadsheet take a cell for a formula.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Rows as CSV: RFC 4180 with a header, safe to open as a sheet.
pub(in crate::api) fn csv(columns: &[String], rows: &[Row]) -> String {
    let mut text = columns.join(",");
    text.push_str("\r\n");
    for Row(cells) in rows {
        let cells: Vec<_> = cells.iter().map(|(_, value)| cell(value)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let guard = if text.starts_with(FORMULA_STARTS) { "'" } else { "" };
            format!("\"{guard}{}\"", text.replace('"', "\"\""))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_and_no_formula() {
        let row = |group: &str| Row(vec![("a".into(), group.into()), ("b".into(), Value::Null)]);
        let rows = [row("=1+1"), row("a \"b\", c"), row("plain")];
        let text = csv(&["a".to_owned(), "b".to_owned()], &rows);
        assert_eq!(text, "a,b\r\n\"'=1+1\",\r\n\"a \"\"b\"\", c\",\r\n\"plain\",\r\n");
    }
}
