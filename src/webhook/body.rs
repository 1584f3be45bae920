//! Reading a body: no larger than the limit, no slower than the deadline, and within the room that
//! all bodies share.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web;
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::gate::{Full, Room};
use crate::problem::{Code, Problem};

/// How long a body may take. The longest limit that the sender has is 30 s.
const DEADLINE: Duration = Duration::from_secs(30);
/// How much is set aside before the first byte is there, whatever the sender says of the length.
const FIRST_BYTES: usize = 16 * 1024;
/// When to come back where there was no room, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Reads the whole body into memory. It fits into `room`, which is to be kept for as long as the
/// body is.
pub async fn read(
    payload: web::Payload,
    declared_bytes: Option<usize>,
    max_bytes: usize,
    room: &mut Room,
) -> Result<Bytes, Problem> {
    if declared_bytes.is_some_and(|declared| declared > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let first = declared_bytes.unwrap_or(0).min(FIRST_BYTES);
    let collected = collect(payload, Vec::with_capacity(first), max_bytes, room);
    tokio::time::timeout(DEADLINE, collected).await.unwrap_or_else(|_| {
        let seconds = DEADLINE.as_secs();
        Err(Problem::new(
            Code::RequestTimeout,
            format!("The body was not complete after {seconds} seconds; nothing was stored."),
        ))
    })
}

async fn collect(
    mut payload: web::Payload,
    mut body: Vec<u8>,
    max_bytes: usize,
    room: &mut Room,
) -> Result<Bytes, Problem> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        let needed = body.len() + chunk.len();
        if needed > max_bytes {
            return Err(too_large(max_bytes));
        }
        if needed > body.capacity() {
            // Twice as large each time, and to the byte what there is room for.
            let capacity = needed.max((2 * body.capacity()).min(max_bytes));
            if capacity > room.bytes() {
                room.grow_to(capacity).await.map_err(|Full| no_room(capacity))?;
            }
            body.reserve_exact(capacity - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("A delivery has {max_bytes} bytes at most; VERBATIM_MAX_BODY raises the limit."),
    )
}

fn no_room(capacity: usize) -> Problem {
    Problem::unavailable(NoRoom { capacity })
        .saying(
            "More large bodies arrive at once than are read at once; nothing was stored. Try \
             again.",
        )
        .retry_after(RETRY_AFTER_SECONDS)
}

/// Other bodies take all the room that there is.
#[derive(Debug, thiserror::Error)]
#[error("the room that large bodies share is taken by others; this one asked for {capacity} bytes")]
struct NoRoom {
    capacity: usize,
}

fn broken(error: &PayloadError) -> Problem {
    Problem::new(Code::InvalidParameter, format!("The body broke off or is malformed: {error}."))
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest as _;
    use actix_web::dev;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;
    use crate::gate::Bodies;

    /// One byte every so often, so many times, and then silence or the end.
    async fn trickle(
        every: Duration,
        count: usize,
        ends: bool,
    ) -> (Result<Bytes, Problem>, Duration) {
        let started = tokio::time::Instant::now();
        let bytes = stream::unfold(0, move |sent| async move {
            if sent == count {
                return if ends { None } else { std::future::pending().await };
            }
            tokio::time::sleep(every).await;
            Some((Ok(Bytes::from_static(b"x")), sent + 1))
        });
        let mut payload = dev::Payload::Stream { payload: bytes.boxed_local() };
        let request = TestRequest::default().to_http_request();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        let read = read(payload, Some(1_000), 1_000, &mut Bodies::default().room()).await;
        (read, started.elapsed())
    }

    #[actix_web::test]
    async fn a_body_may_be_slow_and_not_slower_than_the_deadline() {
        tokio::time::pause();
        // Timers go by the millisecond, so each second is a little longer.
        let second = Duration::from_secs(1);
        let (body, took) = trickle(second, 29, true).await;
        assert_eq!((body.unwrap().len(), took.as_secs()), (29, 29));
        for (count, ends) in [(5, false), (40, true)] {
            let (body, took) = trickle(second, count, ends).await;
            assert_eq!(body.unwrap_err().code(), Code::RequestTimeout);
            assert_eq!(took.as_secs(), DEADLINE.as_secs());
        }
    }

    #[actix_web::test]
    async fn a_body_that_finds_no_room_is_refused_with_a_cause_for_the_log() {
        let problem = no_room(1 << 20);
        assert_eq!(problem.code(), Code::Unavailable);
        assert!(problem.cause().unwrap().to_string().contains("1048576 bytes"));
    }
}
