//! The session that a request's path names.

use serde_json::json;

use crate::api::Caller;
use crate::api::query::parameters::Selector;
use crate::problem::{Code, Problem};
use crate::store::sessions::{Candidate, Found, SessionKey, SessionRow};

/// Returns the key of a session, among those that the caller may see.
pub(crate) fn session_key<'a>(
    session_id: &'a str,
    selector: &'a Selector,
    caller: &'a Caller,
) -> SessionKey<'a> {
    SessionKey {
        session_id,
        agent_id: selector.agent_id.as_deref(),
        source: selector.source.as_deref(),
        visible: caller.agents(),
    }
}

/// Returns the only session found, or the problem that there is none or several.
pub(crate) fn only(found: Found) -> Result<SessionRow, Problem> {
    match found {
        Found::One(one) => Ok(one),
        Found::Nothing => Err(Problem::new(Code::NotFound, "There is no such session.")),
        Found::Several(candidates) => Err(ambiguous(&candidates)),
    }
}

fn ambiguous(candidates: &[Candidate]) -> Problem {
    let sessions: Vec<_> = candidates
        .iter()
        .map(|each| json!({ "id": each.id, "agent_id": each.agent_id, "source": each.source }))
        .collect();
    Problem::new(
        Code::AmbiguousSession,
        "Several sessions have this id: say which with `agent_id` (and `source`), or ask with \
         its own `id`.",
    )
    .with("sessions", sessions)
}
