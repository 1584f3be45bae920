//! Limit in settings.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Limit in settings: a number or a duration.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// Number in the metric's unit.
    Number(f64),
    /// Duration such as `15m`.
    Duration(String),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a duration such as \"15m\"")
            }

            #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount::Number(number as f64))
            }

            #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount::Number(number as f64))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Amount, E> {
                Ok(Amount::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount::Duration(text.to_owned()))
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}
