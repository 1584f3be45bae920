//! The way in: who is it ([`credentials`]), is it safe ([`durable`]), and the answer
//! ([`handler`]). It owns no state beyond the settings of the sources, and knows nothing of SQL.

pub mod credentials;
pub mod durable;
pub mod front_door;
pub mod handler;
mod intake;
