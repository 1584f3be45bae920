//! Position of a match in the results.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::windows::Window;

/// Position of a match in the results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchPlace {
    /// Time of the message.
    pub at: DateTime<Utc>,
    /// ID of the message.
    pub id: Uuid,
    /// Score of the match.
    pub score: f32,
    /// Window of matches that it was ranked in.
    pub window: Window,
    /// The search was for parts of words.
    pub widened: bool,
}
