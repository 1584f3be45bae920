//! The whole service, from outside: one binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod alerts;
mod api;
mod backup;
mod browser_sessions;
mod connecting;
mod corpus;
mod cors;
mod crash;
mod doctor;
mod durability;
mod embedded;
mod erasure;
mod export;
mod facts;
mod facts_concurrent;
mod gate;
mod identity;
mod import;
mod inbox;
mod keys;
mod limits;
mod lines;
mod logs;
mod metrics;
mod openapi;
mod page;
mod projection;
mod proxies;
mod readers;
mod readiness;
mod redaction;
mod restart;
mod retention;
mod settings;
mod setup;
mod simulate;
mod simulated_history;
mod start;
mod structure;
mod support;
mod tls;
mod traces;
mod webhook;
mod wire;
