//! Answers: how they are read, shared, tagged, compressed and sent.

pub(crate) mod answer;
mod compress;
mod group;
pub(crate) mod held;
pub(crate) mod needs;
pub(crate) mod page;
pub(crate) mod pieces;
pub(crate) mod reads;
pub(crate) mod servers;
