//! Authentication: who makes a request, and what they may do.

pub(crate) mod caller;
pub(crate) mod cookie;
pub(crate) mod credential;
pub(crate) mod grant;
pub(crate) mod identity;
pub(crate) mod key_cache;
mod key_hashes;
mod lifetimes;
pub(crate) mod refusal;
mod session_cache;
pub(crate) mod watch;
