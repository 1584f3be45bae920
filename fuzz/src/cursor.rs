//! A cursor is taken only as it was issued, with the filters it was issued for, and whatever a
//! caller makes up gives no position that Postgres would refuse.
//!
//! The input is a byte that says how the rest is tried: as a cursor's text; as bytes under a check
//! that fits, which a caller can compute; or as a position that is issued and then spoilt.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use verbatim::api::cursor::{Fingerprint, Key, decode, encode};
use verbatim::problem::Code;
use verbatim::store::Position;

/// The list that cursors are tried with, and its order.
const LIST: [&str; 2] = ["/v1/agents/A80HVD8577/sessions", "desc"];
/// Longest key of a list: an agent's id.
const LONGEST_KEY: usize = 512;

/// Tries the input.
pub fn check(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    match how % 3 {
        0 => {
            if let Ok(text) = std::str::from_utf8(rest) {
                taken_only_as_issued::<Uuid>(text);
                taken_only_as_issued::<String>(text);
            }
        }
        1 => {
            let forged = URL_SAFE_NO_PAD.encode([&fitting_check(rest)[..], rest].concat());
            taken_only_as_issued::<Uuid>(&forged);
            taken_only_as_issued::<String>(&forged);
        }
        _ => comes_back_and_tells_damage(rest),
    }
}

fn list() -> Fingerprint {
    Fingerprint::new(LIST[0]).and(LIST[1])
}

/// The first 8 bytes of a SHA-256 over each part with its length, and the position.
fn fitting_check(position: &[u8]) -> [u8; 8] {
    let mut hash = Sha256::new();
    for part in LIST {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.update(position);
    let digest: [u8; 32] = hash.finalize().into();
    *digest.first_chunk().unwrap()
}

/// A key whose text can be looked at.
trait Plain: Key + PartialEq + std::fmt::Debug {
    fn is_harmless(&self) -> bool;
}

impl Plain for Uuid {
    fn is_harmless(&self) -> bool {
        true
    }
}

impl Plain for String {
    fn is_harmless(&self) -> bool {
        !self.contains('\0')
    }
}

/// What is taken would be issued in the very same letters, so there is one cursor a position.
fn taken_only_as_issued<K: Plain>(cursor: &str) {
    match decode::<K>(&list(), cursor) {
        Ok(position) => {
            assert_eq!(encode(&list(), &position), cursor);
            assert!((1..=9999).contains(&position.at.year()), "Postgres knows no {}", position.at);
            assert!(position.key.is_harmless());
        }
        Err(problem) => assert_eq!(problem.code(), Code::InvalidCursor),
    }
}

/// The rest is where to spoil it, a time, and a key.
fn comes_back_and_tells_damage(rest: &[u8]) {
    let Some((spoil, rest)) = rest.split_first_chunk::<2>() else { return };
    let Some((time, key)) = rest.split_first_chunk::<8>() else { return };
    let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*time));
    let Some(at) = at.filter(|at| (1..=9999).contains(&at.year())) else { return };
    if let Ok(key) = Uuid::from_slice(key) {
        issued(&Position { at, key }, *spoil);
    }
    match String::from_utf8(key.to_vec()) {
        Ok(key) if key.is_harmless() && key.len() <= LONGEST_KEY => {
            issued(&Position { at, key }, *spoil);
        }
        _ => {}
    }
}

fn issued<K: Plain>(position: &Position<K>, [place, letter]: [u8; 2]) {
    let cursor = encode(&list(), position);
    assert_eq!(decode::<K>(&list(), &cursor).ok().as_ref(), Some(position));
    for other in [Fingerprint::new(LIST[0]).and("asc"), Fingerprint::new(LIST[0])] {
        assert!(decode::<K>(&other, &cursor).is_err(), "taken with another list");
    }
    let mut spoilt = cursor.clone().into_bytes();
    let place = usize::from(place) % spoilt.len();
    spoilt[place] = b'-' + letter % 64;
    let spoilt = String::from_utf8(spoilt).unwrap();
    assert!(spoilt == cursor || decode::<K>(&list(), &spoilt).is_err(), "taken though spoilt");
}
