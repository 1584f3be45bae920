//! The read API over HTTP, on a database of the test's own.

mod agents;
mod app;
mod changes;
mod cursors;
mod edges;
mod http;
mod keys;
mod messages;
mod rows;
mod sessions;
mod shared;
mod stream;
mod transcript;
mod writers;
