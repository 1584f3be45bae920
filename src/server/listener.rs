//! The listening socket: one that systemd passes, or a new one.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::net::TcpSocket;

/// Connections that the kernel queues while all workers are busy: the default limit of Linux
/// (`net.core.somaxconn`). Others are dropped, and retried by the client's kernel a second later.
const BACKLOG: u32 = 4096;

/// Longest time without progress of a client that is being written to. Long enough for one that
/// processes a part of a large answer before it reads on.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_mins(1);

/// Unsent bytes that the kernel buffers for a connection, besides those in flight: twice what one
/// write passes on.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 << 10;

/// Source of connections.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// Address with the chosen port, if the settings have port 0.
    pub(super) address: SocketAddr,
}

impl Listener {
    /// Returns the passed socket (systemd's protocol: `LISTEN_FDS`, `LISTEN_PID`), or else a new
    /// one on `address`.
    pub(super) fn take(address: SocketAddr) -> anyhow::Result<Self> {
        let passed = passed()?;
        let is_passed = passed.is_some();
        let socket = match passed {
            Some(socket) => socket,
            None => bind(address).with_context(|| {
                format!("cannot listen on {address}; VERBATIM_LISTEN chooses another")
            })?,
        };
        set_write_deadline(&socket);
        limit_unsent_bytes(&socket);
        let address = socket.local_addr()?;
        if is_passed {
            tracing::info!(%address, "serving on the passed socket instead of --listen");
        }
        Ok(Self { socket, address })
    }
}

/// Makes the kernel end connections whose client accepts no data any more. Connections inherit the
/// option from their listener.
fn set_write_deadline(listener: &TcpListener) {
    let deadline_ms = u32::try_from(WRITE_DEADLINE.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(listener, TcpUserTimeout, &deadline_ms) {
        tracing::debug!(%error, "stalled connections are not closed by the kernel");
    }
}

/// Socket option for the bytes that the kernel accepts ahead of sending (tcp(7)).
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
struct TcpNotSentLowat;

#[cfg(target_os = "linux")]
nix::setsockopt_impl!(
    TcpNotSentLowat,
    libc::IPPROTO_TCP,
    libc::TCP_NOTSENT_LOWAT,
    u32,
    nix::sys::socket::sockopt::SetStruct<u32>
);

/// Limits what the kernel buffers for a slow client; the default is up to 4 MiB for each
/// connection. Connections inherit the option from their listener.
fn limit_unsent_bytes(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    if let Err(error) = setsockopt(listener, TcpNotSentLowat, &UNSENT_BYTES) {
        tracing::debug!(%error, "the kernel's buffers for slow clients are not limited");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

fn passed() -> anyhow::Result<Option<TcpListener>> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => Ok(None),
        1 => passed.take_tcp_listener(0).context(
            "the socket that was passed (LISTEN_FDS) is not one of TCP: its unit wants a \
             ListenStream=HOST:PORT",
        ),
        many => bail!(
            "{many} sockets were passed (LISTEN_FDS), and one is needed: leave one ListenStream= \
             in the unit; [::]:PORT takes IPv4, too"
        ),
    }
}

/// Binds like the standard library, with a longer queue.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
