//! Size hint for the column that holds most of a statement's bytes.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, Postgres};
use sqlx::types::Type;

/// Approximate size in a statement of a row's other columns.
const REST_OF_ROW_BYTES: usize = 256;

/// Column of texts or bytes that hints at the size of the whole statement. A plain array gives no
/// hint: the statement's buffer would double up to half a megabyte for every batch, and the kernel
/// would clear fresh pages each time.
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
