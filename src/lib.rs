//! Verbatim stores every conversation of a bitHuman agent word for word, and serves it over an API.
//!
//! A delivery passes `webhook` → `inbox` → `drain` → `store`; a query passes `store` → `api`. A
//! module uses only modules below it. ARCHITECTURE.md describes both paths.

pub mod clock;
pub mod config;
pub mod domain;
pub mod lifecycle;
pub mod problem;
pub mod redact;
pub mod retry;
pub mod telemetry;

pub mod decode;
pub mod ingress;
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
