//! Verbatim keeps every conversation that a bitHuman agent has, word for word, and gives it back.
//!
//! The modules in reading order: a delivery walks `webhook` → `inbox` → `drain` → `store`,
//! an answer walks `store` → `api`. Nothing imports upward. ARCHITECTURE.md has both walks.

pub mod clock;
pub mod config;
pub mod domain;
pub mod lifecycle;
pub mod problem;
pub mod redact;
pub mod telemetry;

pub mod decode;
pub mod gate;
pub mod webhook;

pub mod inbox;

pub mod drain;

pub mod search;

pub mod alerts;
pub mod analytics;

pub mod postgres;
pub mod store;

pub mod api;
pub mod jobs;
pub mod live;
pub mod page;

pub mod cli;
pub mod server;
