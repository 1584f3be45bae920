//! The whole service, from outside: one binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod api;
mod crash;
mod durability;
mod embedded;
mod inbox;
mod keys;
mod projection;
mod simulate;
mod start;
mod structure;
mod support;
mod webhook;
