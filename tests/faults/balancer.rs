//! Load balancer for several services, with the defaults of nginx and `HAProxy`: each request is sent
//! to the next service in turn, over a new connection.
//!
//! Only if that connection is refused, the request is sent to another service. A request that may
//! have been processed is never sent again; its client's connection is closed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::http::{Answer, Connection, Miss};

/// The balancer. Its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct Balancer {
    address: SocketAddr,
    services: Arc<Services>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Services {
    addresses: Vec<SocketAddr>,
    /// Number of requests so far.
    turns: AtomicUsize,
    /// Requests that went to another service than the one in turn.
    passed_on: AtomicU64,
    /// Requests that every service refused.
    unserved: AtomicU64,
}

impl Balancer {
    /// Listens on a free port.
    pub(crate) async fn start(addresses: Vec<SocketAddr>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let services = Arc::new(Services {
            addresses,
            turns: AtomicUsize::new(0),
            passed_on: AtomicU64::new(0),
            unserved: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, services.clone()));
        Ok(Self { address, services, accepting })
    }

    /// Returns the address for clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of requests that were passed on because a service refused them.
    pub(crate) fn passed_on(&self) -> u64 {
        self.services.passed_on.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that every service refused.
    pub(crate) fn unserved(&self) -> u64 {
        self.services.unserved.load(Ordering::Relaxed)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, services: Arc<Services>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    clients.spawn(serve(client, services.clone()));
                }
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Serves the requests of one client, until one fails or the client closes the connection.
async fn serve(mut client: TcpStream, services: Arc<Services>) {
    let _ = client.set_nodelay(true);
    let mut ahead = Vec::new();
    while let Some(request) = read_request(&mut client, &mut ahead).await {
        let Ok(answer) = services.forward(&request).await else { return };
        let head = format!(
            "HTTP/1.1 {} answered\r\nContent-Length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        let answer = [head.as_bytes(), &answer.body].concat();
        if client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Reads the next request. `ahead` has bytes that were read beyond the last one.
async fn read_request(client: &mut TcpStream, ahead: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(length) = length_of_request(ahead) {
            return Some(ahead.drain(..length).collect());
        }
        if client.read_buf(ahead).await.ok()? == 0 {
            return None;
        }
    }
}

/// Returns the length of the first request in `bytes`, once it is complete.
fn length_of_request(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = end + length.unwrap_or(0);
    (bytes.len() >= length).then_some(length)
}

impl Services {
    async fn forward(&self, request: &[u8]) -> Result<Answer, Miss> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.addresses.len() {
            let address = self.addresses[(turn + step) % self.addresses.len()];
            match Connection::open(address).await {
                Err(Miss::Refused) => {}
                Err(miss) => return Err(miss),
                Ok(mut service) => {
                    self.passed_on.fetch_add(u64::from(step > 0), Ordering::Relaxed);
                    return service.exchange(request).await;
                }
            }
        }
        self.unserved.fetch_add(1, Ordering::Relaxed);
        Err(Miss::Refused)
    }
}
