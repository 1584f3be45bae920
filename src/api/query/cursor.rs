//! Cursors: sealed positions of lists, opaque to callers, and of use only with the filters they
//! were made for. `docs/design/cursors.md` has the reasons.
//!
//! A cursor is `version ‖ nonce ‖ tag ‖ key id ‖ sealed position`, in URL-safe base64. It is
//! sealed with AES-256-GCM-SIV, which stays safe where a nonce repeats.
//!
//! Public, so that `fuzz/` can use it.

use std::fmt;
use std::sync::Arc;

use aes_gcm_siv::aead::inout::InOutBuf;
use aes_gcm_siv::{AeadInOut as _, Aes256GcmSiv, KeyInit as _, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::store::cursor_keys::CursorKey;
use crate::store::{MessagePlace, Position};

/// First byte of every cursor of this format.
const VERSION: u8 = 1;
/// Bytes of the nonce.
const NONCE: usize = 12;
/// Bytes of the tag, which reveals damage and forgery.
const TAG: usize = 16;
/// Bytes of the time in a position; the rest is the tie-break.
const TIME: usize = 8;
/// Longest cursor that is read, in characters: an agent's id may be long, but not this long.
const LONGEST: usize = 4_096;
/// The nonce of [`Sealer::seal`]: the same position gives the same cursor.
const SAME: [u8; NONCE] = [0; NONCE];

/// Checksum of the list of a cursor: path, filters, order, and agents that the caller sees.
#[derive(Clone, Debug)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Starts with the list's path.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(Sha256::new()).and(path)
    }

    /// Adds a part of the request. Lengths are added too, so that parts cannot run together.
    #[must_use]
    pub fn and(mut self, part: &str) -> Self {
        self.0.update(part.len().to_le_bytes());
        self.0.update(part);
        self
    }

    /// Adds the agents that the caller sees; `None` is every agent.
    #[must_use]
    pub(crate) fn seen_by(self, agents: Option<&[String]>) -> Self {
        let Some(agents) = agents else { return self };
        agents.iter().fold(self.and("bound to"), |print, agent| print.and(agent))
    }

    /// The data that the seal covers beside the position.
    fn associated_data(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

/// Order of rows of the same time, in the form of a cursor.
pub trait Key: Sized {
    /// Appends the key.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads a key that was written; `None` for other bytes.
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

fn read_time(bytes: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (time, rest) = bytes.split_first_chunk::<TIME>()?;
    Some((DateTime::from_timestamp_micros(i64::from_be_bytes(*time))?, rest))
}

/// Reason why a cursor cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// The cursor is damaged, foreign, or belongs to another list.
    Invalid,
    /// The cursor has an unknown key.
    UnknownKey,
}

impl From<NotOpened> for Problem {
    fn from(_: NotOpened) -> Self {
        Self::new(
            Code::InvalidCursor,
            "`cursor` is damaged or too old, or belongs to a list with other filters or another \
             order. Take it as it stands in `next_cursor`, and leave the other parameters as they \
             were.",
        )
    }
}

/// Seals and opens cursors. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    newest: Arc<SealingKey>,
    all: Arc<[Arc<SealingKey>]>,
}

struct SealingKey {
    id: Uuid,
    cipher: Aes256GcmSiv,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("newest", &self.newest.id).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Returns a sealer with these keys, of which the first one seals; `None` without keys.
    #[must_use]
    pub fn new(keys: &[CursorKey]) -> Option<Self> {
        let key = |key: &CursorKey| {
            let cipher = Aes256GcmSiv::new(&key.secret.into());
            Arc::new(SealingKey { id: key.id, cipher })
        };
        let all: Arc<[_]> = keys.iter().map(key).collect();
        Some(Self { newest: Arc::clone(all.first()?), all })
    }

    /// Seals the position of a row that the caller sees. The same position gives the same cursor,
    /// so that the same request gets the same answer.
    #[must_use]
    pub fn seal<K: Key>(&self, fingerprint: &Fingerprint, position: &Position<K>) -> String {
        self.seal_with(SAME, fingerprint, position)
    }

    /// Seals a position that depends on more than the caller sees. No two cursors are equal, so
    /// that nobody learns whether the position has moved.
    #[must_use]
    pub fn seal_fresh<K: Key>(&self, fingerprint: &Fingerprint, position: &Position<K>) -> String {
        self.seal_with(rand::random(), fingerprint, position)
    }

