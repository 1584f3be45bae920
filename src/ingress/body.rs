//! Reads a body within its size limit, its deadline, and the memory budget of all bodies.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::web;
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::bodies::FREE_BYTES;
use super::{Full, Room};
use crate::problem::{Code, Problem};

/// Longest time to read a body, equal to the longest timeout of the sender.
const DEADLINE: Duration = Duration::from_secs(30);
/// Most bytes that are allocated before the first byte arrives, whatever the declared length.
const FIRST_BYTES: usize = 16 * 1024;
/// `Retry-After` of a body for which there is no memory, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;
/// Longest wait for the rest of a small body that was refused by its head. After that the
/// connection is closed with the answer.
const REST_DEADLINE: Duration = Duration::from_secs(1);

/// Size limit of a body, with texts for the error.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    /// Largest body, in bytes.
    pub max_bytes: usize,
    /// Subject of the error's sentence, such as `A delivery`.
    pub name: &'static str,
    /// Hint that is appended to the error of a larger body.
    pub hint: &'static str,
}

/// Reads the whole body into memory, within `room`, which the caller must keep as long as the body.
/// The caller must first check the credentials in the head.
pub async fn read(
    payload: web::Payload,
    headers: &HeaderMap,
    limit: BodyLimit,
    room: &mut Room,
) -> Result<Bytes, Problem> {
    let declared = declared_bytes(headers);
    if declared.is_some_and(|declared| declared > limit.max_bytes) {
        return Err(too_large(limit));
    }
    let first = declared.unwrap_or(0).min(FIRST_BYTES);
    let collected = collect(payload, Vec::with_capacity(first), limit, room);
    let body = tokio::time::timeout(DEADLINE, collected).await.unwrap_or_else(|_| {
        let seconds = DEADLINE.as_secs();
        Err(Problem::new(
            Code::RequestTimeout,
            format!("The body was not complete after {seconds} seconds; nothing was stored."),
        ))
    })?;
    room.mark_complete();
    Ok(body)
}

/// Reads and drops the rest of a small refused body, so that the connection can be reused. A large
/// one is not read, and closes the connection.
pub async fn skip(mut payload: web::Payload, headers: &HeaderMap) {
    if declared_bytes(headers).is_none_or(|declared| declared > FREE_BYTES) {
        return;
    }
    let rest = async { while let Some(Ok(_)) = payload.next().await {} };
    let _ = tokio::time::timeout(REST_DEADLINE, rest).await;
}

fn declared_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(
    mut payload: web::Payload,
    mut body: Vec<u8>,
    limit: BodyLimit,
    room: &mut Room,
) -> Result<Bytes, Problem> {
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = payload.next() => chunk,
            () = room.must_release() => return Err(stalled()),
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|error| broken(&error))?;
        let needed = body.len() + chunk.len();
        if needed > limit.max_bytes {
            return Err(too_large(limit));
        }
        if needed > body.capacity() {
            // Doubles, and allocates exactly what the budget has granted.
            let capacity = needed.max((2 * body.capacity()).min(limit.max_bytes));
            if capacity > room.bytes() {
                room.grow_to(capacity).await.map_err(|Full| no_room(capacity))?;
            }
            body.reserve_exact(capacity - body.len());
        }
        room.record_bytes(chunk.len());
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn too_large(limit: BodyLimit) -> Problem {
    let BodyLimit { max_bytes, name, hint } = limit;
    Problem::new(Code::PayloadTooLarge, format!("{name} has {max_bytes} bytes at most{hint}."))
}

fn no_room(capacity: usize) -> Problem {
    Problem::unavailable(NoRoom { capacity })
        .with_detail(
            "Too many large bodies are being received at once; nothing was stored. Try again.",
        )
        .retry_after(RETRY_AFTER_SECONDS)
}

fn stalled() -> Problem {
    Problem::new(
        Code::RequestTimeout,
        "The body stalled while others waited for memory; nothing was stored. Try again.",
    )
}

/// Other bodies use the whole budget.
#[derive(Debug, thiserror::Error)]
#[error("memory budget for request bodies is used up; this one needs {capacity} bytes")]
struct NoRoom {
    capacity: usize,
}

fn broken(error: &PayloadError) -> Problem {
    Problem::new(Code::InvalidParameter, format!("The body is incomplete or malformed: {error}."))
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest as _;
    use actix_web::dev;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;
    use crate::ingress::Bodies;

    const LIMIT: BodyLimit = BodyLimit { max_bytes: 1_000, name: "A body", hint: "" };

    /// Reads a body of `count` bytes, one each `every`, that then ends or stalls.
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
        let request =
            TestRequest::default().insert_header((CONTENT_LENGTH, "1000")).to_http_request();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        let client = std::net::Ipv4Addr::LOCALHOST.into();
        let mut room = Bodies::default().room(client);
        let read = read(payload, request.headers(), LIMIT, &mut room).await;
        (read, started.elapsed())
    }

    #[actix_web::test]
    async fn slow_body_is_read_until_the_deadline() {
        tokio::time::pause();
        // Timers have a resolution of a millisecond, so each second is a little longer.
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
    async fn body_without_memory_is_refused_with_a_cause_for_the_log() {
        let problem = no_room(1 << 20);
        assert_eq!(problem.code(), Code::Unavailable);
        assert!(problem.cause().unwrap().to_string().contains("1048576 bytes"));
    }
}
