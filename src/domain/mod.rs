//! Plain values: what a delivery, a session and a message are. No I/O, no clock, no randomness.

pub mod delivery;
pub mod ids;
pub mod session;
pub mod text;
pub mod time;

pub use delivery::{Arrival, Delivery, Event, Evidence, Generation, Outcome, Unreadable};
pub use ids::{DeliveryId, EventId, SessionId, SourceName};
