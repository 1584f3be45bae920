//! Open connections: how many there may be, how many there are, and when one ends with its answer.

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

/// Files that are open for other reasons than a connection: the inbox's, the log, connections to
/// Postgres. Three times what was seen under load.
const OTHER_FILES: u64 = 128;
/// How often the wait for connections to end looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

tokio::task_local! {
    /// The connection that a task serves.
    static SERVED: Arc<Open>;
}

/// The count of open connections, shared by all workers.
#[derive(Debug)]
pub(super) struct Connections {
    /// Most that may be open.
    most: usize,
    /// A place for each.
    room: Arc<Semaphore>,
    saying_goodbye: AtomicBool,
    /// Those that were opened before we began to say goodbye.
    old: AtomicUsize,
    /// Those that were opened after.
    young: AtomicUsize,
    /// Those that can be hung up, by their socket.
    sockets: Mutex<HashMap<RawFd, Arc<State>>>,
}

/// How a connection is.
#[derive(Debug)]
struct State {
    /// It was opened after we began to say goodbye.
    young: bool,
    work: Work,
}

/// The requests of a connection, as they come and go.
#[derive(Clone, Debug, Default)]
pub(super) struct Work(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    /// One is at work.
    busy: AtomicBool,
    /// How many have begun.
    begun: AtomicUsize,
}

impl Work {
    /// Of the connection that this task serves.
    pub(super) fn of_this_connection() -> Self {
        SERVED.try_with(|open| open.state.work.clone()).unwrap_or_default()
    }

    pub(super) fn begins(&self) {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.busy.store(true, Ordering::SeqCst);
    }

    pub(super) fn ends(&self) {
        self.0.busy.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.0.busy.load(Ordering::SeqCst)
    }

    pub(super) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }
}

/// An open connection; counted from its acceptance until it is dropped.
#[derive(Debug)]
pub(super) struct Open {
    connections: Arc<Connections>,
    state: Arc<State>,
    /// Where it can be hung up.
    socket: Option<RawFd>,
    _room: OwnedSemaphorePermit,
}

