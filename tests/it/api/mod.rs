//! The read API over HTTP, on a database of the test's own.

mod agents;
mod analytics;
mod app;
mod background;
mod bound;
mod changes;
mod cursors;
mod deliveries;
mod edges;
mod erase;
mod etags;
mod export;
mod http;
mod keys;
mod keys_http;
mod killed;
mod messages;
mod rows;
mod search;
mod sessions;
mod shared;
mod stream;
mod talk;
mod transcript;
mod visits;
mod writers;
