//! JSON shapes of `/v1/analytics`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::analytics::catalog::{METRICS, Metric};

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
