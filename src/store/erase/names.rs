//! Whether a body that belongs to no session names somebody.

/// What an agent or a session is called, as it may stand in a body.
#[derive(Clone, Debug)]
pub struct Names(Vec<Vec<u8>>);

impl Names {
    /// Of a session, or of an agent where there is none.
    #[must_use]
    pub fn of(agent_id: &str, sender_session_id: Option<&str>) -> Self {
        let name = sender_session_id.unwrap_or(agent_id);
        let plain = name.as_bytes().to_vec();
        // As JSON writes it: with all that is not ASCII escaped, or only what must be.
        let quoted = serde_json::Value::from(name).to_string();
        let short = quoted.trim_matches('"').as_bytes().to_vec();
        let ascii = name.encode_utf16().flat_map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => vec![byte],
            _ => format!("\\u{unit:04x}").into_bytes(),
        });
        let mut names = vec![plain, short, ascii.collect()];
        names.dedup();
        Self(names)
    }

    /// A name stands in the body, and is no part of a longer one.
    #[must_use]
    pub fn stand_in(&self, body: &[u8]) -> bool {
        let part_of_name = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        };
        self.0.iter().any(|name| {
            let ends = name.len()..=body.len();
            ends.filter(|end| body[end - name.len()..*end] == **name).any(|end| {
                let before = (end - name.len()).checked_sub(1).and_then(|at| body.get(at));
                !part_of_name(before) && !part_of_name(body.get(end))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole_however_it_is_written() {
        let names = Names::of("A", Some("séance-7"));
        for body in ["{\"session_id\": \"séance-7\"", "{\"s\":\"s\\u00e9ance-7\"}", "séance-7"] {
            assert!(names.stand_in(body.as_bytes()), "{body}");
        }
        for body in ["séance-77", "xséance-7x", "séance", ""] {
            assert!(!names.stand_in(body.as_bytes()), "{body}");
        }
        assert!(Names::of("42", None).stand_in(b"{\"agent_id\":42}"));
        assert!(!Names::of("42", None).stand_in(b"{\"agent_id\":142}"));
    }
}
