//! Plain values: deliveries, sessions, messages, times and IDs. No I/O and no clock; only the last
//! bits of a new [`DeliveryId`] are random.

pub mod completeness;
pub mod continuation;
pub mod delivery;
pub mod ids;
pub mod json_line;
pub mod roles;
pub mod session;
pub mod text;
pub mod time;
pub mod visits;

pub use delivery::{Arrival, Delivery, Event, Evidence, Generation, Outcome, Unreadable};
pub use ids::{DeliveryId, EventId, SessionId, SourceName};
pub use roles::Roles;
