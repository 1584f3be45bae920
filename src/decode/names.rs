//! Agents and sessions that a body names, even if it cannot be decoded.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::body_text;
use super::json::{Object, Value};

/// Members of the body and of `data` that name an agent, in any generation.
const AGENT: [&str; 3] = ["agent_id", "agent_code", "agentId"];
/// Members of the body and of `data` that name a session, in any generation.
const SESSION: [&str; 2] = ["session_id", "sessionId"];

/// Agents and sessions that a body names: decoded values of the members that name one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Agents.
    pub agents: BTreeSet<String>,
    /// Sessions, by the sender's IDs.
    pub sessions: BTreeSet<String>,
    /// The body is a JSON object, so these are all its names.
    pub whole: bool,
}

impl Named {
    /// Reads the names in a body.
    ///
    /// In a JSON object they are at the top or in `data`, and a repeated member counts each time.
    /// Any other body (truncated, damaged, a list) is searched for `"member": value` at any depth.
    #[must_use]
    pub fn in_body(body: &[u8]) -> Self {
        let (text, _) = body_text(body);
        match Object::parse(&text) {
            Ok(Some(top)) => Self::in_object(&top),
            _ => Self::in_fragments(&text),
        }
    }

    fn in_object(top: &Object<'_>) -> Self {
        let mut named = Self { whole: true, ..Self::default() };
        named.add_members(top);
        for data in top.all("data") {
            if let Value::Object(text) = data
                && let Ok(Some(data)) = Object::parse(text)
            {
                named.add_members(&data);
            }
        }
        named
    }

    fn add_members(&mut self, object: &Object<'_>) {
        for member in AGENT {
            self.agents.extend(object.all(member).filter_map(name));
        }
        for member in SESSION {
            self.sessions.extend(object.all(member).filter_map(name));
        }
    }

    /// Searches the text in one pass, string by string.
    fn in_fragments(text: &str) -> Self {
        let mut found = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find('"') {
            let Some((string, after)) = split_string(&rest[at..]) else { break };
            rest = after;
            let Some(value) = after.trim_start().strip_prefix(':') else { continue };
            let value = value.trim_start();
            let names = match unquoted(string).as_deref() {
                Some(member) if AGENT.contains(&member) => &mut found.agents,
                Some(member) if SESSION.contains(&member) => &mut found.sessions,
                _ => continue,
            };
            let token = match split_string(value) {
                Some((token, _)) => Some(token),
                None => number(value),
            };
            names.extend(token.and_then(Value::of).and_then(name));
        }
        found
    }
}

/// Returns an ID, as decoding reads it.
fn name(value: Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.value),
        Value::Number(digits) => Some(digits.to_owned()),
        Value::Object(_) | Value::Other(_) => None,
    }
}

/// Returns the JSON string at the start, quotes included, and the rest; `None` if there is no
/// complete string.
fn split_string(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let inside = text.strip_prefix('"')?;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(text.split_at(end + 2))
}

fn unquoted(string: &str) -> Option<Cow<'_, str>> {
    if !string.contains('\\') {
        return Some(Cow::Borrowed(string.trim_matches('"')));
    }
    match Value::of(string)? {
        Value::Text(text) => Some(Cow::Owned(text.value)),
        _ => None,
    }
}

