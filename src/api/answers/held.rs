//! Memory of large answers while they are sent: a limit for all connections, and a share for each key.
//!
//! A small answer fits into the connection's buffer. A large one stays here and is sent in pieces,
//! because the HTTP server would copy all of it. The bytes of an answer that several requests share
//! count once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use crate::ingress::{KeyId, Share, Shares, Short};
use crate::problem::{Code, Problem};

/// Bytes of all answers that are held.
const BUDGET_BYTES: usize = 128 << 20;
/// Largest answer that is not held: a usual page. The limit on connections bounds these.
pub(crate) const FREE_BYTES: usize = 32 << 10;
/// Bytes that a connection gets at once, and copies.
pub(crate) const PIECE_BYTES: usize = 64 << 10;
/// Seconds to wait before the next attempt, if there is no room.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Answers that are held. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HeldAnswers {
    shares: Shares<KeyId>,
    shared: Arc<Mutex<HashMap<Place, Weak<Held>>>>,
}

/// Address of an answer's bytes, and the key that it is for.
type Place = (usize, KeyId);

/// Room of one answer, returned when the last sender of it is done.
#[derive(Debug)]
pub(crate) struct Held {
    _share: Share<KeyId>,
    place: Place,
    answers: HeldAnswers,
}

impl Default for HeldAnswers {
    fn default() -> Self {
        Self { shares: Shares::new(BUDGET_BYTES), shared: Arc::default() }
    }
}

impl HeldAnswers {
    /// Returns the room, for users that take their parts of it.
    #[must_use]
    pub fn shares(&self) -> &Shares<KeyId> {
        &self.shares
    }

    /// Takes room for bytes that are in memory already.
    pub(crate) fn take(&self, key: KeyId, bytes: usize) -> Result<Share<KeyId>, Problem> {
        self.shares.take(key, bytes).map_err(no_room)
    }

    /// Takes room for bytes that others may hold as well; they count once for each key.
    pub(crate) fn hold(&self, key: KeyId, bytes: &Bytes) -> Result<Arc<Held>, Problem> {
        // Bytes at the same address at the same time are the same.
        let place = (bytes.as_ptr().addr(), key);
        let mut shared = self.lock();
        if let Some(held) = shared.get(&place).and_then(Weak::upgrade) {
            return Ok(held);
        }
        let share = self.take(key, bytes.len())?;
        let held = Arc::new(Held { _share: share, place, answers: self.clone() });
        shared.insert(place, Arc::downgrade(&held));
        Ok(held)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Weak<Held>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut shared = self.answers.lock();
        // Another may have taken the place since.
        if shared.get(&self.place).is_some_and(|held| held.strong_count() == 0) {
            shared.remove(&self.place);
        }
    }
}

fn no_room(short: Short) -> Problem {
    match short {
        Short::Own => Problem::new(
            Code::RateLimited,
            "This key has asked for more than it takes: answers of many megabytes wait to be read. \
             Read them, or ask for less at once (`limit`), and try again.",
        )
        .retry_after(RETRY_AFTER_SECONDS),
        Short::All => Problem::unavailable(NoRoom)
            .with_detail(
                "The answers that others have asked for and not read yet take all the room that \
                 there is. Try again shortly, or ask for less at once (`limit`).",
            )
            .retry_after(RETRY_AFTER_SECONDS),
    }
}

/// Cause in the log of an answer that could not be held.
#[derive(Debug, thiserror::Error)]
#[error(
    "answers that clients have not read yet hold all {BUDGET_BYTES} bytes that there are for them"
)]
struct NoRoom;

/// Splits off the next piece, without copying.
pub(crate) fn next_piece(rest: &mut Bytes) -> Bytes {
    rest.split_to(rest.len().min(PIECE_BYTES))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn shared_bytes_count_once_for_each_key() {
        let answers = HeldAnswers::default();
        let (one, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let bytes = Bytes::from(vec![b'x'; 50_000]);
        let held: Vec<_> = (0..10).map(|_| answers.hold(one, &bytes.clone()).unwrap()).collect();
        assert_eq!(answers.shares.held(), 50_000);
        let theirs = answers.hold(other, &bytes).unwrap();
        assert_eq!(answers.shares.held(), 100_000);
        let copy = answers.hold(one, &Bytes::copy_from_slice(&bytes)).unwrap();
        assert_eq!(answers.shares.held(), 150_000);
        drop((held, theirs, copy));
        assert_eq!((answers.shares.held(), answers.lock().len()), (0, 0));
    }

    #[test]
    fn answer_without_room_is_rejected_for_the_key_or_for_all() {
        let answers = HeldAnswers::default();
        let page = |key: u128| answers.take(Some(Uuid::from_u128(key)), 9 << 20);
        let first: Vec<_> = std::iter::from_fn(|| page(1).ok()).collect();
        assert_eq!((first.len(), page(1).unwrap_err().code()), (7, Code::RateLimited));
        let others: Vec<_> = (2..100).map_while(|key| page(key).ok()).collect();
        assert_eq!((others.len(), page(100).unwrap_err().code()), (7, Code::Unavailable));
    }
}
