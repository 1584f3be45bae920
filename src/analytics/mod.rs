//! Definition of every figure, and the calendar that groups figures. Pure computation.

pub mod bins;
pub mod calendar;
pub mod catalog;
pub mod facts;
pub mod histogram;
mod metric;
pub mod range;