/// Returns the number at the start. A number at the end of the text may be truncated, so it does
/// not count.
fn number(text: &str) -> Option<&str> {
    let part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let end = text.bytes().position(|byte| !part(byte))?;
    Some(&text[..end]).filter(|digits| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(body: &str) -> (Vec<String>, Vec<String>, bool) {
        let Named { agents, sessions, whole } = Named::in_body(body.as_bytes());
        (agents.into_iter().collect(), sessions.into_iter().collect(), whole)
    }

    fn is(agents: &[&str], sessions: &[&str], whole: bool) -> (Vec<String>, Vec<String>, bool) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        (owned(agents), owned(sessions), whole)
    }

    #[test]
    fn names_of_every_generation_are_found_decoded() {
        for body in [
            r#"{"agent_id":"É-7","data":{"session_id":"s\n1"}}"#,
            r#"{"agent_code":"\u00c9-7","data":{"session_id":"s\u000A1"}}"#,
            r#"{"agentId":"\u00C9\u002d7","sessionId":"s\n1"}"#,
            r#"{"session_id":"s\n1","data":{"\u0061gent_id":"É\u002D7"}}"#,
        ] {
            assert_eq!(named(body), is(&["É-7"], &["s\n1"], true), "{body}");
        }
        assert_eq!(
            named(r#"{"agent_id":42,"data":{"session_id":1e3}}"#),
            is(&["42"], &["1e3"], true)
        );
        // Lone surrogates are replaced, as in what is stored.
        assert_eq!(named(r#"{"agent_id":"\ud800x"}"#).0, ["\u{FFFD}x"]);
    }

    #[test]
    fn values_elsewhere_are_not_names() {
        for body in [
            r#"{"message":"A","data":{"role":"user","message":"agent_id A"}}"#,
            r#"{"user":{"agent_id":"A"},"data":{"user":{"session_id":"s"}}}"#,
            r#"{"data":{"message":"{\"agent_id\":\"A\",\"session_id\":\"s\"}"}}"#,
            r#"{"agent_id":null,"session_id":["s"],"data":[{"session_id":"s"}]}"#,
        ] {
            assert_eq!(named(body), is(&[], &[], true), "{body}");
        }
    }

    #[test]
    fn repeated_member_counts_each_time() {
        let body = r#"{"agent_id":"A","agent_id":"B","data":{"session_id":"s"},"data":{}}"#;
        assert_eq!(named(body), is(&["A", "B"], &["s"], true));
    }

    #[test]
    fn bodies_that_cannot_be_parsed_are_searched_member_by_member() {
        for (body, found) in [
            (
                r#"{"agent_id":"\u0041","data":{"session_id" : "s", "message":"brok"#,
                (&["A"][..], &["s"][..]),
            ),
            (r#"[{"agentId":"A","sessionId":7},{"agent_id":"B"}]"#, (&["A", "B"], &["7"])),
            (r#"{"agent_id":"A","data":{"session_id":"broken-o"#, (&["A"], &[])),
            (r#"{"agent_id":12"#, (&[], &[])),
            ("agent_id=A&session_id=s", (&[], &[])),
            (r#"{"say":"agent_id\":","x":"A",}"#, (&[], &[])),
            ("", (&[], &[])),
        ] {
            assert_eq!(named(body), is(found.0, found.1, false), "{body}");
        }
        let bytes = b"{\"agent_id\":\"A\",\"message\":\"\xFF\xFE\",}";
        assert_eq!(Named::in_body(bytes).agents, BTreeSet::from(["A".to_owned()]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(body: Vec<u8>, text in "\\PC*") {
            let _ = Named::in_body(&body);
            let quoted = format!("{{\"agent_id\":{text}");
            let _ = Named::in_body(quoted.as_bytes());
        }

        #[test]
        fn escaped_name_is_found(name in "\\PC{1,40}", escaped in any::<u64>(), whole: bool) {
            let spelt: String = name.encode_utf16().enumerate().map(|(n, unit)| {
                match char::from_u32(unit.into()) {
                    Some(c) if !"\"\\".contains(c) && escaped >> (n % 64) & 1 == 0 => c.to_string(),
                    _ => format!("\\u{unit:04X}"),
                }
            }).collect();
            let end = if whole { "}" } else { ",\"x" };
            let body = format!("{{\"agentId\": \"{spelt}\"{end}");
            prop_assert_eq!(named(&body), (vec![name], vec![], whole));
        }
    }

    #[test]
    fn search_time_is_linear_in_the_length() {
        // A scan that restarted at each quote would take minutes.
        for piece in ["\"", "\"a\":", "\\\"", "{\"agent_id\":\"A\",", "[\"agent_id\":1"] {
            let body = piece.repeat(1 << 20 >> piece.len().ilog2());
            let begun = std::time::Instant::now();
            let _ = Named::in_body(body.as_bytes());
            assert!(begun.elapsed().as_secs() < 10, "{piece}");
        }
    }
}
