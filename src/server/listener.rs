//! The socket that everything comes in by: one that systemd holds and passes, or one of our own.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::net::TcpSocket;

/// Connections that the kernel keeps while all of us are busy: as many as Linux allows unless it is
/// told otherwise (`net.core.somaxconn`). What does not fit is dropped, and tried again by its
/// sender's kernel a second later.
const BACKLOG: u32 = 4096;

/// How long a client may take nothing of what it is sent. Long
/// enough for one that loads a page of a large answer before it reads on.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_mins(1);

/// Bytes that the kernel holds for a connection beside those that are on their way: as much as we
/// hand over at once, twice.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 << 10;

/// Where connections come from.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// As it turned out: the port that was chosen, where the settings said 0.
    pub(super) address: SocketAddr,
}

impl Listener {
    /// The socket that was passed (systemd's protocol: `LISTEN_FDS`, `LISTEN_PID`), or else one on
    /// `address`.
    pub(super) fn take(address: SocketAddr) -> anyhow::Result<Self> {
        let passed = passed()?;
        let is_passed = passed.is_some();
        let socket = match passed {
            Some(socket) => socket,
            None => bind(address).with_context(|| {
                format!("cannot listen on {address}; VERBATIM_LISTEN chooses another")
            })?,
        };
        cut_off_the_stalled(&socket);
        keep_the_kernels_part_small(&socket);
        let address = socket.local_addr()?;
        if is_passed {
            tracing::info!(%address, "serving on the socket that was passed, and not on --listen");
        }
        Ok(Self { socket, address })
    }
}

/// Has the kernel end connections whose other end takes nothing any more. Connections inherit it
/// from their listener.
fn cut_off_the_stalled(listener: &TcpListener) {
    let deadline_ms = u32::try_from(WRITE_DEADLINE.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(listener, TcpUserTimeout, &deadline_ms) {
        tracing::debug!(%error, "connections that take nothing will last");
    }
}

/// Bytes that the kernel takes before they can be sent (tcp(7)).
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

/// Has the kernel take little ahead of what a client takes; by itself it takes up to 4 MiB for each
/// connection. Connections inherit it from their listener.
fn keep_the_kernels_part_small(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    if let Err(error) = setsockopt(listener, TcpNotSentLowat, &UNSENT_BYTES) {
        tracing::debug!(%error, "the kernel takes as much for a slow client as it likes");
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

/// As the standard library does it, with a longer queue.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
