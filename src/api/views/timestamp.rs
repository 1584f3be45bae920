//! Times in JSON: RFC 3339, UTC, always six decimals, so that they sort as text.

use std::str;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::{Serialize, Serializer};

/// A time that is written as `2026-09-28T14:54:13.895697Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-09-28T14:54:13.895697Z")]
pub(crate) struct Timestamp(pub(crate) DateTime<Utc>);

/// Bytes of a time of the years 0 to 9999; Postgres is given no others.
const LENGTH: usize = 27;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.format();
        serializer.serialize_str(str::from_utf8(&bytes).unwrap_or_default())
    }
}

impl Timestamp {
    /// As in JSON: `2026-09-28T14:54:13.895697Z`.
    pub(crate) fn to_text(self) -> String {
        String::from_utf8_lossy(&self.format()).into_owned()
    }

    // By hand, since an answer holds hundreds of times and chrono's formatter takes longer for
    // each than Postgres does to read its row.
    fn format(self) -> [u8; LENGTH] {
        let mut out = *b"0000-00-00T00:00:00.000000Z";
        let date = self.0.date_naive();
        let time = self.0.time();
        digits(&mut out[0..4], date.year().unsigned_abs());
        digits(&mut out[5..7], date.month());
        digits(&mut out[8..10], date.day());
        digits(&mut out[11..13], time.hour());
        digits(&mut out[14..16], time.minute());
        digits(&mut out[17..19], time.second());
        digits(&mut out[20..26], time.nanosecond() / 1_000);
        out
    }
}

fn digits(out: &mut [u8], mut number: u32) {
    for place in out.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_six_decimals_and_a_z() {
        let at = DateTime::from_timestamp_micros(1_790_607_253_000_007).unwrap();
        assert_eq!(
            serde_json::to_string(&Timestamp(at)).unwrap(),
            r#""2026-09-28T14:54:13.000007Z""#
        );
    }

    proptest::proptest! {
        #[test]
        fn format_equals_that_of_chrono(micros in 0_i64..4_102_444_800_000_000) {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let ours = serde_json::to_value(Timestamp(at)).unwrap();
            let theirs = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            proptest::prop_assert_eq!(ours.as_str().unwrap(), theirs);
        }
    }
}
