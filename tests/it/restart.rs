//! Stop and restart of the service: no delivery is rejected, and no connection is reset.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::app::{App, KEY};
use crate::support::database::TestDatabase;
use crate::support::process::{Service, lines, until, verbatim, verbatim_behind};

/// Longest wait for any step.
const LIMIT: Duration = Duration::from_secs(30);

fn setting(name: &str) -> Option<u32> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Header that the webhook requires: contract d tries each delivery once and does not sign it.
const HEADER: &str = "X-Site: berlin";

fn serve(mut command: Command, data: &Path, database: Option<&TestDatabase>) -> Command {
    // An unusable address: the service listens on the passed socket.
    command.args(["serve", "--listen", "192.0.2.1:1", "--data-dir"]).arg(data);
    command.env_remove("VERBATIM_WEBHOOK_SECRET").env("VERBATIM_WEBHOOK_HEADER", HEADER);
    if let Some(database) = database {
        command.env("DATABASE_URL", database.url());
    }
    command
}

/// A rolling restart under load, as systemd does it. To run ten restarts with the private
/// `PostgreSQL` by hand, and print the sender's report:
///
/// `VERBATIM_TEST_RESTARTS=10 VERBATIM_TEST_PRIVATE=1 cargo nextest run --no-capture rolling`
#[tokio::test(flavor = "multi_thread")]
async fn no_delivery_is_refused_or_reset_by_a_rolling_restart() {
    let restarts = setting("VERBATIM_TEST_RESTARTS");
    let private = setting("VERBATIM_TEST_PRIVATE").is_some();
    let database = if private { None } else { Some(TestDatabase::create().await) };
    tokio::task::spawn_blocking(move || rolling_restart(restarts, database.as_ref()))
        .await
        .unwrap();
}

fn rolling_restart(restarts: Option<u32>, database: Option<&TestDatabase>) {
    let folder = TempDir::new().unwrap();
    let (data, ledger) = (folder.path().join("data"), folder.path().join("ledger.jsonl"));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let start = || Service::run(serve(verbatim_behind(&socket), &data, database));
    let mut service = start();
    assert_eq!(service.address, address);
    // The sender tries each delivery once, so every failure shows.
    let mut sender = verbatim();
    sender.args(["simulate", "--contract", "d", "--rate", "200", "--sessions", "100000"]);
    sender.args(["--concurrency", "64", "--seed", "3", "--url"]);
    sender.arg(format!("http://{address}/webhook")).args(["--header", HEADER, "--ledger"]);
    let sender = sender.arg(&ledger).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..restarts.unwrap_or(2) {
        let answered = lines(&ledger) + 100;
        until("the sender's progress", || lines(&ledger) >= answered);
        assert!(service.stop().success());
        service = start();
    }
    let answered = lines(&ledger) + 100;
    until("the sender's progress", || lines(&ledger) >= answered);
    kill(Pid::from_raw(sender.id().cast_signed()), Signal::SIGINT).unwrap();
    let sender = sender.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&sender.stdout);
    if restarts.is_some() {
        #[expect(clippy::print_stdout, reason = "the variable asks for the report")]
        {
            println!("{text}");
        }
    }
    assert!(sender.status.success(), "{text}");
    for fault in ["refused", "lost", "timed out", "503"] {
        assert!(!text.contains(fault), "{text}");
    }
}

/// Client connection that stays open between requests.
struct Connection(TcpStream);

impl Connection {
    fn open(app: &App) -> Self {
        let stream = TcpStream::connect(app.address.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn get(&mut self, path: &str) -> String {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        ));
        self.answer()
    }

    /// Reads the next answer, and returns its head in lower case.
    fn answer(&mut self) -> String {
        let (mut read, mut byte) = (Vec::new(), [0]);
        while !read.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            read.push(byte[0]);
        }
        let head = String::from_utf8(read).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        head
    }

    /// Asserts that the service has closed the connection without a reset.
    fn assert_ended(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0, "unexpected bytes");
    }
}

fn closes(head: &str) -> bool {
    head.contains("\r\nconnection: close\r\n")
}

