//! Definition of every figure, and the calendar by which figures are grouped. Computes, and does
//! nothing else.

pub mod bins;
pub mod calendar;
pub mod catalog;
pub mod facts;
pub mod histogram;
pub mod range;
