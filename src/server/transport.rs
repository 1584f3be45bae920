//! A connection's stream, plain or TLS. It ends if the client reads an answer too slowly.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::listener::WRITE_DEADLINE;
use crate::ingress::Pace;

/// Minimum rate at which a client must read an answer, in bytes a second. It limits how long memory
/// is held for a client.
pub(super) const LEAST_RATE: u32 = 8 << 10;
/// Longest time that a client may be behind that rate.
const MAX_BEHIND: Duration = WRITE_DEADLINE;

/// Stream of either kind.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! of_either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Transport::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Transport::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        of_either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        of_either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        of_either!(self, stream => stream.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        of_either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        of_either!(self, stream => stream.poll_shutdown(cx))
    }
}

/// Stream whose client must read at [`LEAST_RATE`]. Only time counts in which bytes wait to be
/// read.
pub(super) struct Paced<T> {
    stream: T,
    pace: Pace,
    blocked: Option<Blocked>,
}

/// Bytes wait to be written, and there is no room for them.
struct Blocked {
    since: Instant,
    deadline: Pin<Box<Sleep>>,
}

impl<T> Paced<T> {
    pub(super) fn new(stream: T) -> Self {
        Self { stream, pace: Pace::new(LEAST_RATE), blocked: None }
    }

    fn watch(&mut self, written: Poll<Result<usize>>, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        if let Poll::Ready(written) = written {
            if let Some(blocked) = self.blocked.take() {
                self.pace.waited(blocked.since.elapsed());
            }
            if let Ok(bytes) = written {
                self.pace.went_on(bytes);
            }
            return Poll::Ready(written);
        }
        let behind = self.pace.behind();
        let blocked = self.blocked.get_or_insert_with(|| {
            let since = Instant::now();
            let deadline = sleep_until(since + MAX_BEHIND.saturating_sub(behind));
            Blocked { since, deadline: Box::pin(deadline) }
        });
        if blocked.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client reads its answer too slowly")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watch(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.watch(written, cx)
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Writes to a client that reads `bytes_a_second`, and returns the outcome and its time.
    async fn write_to_reader(bytes_a_second: usize, bytes: usize) -> (Result<()>, Duration) {
        let (mut client, server) = duplex(1 << 10);
        let mut server = Paced::new(server);
        let started = Instant::now();
        let reads = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let mut read = vec![0; bytes_a_second];
                if bytes_a_second > 0 && client.read_exact(&mut read).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let all = vec![b'x'; bytes];
        let outcome = tokio::select! {
            outcome = server.write_all(&all) => outcome,
            () = reads => unreachable!(),
        };
        (outcome, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn too_slow_reader_is_disconnected() {
        let least = LEAST_RATE as usize;
        let (outcome, took) = write_to_reader(0, 100_000).await;
        assert_eq!((outcome.unwrap_err().kind(), took), (ErrorKind::TimedOut, MAX_BEHIND));
        let (outcome, took) = write_to_reader(least / 2, 600 * least).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(took > MAX_BEHIND && took <= 2 * MAX_BEHIND + Duration::from_secs(2));
        let (outcome, took) = write_to_reader(least, 600 * least).await;
        assert!(outcome.is_ok() && took > 9 * MAX_BEHIND, "{outcome:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_pending_bytes_does_not_count() {
        let (mut client, server) = duplex(1 << 10);
        let mut server = Paced::new(server);
        for _ in 0..5 {
            server.write_all(&[b'x'; 100]).await.unwrap();
            tokio::time::sleep(2 * MAX_BEHIND).await;
        }
        let mut bytes = [0; 500];
        client.read_exact(&mut bytes).await.unwrap();
        server.write_all(&[b'x'; 100]).await.unwrap();
    }
}