/// Head of an unsigned delivery. Only the fact that it is answered matters.
const DELIVERY: &str = "POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_each_connection_after_its_answer() {
    let app = App::start().await;
    let connections = {
        let connect = || {
            let mut connection = Connection::open(&app);
            assert!(!closes(&connection.get("/healthz")));
            connection
        };
        (connect(), connect(), connect(), connect())
    };
    let (mut reader, mut sender, mut slow, mut idle) = connections;
    slow.send(DELIVERY);
    slow.send("ab");
    app.begin_stop();
    let start = Instant::now();
    let address = app.address.strip_prefix("http://").unwrap().to_owned();
    let exchange = tokio::task::spawn_blocking(move || {
        // After the stop begins, each answer announces the close, also a problem.
        let mut probe = Connection(TcpStream::connect(&address).unwrap());
        while !closes(&probe.get("/healthz")) {}
        probe.assert_ended();
        assert!(closes(&reader.get("/v1/agents")));
        reader.assert_ended();
        sender.send(DELIVERY);
        sender.send("abcd");
        let head = sender.answer();
        assert!(head.starts_with("http/1.1 401") && closes(&head), "{head}");
        sender.assert_ended();
        // An idle connection is closed at the end.
        idle.assert_ended();
        // An open request is still finished.
        slow.send("cd");
        let head = slow.answer();
        assert!(head.starts_with("http/1.1 401") && closes(&head), "{head}");
        slow.assert_ended();
        until("the address is closed", || TcpStream::connect(&address).is_err());
    });
    exchange.await.unwrap();
    app.stop().await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_without_connections_is_immediate() {
    let app = App::start().await;
    drop(Connection::open(&app));
    let start = Instant::now();
    app.stop().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn second_signal_stops_the_service_and_its_postgres_at_once() {
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(&folder.path().join("data"), "127.0.0.1:0");
    let pid_file = folder.path().join("data/postgres/cluster/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    let postgres = Pid::from_raw(text.lines().next().unwrap().trim().parse().unwrap());
    // The first signal waits for this connection. It is accepted, since it was answered.
    let mut open = Connection(TcpStream::connect(&service.address).unwrap());
    open.get("/healthz");
    open.send(DELIVERY);
    service.signal(Signal::SIGTERM);
    let start = Instant::now();
    while service.process.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(1)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        service.process.try_wait().unwrap().is_none(),
        "the service does not wait for the open request"
    );
    service.signal(Signal::SIGTERM);
    assert_eq!(service.process.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    until("the end of its PostgreSQL", || !pid_file.exists() || kill(postgres, None).is_err());
}

#[tokio::test]
async fn systemd_is_notified_of_start_and_stop() {
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::create().await);
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let notification = || {
        let mut text = [0; 256];
        let length = systemd.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    let mut command = verbatim();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"));
    command.env("DATABASE_URL", database.url()).env("NOTIFY_SOCKET", &path);
    let mut service = Service::run(command);
    assert_eq!(notification(), "READY=1");
    assert!(service.stop().success());
    assert_eq!(notification(), "STOPPING=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait() {
    let app = App::start_with(|settings| settings.max_connections = 1).await;
    // Each worker accepts one connection, and these send nothing.
    let workers = std::thread::available_parallelism().unwrap().get();
    let open: Vec<_> = (0..workers).map(|_| Connection::open(&app)).collect();
    let mut waiting = Connection::open(&app);
    waiting.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    waiting.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(waiting.0.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(open);
    waiting.0.set_read_timeout(Some(LIMIT)).unwrap();
    let head = waiting.answer();
    assert!(head.starts_with("http/1.1 200"), "the connection is rejected: {head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_delay_a_delivery() {
    let app = App::start().await;
    let idle: Vec<_> = (0..2_000).map(|_| Connection::open(&app)).collect();
    let start = Instant::now();
    assert_eq!(app.get("/healthz").await.status, 200);
    assert_eq!(app.deliver("no JSON").await.status, 422);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(idle);
}
