//! The network between the service and Postgres: a proxy that can be slow, cut, or silent, and
//! that reads as much of the protocol as it takes to cut where it hurts most.

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

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It arrives.
    Pass,
    /// It arrives so much later, each way.
    Delay(Duration),
    /// Connections are closed, and new ones as soon as they are there.
    Cut,
    /// Nothing arrives, and nobody is told. A connection that was caught by this is dead for good,
    /// as where a firewall has forgotten it.
    HalfOpen,
    /// Every other connection that sends COMMIT is cut before the reply comes back.
    CutAfterCommit,
}

/// Startup, `SSLRequest` and their like have no type, and begin with their length and a number.
const STARTUP: u32 = 196_608;

/// The proxy. Its connections end with it.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    way: Arc<Way>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Way {
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
        let way = Arc::new(Way {
            to,
            mode: watch::Sender::new(Mode::Pass),
            commits_cut: AtomicU64::new(0),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let accepting = tokio::spawn(accept(listener, way.clone()));
        Ok(Self { port, way, accepting })
    }

    /// Where the service finds it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.way.mode.send_replace(mode);
    }

    /// How often a connection was cut between COMMIT and its reply.
    pub(crate) fn commits_cut(&self) -> u64 {
        self.way.commits_cut.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(serve(client, way.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(client: TcpStream, way: Arc<Way>) {
    let mut mode = way.mode.subscribe();
    let now = *mode.borrow_and_update();
    match now {
        Mode::Cut => return,
        Mode::HalfOpen => return silent(client).await,
        _ => {}
    }
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, way.to));
    let Ok(server) = TcpStream::connect(to).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let cutting = AtomicBool::new(false);
    let forth = forth(client_read, server_write, &way, &cutting);
    let back = back(server_read, client_write, &way, &cutting);
    // Either end takes the other along, and both connections are closed.
    tokio::select! {
        () = forth => {}
        () = back => {}
    }
}

/// Takes a connection and says nothing on it, for as long as the suite lasts.
async fn silent<T>(connection: T) {
    let _held = connection;
    std::future::pending::<()>().await;
}

/// Waits for what the mode says of a chunk; false where the connection ends.
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

/// Reads the next chunk. `None` where it ended, or the mode ends it.
async fn read(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    mode: &mut watch::Receiver<Mode>,
) -> Option<usize> {
    loop {
        let now = *mode.borrow_and_update();
        match now {
            Mode::Cut => return None,
            // For good: whatever the mode is later, this connection is dead.
            Mode::HalfOpen => std::future::pending().await,
            _ => {}
        }
        tokio::select! {
            read = from.read(buffer) => return read.ok().filter(|&read| read > 0),
            changed = mode.changed() => changed.ok()?,
        }
    }
}

async fn forth(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: &Way,
    cutting: &AtomicBool,
) {
    let mut mode = way.mode.subscribe();
    let (mut buffer, mut frames) = ([0; 16 << 10], Frames::default());
    while let Some(read) = read(&mut from, &mut buffer, &mut mode).await {
        let commits = frames.commits(&buffer[..read]);
        let cut = commits && *mode.borrow() == Mode::CutAfterCommit && way.flip();
        if cut {
            cutting.store(true, Ordering::Relaxed);
        }
        if !let_through(&mut mode).await || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if cut {
            way.commits_cut.fetch_add(1, Ordering::Relaxed);
            if way.flip() {
                // At once: whether Postgres commits is open.
                return;
            }
            // Once the reply is here: it has committed, and nobody learns of it.
            std::future::pending::<()>().await;
        }
    }
}

async fn back(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: &Way,
    cutting: &AtomicBool,
) {
    let mut mode = way.mode.subscribe();
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

impl Way {
    fn flip(&self) -> bool {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_bool(0.5)
    }
}

/// The frontend's side of the protocol, cut into messages.
#[derive(Default)]
struct Frames {
    begun: bool,
    pending: Vec<u8>,
}

impl Frames {
    /// Whether these bytes complete a simple query that is COMMIT.
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

    /// The first message's length, once all of it is there.
    fn next(&self) -> Option<usize> {
        let head = usize::from(self.begun);
        let length = self.pending.get(head..head + 4)?;
        let length = head + usize::try_from(number(length)).ok()?.max(4);
        // Without a type there is at least a number.
        let length = if self.begun { length } else { length.max(8) };
        (self.pending.len() >= length).then_some(length)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
