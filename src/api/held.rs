//! Answers that are held until their clients have taken them: so much over all connections, and a
//! share for each key.
//!
//! A small answer goes into the connection's own buffer. A large one stays here and is handed over a
//! piece at a time, since the HTTP server would copy the whole of it. The bytes of an answer that
//! several requests share count once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use actix_web::body::{BodySize, BoxBody, MessageBody as _, SizedStream};
use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::{self, Stream};

use super::compress::compress;
use super::watch::{Ended, Watch};
use super::{ApiState, Caller};
use crate::gate::{KeyId, Share, Shares, Short};
use crate::problem::{Code, Problem};

/// Bytes of all answers that are held.
const BUDGET_BYTES: usize = 128 << 20;
/// An answer of up to so many bytes is not held: a usual page. The limit on connections bounds what
/// these take.
pub(super) const FREE_BYTES: usize = 32 << 10;
/// Bytes that are handed to a connection at once, which it copies.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// When to come back where there is no room, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The answers that are held. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HeldAnswers {
    shares: Shares<KeyId>,
    shared: Arc<Mutex<HashMap<Place, Weak<Held>>>>,
}

/// Where the bytes of an answer are, and whose it is.
type Place = (usize, KeyId);

/// The room of one answer, returned when the last of those who send it is done.
#[derive(Debug)]
pub(super) struct Held {
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
    /// The room, for what takes its part of it by itself.
    #[must_use]
    pub fn shares(&self) -> &Shares<KeyId> {
        &self.shares
    }

    /// Room for so many bytes that are held already, however few.
    pub(super) fn take(&self, key: KeyId, bytes: usize) -> Result<Share<KeyId>, Problem> {
        self.shares.take(key, bytes).map_err(no_room)
    }

    /// Room for bytes that others may hold as well; for each key they count once.
    pub(super) fn hold(&self, key: KeyId, bytes: &Bytes) -> Result<Arc<Held>, Problem> {
        // Bytes that lie at the same place at the same time are the same.
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
            .saying(
                "The answers that others have asked for and not read yet take all the room that \
                 there is. Try again shortly, or ask for less at once (`limit`).",
            )
            .retry_after(RETRY_AFTER_SECONDS),
    }
}

/// Why an answer could not be held, for the log.
#[derive(Debug, thiserror::Error)]
#[error(
    "answers that clients have not read yet hold all {BUDGET_BYTES} bytes that there are for them"
)]
struct NoRoom;

/// Compresses an answer as its client asks, holds it where it is large, and sends it in pieces.
pub(super) async fn hold_large_answer(req: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    // What is compressed takes less room. Boxed, so that it takes no room in the future of every
    // request.
    let answer = Box::pin(compress(req, answer)).await;
    let is_large = match answer.body().size() {
        BodySize::Sized(bytes) => bytes > FREE_BYTES as u64,
        BodySize::None | BodySize::Stream => false,
    };
    // Of a HEAD the server leaves the body out.
    if !is_large || req.method() == Method::HEAD {
        return answer;
    }
    let (answer, body) = answer.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return answer.set_body(body),
    };
    let caller = req.extensions().get::<Caller>().cloned();
    let state = req.app_data::<web::Data<ApiState>>();
    let (held, watch) = match caller.as_ref().zip(state) {
        Some((caller, state)) => match state.held.hold(caller.key_id(), &bytes) {
            Ok(held) => (Some(held), Some(Watch::new(caller, state, &[]))),
            Err(problem) => {
                let mut refused = HttpResponse::from_error(problem);
                // Whoever holds too much is not to hold this connection as well.
                refused.head_mut().set_connection_type(ConnectionType::Close);
                return refused;
            }
        },
        // What needs no key lies in memory once for all.
        None => (None, None),
    };
    let size = bytes.len() as u64;
    let sending = Sending { held, watch, rest: bytes.clone(), bytes };
    answer.set_body(BoxBody::new(SizedStream::new(size, sending.into_stream())))
}

/// An answer on its way.
struct Sending {
    /// Dropped before the bytes, so that their place is free when they are.
    #[expect(dead_code, reason = "held, not read")]
    held: Option<Arc<Held>>,
    watch: Option<Watch>,
    rest: Bytes,
    #[expect(dead_code, reason = "keeps the whole for as long as its place counts")]
    bytes: Bytes,
}

impl Sending {
    /// Pieces; an error, which cuts the connection off, once the key has ended.
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Ended>> {
        stream::try_unfold(self, |mut sending| async move {
            if sending.rest.is_empty() {
                return Ok(None);
            }
            if let Some(watch) = &mut sending.watch {
                watch.check_key().await?;
            }
            Ok(Some((next_piece(&mut sending.rest), sending)))
        })
    }
}

/// Takes the next piece off, without copying.
pub(super) fn next_piece(rest: &mut Bytes) -> Bytes {
    rest.split_to(rest.len().min(PIECE_BYTES))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn bytes_that_are_shared_count_once_for_each_key() {
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
    fn whose_answers_there_is_no_room_for_is_told_what_to_do() {
        let answers = HeldAnswers::default();
        let page = |key: u128| answers.take(Some(Uuid::from_u128(key)), 9 << 20);
        let first: Vec<_> = std::iter::from_fn(|| page(1).ok()).collect();
        assert_eq!((first.len(), page(1).unwrap_err().code()), (7, Code::RateLimited));
        let others: Vec<_> = (2..100).map_while(|key| page(key).ok()).collect();
        assert_eq!((others.len(), page(100).unwrap_err().code()), (7, Code::Unavailable));
    }
}