    fn seal_with<K: Key>(
        &self,
        nonce: [u8; NONCE],
        fingerprint: &Fingerprint,
        position: &Position<K>,
    ) -> String {
        let mut sealed = position.at.timestamp_micros().to_be_bytes().to_vec();
        position.key.write(&mut sealed);
        let SealingKey { id, cipher } = &*self.newest;
        let tag = cipher.encrypt_inout_detached(
            &Nonce::from(nonce),
            &fingerprint.associated_data(),
            InOutBuf::from(&mut sealed[..]),
        );
        // It fails only beyond 64 GiB. A cursor that cannot be opened is then better than a panic.
        let tag: [u8; TAG] = tag.map(Into::into).unwrap_or_default();
        let bytes = [&[VERSION], &nonce[..], &tag, id.as_bytes(), &sealed].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a cursor that was sealed with one of the keys and the same fingerprint.
    pub fn open<K: Key>(
        &self,
        fingerprint: &Fingerprint,
        cursor: &str,
    ) -> Result<Position<K>, NotOpened> {
        if cursor.len() > LONGEST {
            return Err(NotOpened::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| NotOpened::Invalid)?;
        let (nonce, tag, id, sealed) = parts(&bytes).ok_or(NotOpened::Invalid)?;
        let key = self.all.iter().find(|key| key.id == id).ok_or(NotOpened::UnknownKey)?;
        let mut position = sealed.to_vec();
        key.cipher
            .decrypt_inout_detached(
                &nonce,
                &fingerprint.associated_data(),
                InOutBuf::from(&mut position[..]),
                &tag,
            )
            .map_err(|_| NotOpened::Invalid)?;
        read(&position).ok_or(NotOpened::Invalid)
    }
}

/// Nonce, tag, key id and sealed position of a cursor.
fn parts(bytes: &[u8]) -> Option<(Nonce, Tag, Uuid, &[u8])> {
    let (version, rest) = bytes.split_first()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let (tag, rest) = rest.split_first_chunk::<TAG>()?;
    let (id, sealed) = rest.split_first_chunk()?;
    let parts = (Nonce::from(*nonce), Tag::from(*tag), Uuid::from_bytes(*id), sealed);
    (*version == VERSION).then_some(parts)
}

fn read<K: Key>(position: &[u8]) -> Option<Position<K>> {
    let (at, key) = read_time(position)?;
    Some(Position { at, key: K::read(key.to_vec())? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> CursorKey {
        CursorKey::generate(DateTime::UNIX_EPOCH)
    }

    fn sealer() -> Sealer {
        Sealer::new(&[key()]).unwrap()
    }

    fn position() -> Position {
        let at = DateTime::from_timestamp_micros(1_790_607_253_000_007).unwrap();
        Position { at, key: Uuid::from_u128(7) }
    }

    fn list() -> Fingerprint {
        Fingerprint::new("/v1/sessions").and("desc")
    }

    #[test]
    fn position_comes_back_as_it_was_sealed() {
        let sealer = sealer();
        for cursor in [sealer.seal(&list(), &position()), sealer.seal_fresh(&list(), &position())] {
            assert_eq!(sealer.open::<Uuid>(&list(), &cursor), Ok(position()));
            let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(cursor.chars().all(url_safe) && cursor.len() == 92, "{cursor}");
        }
        let longest = Position { at: position().at, key: "é".repeat(256) };
        let cursor = sealer.seal(&list(), &longest);
        assert!(cursor.len() < LONGEST / 4, "{}", cursor.len());
        assert_eq!(sealer.open(&list(), &cursor), Ok(longest));
    }

    #[test]
    fn cursor_of_another_fingerprint_or_key_is_rejected() {
        let sealer = sealer();
        let cursor = sealer.seal(&list(), &position());
        for other in [
            Fingerprint::new("/v1/sessions").and("asc"),
            Fingerprint::new("/v1/sessions"),
            list().seen_by(Some(&["A".to_owned()])),
            list().seen_by(Some(&[])),
        ] {
            assert_eq!(sealer.open::<Uuid>(&other, &cursor), Err(NotOpened::Invalid));
        }
        assert_eq!(self::sealer().open::<Uuid>(&list(), &cursor), Err(NotOpened::UnknownKey));
        let impostor = CursorKey { id: sealer.newest.id, ..key() };
        let impostor = Sealer::new(&[impostor]).unwrap();
        assert_eq!(impostor.open::<Uuid>(&list(), &cursor), Err(NotOpened::Invalid));
        assert_eq!(list().seen_by(None).associated_data(), list().associated_data());
    }

    #[test]
    fn older_key_opens_and_the_newest_seals() {
        let (old, new) = (key(), key());
        let before = Sealer::new(std::slice::from_ref(&old)).unwrap();
        let after = Sealer::new(&[new.clone(), old]).unwrap();
        let cursor = before.seal(&list(), &position());
        assert_eq!(after.open::<Uuid>(&list(), &cursor), Ok(position()));
        let cursor = after.seal(&list(), &position());
        assert_eq!(Sealer::new(&[new]).unwrap().open::<Uuid>(&list(), &cursor), Ok(position()));
        assert!(Sealer::new(&[]).is_none());
    }

    #[test]
    fn equal_positions_give_equal_cursors_unless_sealed_fresh() {
        let sealer = sealer();
        assert_eq!(sealer.seal(&list(), &position()), sealer.seal(&list(), &position()));
        let (one, other) =
            (sealer.seal_fresh(&list(), &position()), sealer.seal_fresh(&list(), &position()));
        assert_ne!(one, other);
    }

    #[test]
    fn position_cannot_be_read_from_a_cursor() {
        let cursor = sealer().seal(&list(), &position());
        let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
        let time = position().at.timestamp_micros().to_be_bytes();
        assert!(!bytes.windows(4).any(|part| time.ends_with(part)));
    }

    proptest! {
        #[test]
        fn made_up_cursors_are_rejected(text in "\\PC*", bytes: Vec<u8>) {
            let sealer = sealer();
            prop_assert!(sealer.open::<String>(&list(), &text).is_err());
            prop_assert!(sealer.open::<String>(&list(), &URL_SAFE_NO_PAD.encode(&bytes)).is_err());
            // With all that can be seen of a real one.
            let mut forged = vec![VERSION];
            forged.extend([0; NONCE + TAG]);
            forged.extend(sealer.newest.id.as_bytes());
            forged.extend(bytes);
            prop_assert!(sealer.open::<String>(&list(), &URL_SAFE_NO_PAD.encode(forged)).is_err());
        }

        #[test]
        fn changed_character_is_noticed(at in 0_usize..92, to in "[A-Za-z0-9_-]") {
            let sealer = sealer();
            let mut cursor = sealer.seal_fresh(&list(), &position());
            prop_assume!(cursor[at..=at] != to);
            cursor.replace_range(at..=at, &to);
            prop_assert!(sealer.open::<Uuid>(&list(), &cursor).is_err());
        }
    }
}