impl Connections {
    /// Room for as many as are wanted and the machine's limit on open files allows.
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
            saying_goodbye: AtomicBool::new(false),
            old: AtomicUsize::new(0),
            young: AtomicUsize::new(0),
            sockets: Mutex::default(),
        }
    }

    /// Waits for room for one more.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        match self.room.clone().acquire_owned().await {
            Ok(room) => room,
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Counts one. With its socket it can be hung up.
    pub(super) fn open(
        self: &Arc<Self>,
        stream: Option<&TcpStream>,
        room: OwnedSemaphorePermit,
    ) -> Arc<Open> {
        let young = self.saying_goodbye.load(Ordering::SeqCst);
        self.count(young).fetch_add(1, Ordering::SeqCst);
        let state = Arc::new(State { young, work: Work::default() });
        let socket = stream.map(AsRawFd::as_raw_fd);
        if let Some(socket) = socket {
            self.sockets().insert(socket, state.clone());
        }
        Arc::new(Open { connections: Arc::clone(self), state, socket, _room: room })
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<RawFd, Arc<State>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connections on which nothing is at work, each after what it has sent so far: the
    /// kernel gives out what has arrived, and then says that nothing more will come. actix' own way
    /// to stop drops a request that has arrived and has not been read, and so does this under TLS,
    /// where an end in the middle of the stream would be an error.
    pub(super) fn hang_up_old_ones(&self) {
        self.hang_up(false);
    }

    /// The same for those that were opened since the goodbye began.
    pub(super) fn hang_up_young_ones(&self) {
        self.hang_up(true);
    }

    fn hang_up(&self, young: bool) {
        // A socket is forgotten before it is closed, so under the lock none is another's by now.
        for (socket, state) in self.sockets().iter() {
            if state.young == young && !state.work.is_under_way() {
                // The other side may have ended it already.
                let _ = shutdown(*socket, Shutdown::Read);
            }
        }
    }

    /// From now on each connection ends with its next answer.
    pub(super) fn say_goodbye(&self) {
        self.saying_goodbye.store(true, Ordering::SeqCst);
    }

    /// Waits until those are closed that were open when the goodbye began, or for `patience`.
    pub(super) async fn old_ones_gone(&self, patience: Duration) {
        self.gone(false, patience).await;
    }

    /// The same for those that were opened since.
    pub(super) async fn young_ones_gone(&self, patience: Duration) {
        self.gone(true, patience).await;
    }

    /// The same for all.
    pub(super) async fn all_gone(&self, patience: Duration) {
        let both = async {
            self.gone(false, patience).await;
            self.gone(true, patience).await;
        };
        let _ = tokio::time::timeout(patience, both).await;
    }

    async fn gone(&self, young: bool, patience: Duration) {
        let wait = async {
            while self.count(young).load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        // What is left when patience ends is closed by whoever comes next.
        let _ = tokio::time::timeout(patience, wait).await;
    }

    fn count(&self, young: bool) -> &AtomicUsize {
        if young { &self.young } else { &self.old }
    }

    /// A connection is not kept for a further request when we stop, or when room grows short: then
    /// whoever holds many open without a use for them gives way to whoever has one.
    fn ends_with_this_answer(&self) -> bool {
        if self.saying_goodbye.load(Ordering::Relaxed) {
            return true;
        }
        self.room.available_permits() < self.most / 4
    }
}

impl Open {
    /// Runs what serves the connection.
    pub(super) async fn scope(open: Arc<Self>, serving: impl Future<Output = ()>) {
        SERVED.scope(open, serving).await;
    }

    /// The socket is about to be closed: it cannot be hung up any more.
    pub(super) fn forget_socket(&self) {
        if let Some(socket) = self.socket {
            self.connections.sockets().remove(&socket);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.count(self.state.young).fetch_sub(1, Ordering::SeqCst);
    }
}

/// Middleware for `from_fn`: says `Connection: close` where the connection ends with this answer,
/// and notes on which connections a request is at work.
pub(super) async fn end_with_answer(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let connections = req.app_data::<web::Data<Connections>>().cloned();
    let restrictions = proxied::accept(&mut req);
    let work = Work::of_this_connection();
    work.begins();
    let answer = not_at_once(next.call(req)).await;
    work.ends();
    let mut response = answer?;
    restrictions.apply(&mut response);
    // Asked after the answer is made: the stop may have come meanwhile.
    if connections.is_some_and(|connections| connections.ends_with_this_answer()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Waits for the scheduler where the work waits for nothing.
///
/// actix-web reads no further while sixteen requests of a connection are queued, and looks again
/// where one of them has to wait. Answered at once, all of them would be gone without such a look,
/// and what was pipelined behind them would lie there until the client sends something more.
async fn not_at_once<T>(work: impl Future<Output = T>) -> T {
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

/// Raises our limit on open files to what we may raise it to, and says what it is then.
fn raise_file_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    // macOS says that there is no limit and then refuses a high one.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    Some(if raised.is_ok() { hard } else { soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_back_for_the_inbox_and_postgres() {
        assert_eq!(room_for(10_000, 1_048_576), 10_000);
        assert_eq!(room_for(10_000, 1_024), 896);
        assert_eq!(room_for(10_000, 20), 1, "better than nothing");
    }

    async fn open(connections: &Arc<Connections>) -> Arc<Open> {
        connections.open(None, connections.room().await)
    }

    #[tokio::test]
    async fn connections_are_kept_alive_while_there_is_room() {
        let connections = Arc::new(Connections::new(8));
        let mut held = Vec::new();
        for _ in 0..6 {
            held.push(open(&connections).await);
        }
        assert!(!connections.ends_with_this_answer());
        held.push(open(&connections).await);
        assert!(connections.ends_with_this_answer(), "a quarter is kept free");
        held.pop();
        assert!(!connections.ends_with_this_answer());
    }

    #[tokio::test(start_paused = true)]
    async fn the_goodbye_waits_for_those_that_have_not_heard_it() {
        let connections = Arc::new(Connections::new(8));
        let old = open(&connections).await;
        connections.say_goodbye();
        let _young = open(&connections).await;
        assert!(connections.ends_with_this_answer());
        let start = tokio::time::Instant::now();
        connections.old_ones_gone(Duration::from_secs(3)).await;
        assert!(start.elapsed() >= Duration::from_secs(3), "it is still open");
        drop(old);
        let start = tokio::time::Instant::now();
        connections.old_ones_gone(Duration::from_secs(3)).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "those that came later are not waited for");
    }
}
