//! `GET /v1/analytics/…`: metrics of conversations, without any text.

mod catalog;
mod distribution;
mod frame;
mod heatmap;
mod request;
mod summary;
mod timeseries;
mod top;
mod words;

pub(crate) use catalog::__path_catalog;
pub(crate) use catalog::catalog;
pub(crate) use distribution::__path_distribution;
pub(crate) use distribution::distribution;
pub(crate) use heatmap::__path_heatmap;
pub(crate) use heatmap::heatmap;
pub(crate) use summary::__path_summary;
pub(crate) use summary::summary;
pub(crate) use timeseries::__path_timeseries;
pub(crate) use timeseries::timeseries;
pub(crate) use top::__path_top;
pub(crate) use top::top;
