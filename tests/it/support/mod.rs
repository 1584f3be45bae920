//! The test app, processes, databases and clients of the integration tests.

pub(crate) mod app;
pub(crate) mod captured;
pub(crate) mod command;
pub(crate) mod database;
pub(crate) mod private_service;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod prometheus;
pub(crate) mod reader;
pub(crate) mod samples;
pub(crate) mod schema;
pub(crate) mod server_tree;
pub(crate) mod standby;
pub(crate) mod wire;
