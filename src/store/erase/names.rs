//! Decides whether an erasure covers a body that has no known session.

use crate::decode::names::Named;

/// Data that an erasure covers, as named in bodies.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Agent whose data is erased.
    pub agent_id: &'a str,
    /// Sender's ID of the session; `None` for all data of the agent.
    pub session_id: Option<&'a str>,
    /// True if a key that is bound to agents requested it: only provable data of the agent counts.
    pub bound: bool,
}

impl Reach<'_> {
    /// Returns true if the erasure covers a body with these names.
    ///
    /// A body that names the session and no agent is covered for an unbound key: its agent is
    /// unknown, and a key that sees everything should erase too much rather than too little. For a
    /// bound key, only a complete JSON object is covered, and only if it names the agent and no
    /// other.
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

    /// Returns whether a body is covered for an unbound key, and for a bound one.
    fn covers(session_id: Option<&str>, body: &str) -> (bool, bool) {
        let (named, all) =
            (Named::in_body(body.as_bytes()), Reach { agent_id: "A", session_id, bound: false });
        (all.covers(&named), Reach { bound: true, ..all }.covers(&named))
    }

    #[test]
    fn agent_erasure_covers_bodies_with_a_member_that_names_it() {
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
    fn session_erasure_covers_bodies_that_name_it_and_no_other_agent() {
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
