//! The read API: JSON over HTTP under `/v1`.
//!
//! | room | owns |
//! | --- | --- |
//! | `auth` | credentials, keys, browser sessions, the caller of a request |
//! | `query` | parameters, paths, bodies and cursors of requests |
//! | `answers` | answers: grouped reads, the server to read from, compression, large answers |
//! | `views` | JSON shapes |
//! | `resources` | handlers: a file for each resource |
//! | `openapi` | the document of all routes |
//!
//! A handler reads its query, calls the store once, and answers with a view. No SQL is here.

mod access_log;
mod answers;
mod auth;
mod openapi;
mod query;
pub(crate) mod resources;
mod routes;
mod state;
mod views;

pub use access_log::access_log;
pub use answers::answer::SharedReads;
pub use answers::held::HeldAnswers;
pub use answers::servers::ReadServers;
pub use auth::caller::Caller;
pub use auth::key_cache::KeyCache;
pub use openapi::document::openapi;
pub use query::cursor;
pub use query::cursor_keys::{CursorKeys, OPENS_FOR, SEALS_FOR};
pub use resources::export::seats::Exports;
pub use resources::health;
pub use resources::setup::SetupState;
pub use resources::stream::event_text;
pub use routes::routes;
pub use state::ApiState;
