//! The end of a process, and the beginning of the next one: nobody is refused, cut off or kept.

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

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

fn setting(name: &str) -> Option<u32> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The webhook's header: what tries a delivery once does not sign it.
const HEADER: &str = "X-Site: berlin";

fn serve(mut command: Command, data: &Path, database: Option<&TestDatabase>) -> Command {
    // An address that nobody could listen on: the socket is the one that was passed.
    command.args(["serve", "--listen", "192.0.2.1:1", "--data-dir"]).arg(data);
    command.env_remove("VERBATIM_WEBHOOK_SECRET").env("VERBATIM_WEBHOOK_HEADER", HEADER);
    if let Some(database) = database {
        command.env("DATABASE_URL", database.url());
    }
    command
}

/// A rolling restart under load, as systemd does it. By hand, ten of them with the private
/// `PostgreSQL`, and what the sender saw:
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
    // It tries each delivery once, so whatever goes wrong shows.
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
        #[expect(clippy::print_stdout, reason = "whoever sets it wants to see it")]
        {
            println!("{text}");
        }
    }
    assert!(sender.status.success(), "{text}");
    for fault in ["refused", "lost", "timed out", "503"] {
        assert!(!text.contains(fault), "{text}");
    }
}

/// A connection of a client that keeps it open.
struct Kept(TcpStream);

impl Kept {
    fn open(app: &App) -> Self {
        let stream = TcpStream::connect(app.address.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self, path: &str) -> String {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        ));
        self.answer()
    }

    /// The head of the next answer, in lower case; its body is read too.
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

    /// The other side has closed it, in good order.
    fn assert_ended(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0, "an end, and no reset");
    }
}

fn says_close(head: &str) -> bool {
    head.contains("\r\nconnection: close\r\n")
}

/// A delivery that nobody signed: it gets an answer, and that is all that matters here.
const DELIVERY: &str = "POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_each_connection_with_its_answer() {
    let app = App::start().await;
    let clients = {
        let kept = || {
            let mut kept = Kept::open(&app);
            assert!(!says_close(&kept.ask("/healthz")));
            kept
        };
        (kept(), kept(), kept(), kept())
    };
    let (mut reader, mut sender, mut slow, mut idle) = clients;
    slow.send(DELIVERY);
    slow.send("ab");
    app.begin_stop();
    let start = Instant::now();
    let address = app.address.strip_prefix("http://").unwrap().to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        // Once the goodbye has begun, whoever asks is told, also where the answer is a problem.
        let mut probe = Kept(TcpStream::connect(&address).unwrap());
        while !says_close(&probe.ask("/healthz")) {}
        probe.assert_ended();
        assert!(says_close(&reader.ask("/v1/agents")));
        reader.assert_ended();
        sender.send(DELIVERY);
        sender.send("abcd");
        let head = sender.answer();
        assert!(head.starts_with("http/1.1 401") && says_close(&head), "{head}");
        sender.assert_ended();
        // One that never asked again is closed in the end.
        idle.assert_ended();
        // What was open by then is still finished.
        slow.send("cd");
        let head = slow.answer();
        assert!(head.starts_with("http/1.1 401") && says_close(&head), "{head}");
        slow.assert_ended();
        until("nobody listens any more", || TcpStream::connect(&address).is_err());
    });
    asked.await.unwrap();
    app.stop().await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_connections_takes_no_time() {
    let app = App::start().await;
    drop(Kept::open(&app));
    let start = Instant::now();
    app.stop().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once_and_takes_its_postgres_along() {
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(&folder.path().join("data"), "127.0.0.1:0");
    let pid_file = folder.path().join("data/postgres/cluster/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    let postgres = Pid::from_raw(text.lines().next().unwrap().trim().parse().unwrap());
    // The first one waits for this connection, which has been accepted once it is answered.
    let mut open = Kept(TcpStream::connect(&service.address).unwrap());
    open.ask("/healthz");
    open.send(DELIVERY);
    service.signal(Signal::SIGTERM);
    let start = Instant::now();
    while service.process.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(1)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(service.process.try_wait().unwrap().is_none(), "it is still at the open request");
    service.signal(Signal::SIGTERM);
    assert_eq!(service.process.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    until("the end of its PostgreSQL", || !pid_file.exists() || kill(postgres, None).is_err());
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::create().await);
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let heard = || {
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
    assert_eq!(heard(), "READY=1");
    assert!(service.stop().success());
    assert_eq!(heard(), "STOPPING=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let app = App::start_with(|settings| settings.max_connections = 1).await;
    // Each worker has room for one, and these say nothing.
    let workers = std::thread::available_parallelism().unwrap().get();
    let open: Vec<_> = (0..workers).map(|_| Kept::open(&app)).collect();
    let mut waiting = Kept::open(&app);
    waiting.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    waiting.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(waiting.0.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(open);
    waiting.0.set_read_timeout(Some(LIMIT)).unwrap();
    let head = waiting.answer();
    assert!(head.starts_with("http/1.1 200"), "it was not turned away: {head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_keep_a_delivery_from_being_answered() {
    let app = App::start().await;
    let idle: Vec<_> = (0..2_000).map(|_| Kept::open(&app)).collect();
    let start = Instant::now();
    assert_eq!(app.get("/healthz").await.status, 200);
    assert_eq!(app.deliver("no JSON").await.status, 422);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(idle);
}
