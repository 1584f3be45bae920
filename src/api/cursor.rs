//! Where a list goes on: opaque to callers, and of use only with the filters it was made for.
//!
//! Public beyond `api`, which is all that uses it, so that `fuzz/` reaches it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::store::{MessagePlace, Position};

/// Bytes of the check at the front.
const CHECK: usize = 8;
/// Bytes of the time that follows it; the rest is the tie-break.
const TIME: usize = 8;
/// Longest cursor that is looked at: an agent's id may be long, but not this long.
const LONGEST: usize = 4_096;

/// What a cursor belongs to: a path, its filters, and an order.
#[derive(Clone, Debug)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Starts with the list's path.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(Sha256::new()).and(path)
    }

    /// Takes in a part of the request. Lengths go in too, so that parts cannot run together.
    #[must_use]
    pub fn and(mut self, part: &str) -> Self {
        self.0.update(part.len().to_le_bytes());
        self.0.update(part);
        self
    }

    fn check(&self, position: &[u8]) -> [u8; CHECK] {
        let digest = self.0.clone().chain_update(position).finalize();
        let mut check = [0; CHECK];
        check.copy_from_slice(&digest[..CHECK]);
        check
    }
}

/// What orders rows of the same time: something that fits a cursor.
pub trait Key: Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads what was written; `None` where it was not.
    fn read(bytes: Vec<u8>) -> Option<Self>;
}

impl Key for Uuid {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        Self::from_slice(&bytes).ok()
    }
}

impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        Self::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
    }
}

impl Key for MessagePlace {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sent_at.timestamp_micros().to_be_bytes());
        out.extend_from_slice(&self.received_at.timestamp_micros().to_be_bytes());
        self.id.write(out);
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (sent_at, rest) = read_time(&bytes)?;
        let (received_at, id) = read_time(rest)?;
        Some(Self { sent_at, received_at, id: Uuid::from_slice(id).ok()? })
    }
}

/// Reads a time that Postgres takes, and what follows it.
fn read_time(bytes: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (time, rest) = bytes.split_at_checked(TIME)?;
    let micros = i64::from_be_bytes(time.try_into().ok()?);
    let at = DateTime::from_timestamp_micros(micros).filter(|at| postgres_takes(*at))?;
    Some((at, rest))
}

/// Writes a position down.
#[must_use]
pub fn encode<K: Key>(fingerprint: &Fingerprint, position: &Position<K>) -> String {
    let mut bytes = vec![0; CHECK];
    bytes.extend_from_slice(&position.at.timestamp_micros().to_be_bytes());
    position.key.write(&mut bytes);
    let check = fingerprint.check(&bytes[CHECK..]);
    bytes[..CHECK].copy_from_slice(&check);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a position back. The check tells damage and other filters; it is no secret, so whatever
/// it lets through must be harmless.
pub fn decode<K: Key>(fingerprint: &Fingerprint, cursor: &str) -> Result<Position<K>, Problem> {
    read(fingerprint, cursor).ok_or_else(|| {
        Problem::new(
            Code::InvalidCursor,
            "`cursor` is damaged, or belongs to a list with other filters or another order. Take \
             it as it stands in `next_cursor`, and leave the other parameters as they were.",
        )
    })
}

fn read<K: Key>(fingerprint: &Fingerprint, cursor: &str) -> Option<Position<K>> {
    if cursor.len() > LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (check, position) = bytes.split_at_checked(CHECK)?;
    if check != fingerprint.check(position) {
        return None;
    }
    let (at, key) = read_time(position)?;
    Some(Position { at, key: K::read(key.to_vec())? })
}

/// Postgres' calendar is shorter than an `i64` of microseconds.
fn postgres_takes(at: DateTime<Utc>) -> bool {
    use chrono::Datelike as _;
    (1..=9999).contains(&at.year())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position() -> Position {
        let at = DateTime::from_timestamp_micros(1_790_607_253_000_007).unwrap();
        Position { at, key: Uuid::from_u128(7) }
    }

    #[test]
    fn a_position_comes_back_as_it_went() {
        let print = Fingerprint::new("/v1/sessions").and("desc");
        let cursor = encode(&print, &position());
        assert_eq!(decode::<Uuid>(&print, &cursor).unwrap(), position());
    }

    #[test]
    fn a_cursor_is_refused_with_another_fingerprint() {
        let cursor = encode(&Fingerprint::new("/v1/sessions").and("desc"), &position());
        let other = Fingerprint::new("/v1/sessions").and("asc");
        assert_eq!(decode::<Uuid>(&other, &cursor).unwrap_err().code(), Code::InvalidCursor);
    }

    proptest! {
        #[test]
        fn whatever_is_made_up_is_refused(text in "\\PC*", bytes: Vec<u8>) {
            let print = Fingerprint::new("/v1/agents");
            prop_assert!(decode::<String>(&print, &text).is_err());
            prop_assert!(decode::<String>(&print, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn a_forged_check_gives_no_position_that_postgres_refuses(rest: Vec<u8>) {
            let print = Fingerprint::new("/v1/agents");
            let mut bytes = print.check(&rest).to_vec();
            bytes.extend(rest);
            if let Some(position) = read::<String>(&print, &URL_SAFE_NO_PAD.encode(bytes)) {
                prop_assert!(postgres_takes(position.at) && !position.key.contains('\0'));
            }
        }

        #[test]
        fn a_changed_character_is_noticed(at in 0_usize..42, to in "[A-Za-z0-9_-]") {
            let print = Fingerprint::new("/v1/sessions");
            let mut cursor = encode(&print, &position());
            prop_assume!(cursor[at..=at] != to);
            cursor.replace_range(at..=at, &to);
            prop_assert!(decode::<Uuid>(&print, &cursor).is_err());
        }
    }
}
