//! The column that holds most of a statement's bytes.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, Postgres};
use sqlx::types::Type;

/// What the other columns of a row take in a statement, about.
const REST_OF_ROW_BYTES: usize = 256;

/// A column of texts or bytes that tells how large the statement will be, itself and the other
/// columns. An array gives no hint by itself: the statement's buffer would grow to half a megabyte
/// by doubling, for each batch anew, and the kernel would clear fresh pages all the time.
pub(super) struct Bulk<T>(pub(super) Vec<T>);

impl<T: PgHasArrayType> Type<Postgres> for Bulk<T> {
    fn type_info() -> PgTypeInfo {
        T::array_type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        T::array_compatible(ty)
    }
}

impl<'q, T> Encode<'q, Postgres> for Bulk<T>
where
    T: Encode<'q, Postgres> + Type<Postgres> + AsRef<[u8]>,
{
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.0.as_slice().encode_by_ref(buf)
    }

    fn size_hint(&self) -> usize {
        self.0.iter().map(|value| value.as_ref().len() + REST_OF_ROW_BYTES).sum()
    }
}
