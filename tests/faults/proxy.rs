//! The network between service and Postgres: a proxy that can delay, cut or drop traffic, and that
//! reads enough of the protocol to cut a connection at COMMIT.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Treatment of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Forwards it.
    Pass,
    /// Forwards it after this delay, in each direction.
    Delay(Duration),
    /// Closes all connections, and new ones at once.
    Cut,
    /// Forwards nothing, and closes nothing. Connections of this time stay dead, as after a
    /// firewall has forgotten them.
    HalfOpen,
    /// Cuts every other connection that sends COMMIT before the reply reaches it.
    CutAfterCommit,
}

/// Startup, `SSLRequest` and similar messages have no type: they begin with length and number.
const STARTUP: u32 = 196_608;

/// The proxy. Its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    link: Arc<Link>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Link {
    to: u16,
    mode: watch::Sender<Mode>,
    commits_cut: AtomicU64,
    rng: Mutex<StdRng>,
}

impl Proxy {
    /// Listens on a free port, for a server on the port `to`.
    pub(crate) async fn start(to: u16, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let link = Arc::new(Link {
            to,
            mode: watch::Sender::new(Mode::Pass),
            commits_cut: AtomicU64::new(0),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let accepting = tokio::spawn(accept(listener, link.clone()));
        Ok(Self { port, link, accepting })
    }

    /// Returns the port for the service.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Changes the mode.
    pub(crate) fn set(&self, mode: Mode) {
        self.link.mode.send_replace(mode);
    }

    /// Returns the number of connections that were cut between COMMIT and its reply.
    pub(crate) fn commits_cut(&self) -> u64 {
        self.link.commits_cut.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, link: Arc<Link>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(serve(client, link.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(client: TcpStream, link: Arc<Link>) {
    let mut mode = link.mode.subscribe();
    let now = *mode.borrow_and_update();
    match now {
        Mode::Cut => return,
        Mode::HalfOpen => return silent(client).await,
        _ => {}
    }
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, link.to));
    let Ok(server) = TcpStream::connect(to).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let cutting = AtomicBool::new(false);
    let to_server = to_server(client_read, server_write, &link, &cutting);
    let to_client = to_client(server_read, client_write, &link, &cutting);
    // The end of one direction ends the other, and both connections are closed.
    tokio::select! {
        () = to_server => {}
        () = to_client => {}
    }
}

/// Keeps a connection open without an answer until the suite ends.
async fn silent<T>(connection: T) {
    let _connection = connection;
    std::future::pending::<()>().await;
}

/// Applies the mode to a chunk. Returns false if the connection must end.
async fn let_through(mode: &mut watch::Receiver<Mode>) -> bool {
    let now = *mode.borrow_and_update();
    match now {
        Mode::Pass | Mode::CutAfterCommit => true,
        Mode::Delay(delay) => {
            tokio::time::sleep(delay).await;
            true
        }
        Mode::Cut => false,
        Mode::HalfOpen => std::future::pending().await,
    }
}

/// Reads the next chunk. Returns `None` if the connection or the mode ends it.
async fn read(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    mode: &mut watch::Receiver<Mode>,
) -> Option<usize> {
    loop {
        let now = *mode.borrow_and_update();
        match now {
            Mode::Cut => return None,
            // Forever: the connection stays dead in every later mode.
            Mode::HalfOpen => std::future::pending().await,
            _ => {}
        }
        tokio::select! {
            read = from.read(buffer) => return read.ok().filter(|&read| read > 0),
            changed = mode.changed() => changed.ok()?,
        }
    }
}

async fn to_server(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    link: &Link,
    cutting: &AtomicBool,
) {
    let mut mode = link.mode.subscribe();
    let (mut buffer, mut frames) = ([0; 16 << 10], Frames::default());
    while let Some(read) = read(&mut from, &mut buffer, &mut mode).await {
        let commits = frames.commits(&buffer[..read]);
        let cut = commits && *mode.borrow() == Mode::CutAfterCommit && link.flip();
        if cut {
            cutting.store(true, Ordering::Relaxed);
        }
        if !let_through(&mut mode).await || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if cut {
            link.commits_cut.fetch_add(1, Ordering::Relaxed);
            if link.flip() {
                // At once: Postgres may or may not commit.
                return;
            }
            // When the reply has arrived: Postgres has committed, and the service does not learn
            // it.
            std::future::pending::<()>().await;
        }
    }
}

async fn to_client(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    link: &Link,
    cutting: &AtomicBool,
) {
    let mut mode = link.mode.subscribe();
    let mut buffer = [0; 16 << 10];
    while let Some(read) = read(&mut from, &mut buffer, &mut mode).await {
        if cutting.load(Ordering::Relaxed) {
            return;
        }
        if !let_through(&mut mode).await || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

impl Link {
    fn flip(&self) -> bool {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_bool(0.5)
    }
}

/// Splits the frontend's bytes into messages.
#[derive(Default)]
struct Frames {
    begun: bool,
    pending: Vec<u8>,
}

impl Frames {
    /// Returns true if these bytes complete a simple query that is COMMIT.
    fn commits(&mut self, bytes: &[u8]) -> bool {
        self.pending.extend_from_slice(bytes);
        let mut found = false;
        while let Some(length) = self.next() {
            let message: Vec<u8> = self.pending.drain(..length).collect();
            if self.begun {
                found |= message[0] == b'Q' && message[5..].starts_with(b"COMMIT");
            } else {
                self.begun = number(&message[4..8]) == STARTUP;
            }
        }
        found
    }

    /// Returns the length of the first message, once it is complete.
    fn next(&self) -> Option<usize> {
        let head = usize::from(self.begun);
        let length = self.pending.get(head..head + 4)?;
        let length = head + usize::try_from(number(length)).ok()?.max(4);
        // A message without a type begins with a number.
        let length = if self.begun { length } else { length.max(8) };
        (self.pending.len() >= length).then_some(length)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
