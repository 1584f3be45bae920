//! Whole numbers within limits.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{KnownFormat, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// In place of a default in the document.
const NONE: i64 = i64::MIN;

/// Whole number from `MIN` to `MAX`. The document shows it with `BITS` bits and, if given, `DEFAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<
    const MIN: i64,
    const MAX: i64,
    const BITS: u32 = 64,
    const DEFAULT: i64 = NONE,
>(i64);

impl<const MIN: i64, const MAX: i64, const BITS: u32, const DEFAULT: i64>
    Whole<MIN, MAX, BITS, DEFAULT>
{
    /// Returns the number.
    pub(crate) fn get(self) -> i64 {
        self.0
    }

    /// Returns the number; the largest one of the type where it does not fit.
    pub(crate) fn as_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<'de, const MIN: i64, const MAX: i64, const BITS: u32, const DEFAULT: i64> Deserialize<'de>
    for Whole<MIN, MAX, BITS, DEFAULT>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        let wrong = || D::Error::custom(format!("is a whole number from {MIN} to {MAX}"));
        number.map(Self).ok_or_else(wrong)
    }
}

impl<const MIN: i64, const MAX: i64, const BITS: u32, const DEFAULT: i64> ToSchema
    for Whole<MIN, MAX, BITS, DEFAULT>
{
}

impl<const MIN: i64, const MAX: i64, const BITS: u32, const DEFAULT: i64> PartialSchema
    for Whole<MIN, MAX, BITS, DEFAULT>
{
    fn schema() -> RefOr<Schema> {
        let format = if BITS == 32 { KnownFormat::Int32 } else { KnownFormat::Int64 };
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(format)))
            .minimum(Some(MIN))
            .maximum((MAX < i64::MAX).then_some(MAX))
            .default((DEFAULT != NONE).then(|| DEFAULT.into()))
            .into()
    }
}
