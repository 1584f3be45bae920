//! Which bodies an erasure reaches among those that belong to no session that could be read.

use crate::decode::names::Named;

/// What an erasure reaches by the names in a body.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Whose data is erased.
    pub agent_id: &'a str,
    /// The sender's id of the session; `None` for all that the agent has.
    pub session_id: Option<&'a str>,
    /// A key that is bound to agents asked for it: only what provably is the agent's.
    pub bound: bool,
}

impl Reach<'_> {
    /// Whether the erasure reaches a body with these names.
    ///
    /// A body that names the session and no agent is reached where no bound key asked: nothing says
    /// whose it is, and who sees everything rather erases too much of it. A bound key reaches
    /// only whole JSON objects whose every name of an agent is its agent's.
    #[must_use]
    pub fn covers(&self, named: &Named) -> bool {
        let names_agent = named.agents.contains(self.agent_id);
        let is_agents = if self.bound {
            named.whole && names_agent && named.agents.len() == 1
        } else {
            names_agent || self.session_id.is_some() && named.agents.is_empty()
        };
        is_agents && self.session_id.is_none_or(|session| named.sessions.contains(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it reaches a body, asked for by a key that sees everything, and by a bound one.
    fn covers(session_id: Option<&str>, body: &str) -> (bool, bool) {
        let (named, all) =
            (Named::in_body(body.as_bytes()), Reach { agent_id: "A", session_id, bound: false });
        (all.covers(&named), Reach { bound: true, ..all }.covers(&named))
    }

    #[test]
    fn agent_is_erased_where_a_member_names_it() {
        for (body, all, bound) in [
            (r#"{"agent_id":"A"}"#, true, true),
            (r#"{"agent_id":"A","data":{"agent_id":"A"}}"#, true, true),
            (r#"{"agent_id":"A","data":{"agent_id":"B"}}"#, true, false),
            (r#"{"agent_id":"A","data":{"mess"#, true, false),
            (r#"{"agent_id":"B","data":{"message":"A"}}"#, false, false),
            (r#"{"data":{"session_id":"A"}}"#, false, false),
            ("A", false, false),
        ] {
            assert_eq!(covers(None, body), (all, bound), "{body}");
        }
    }

    #[test]
    fn session_is_erased_where_a_member_names_it_and_no_other_agent_is_named() {
        for (body, all, bound) in [
            (r#"{"agent_id":"A","data":{"session_id":"user"}}"#, true, true),
            (r#"{"agent_id":"B","data":{"session_id":"user"}}"#, false, false),
            (r#"{"data":{"session_id":"user"}}"#, true, false),
            (r#"{"data":{"session_id":"user","x"#, true, false),
            (r#"{"agent_id":"A","data":{"role":"user"}}"#, false, false),
            (r#"{"agent_id":"A","data":{"session_id":"users"}}"#, false, false),
        ] {
            assert_eq!(covers(Some("user"), body), (all, bound), "{body}");
        }
    }
}
