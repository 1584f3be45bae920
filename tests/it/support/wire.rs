//! A connection on which a test writes raw bytes, and reads answers one by one.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::app::{App, SECRET, sign};

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Wire {
    stream: TcpStream,
    /// Bytes that were read and belong to no answer yet.
    rest: Vec<u8>,
}

/// An answer, with its head as lines.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ &String| {
            line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        self.head.iter().find(named).map(|line| &line[name.len() + 2..])
    }

    /// Returns the `code` of a problem, or an empty text if the framework answered.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Wire {
    pub(crate) async fn open(app: &App) -> Self {
        let stream = TcpStream::connect(app.address.trim_start_matches("http://")).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, rest: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Writes as much as the other end reads before it closes the connection.
    pub(crate) async fn write_some(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Closes the sending side.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Returns the next answer, or `None` if the connection ends first.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        let reading = async {
            loop {
                if let Some(reply) = self.parse() {
                    return Some(reply);
                }
                if !matches!(self.stream.read_buf(&mut self.rest).await, Ok(1..)) {
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer")
    }

    fn parse(&mut self) -> Option<Reply> {
        let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.rest[..end]).unwrap();
        let head: Vec<_> = head.lines().map(str::to_owned).collect();
        let mut reply =
            Reply { status: head[0][9..12].parse().unwrap(), head, body: String::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        if self.rest.len() < end + length {
            return None;
        }
        reply.body = String::from_utf8(self.rest[end..end + length].to_vec()).unwrap();
        self.rest.drain(..end + length);
        Some(reply)
    }
}

/// Returns the head of a delivery with the signature of `signed` and further lines.
pub(crate) fn head(signed: &[u8], lines: &str) -> String {
    let signature = sign(SECRET, signed);
    format!(
        "POST /webhook HTTP/1.1\r\nHost: h\r\nX-bitHuman-Signature: {signature}\r\n{lines}\r\n\r\n"
    )
}

/// Returns a whole delivery as raw bytes.
pub(crate) fn delivery(body: &str) -> Vec<u8> {
    let mut request =
        head(body.as_bytes(), &format!("Content-Length: {}", body.len())).into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}
