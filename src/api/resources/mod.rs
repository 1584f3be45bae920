//! Handlers: a file for each resource, named as in its path.

pub(crate) mod agents;
pub(crate) mod alerts;
pub(crate) mod analytics;
pub(crate) mod browser_session;
pub(crate) mod changes;
pub(crate) mod deliveries;
pub(crate) mod docs;
pub(crate) mod erasures;
pub(crate) mod export;
pub mod health;
pub(crate) mod holds;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod messages;
pub(crate) mod metrics;
mod named_session;
mod new_key;
pub(crate) mod retention;
pub(crate) mod saved_views;
pub(crate) mod search;
mod session_background;
mod session_words;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod stream;
pub(crate) mod transcript;
pub(crate) mod visits;
