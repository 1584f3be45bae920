//! Background of one session: its completeness, and the sessions that it continues.

use crate::api::ApiState;
use crate::api::views::completeness::{Completeness, Flag};
use crate::api::views::continuation::Continuation;
use crate::domain::completeness::examine;
use crate::domain::continuation::guess;
use crate::problem::Problem;
use crate::store::sessions::SessionRow;

/// Examines every message of a session for signs that something is missing.
pub(crate) async fn completeness(
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

/// Returns the session that this one seems to continue. Only a session that began without a join can
/// continue another; for all others this makes no query.
pub(crate) async fn continues(
    session: &SessionRow,
    state: &ApiState,
) -> Result<Option<Continuation>, Problem> {
    if session.joined_at.is_some() || session.message_count == 0 {
        return Ok(None);
    }
    let found = state.store.continuation_facts(session).await?;
    Ok(guess(&found.newcomer, &found.earlier).and_then(|guess| {
        let (id, session_id) = found.ids.into_iter().nth(guess.index)?;
        let confidence = confidence(guess.confidence);
        Some(Continuation { id, session_id, confidence, reason: guess.reason })
    }))
}

/// Returns the sessions that seem to continue this one.
pub(crate) async fn continued_by(
    session: &SessionRow,
    state: &ApiState,
) -> Result<Vec<Continuation>, Problem> {
    let mut named = Vec::new();
    // They are few: the store has a limit.
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
