//! The whole service, from outside: one binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod api;
mod backup;
mod corpus;
mod crash;
mod doctor;
mod durability;
mod embedded;
mod keys;
mod projection;
mod restart;
mod simulate;
mod start;
mod structure;
mod support;
mod tls;
mod webhook;
