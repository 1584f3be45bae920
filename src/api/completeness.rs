//! Whether a session is all there, and what speaks against it.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ApiState;
use super::timestamp::Timestamp;
use crate::domain::completeness::{Finding, examine};
use crate::problem::Problem;
use crate::store::sessions::SessionRow;

/// Whether the conversation is all there, as far as can be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Completeness {
    /// No flag says that something may be missing. `out_of_order` and `undated` do not: they doubt
    /// the order alone.
    complete: bool,
    /// Messages that were looked through, from the first one on; 100,000 at the most.
    examined_messages: i64,
    /// What speaks against it, or against its order.
    flags: Vec<Flag>,
}

/// One thing that speaks against it.
#[derive(Debug, Serialize, ToSchema)]
struct Flag {
    /// `no_join`, `one_sided`, `repeated_user_turn`, `altered`, `out_of_order` or `undated`.
    flag: &'static str,
    /// Why, for a person.
    #[schema(example = "No room.join came, so what was said at the beginning may be missing.")]
    reason: String,
    /// How many messages, where it is found in messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Place>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
struct Place {
    /// Its id.
    id: Uuid,
    /// Its time.
    timestamp: Timestamp,
}

impl From<Finding> for Flag {
    fn from(finding: Finding) -> Self {
        let Finding { flag, reason, places } = finding;
        let first = places.as_ref().and_then(|places| places.first);
        Self {
            flag: flag.as_str(),
            reason,
            count: places.map(|places| places.count),
            first: first.map(|(at, id)| Place { id, timestamp: Timestamp(at) }),
        }
    }
}

/// Looks through a conversation.
pub(super) async fn completeness(
    session: &SessionRow,
    state: &ApiState,
) -> Result<Completeness, Problem> {
    let gap = state.visit_gaps.of(&session.agent_id);
    let figures = state.store.examine(session, gap).await?;
    let findings = examine(&figures);
    Ok(Completeness {
        complete: !findings.iter().any(|finding| finding.flag.means_missing()),
        examined_messages: figures.messages,
        flags: findings.into_iter().map(Flag::from).collect(),
    })
}
