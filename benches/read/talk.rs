//! HTTP/1.1 at the least cost: one blocking connection, as much parsing as finds an answer's end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::Context as _;

use super::KEY;

/// One keep-alive connection.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks for a path; the status and the body.
    pub(crate) fn ask(&mut self, target: &str) -> anyhow::Result<(u16, String)> {
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

/// Asks over a connection of its own.
pub(crate) fn ask_once(address: SocketAddr, target: &str) -> anyhow::Result<(u16, String)> {
    Talk::open(address)?.ask(target)
}
