//! Other programs that tests run: finds them, starts them on free ports, and ends them with the
//! test.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time until a program listens.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Folders of programs for administrators, which not every account has in its `PATH`.
const ADMIN_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Returns the path of a program. Without it the test is skipped on a developer's machine, and
/// fails if `STRICT=1` or `CI=true` requires everything.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{path}:{ADMIN_FOLDERS}");
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed (scripts/prerequisites --tests)"));
    }
    found
}

/// Returns a program of the server's version, such as `pg_dump`. A server of `POSTGRES_MAJOR` may
/// be installed without its clients; tests that need them are then skipped everywhere.
pub(crate) fn server_program(name: &str) -> Option<Command> {
    let folder = Command::new("scripts/postgres-bindir").output().unwrap().stdout;
    let folder = PathBuf::from(String::from_utf8(folder).unwrap().trim());
    let program = folder.join(name);
    if program.is_file() {
        return Some(Command::new(program));
    }
    let why = format!("{name} is not in {}", folder.display());
    let major = std::env::var("POSTGRES_MAJOR").unwrap_or_default();
    if major.is_empty() {
        skip(&why);
    } else {
        report_skip(&why);
    }
    None
}

/// Returns a Python with a package of `PyPI`. If it cannot be installed, the test is skipped or
/// fails as without a program.
pub(crate) fn python_with(package: &str) -> Option<PathBuf> {
    let script = Command::new("scripts/python-with").arg(package).stderr(Stdio::inherit()).output();
    let found = script.ok().filter(|output| output.status.success());
    if found.is_none() {
        skip(&format!("{package} cannot be installed (scripts/python-with {package})"));
    }
    Some(String::from_utf8(found?.stdout).unwrap().trim().into())
}

/// Reports that a test is skipped, or fails it if everything is required.
pub(crate) fn skip(why: &str) {
    let is_set = |name, value| std::env::var(name).is_ok_and(|set| set == value);
    let must = is_set("STRICT", "1") || is_set("CI", "true");
    assert!(!must, "{why}");
    report_skip(why);
}

#[expect(clippy::print_stderr, reason = "reports skipped tests to the developer")]
fn report_skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// Returns a port that is free at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running program. It is ended when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, and waits until it listens on the port.
    pub(crate) fn start(mut command: Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut running = Self(child);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.0.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            assert!(start.elapsed() < START_DEADLINE, "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // By SIGTERM, so that its children end as well.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.0.id().cast_signed()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let start = Instant::now();
        while !matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
            if start.elapsed() > Duration::from_secs(3) {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
