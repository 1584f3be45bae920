//! Ingest over HTTP: credentials ([`credentials`]), durable storage ([`durable`]), and the answer
//! ([`handler`]). Its only state is the sources' settings; it contains no SQL.

pub mod credentials;
pub mod durable;
pub mod handler;
mod intake;
pub mod test_sender;
