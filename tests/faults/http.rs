//! A minimal HTTP/1.1 client that can send malformed requests: the scenario chooses every byte.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Longest time for an answer: the sender waits for 10 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes.
const ANSWER_MAX: usize = 4 << 20;

/// Reason for a missing answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Miss {
    /// The connection was refused.
    Refused,
    /// The connection broke, or was closed, before the answer was complete.
    Broken,
    /// No answer within [`PATIENCE`].
    TimedOut,
}

/// An answer, read completely.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The service closes the connection after this answer.
    pub(crate) closes: bool,
}

/// A connection to the service.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes that were read beyond the last answer.
    ahead: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Self, Miss> {
        Self::open_from(None, to).await
    }

    /// Connects, from this local address if there is one.
    pub(crate) async fn open_from(from: Option<IpAddr>, to: SocketAddr) -> Result<Self, Miss> {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            if let Some(from) = from {
                socket.bind(SocketAddr::new(from, 0))?;
            }
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            Ok(Self { stream, ahead: Vec::new() })
        };
        in_time(connect).await
    }

    /// Sends bytes without changes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Miss> {
        in_time(self.stream.write_all(bytes)).await
    }

    /// Reads the next answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Miss> {
        in_time(self.read_answer()).await
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Miss> {
        self.send(request).await?;
        self.answer().await
    }

    /// Returns true if the service has closed the connection, as far as a client can see without a
    /// request. Senders with keep-alive check this first.
    pub(crate) fn is_closed(&self) -> bool {
        let mut byte = [0];
        match self.stream.try_read(&mut byte) {
            // The service never sends first: a byte here means that the connection cannot be used.
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.ahead)? {
                self.ahead.drain(..length);
                return Ok(answer);
            }
            if self.ahead.len() > ANSWER_MAX {
                return Err(io::Error::other("an answer is longer than it may be"));
            }
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Miss> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Miss::Refused),
        Ok(Err(_)) => Err(Miss::Broken),
        Err(_) => Err(Miss::TimedOut),
    }
}

/// Returns the first answer in `bytes` and its length, once it is complete.
fn parse(bytes: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let wrong = || io::Error::other("an answer that is no HTTP");
    let status = head.get(9..12).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let (mut length, mut closes) = (0, false);
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| wrong())?;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    let body = end + 4;
    let Some(body) = bytes.get(body..body + length) else { return Ok(None) };
    Ok(Some((Answer { status, body: body.to_vec(), closes }, end + 4 + length)))
}
