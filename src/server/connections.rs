//! Open connections: their limit, their count, and which of them end with an answer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::proxied;

/// Open files besides connections of clients: the inbox, the log, connections to Postgres. Three
/// times the number measured under load.
const OTHER_FILES: u64 = 128;
/// Interval between two checks whether connections have ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

tokio::task_local! {
    /// Connection that a task serves.
    static SERVED: Arc<Open>;
}

/// Open connections of all workers.
#[derive(Debug)]
pub(super) struct Connections {
    /// Limit of open connections.
    most: usize,
    /// One permit for each connection.
    room: Arc<Semaphore>,
    is_closing: AtomicBool,
    /// Connections that were opened before closing began.
    early: AtomicUsize,
    /// Connections that were opened after closing began.
    late: AtomicUsize,
    /// Connections that can be shut down, by their socket.
    sockets: Mutex<HashMap<RawFd, Arc<State>>>,
}

/// State of a connection.
#[derive(Debug)]
struct State {
    /// Opened after closing began.
    is_late: bool,
    work: Work,
}

/// Requests of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Work(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    /// A request is in progress.
    busy: AtomicBool,
    /// Number of requests that have begun.
    begun: AtomicUsize,
}

impl Work {
    /// Returns the requests of the connection that this task serves.
    pub(super) fn of_this_connection() -> Self {
        SERVED.try_with(|open| open.state.work.clone()).unwrap_or_default()
    }

    pub(super) fn begin(&self) {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.busy.store(true, Ordering::SeqCst);
    }

    pub(super) fn finish(&self) {
        self.0.busy.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_in_progress(&self) -> bool {
        self.0.busy.load(Ordering::SeqCst)
    }

    pub(super) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }
}

/// Open connection, counted from its acceptance until it is dropped.
#[derive(Debug)]
pub(super) struct Open {
    connections: Arc<Connections>,
    state: Arc<State>,
    /// Socket by which it can be shut down.
    socket: Option<RawFd>,
    _room: OwnedSemaphorePermit,
}

impl Connections {
    /// Creates the count, with the wanted limit or what the limit on open files allows.
    pub(super) fn new(wanted: usize) -> Self {
        let allowed = raise_file_limit();
        let room = allowed.map_or(wanted, |files| room_for(wanted, files));
        if room < wanted {
            tracing::warn!(
                wanted,
                room,
                files = allowed,
                "the limit on open files is too low for --max-connections: raise it (`ulimit -Hn`, \
                 LimitNOFILE=)"
            );
        }
        Self {
            most: room,
            room: Arc::new(Semaphore::new(room)),
            is_closing: AtomicBool::new(false),
            early: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
            sockets: Mutex::default(),
        }
    }

    /// Waits for a permit for one more connection.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        match self.room.clone().acquire_owned().await {
            Ok(room) => room,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Counts a connection. With a socket it can be shut down.
    pub(super) fn open(
        self: &Arc<Self>,
        stream: Option<&TcpStream>,
        room: OwnedSemaphorePermit,
    ) -> Arc<Open> {
        let is_late = self.is_closing.load(Ordering::SeqCst);
        self.count(is_late).fetch_add(1, Ordering::SeqCst);
        let state = Arc::new(State { is_late, work: Work::default() });
        let socket = stream.map(AsRawFd::as_raw_fd);
        if let Some(socket) = socket {
            self.sockets().insert(socket, state.clone());
        }
        Arc::new(Open { connections: Arc::clone(self), state, socket, _room: room })
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<RawFd, Arc<State>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shuts down early connections without a request in progress. The kernel delivers what has
    /// arrived, and then reports the end. actix's own stop drops a request that has arrived and was
    /// not read. Under TLS such a request is dropped here, too, since an end within the stream is
    /// an error there.
    pub(super) fn shut_down_idle_early(&self) {
        self.shut_down_idle(false);
    }

    /// Shuts down late connections without a request in progress.
    pub(super) fn shut_down_idle_late(&self) {
        self.shut_down_idle(true);
    }

    fn shut_down_idle(&self, is_late: bool) {
        // A socket is removed before it is closed, so under the lock none was reused.
        for (socket, state) in self.sockets().iter() {
            if state.is_late == is_late && !state.work.is_in_progress() {
                // The client may have closed it already.
                let _ = shutdown(*socket, Shutdown::Read);
            }
        }
    }

    /// Makes each connection end with its next answer.
    pub(super) fn begin_closing(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
    }

    /// Waits until all early connections have closed, for `patience` at most.
    pub(super) async fn wait_for_early(&self, patience: Duration) {
        self.wait_for(false, patience).await;
    }

    /// Waits until all late connections have closed, for `patience` at most.
    pub(super) async fn wait_for_late(&self, patience: Duration) {
        self.wait_for(true, patience).await;
    }

    /// Waits until all connections have closed, for `patience` at most.
    pub(super) async fn wait_for_all(&self, patience: Duration) {
        let both = async {
            self.wait_for(false, patience).await;
            self.wait_for(true, patience).await;
        };
        let _ = tokio::time::timeout(patience, both).await;
    }

    async fn wait_for(&self, is_late: bool, patience: Duration) {
        let wait = async {
            while self.count(is_late).load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        };
        // The next step of closing handles the rest.
        let _ = tokio::time::timeout(patience, wait).await;
    }

    fn count(&self, is_late: bool) -> &AtomicUsize {
        if is_late { &self.late } else { &self.early }
    }

    /// Returns `true` if a connection ends with its answer: when the service stops, or when few
    /// permits are left. Then clients with many idle connections release them to others.
    fn ends_with_this_answer(&self) -> bool {
        if self.is_closing.load(Ordering::Relaxed) {
            return true;
        }
        self.room.available_permits() < self.most / 4
    }
}

impl Open {
    /// Runs the future that serves the connection.
    pub(super) async fn scope(open: Arc<Self>, serving: impl Future<Output = ()>) {
        SERVED.scope(open, serving).await;
    }

