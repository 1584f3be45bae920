//! What a request's URL says: the query's parameters and the ids in its path, decoded strictly.
//!
//! A parameter that is not known is refused by name: a filter that was misspelt, and silently left
//! out, would show a caller more than it asked for.

use std::borrow::Cow;

use actix_web::HttpRequest;
use chrono::{DateTime, TimeDelta, Utc};

use super::zone::{Zone, date, local_time};
use crate::domain::time;
use crate::problem::{Code, Problem};
use crate::store::{AFTER_ALL, BEFORE_ALL};

/// Most parameters a query may have: far above any use, and a bound on what is looked through.
const MOST_PARAMS: usize = 200;
/// Stored times are whole microseconds.
const STEP: TimeDelta = TimeDelta::microseconds(1);

/// A query's parameters: all of them known, and each there once unless it may repeat.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(&'static str, String)>,
}

impl Params {
    /// Reads a query. `repeatable` names those of the `known` that may come more than once.
    pub(super) fn parse(
        req: &HttpRequest,
        known: &[&'static str],
        repeatable: &[&'static str],
    ) -> Result<Self, Problem> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for part in req.query_string().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode_form(name)
                .ok_or_else(|| refuse("A parameter's name is not UTF-8.".into()))?;
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
            let repeats = pairs.iter().any(|(name, _)| name == known_name);
            if repeats && !repeatable.contains(known_name) || pairs.len() == MOST_PARAMS {
                return Err(invalid(known_name, "comes too often"));
            }
            pairs.push((known_name, value.into_owned()));
        }
        let params = Self { pairs };
        // What is not needed has to be right all the same: a zone may come without any date.
        Zone::wanted(&params)?;
        Ok(params)
    }

    /// All of them, as they were written.
    pub(super) fn pairs(&self) -> &[(&'static str, String)] {
        &self.pairs
    }

    /// A parameter's value.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that may repeat, each once; `None` where it is not there.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let mut values: Vec<_> = self
            .pairs
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.clone())
            .collect();
        values.sort_unstable();
        values.dedup();
        (!values.is_empty()).then_some(values)
    }

    /// A bound on times, which itself lies outside: a date, RFC 3339 or Unix seconds, no earlier
    /// and no later than the store knows times. None that is stored lies outside of that, so such a
    /// bound means the same. A date, or a time without an offset, is one of the zone that `tz`
    /// names.
    ///
    /// A date stands for its first instant. Behind a name that ends with `after` that instant is
    /// included, so that days one after the other leave nothing out.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let zone = Zone::wanted(self)?;
        let day = || {
            let start = zone.unwrap_or(Zone::UTC).start_of(date(text)?);
            Some(if name.ends_with("after") { start - STEP } else { start })
        };
        let local = || Some(zone?.first_instant_of(local_time(text)?));
        let absolute = || {
            time::any_from_text(text).or_else(|| {
                // A plus that was not percent-encoded arrives as a space: 14:54:13+02:00.
                let (rest, offset) = text.rsplit_once(' ')?;
                time::any_from_text(&format!("{rest}+{offset}"))
            })
        };
        let parsed = day().or_else(local).or_else(absolute);
        parsed.map(|at| Some(at.clamp(BEFORE_ALL, AFTER_ALL))).ok_or_else(|| {
            invalid(
                name,
                "is a date (2026-09-28), a time as RFC 3339 (2026-09-28T14:54:13Z), or Unix \
                 seconds (1790607253.5)",
            )
        })
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number
            .map(Some)
            .ok_or_else(|| invalid(name, &format!("is a whole number from {min} to {max}")))
    }

    /// One of some words, and what it stands for.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| chosen(name, text, choices)).transpose()
    }

    /// Some of some words, with commas between, and what they stand for.
    pub(super) fn words<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Vec<T>, Problem> {
        let words = self.text(name).into_iter().flat_map(|text| text.split(','));
        words.map(|word| chosen(name, word, choices)).collect()
    }

    /// Some words of a parameter that may repeat or have commas between its words, and what they
    /// stand for.
    pub(super) fn choices<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<Vec<T>>, Problem> {
        let meanings = |texts: Vec<String>| {
            let words = texts.iter().flat_map(|text| text.split(','));
            words.map(|word| chosen(name, word, choices)).collect()
        };
        self.texts(name).map(meanings).transpose()
    }
}

