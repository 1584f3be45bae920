//! Deadline for the heads of later requests of a connection. actix-web limits only the first head:
//! an unfinished later one would hold its connection for ever.

use std::future::Future as _;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::connections::Work;
use super::first_head::FirstHead;

/// Time limit of a request's head.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// Stream that ends if a head has begun and is not complete in time.
pub(super) struct Timed<T> {
    stream: T,
    work: Work,
    first: FirstHead,
    head: Option<Head>,
}

/// Head that has begun.
struct Head {
    /// Requests that had begun before it.
    begun: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<T> Timed<T> {
    pub(super) fn new(stream: T, work: Work) -> Self {
        Self { stream, work, first: FirstHead::default(), head: None }
    }

    /// Returns `true` if a head takes too long. Called after each read, also one without bytes.
    fn is_late(&mut self, has_read: bool, cx: &mut Context<'_>) -> bool {
        let begun = self.work.begun();
        if self.work.is_in_progress() || self.head.as_ref().is_some_and(|head| head.begun != begun)
        {
            self.head = None;
        }
        if has_read {
            if !self.work.is_in_progress() && self.head.is_none() {
                let deadline = Box::pin(tokio::time::sleep(HEAD_DEADLINE));
                self.head = Some(Head { begun, deadline });
            }
            // The caller reads until there is nothing more.
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
        // An end of the stream closes the connection after the request in progress.
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
    async fn incomplete_head_ends_the_stream() {
        let (mut client, mut server, work) = stream();
        let mut bytes = [0; 100];
        client.write_all(b"one").await.unwrap();
        assert_eq!(server.read(&mut bytes).await.unwrap(), 3);
        work.begin();
        work.finish();
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
    async fn idle_connections_and_requests_have_no_deadline() {
        let (mut client, mut server, work) = stream();
        let mut bytes = [0; 100];
        for busy in [true, false] {
            client.write_all(b"head").await.unwrap();
            assert_eq!(server.read(&mut bytes).await.unwrap(), 4);
            work.begin();
            if !busy {
                work.finish();
            }
            let waiting = tokio::time::timeout(Duration::from_mins(5), server.read(&mut bytes));
            assert!(waiting.await.is_err(), "the stream has not ended");
        }
    }
}
