//! JSON shape of a part of a list.

use serde::Serialize;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows, in the list's order.
    pub(crate) data: Vec<T>,
    /// Cursor of the next part; `null` at the end, if the list has one.
    #[schema(example = "AZmaLD8LfVGcVTocjg8rZA")]
    pub(crate) next_cursor: Option<String>,
    /// True if there is a next part now.
    #[schema(example = true)]
    pub(crate) has_more: bool,
}