/// The id in a path's third segment, as in `/v1/sessions/{session_id}/messages`.
///
/// It is taken from the path as it was sent, since the framework's decoding replaces what is not
/// UTF-8. An id that is not text, or holds U+0000, names nothing that can be stored.
pub(super) fn path_id(req: &HttpRequest) -> Result<String, Problem> {
    const SEGMENT: usize = 3;
    let raw = req.uri().path().split('/').nth(SEGMENT).unwrap_or_default();
    decode(raw)
        .filter(|id| !id.contains('\0'))
        .map(Cow::into_owned)
        .ok_or_else(|| Problem::new(Code::NotFound, "No stored id holds such bytes."))
}

fn chosen<T: Copy>(name: &str, text: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
    let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) else {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        return Err(invalid(name, &format!("is one of: {}", words.join(", "))));
    };
    Ok(*meaning)
}

/// A parameter's value that is not right, and what would be.
pub(super) fn invalid(name: &str, what_is_right: &str) -> Problem {
    refuse(format!("`{name}` {what_is_right}."))
}

fn refuse(detail: String) -> Problem {
    Problem::new(Code::InvalidParameter, detail)
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    const SHOWN: usize = 64;
    let name: String = name.chars().take(SHOWN).collect();
    let list = if known.is_empty() { "none".into() } else { known.join(", ") };
    refuse(format!("There is no parameter {name:?} here. Known are: {list}."))
}

/// Decodes a part of a query, where a plus stands for a space.
fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text);
    }
    Some(Cow::Owned(decode(&text.replace('+', " "))?.into_owned()))
}

/// Undoes percent-encoding; a percent sign that encodes nothing stands for itself. `None` where
/// the outcome is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
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
    use actix_web::test::TestRequest;

    fn parse(query: &str) -> Result<Params, Problem> {
        let req = TestRequest::with_uri(&format!("/v1/sessions?{query}")).to_http_request();
        let known = ["agent_id", "after", "before", "limit", "tz"];
        Params::parse(&req, &known, &["agent_id"])
    }

    #[test]
    fn a_value_is_decoded_as_a_form_is() {
        let params = parse("agent_id=a%2Bb+c%20d%25&agent_id=%F0%9F%A6%8A").unwrap();
        assert_eq!(params.texts("agent_id").unwrap(), ["a+b c d%", "🦊"]);
    }

    #[test]
    fn what_is_unknown_repeated_empty_or_not_text_is_refused() {
        for query in ["agent=1", "limit=1&limit=2", "limit=", "limit", "agent_id=%FF", "%00=1"] {
            assert_eq!(parse(query).unwrap_err().code(), Code::InvalidParameter, "{query}");
        }
    }

    #[test]
    fn a_time_may_come_with_a_bare_plus() {
        for query in [
            "after=2026-09-28T16:54:13+02:00",
            "after=2026-09-28T16:54:13%2B02:00",
            "after=2026-09-28T14:54:13Z",
            "after=2026-09-28+14:54:13",
            "after=1790607253",
            "after=1790607253.0",
        ] {
            let at = parse(query).unwrap().time("after").unwrap().unwrap();
            assert_eq!(at.timestamp(), 1_790_607_253, "{query}");
        }
        for nonsense in ["yesterday", "NaN", "inf", "1e300", "2026-13-01T00:00:00Z"] {
            assert!(parse(&format!("after={nonsense}")).unwrap().time("after").is_err());
        }
    }

    #[test]
    fn a_date_is_its_first_instant_in_the_zone_and_includes_it_behind_after() {
        let micros = |query: &str, name: &str| {
            parse(query).unwrap().time(name).unwrap().unwrap().timestamp_micros()
        };
        let midnight = 1_790_553_600_000_000; // 2026-09-28T00:00:00Z
        assert_eq!(micros("before=2026-09-28", "before"), midnight);
        assert_eq!(micros("after=2026-09-28", "after"), midnight - 1);
        assert_eq!(micros("after=2026-09-28T00:00:00Z", "after"), midnight);
        let two_hours = 7_200_000_000;
        for tz in ["Europe/Berlin", "europe/berlin"] {
            let of = |bound: &str| format!("{bound}&tz={tz}");
            assert_eq!(micros(&of("before=2026-09-28"), "before"), midnight - two_hours);
            assert_eq!(micros(&of("after=2026-09-28T00:00"), "after"), midnight - two_hours);
            // What has an offset of its own keeps it.
            assert_eq!(micros(&of("after=2026-09-28T00:00:00Z"), "after"), midnight);
            assert_eq!(micros(&of("after=1790553600"), "after"), midnight);
        }
        for wrong in ["after=2026-02-30", "after=2026-9-28", "before=28.09.2026"] {
            let name = wrong.split('=').next().unwrap();
            assert!(parse(wrong).unwrap().time(name).is_err(), "{wrong}");
        }
        assert!(parse("tz=Europe/Atlantis").is_err(), "also where no date needs it");
    }
}
