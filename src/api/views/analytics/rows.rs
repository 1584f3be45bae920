//! Flat rows of figures, as JSON and as CSV.

use crate::store::figures::Number;
use serde::{Serialize, Serializer};
use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::ser::SerializeMap as _;
use serde_json::Value;

use crate::analytics::calendar::{Calendar, Part};
use crate::analytics::catalog::{Metric, Unit};
use crate::analytics::histogram::Bin;
use crate::api::views::timestamp::Timestamp;
use crate::store::figures::Figure;

/// JSON of a figure's value.
pub(super) fn json(figure: &Figure) -> Value {
    match figure.value {
        Some(Number::Whole(number)) => number.into(),
        Some(Number::Real(number)) => number.into(),
        None => Value::Null,
    }
}

/// One row: names and values, in order.
#[derive(Debug, Default)]
pub(crate) struct Row(Vec<(Cow<'static, str>, Value)>);

impl Row {
    /// Columns that every row begins with.
    pub(crate) const BUCKET_COLUMNS: [&'static str; 4] =
        ["start", "end", "local_start", "complete"];

    /// Begins the row of a bucket.
    pub(crate) fn of_bucket(part: &Part, calendar: Calendar, now: DateTime<Utc>) -> Self {
        let utc = |at: DateTime<Utc>| Timestamp(at).to_text().into();
        let local = part.span.from.with_timezone(&calendar.zone);
        let local = local.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        let complete = part.whole && part.span.to <= now;
        let values = [utc(part.span.from), utc(part.span.to), local.into(), complete.into()];
        Self(Self::BUCKET_COLUMNS.into_iter().map(Cow::from).zip(values).collect())
    }

    /// Adds a column.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        self.0.push((name.into(), value));
    }

    /// Columns of a bin.
    pub(crate) const BIN_COLUMNS: [&'static str; 3] = ["lower", "upper", "count"];

    /// Begins the row of a group.
    pub(crate) fn of_group(column: &'static str, name: Option<&str>) -> Self {
        Self(vec![(column.into(), name.into())])
    }

    /// Adds a bin and its number of values.
    pub(crate) fn with_bin(mut self, bin: &Bin, count: i64) -> Self {
        let values = [bin.lower.into(), bin.upper.into(), count.into()];
        self.0.extend(Self::BIN_COLUMNS.into_iter().map(Cow::from).zip(values));
        self
    }

    /// Adds a number of values and their statistics.
    pub(crate) fn with_statistics(
        mut self,
        count: i64,
        figures: impl IntoIterator<Item = (&'static str, Figure)>,
    ) -> Self {
        self.add("count", count.into());
        for (name, figure) in figures {
            self.add(name, json(&figure));
        }
        self
    }

    /// Makes the row of an hour of the week.
    pub(crate) fn of_hour(
        weekday: &'static str,
        hour: usize,
        metric: &'static Metric,
        figure: Figure,
        length: TimeDelta,
    ) -> Self {
        let mut row = Self(vec![("weekday".into(), weekday.into()), ("hour".into(), hour.into())]);
        row.add_figure(metric, figure);
        row.add("hours", hours(length).into());
        row
    }

    /// Names of the columns of an hour of the week.
    pub(crate) fn hour_columns(metric: &Metric) -> Vec<String> {
        let mut columns = vec!["weekday".to_owned(), "hour".to_owned()];
        columns.extend(Self::figure_columns(metric));
        columns.push("hours".to_owned());
        columns
    }

    /// Names of the columns of a metric's figure.
    pub(crate) fn figure_columns(metric: &Metric) -> Vec<String> {
        let name = metric.name;
        let mut columns = vec![name.to_owned()];
        if metric.unit == Unit::Ratio {
            columns.extend([format!("{name}_numerator"), format!("{name}_denominator")]);
        }
        columns
    }

    /// Adds the columns of a metric's figure.
    pub(crate) fn add_figure(&mut self, metric: &'static Metric, figure: Figure) {
        self.add(metric.name, json(&figure));
        if let Some((numerator, denominator)) = figure.parts {
            self.add(format!("{}_numerator", metric.name), numerator.into());
            self.add(format!("{}_denominator", metric.name), denominator.into());
        }
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

/// Length in hours.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 2^53 microseconds, which are 285 years"
)]
fn hours(length: TimeDelta) -> f64 {
    const MICROS_AN_HOUR: f64 = 3.6e9;
    length.num_microseconds().unwrap_or_default() as f64 / MICROS_AN_HOUR
}

/// Characters that begin a formula in a spreadsheet.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Rows as CSV: RFC 4180 with a header, safe to open as a sheet.
pub(crate) fn csv(columns: &[String], rows: &[Row]) -> String {
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
