//! A connection's stream, bare or within TLS. It ends where the other side takes what it asked for
//! more slowly than it must.

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
use crate::gate::Pace;

/// The rate at which an answer must be taken, in bytes a second. What is held for a client is held
/// for so long at the most as it takes at this rate.
pub(super) const LEAST_RATE: u32 = 8 << 10;
/// How far behind that rate a client may be: as long as one may take nothing at all.
const LONGEST_BEHIND: Duration = WRITE_DEADLINE;

/// A stream of either kind.
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

/// A stream whose other side has to keep to [`LEAST_RATE`]. Only the time counts in which there is
/// something that it does not take.
pub(super) struct Paced<T> {
    stream: T,
    pace: Pace,
    blocked: Option<Blocked>,
}

/// There is something to be written, and no room for it.
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
            let deadline = sleep_until(since + LONGEST_BEHIND.saturating_sub(behind));
            Blocked { since, deadline: Box::pin(deadline) }
        });
        if blocked.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client takes its answer too slowly")))
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

    /// How long a client that takes so many bytes every second is written to, until it is given up
    /// or has everything.
    async fn taking(bytes_a_second: usize, bytes: usize) -> (Result<()>, Duration) {
        let (mut client, server) = duplex(1 << 10);
        let mut server = Paced::new(server);
        let started = Instant::now();
        let takes = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let mut taken = vec![0; bytes_a_second];
                if bytes_a_second > 0 && client.read_exact(&mut taken).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let all = vec![b'x'; bytes];
        let outcome = tokio::select! {
            outcome = server.write_all(&all) => outcome,
            () = takes => unreachable!(),
        };
        (outcome, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_is_given_up_and_whoever_keeps_the_rate_is_not() {
        let least = LEAST_RATE as usize;
        let (outcome, took) = taking(0, 100_000).await;
        assert_eq!((outcome.unwrap_err().kind(), took), (ErrorKind::TimedOut, LONGEST_BEHIND));
        let (outcome, took) = taking(least / 2, 600 * least).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(took > LONGEST_BEHIND && took <= 2 * LONGEST_BEHIND + Duration::from_secs(2));
        let (outcome, took) = taking(least, 600 * least).await;
        assert!(outcome.is_ok() && took > 9 * LONGEST_BEHIND, "{outcome:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_there_is_nothing_to_write_does_not_count() {
        let (mut client, server) = duplex(1 << 10);
        let mut server = Paced::new(server);
        for _ in 0..5 {
            server.write_all(&[b'x'; 100]).await.unwrap();
            tokio::time::sleep(2 * LONGEST_BEHIND).await;
        }
        let mut bytes = [0; 500];
        client.read_exact(&mut bytes).await.unwrap();
        server.write_all(&[b'x'; 100]).await.unwrap();
    }
}
