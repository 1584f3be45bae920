//! The deadline for the heads of a connection's later requests. actix-web has one for the first
//! only: whoever left a later head unfinished would hold its connection for ever.

use std::future::Future as _;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::connections::Work;
use super::first_head::FirstHead;

/// How long a request's head may take.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// A stream that ends where a head has begun to come and does not become a request in time.
pub(super) struct Timed<T> {
    stream: T,
    work: Work,
    first: FirstHead,
    head: Option<Head>,
}

/// A head of which something has come.
struct Head {
    /// Requests that had begun by then.
    begun: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<T> Timed<T> {
    pub(super) fn new(stream: T, work: Work) -> Self {
        Self { stream, work, first: FirstHead::default(), head: None }
    }

    /// Once something has been read, or there was nothing to read: whether it takes too long.
    fn is_late(&mut self, has_read: bool, cx: &mut Context<'_>) -> bool {
        let begun = self.work.begun();
        if self.work.is_under_way() || self.head.as_ref().is_some_and(|head| head.begun != begun) {
            self.head = None;
        }
        if has_read {
            if !self.work.is_under_way() && self.head.is_none() {
                let deadline = Box::pin(tokio::time::sleep(HEAD_DEADLINE));
                self.head = Some(Head { begun, deadline });
            }
            // Whoever has read goes on until there is nothing more.
            return false;
        }
        self.head.as_mut().is_some_and(|head| head.deadline.as_mut().poll(cx).is_ready())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = this.first.poll_read(Pin::new(&mut this.stream), cx, buffer);
        let has_read = buffer.filled().len() > before;
        if polled.is_ready() && !has_read {
            return polled;
        }
        // An end ends the connection, once what is under way has been answered.
        if this.is_late(has_read, cx) { Poll::Ready(Ok(())) } else { polled }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    fn stream() -> (DuplexStream, Timed<DuplexStream>, Work) {
        let (client, server) = duplex(1 << 10);
        let work = Work::default();
        (client, Timed::new(server, work.clone()), work)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_become_a_request_ends_the_stream() {
        let (mut client, mut server, work) = stream();
        let mut bytes = [0; 100];
        client.write_all(b"one").await.unwrap();
        assert_eq!(server.read(&mut bytes).await.unwrap(), 3);
        work.begins();
        work.ends();
        // Byte by byte, so that there is always something new.
        let slow = async {
            loop {
                client.write_all(b"x").await.unwrap();
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        };
        let start = Instant::now();
        let read = async {
            let mut count = 0;
            while server.read(&mut bytes).await.unwrap() > 0 {
                count += 1;
            }
            count
        };
        let count = tokio::select! {
            count = read => count,
            () = slow => unreachable!(),
        };
        assert_eq!((count, start.elapsed()), (4, HEAD_DEADLINE));
    }

    #[tokio::test(start_paused = true)]
    async fn idling_and_working_take_as_long_as_they_like() {
        let (mut client, mut server, work) = stream();
        let mut bytes = [0; 100];
        for busy in [true, false] {
            client.write_all(b"head").await.unwrap();
            assert_eq!(server.read(&mut bytes).await.unwrap(), 4);
            work.begins();
            if !busy {
                work.ends();
            }
            let waiting = tokio::time::timeout(Duration::from_mins(5), server.read(&mut bytes));
            assert!(waiting.await.is_err(), "the stream has not ended");
        }
    }
}
