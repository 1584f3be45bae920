//! A cheap HTTP/1.1 client: one blocking connection, and enough parsing to find the end of an
//! answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::Context as _;

use super::KEY;

/// One keep-alive connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a GET, and returns status and body.
    pub(crate) fn get(&mut self, target: &str) -> anyhow::Result<(u16, String)> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse()?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body)?))
    }
}

/// Sends a GET over a new connection.
pub(crate) fn get_once(address: SocketAddr, target: &str) -> anyhow::Result<(u16, String)> {
    Client::open(address)?.get(target)
}
