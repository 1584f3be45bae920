//! Times in queries.

use crate::domain::time;
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::openapi::schema::{AnyOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::invalid::invalid;
use super::pairs::Pairs;
use super::zone::{Zone, date, local_time};
use crate::problem::Problem;
use crate::store::{AFTER_ALL, BEFORE_ALL};

/// Name by which the deserializer of a query recognises a [`Time`].
pub(super) const TIME: &str = "Time";
/// Name of the parameter with the zone of dates and local times.
const TIME_ZONE: &str = "tz";
/// Precision of stored times.
const STEP: TimeDelta = TimeDelta::microseconds(1);

/// Limit on times, which itself is excluded: a date, RFC 3339 or Unix seconds, no earlier and no
/// later than stored times can be.
///
/// A date, or a time without an offset, is one of the zone in `tz`. A date is its first instant. After
/// a name that ends with `after` that instant is included, so that successive days leave nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(DateTime<Utc>);

impl Time {
    /// Returns the instant.
    pub(crate) fn utc(self) -> DateTime<Utc> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TIME, Micros)
    }
}

/// Reads microseconds since 1970.
struct Micros;

impl Visitor<'_> for Micros {
    type Value = Time;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("time in a query")
    }

    fn visit_i64<E: serde::de::Error>(self, micros: i64) -> Result<Time, E> {
        DateTime::from_timestamp_micros(micros)
            .map(Time)
            .ok_or_else(|| E::custom("is beyond all times"))
    }
}

/// Reads the time in a parameter.
pub(super) fn read(name: &str, text: &str, pairs: &Pairs) -> Result<DateTime<Utc>, Problem> {
    let zone = pairs.value(TIME_ZONE).map(Zone::parse_parameter).transpose();
    let zone = zone.map_err(|text| invalid(TIME_ZONE, text))?;
    let day = || {
        let start = zone.unwrap_or(Zone::UTC).start_of(date(text)?);
        Some(if name.ends_with("after") { start - STEP } else { start })
    };
    let local = || Some(zone?.first_instant_of(local_time(text)?));
    let absolute = || {
        time::any_from_text(text).or_else(|| {
            // A plus that was not percent-encoded arrives as a space: 14:54:13+02:00.
            let (rest, offset) = text.rsplit_once(' ')?;
            time::any_from_text(&format!("{rest}+{offset}"))
        })
    };
    let at = day().or_else(local).or_else(absolute).ok_or_else(|| {
        let description = "is a date (2026-09-28), a time as RFC 3339 (2026-09-28T14:54:13Z), or \
                           Unix seconds (1790607253.5)";
        invalid(name, description)
    })?;
    Ok(at.clamp(BEFORE_ALL, AFTER_ALL))
}

/// Pattern of a month and day.
pub(crate) const MONTH_AND_DAY: &str = "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|\
    (0[13578]|1[02])-31)";
/// Pattern of a time of day.
pub(crate) const TIME_OF_DAY: &str = "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?\
    (Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])";

impl ToSchema for Time {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .pattern(Some(format!("^20[1-9][0-9]-{MONTH_AND_DAY}({TIME_OF_DAY})?$")))
            .build();
        let seconds = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Number))
            .minimum(Some(1_262_304_000))
            .maximum(Some(4_102_444_799_u32))
            .build();
        AnyOfBuilder::new()
            .item(text)
            .item(seconds)
            .description(Some(
                "A date, RFC 3339, or Unix seconds; between 2010 and 2100. A date is the first \
                 instant of that day in `tz`, which `after` and `…_after` then include: from one \
                 date to the next is a day.",
            ))
            .examples([json!("2026-09-28T14:54:13Z"), json!("2026-09-28"), json!(1_790_607_253.5)])
            .into()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::api::query::read::read;

    #[derive(Deserialize)]
    struct Times {
        after: Option<Time>,
        before: Option<Time>,
        #[expect(dead_code, reason = "the times are read in it")]
        tz: Option<Zone>,
    }

    fn times(query: &str) -> Result<Times, Problem> {
        read(&TestRequest::with_uri(&format!("/?{query}")).to_http_request())
    }

    fn after(query: &str) -> DateTime<Utc> {
        times(query).unwrap().after.unwrap().utc()
    }

    #[test]
    fn offset_may_have_a_bare_plus() {
        for query in [
            "after=2026-09-28T16:54:13+02:00",
            "after=2026-09-28T16:54:13%2B02:00",
            "after=2026-09-28T14:54:13Z",
            "after=2026-09-28+14:54:13",
            "after=1790607253",
            "after=1790607253.0",
        ] {
            assert_eq!(after(query).timestamp(), 1_790_607_253, "{query}");
        }
        for nonsense in ["yesterday", "NaN", "inf", "1e300", "2026-13-01T00:00:00Z"] {
            assert!(times(&format!("after={nonsense}")).is_err());
        }
    }

    #[test]
    fn date_is_its_first_instant_in_the_zone_and_includes_it_after() {
        let after = |query: &str| after(query).timestamp_micros();
        let before = |query: &str| times(query).unwrap().before.unwrap().utc().timestamp_micros();
        let midnight = 1_790_553_600_000_000; // 2026-09-28T00:00:00Z
        assert_eq!(before("before=2026-09-28"), midnight);
        assert_eq!(after("after=2026-09-28"), midnight - 1);
        assert_eq!(after("after=2026-09-28T00:00:00Z"), midnight);
        let two_hours = 7_200_000_000;
        for tz in ["Europe/Berlin", "europe/berlin"] {
            let of = |bound: &str| format!("{bound}&tz={tz}");
            assert_eq!(before(&of("before=2026-09-28")), midnight - two_hours);
            assert_eq!(after(&of("after=2026-09-28T00:00")), midnight - two_hours);
            // An offset in the time has precedence.
            assert_eq!(after(&of("after=2026-09-28T00:00:00Z")), midnight);
            assert_eq!(after(&of("after=1790553600")), midnight);
        }
        for wrong in ["after=2026-02-30", "after=2026-9-28", "before=28.09.2026"] {
            assert!(times(wrong).is_err(), "{wrong}");
        }
        assert!(times("tz=Europe/Atlantis").is_err(), "also without a time");
    }
}
