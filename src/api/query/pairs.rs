//! Names and values of a query, decoded strictly.
//!
//! An unknown parameter is rejected by name: with a misspelt filter left out, a caller would see more
//! than it asked for.

use std::borrow::Cow;

use actix_web::HttpRequest;

use super::invalid::{invalid, invalid_query};
use crate::problem::Problem;

/// Most parameters of a query: far above any use, and a limit on the time to check them.
const MAX_PAIRS: usize = 200;

/// Names and values of a query, in the order of the request. All names are known.
#[derive(Debug)]
pub(crate) struct Pairs(Vec<(&'static str, String)>);

impl Pairs {
    /// Reads the query of a request.
    pub(super) fn parse(req: &HttpRequest, known: &[&'static str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for part in req.query_string().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode_form(name)
                .ok_or_else(|| invalid_query("A parameter's name is not UTF-8.".into()))?;
            let Some(known_name) = known.iter().find(|known| **known == name) else {
                return Err(unknown(&name, known));
            };
            let value = decode_form(value).ok_or_else(|| invalid(known_name, "is not UTF-8"))?;
            if value.is_empty() {
                return Err(invalid(known_name, "is empty; leave it out instead"));
            }
            if value.contains('\0') {
                return Err(invalid(known_name, "holds U+0000, which no stored text does"));
            }
            if pairs.len() == MAX_PAIRS {
                return Err(invalid(known_name, "comes too often"));
            }
            pairs.push((known_name, value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// Returns each name once.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the values of a parameter in the order of the request.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| *key == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    /// Returns names and values of some parameters, sorted.
    pub(super) fn sorted(self, names: &[&'static str]) -> Vec<(&'static str, String)> {
        let mut pairs = self.0;
        pairs.retain(|(name, _)| names.contains(name));
        pairs.sort_unstable();
        pairs
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    const SHOWN: usize = 64;
    let name: String = name.chars().take(SHOWN).collect();
    let list = if known.is_empty() { "none".into() } else { known.join(", ") };
    invalid_query(format!("There is no parameter {name:?} here. Known are: {list}."))
}

/// Decodes a part of a query, where a plus is a space.
fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text);
    }
    Some(Cow::Owned(decode(&text.replace('+', " "))?.into_owned()))
}

/// Undoes percent-encoding, and keeps a percent sign that encodes nothing. Returns `None` for bytes
/// that are not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (rest, out) = match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high)? << 4 | hex(*low)?);
                (after, out)
            }
            _ => {
                out.push(*first);
                (tail, out)
            }
        };
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;
    use actix_web::test::TestRequest;

    fn parse(query: &str) -> Result<Pairs, Problem> {
        let req = TestRequest::with_uri(&format!("/v1/sessions?{query}")).to_http_request();
        Pairs::parse(&req, &["agent_id", "limit"])
    }

    #[test]
    fn value_is_decoded_like_a_form() {
        let pairs = parse("agent_id=a%2Bb+c%20d%25&agent_id=%F0%9F%A6%8A").unwrap();
        assert_eq!(pairs.values("agent_id"), ["a+b c d%", "🦊"]);
    }

    #[test]
    fn unknown_empty_or_undecodable_parameter_is_rejected() {
        for query in ["agent=1", "limit=", "limit", "agent_id=%FF", "%00=1", "limit=%00"] {
            assert_eq!(parse(query).unwrap_err().code(), Code::InvalidParameter, "{query}");
        }
    }
}
