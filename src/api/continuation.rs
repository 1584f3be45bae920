//! What a session seems to go on from, and in: never merged, only named.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ApiState;
use crate::domain::continuation::guess;
use crate::problem::Problem;
use crate::store::sessions::SessionRow;

/// A session of the same agent and source that seems to be a part of the same conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Continuation {
    /// Ours.
    id: Uuid,
    /// The sender's.
    session_id: String,
    /// From 0.1, a mere possibility, to 0.95, hardly any doubt.
    confidence: f64,
    /// What it rests on, and what speaks against it, for a person.
    #[schema(
        example = "This session began with a message and without a join, 10 s after the other one \
            of the same agent and source had fallen silent. Its first message is by the other side \
            than the last one there."
    )]
    reason: String,
}

/// What the session seems to go on from. That it began without a join is what asks the question;
/// any other costs nothing here.
pub(super) async fn continues(
    session: &SessionRow,
    state: &ApiState,
) -> Result<Option<Continuation>, Problem> {
    if session.joined_at.is_some() || session.message_count == 0 {
        return Ok(None);
    }
    let found = state.store.circumstances(session).await?;
    Ok(guess(&found.newcomer, &found.earlier).and_then(|guess| {
        let (id, session_id) = found.ids.into_iter().nth(guess.index)?;
        let confidence = confidence(guess.confidence);
        Some(Continuation { id, session_id, confidence, reason: guess.reason })
    }))
}

/// The sessions that name this one as what they seem to go on from.
pub(super) async fn continued_by(
    session: &SessionRow,
    state: &ApiState,
) -> Result<Vec<Continuation>, Problem> {
    let mut named = Vec::new();
    // Few at the most: the store has a limit.
    for later in state.store.later(session).await? {
        let continued = continues(&later, state).await?.filter(|before| before.id == session.id);
        named.extend(continued.map(|before| Continuation {
            id: later.id,
            session_id: later.session_id,
            ..before
        }));
    }
    Ok(named)
}

#[expect(clippy::cast_precision_loss, reason = "a hundred at the most")]
fn confidence(per_cent: u64) -> f64 {
    per_cent as f64 / 100.0
}
