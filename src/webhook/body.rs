//! Reading a body: no larger than the limit, no slower than the deadline.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::problem::{Code, Problem};

/// How long a body may take. The longest limit that the sender has is 30 s.
const DEADLINE: Duration = Duration::from_secs(30);
/// How much room is made before the first byte is there, whatever the sender says of the length.
const FIRST_ROOM_BYTES: usize = 16 * 1024;

/// Reads the whole body into memory.
pub async fn read(
    payload: web::Payload,
    declared_bytes: Option<usize>,
    max_bytes: usize,
) -> Result<Bytes, Problem> {
    if declared_bytes.is_some_and(|declared| declared > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let room = declared_bytes.unwrap_or(0).min(FIRST_ROOM_BYTES);
    tokio::time::timeout(DEADLINE, collect(payload, room, max_bytes)).await.unwrap_or_else(|_| {
        let seconds = DEADLINE.as_secs();
        Err(Problem::new(
            Code::RequestTimeout,
            format!("The body was not complete after {seconds} seconds; nothing was stored."),
        ))
    })
}

async fn collect(
    mut payload: web::Payload,
    room: usize,
    max_bytes: usize,
) -> Result<Bytes, Problem> {
    let mut body = BytesMut::with_capacity(room);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("A delivery has {max_bytes} bytes at most; VERBATIM_MAX_BODY raises the limit."),
    )
}

fn broken(error: &PayloadError) -> Problem {
    Problem::new(Code::InvalidParameter, format!("The body broke off or is malformed: {error}."))
}
