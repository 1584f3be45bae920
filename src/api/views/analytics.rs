//! JSON shapes of `/v1/analytics`.

mod rows;

use rows::json;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::analytics::catalog::{METRICS, Metric, Stat, Unit};
use crate::api::views::timestamp::Timestamp;
use crate::store::figures::{Figure, Number};
pub(crate) use rows::Row;
pub(crate) use rows::csv;

/// All metrics.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalog {
    /// The metrics, in the order of the catalogue.
    data: &'static [Metric],
}

impl Catalog {
    /// The catalogue of this version.
    pub(crate) fn new() -> Self {
        Self { data: &METRICS }
    }
}

/// Range, zone and time of figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Header {
    /// Start of the range.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) from: Timestamp,
    /// End of the range, which is not part of it.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) to: Timestamp,
    /// Time zone of the range and of its buckets.
    #[schema(example = "Europe/Berlin")]
    pub(crate) tz: &'static str,
    /// Time of the answer.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) as_of: Timestamp,
    /// Time of arrival up to which everything is reflected; null while figures are computed again and
    /// it is not known.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) complete_until: Option<Timestamp>,
}

/// Figures over a range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// Range, zone and time.
    #[serde(flatten)]
    pub(crate) header: Header,
    /// Earlier range of `previous` and `change`; null without `compare`.
    pub(crate) compare: Option<Compared>,
    /// One for each metric and statistic.
    pub(crate) data: Vec<SummaryFigure>,
}

/// Range that another one is compared with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Compared {
    /// Its start.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) from: Timestamp,
    /// Its end, which is not part of it.
    #[schema(example = "2026-09-28T00:00:00.000000Z")]
    pub(crate) to: Timestamp,
}

/// Statistic of a metric over a range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryFigure {
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
    pub(crate) fn new(
        metric: &'static Metric,
        stat: Stat,
        figure: Figure,
        previous: Option<Figure>,
    ) -> Self {
        let value = |figure: Figure| figure.value.map(Number::as_f64);
        let before = previous.and_then(value).filter(|before| *before != 0.0);
        Self {
            metric: metric.name,
            stat,
            unit: metric.unit,
            value: json(&figure),
            numerator: figure.parts.map(|parts| parts.0),
            denominator: figure.parts.map(|parts| parts.1),
            previous: previous.as_ref().map_or(Value::Null, json),
            change: value(figure).zip(before).map(|(value, before)| (value - before) / before),
        }
    }
}

/// Figures by bucket and group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeseries {
    /// Range, zone and time.
    #[serde(flatten)]
    pub(crate) header: Header,
    /// Size of the buckets.
    #[schema(example = "day")]
    pub(crate) bucket: &'static str,
    /// Flat rows: `start`, `end`, `local_start`, `complete` (the range holds the whole bucket, and it
    /// is over), the group's column, and a column for each metric; for a ratio also its numerator and
    /// denominator.
    #[schema(value_type = Vec<Object>, example = json!([{
        "start": "2026-09-27T22:00:00.000000Z", "end": "2026-09-28T22:00:00.000000Z",
        "local_start": "2026-09-28T00:00:00+02:00", "complete": true, "sessions": 17
    }]))]
    pub(crate) data: Vec<Row>,
}

/// Histogram of a metric's values.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Distribution {
    /// Range, zone and time.
    #[serde(flatten)]
    pub(crate) header: Header,
    /// The metric.
    #[schema(example = "reply_gap")]
    pub(crate) metric: &'static str,
    /// Unit of the edges and of the statistics.
    pub(crate) unit: Unit,
    /// For each group its column, `count` (the number of values) and each statistic of the metric.
    #[schema(value_type = Vec<Object>, example = json!([{
        "count": 14, "avg": 2.5, "p50": 2.4, "p90": 4.1, "p99": 6.8, "max": 7.0
    }]))]
    pub(crate) statistics: Vec<Row>,
    /// Flat rows: the group's column, `lower`, `upper` and `count`, the number of values from `lower`
    /// on and below `upper`. `lower` is null below a first edge above 0, `upper` above the last edge.
    #[schema(value_type = Vec<Object>, example = json!([
        { "lower": 0.0, "upper": 5.0, "count": 12 }, { "lower": 5.0, "upper": null, "count": 2 }
    ]))]
    pub(crate) data: Vec<Row>,
}

/// Totals by weekday and hour of the local clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Heatmap {
    /// Range, zone and time.
    #[serde(flatten)]
    pub(crate) header: Header,
    /// 168 flat rows: `weekday`, `hour` (0 to 23), a column for the metric, for a ratio also its
    /// numerator and denominator, and `hours`, how many hours of the range are such an hour.
    #[schema(value_type = Vec<Object>, example = json!([
        { "weekday": "monday", "hour": 0, "sessions": 3, "hours": 4.0 }
    ]))]
    pub(crate) data: Vec<Row>,
}

/// Largest groups by a metric.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Top {
    /// Range, zone and time.
    #[serde(flatten)]
    pub(crate) header: Header,
    /// Groups that are compared: `agent`, `source`, `room` or `first_message`.
    #[schema(example = "agent")]
    pub(crate) by: &'static str,
    /// Flat rows, the largest first: the group's column (`agent_id`, `source`, `room_name` or
    /// `first_message`; null for sessions without any) and a column for the metric; for a ratio also
    /// its numerator and denominator.
    #[schema(value_type = Vec<Object>, example = json!([{ "agent_id": "A80HVD8577", "sessions": 17 }]))]
    pub(crate) data: Vec<Row>,
    /// The other groups: `groups`, their number, and the metric's column over all of them, which is
    /// null for a metric that does not add up.
    #[schema(value_type = Object)]
    pub(crate) other: Row,
}
