//! JSON shapes of answers, apart from the handlers that fill them.

pub(super) mod alerts;
pub(super) mod analytics;
pub(super) mod browser_session;
pub(super) mod jobs;
pub(super) mod retention;
pub(super) mod saved_views;
pub(super) mod setup;
pub(super) mod test_delivery;