    /// Removes the socket before it is closed, so that it is not shut down any more.
    pub(super) fn forget_socket(&self) {
        if let Some(socket) = self.socket {
            self.connections.sockets().remove(&socket);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.count(self.state.is_late).fetch_sub(1, Ordering::SeqCst);
    }
}

/// Middleware for `from_fn`: sets `Connection: close` if the connection ends with this answer, and
/// records the requests in progress.
pub(super) async fn end_with_answer(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let connections = req.app_data::<web::Data<Connections>>().cloned();
    let restrictions = proxied::accept(&mut req);
    let work = Work::of_this_connection();
    work.begin();
    let answer = yield_if_ready(next.call(req)).await;
    work.finish();
    let mut response = answer?;
    restrictions.apply(&mut response);
    // After the answer is ready, since the stop may have begun meanwhile.
    if connections.is_some_and(|connections| connections.ends_with_this_answer()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Yields to the scheduler once if the work never waits.
///
/// actix-web stops reading while sixteen requests of a connection are queued, and reads again when
/// one of them waits. If all were answered at once, it would not read again, and further pipelined
/// requests would stay unread until the client sends more.
async fn yield_if_ready<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut waited = false;
    let done = poll_fn(|cx| {
        let polled = work.as_mut().poll(cx);
        waited |= polled.is_pending();
        polled
    })
    .await;
    if !waited {
        tokio::task::yield_now().await;
    }
    done
}

fn room_for(wanted: usize, files: u64) -> usize {
    let room = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    wanted.min(room.max(1))
}

/// Raises the limit on open files to the maximum, and returns the new limit.
fn raise_file_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    // macOS reports no limit and then rejects a high one.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    Some(if raised.is_ok() { hard } else { soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_reserved_for_the_inbox_and_postgres() {
        assert_eq!(room_for(10_000, 1_048_576), 10_000);
        assert_eq!(room_for(10_000, 1_024), 896);
        assert_eq!(room_for(10_000, 20), 1, "better than nothing");
    }

    async fn open(connections: &Arc<Connections>) -> Arc<Open> {
        connections.open(None, connections.room().await)
    }

    #[tokio::test]
    async fn connections_stay_open_while_there_is_room() {
        let connections = Arc::new(Connections::new(8));
        let mut held = Vec::new();
        for _ in 0..6 {
            held.push(open(&connections).await);
        }
        assert!(!connections.ends_with_this_answer());
        held.push(open(&connections).await);
        assert!(connections.ends_with_this_answer(), "a quarter stays free");
        held.pop();
        assert!(!connections.ends_with_this_answer());
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_early_connections() {
        let connections = Arc::new(Connections::new(8));
        let old = open(&connections).await;
        connections.begin_closing();
        let _late = open(&connections).await;
        assert!(connections.ends_with_this_answer());
        let start = tokio::time::Instant::now();
        connections.wait_for_early(Duration::from_secs(3)).await;
        assert!(start.elapsed() >= Duration::from_secs(3), "it is still open");
        drop(old);
        let start = tokio::time::Instant::now();
        connections.wait_for_early(Duration::from_secs(3)).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "it does not wait for late ones");
    }
}
