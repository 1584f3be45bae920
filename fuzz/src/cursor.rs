//! A cursor is opened only as it was sealed, with the filters that it was sealed for. An invented
//! cursor never yields a position.
//!
//! The input is a byte that selects the use of the rest: the text of a cursor; bytes after the
//! visible part of a real cursor; or a position that is sealed and then damaged.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _};
use uuid::Uuid;
use verbatim::api::cursor::{Fingerprint, Key, NotOpened, Sealer};
use verbatim::store::Position;
use verbatim::store::cursor_keys::CursorKey;

/// List of the cursors, and its order.
const LIST: [&str; 2] = ["/v1/agents/A80HVD8577/sessions", "desc"];
/// Longest key of a list: an agent's ID.
const MAX_KEY: usize = 512;
/// Bytes before the sealed position: version, nonce, tag and key ID.
const HEAD: usize = 1 + 12 + 16 + 16;

/// Checks the input.
pub fn check(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    match how % 3 {
        0 => {
            if let Ok(text) = std::str::from_utf8(rest) {
                is_rejected::<Uuid>(text);
                is_rejected::<String>(text);
            }
        }
        1 => {
            let forged = forged(rest);
            is_rejected::<Uuid>(&forged);
            is_rejected::<String>(&forged);
        }
        _ => sealed_position_is_opened_unless_damaged(rest),
    }
}

fn sealer() -> Sealer {
    // Always the same, so that an input always has the same effect.
    let key = CursorKey {
        id: Uuid::from_u128(0x1234),
        secret: [7; 32],
        created_at: DateTime::UNIX_EPOCH,
    };
    Sealer::new(&[key]).unwrap()
}

fn list() -> Fingerprint {
    Fingerprint::new(LIST[0]).and(LIST[1])
}

/// Returns the head of a real cursor, followed by other bytes.
fn forged(rest: &[u8]) -> String {
    let real = sealer().seal(&list(), &Position { at: DateTime::UNIX_EPOCH, key: Uuid::nil() });
    let mut bytes = URL_SAFE_NO_PAD.decode(real).unwrap();
    bytes.truncate(HEAD);
    bytes.extend_from_slice(rest);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that can be compared and printed.
trait Plain: Key + PartialEq + std::fmt::Debug {}

impl Plain for Uuid {}

impl Plain for String {}

/// Checks that the cursor is rejected. The key is not in the input, so every cursor in it is
/// invented.
fn is_rejected<K: Plain>(cursor: &str) {
    assert!(sealer().open::<K>(&list(), cursor).is_err(), "{cursor} was opened");
}

/// Seals and opens a position, then damages the cursor. The rest is the place of the damage, a
/// time, and a key.
fn sealed_position_is_opened_unless_damaged(rest: &[u8]) {
    let Some((spoil, rest)) = rest.split_first_chunk::<2>() else { return };
    let Some((time, key)) = rest.split_first_chunk::<8>() else { return };
    let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*time));
    let Some(at) = at.filter(|at| (1..=9999).contains(&at.year())) else { return };
    if let Ok(key) = Uuid::from_slice(key) {
        sealed(&Position { at, key }, *spoil);
    }
    match String::from_utf8(key.to_vec()) {
        Ok(key) if !key.contains('\0') && key.len() <= MAX_KEY => {
            sealed(&Position { at, key }, *spoil);
        }
        _ => {}
    }
}

fn sealed<K: Plain>(position: &Position<K>, [place, letter]: [u8; 2]) {
    let sealer = sealer();
    for cursor in [sealer.seal(&list(), position), sealer.seal_fresh(&list(), position)] {
        assert_eq!(sealer.open::<K>(&list(), &cursor).ok().as_ref(), Some(position));
        for other in [Fingerprint::new(LIST[0]).and("asc"), Fingerprint::new(LIST[0])] {
            assert_eq!(sealer.open::<K>(&other, &cursor), Err(NotOpened::Invalid));
        }
        let mut spoilt = cursor.clone().into_bytes();
        let place = usize::from(place) % spoilt.len();
        spoilt[place] = b'-' + letter % 64;
        let spoilt = String::from_utf8(spoilt).unwrap();
        assert!(
            spoilt == cursor || sealer.open::<K>(&list(), &spoilt).is_err(),
            "a damaged cursor was opened"
        );
    }
}
