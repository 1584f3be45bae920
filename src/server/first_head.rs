//! The head of a connection's first request, completed if it is HTTP/1.0 without a length, which
//! actix-web requires.
//!
//! By default nginx uses HTTP/1.0 for its upstreams, with a connection for each request, and
//! forwards a POST without a body without `Content-Length`. actix-web answers that with a bare 400
//! before our code runs. Without a length there is no body (RFC 9112, 6.3), so a length of 0 is
//! added. Later requests of a connection are not changed: their beginning depends on the bodies
//! before them, and a wrong guess would turn one client's body into another's request.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

/// Largest head that is completed: the limit of actix-web.
const LARGEST_HEAD_BYTES: usize = 128 << 10;
/// Beginning of a request that may lack a length.
const METHOD: &[u8] = b"POST ";
/// End of its first line.
const VERSION: &[u8] = b" HTTP/1.0";
/// Header that is added.
const NO_BODY: &[u8] = b"Content-Length: 0\r\n";

/// Reader of a stream, which only changes a first head without a length.
#[derive(Debug, Default)]
pub(super) enum FirstHead {
    /// The head may lack a length; the bytes read so far are held.
    #[default]
    Begins,
    Held(BytesMut),
    /// The head is complete, and is returned from here.
    Ready(Bytes),
    /// The head was returned.
    Passed,
}

impl FirstHead {
    pub(super) fn poll_read(
        &mut self,
        mut stream: Pin<&mut impl AsyncRead>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        loop {
            match self {
                Self::Passed => return stream.poll_read(cx, buffer),
                Self::Ready(bytes) => {
                    let count = bytes.len().min(buffer.remaining());
                    buffer.put_slice(&bytes.split_to(count));
                    if bytes.is_empty() {
                        *self = Self::Passed;
                    }
                    return Poll::Ready(Ok(()));
                }
                Self::Begins | Self::Held(_) if buffer.remaining() == 0 => {
                    return Poll::Ready(Ok(()));
                }
                Self::Begins | Self::Held(_) => {
                    let before = buffer.filled().len();
                    ready!(stream.as_mut().poll_read(cx, buffer))?;
                    let read = &buffer.filled()[before..];
                    let held = match self {
                        Self::Held(held) => held,
                        // Nearly every head: the bytes show that it needs no change.
                        _ if !may_lack_a_length(read) => {
                            *self = Self::Passed;
                            return Poll::Ready(Ok(()));
                        }
                        _ => {
                            *self = Self::Held(BytesMut::new());
                            let Self::Held(held) = self else { continue };
                            held
                        }
                    };
                    let (from, is_end) = (held.len(), read.is_empty());
                    held.extend_from_slice(read);
                    buffer.set_filled(before);
                    if let Some(bytes) = complete(held, from, is_end) {
                        *self = Self::Ready(bytes);
                    }
                }
            }
        }
    }
}

/// Returns `true` if a head with this beginning may lack a length.
fn may_lack_a_length(head: &[u8]) -> bool {
    let beginning = &head[..head.len().min(METHOD.len())];
    if !METHOD.starts_with(beginning) || head.is_empty() {
        return false;
    }
    match head.iter().position(|byte| *byte == b'\n') {
        Some(end) => head[..end].trim_ascii_end().ends_with(VERSION),
        None => head.len() < LARGEST_HEAD_BYTES,
    }
}

/// Returns the bytes to pass on, or `None` while the head is incomplete. Bytes before `from` were
/// searched earlier.
fn complete(held: &mut BytesMut, from: usize, is_end: bool) -> Option<Bytes> {
    let first_line_is_new = !held[..from].contains(&b'\n');
    if is_end || (first_line_is_new && !may_lack_a_length(held)) {
        return Some(held.split().freeze());
    }
    // An empty line ends the head. It may have begun in the bytes that were searched earlier.
    let start = from.saturating_sub(2);
    let end = held[start..].windows(2).enumerate().find_map(|(at, pair)| {
        let at = start + at;
        let is_empty_line =
            pair == b"\n\n" || (pair == b"\n\r" && held.get(at + 2) == Some(&b'\n'));
        is_empty_line.then_some(at + 1)
    });
    let Some(end) = end else {
        return (held.len() >= LARGEST_HEAD_BYTES).then(|| held.split().freeze());
    };
    if has_length(&held[..end]) {
        return Some(held.split().freeze());
    }
    let rest = held.split_off(end);
    let mut completed = BytesMut::with_capacity(end + NO_BODY.len() + rest.len());
    completed.extend_from_slice(held);
    completed.extend_from_slice(NO_BODY);
    completed.extend_from_slice(&rest);
    Some(completed.freeze())
}

/// Returns `true` if the head specifies the end of its body.
fn has_length(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"content-length")
            || name.eq_ignore_ascii_case(b"transfer-encoding")
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Returns the output for `sent`, written in pieces of `piece` bytes and read in pieces of
    /// `room`.
    async fn passed(sent: &[u8], piece: usize, room: usize) -> Vec<u8> {
        let (mut client, mut server) = tokio::io::duplex(1 << 10);
        let write = async {
            for piece in sent.chunks(piece) {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let read = async {
            let (mut first, mut all) = (FirstHead::default(), Vec::new());
            loop {
                let mut bytes = vec![0; room];
                let count = poll_fn(|cx| {
                    let mut buffer = ReadBuf::new(&mut bytes);
                    let polled = first.poll_read(Pin::new(&mut server), cx, &mut buffer);
                    polled.map_ok(|()| buffer.filled().len())
                })
                .await
                .unwrap();
                if count == 0 {
                    return all;
                }
                all.extend_from_slice(&bytes[..count]);
            }
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn first_post_of_http_1_0_without_a_length_gets_one() {
        for (sent, expected) in [
            ("POST /a HTTP/1.0\r\n\r\n", "POST /a HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
            (
                "POST /a HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\r\n",
                "POST /a HTTP/1.0\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                "POST /a HTTP/1.0\nA: b\n\nrest",
                "POST /a HTTP/1.0\nA: b\nContent-Length: 0\r\n\nrest",
            ),
        ] {
            for (piece, room) in [(1, 1), (1, 100), (3, 7), (1_000, 1_000), (1_000, 5)] {
                let out = passed(sent.as_bytes(), piece, room).await;
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{piece} {room}");
            }
        }
    }

    #[tokio::test]
    async fn other_bytes_are_not_changed() {
        let long = format!("POST /{} HTTP/1.0\r\n\r\n", "x".repeat(LARGEST_HEAD_BYTES));
        let unfinished = format!("POST / HTTP/1.0\r\nA: {}", "x".repeat(LARGEST_HEAD_BYTES));
        for sent in [
            "",
            "POS",
            "POST",
            "POST /a HTTP/1.0",
            "POST /a HTTP/1.0\r\nHost: h\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST /a HTTP/1.0\r\ncontent-LENGTH : 4\r\n\r\nbody",
            "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET /a HTTP/1.0\r\n\r\nPOST /b HTTP/1.0\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.0\r\n\r\n",
            "\r\nPOST /a HTTP/1.0\r\n\r\n",
            "PUT /a HTTP/1.0\r\n\r\n",
            &long,
            &unfinished,
        ] {
            for (piece, room) in [(1, 1), (5, 3), (1 << 20, 1 << 20)] {
                if sent.len() > 1_000 && piece == 1 {
                    continue;
                }
                assert_eq!(passed(sent.as_bytes(), piece, room).await, sent.as_bytes());
            }
        }
    }
}
