//! Times before which rows are expired.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::store::page::BEFORE_ALL;

/// Times before which rows are expired; `None` is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limit of the sources without one of their own.
    pub usual: Option<DateTime<Utc>>,
    /// Limits by source.
    pub of_sources: BTreeMap<String, Option<DateTime<Utc>>>,
}

impl Limits {
    /// Returns the parameters of a query: sources, their limits, the default one.
    pub(super) fn parts(&self) -> (Vec<String>, Vec<DateTime<Utc>>, DateTime<Utc>) {
        let (sources, limits) = self
            .of_sources
            .iter()
            .map(|(source, limit)| (source.clone(), limit.unwrap_or(BEFORE_ALL)))
            .unzip();
        (sources, limits, self.usual.unwrap_or(BEFORE_ALL))
    }

    /// Returns the limit of one source.
    pub(super) fn of(&self, source: &str) -> Option<DateTime<Utc>> {
        self.of_sources.get(source).copied().unwrap_or(self.usual)
    }

    /// Returns the latest limit: nothing later is expired.
    pub(super) fn latest(&self) -> DateTime<Utc> {
        let of_sources = self.of_sources.values().copied().flatten();
        of_sources.chain(self.usual).max().unwrap_or(BEFORE_ALL)
    }
}
