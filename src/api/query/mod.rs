//! Queries: what a request asks for, read into one struct for each part of its parameters.
//!
//! `docs/design/queries.md` has the reasons for a parser of our own.

pub mod cursor;
pub(crate) mod cursor_keys;
mod deserializer;
pub(crate) mod invalid;
pub(crate) mod json_body;
pub(crate) mod list;
pub(crate) mod number;
mod pairs;
pub(crate) mod parameters;
pub(crate) mod path;
pub(crate) mod read;
pub(crate) mod time;
pub(crate) mod words;
pub(crate) mod zone;
