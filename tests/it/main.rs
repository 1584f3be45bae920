//! The whole service, from outside.

mod api;
mod keys;
mod support;
