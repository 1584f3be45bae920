//! The real program in a separate process.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A key with every scope.
pub(crate) const KEY: &str = "the settings' key";
/// The secret of the source `default`.
pub(crate) const SECRET: &str = "the webhook's secret";

/// `verbatim serve`.
pub(crate) struct Service {
    pub(crate) process: Child,
    /// Host and port.
    pub(crate) address: String,
    /// The commands that it prints to try it.
    pub(crate) commands: String,
}

/// Returns the program, without settings from the environment.
pub(crate) fn verbatim() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_verbatim")))
}

/// Returns the program with a listening socket, as systemd passes one.
pub(crate) fn verbatim_behind(socket: &TcpListener) -> Command {
    let mut shell = without_settings(Command::new("/bin/sh"));
    // The process ID must be that of the process that reads it, so the shell executes it.
    let passing = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    shell.args(["-c", passing, env!("CARGO_BIN_EXE_verbatim")]);
    shell.stdin(OwnedFd::from(socket.try_clone().unwrap()));
    shell
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("VERBATIM_") || name == "DATABASE_URL" {
            command.env_remove(name.as_ref());
        }
    }
    command.env("VERBATIM_API_KEY", KEY).env("VERBATIM_WEBHOOK_SECRET", SECRET);
    command
}

impl Service {
    /// Starts it with its private `PostgreSQL`.
    pub(crate) fn start(data: &Path, listen: &str) -> Self {
        let mut command = verbatim();
        command.args(["serve", "--listen", listen, "--data-dir"]).arg(data);
        Self::run(command)
    }

    /// Starts it, and waits until it accepts deliveries. Its database may be away.
    pub(crate) fn run_without_database(command: Command) -> Self {
        let (process, address, _) = listening(command);
        Self { process, address, commands: String::new() }
    }

    /// Starts it, and waits until its database is ready, too.
    pub(crate) fn run(command: Command) -> Self {
        let (process, address, mut lines) = listening(command);
        let ready = lines.any(|line| line.starts_with("Send it a message"));
        assert!(ready, "the database is ready");
        let mut commands = String::new();
        while commands.matches("curl ").count() < 2 {
            commands += &lines.next().expect("two commands to try it");
            commands.push('\n');
        }
        Self { process, address, commands }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), signal);
    }

    /// Stops it, and waits until it has ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.process.wait().unwrap()
    }
}

/// Starts it. Returns its address and the rest of its banner, whose end has the commands to try it.
fn listening(mut command: Command) -> (Child, String, impl Iterator<Item = String>) {
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let address = lines
        .find_map(|line| {
            let rest = line.trim().strip_prefix("webhook ")?.trim();
            let (_, rest) = rest.split_once("://")?;
            Some(rest.strip_suffix("/webhook")?.to_owned())
        })
        .expect("the service prints its address");
    (process, address, lines)
}

impl Drop for Service {
    fn drop(&mut self) {
        // Cleanly, so that its PostgreSQL stops, too.
        self.stop();
    }
}

/// Waits until `condition` is true. Checks it every few milliseconds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 60, "timed out waiting for: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Returns the number of lines of a file, or 0 if it does not exist.
pub(crate) fn lines(file: &Path) -> usize {
    std::fs::read(file).map_or(0, |text| text.split(|byte| *byte == b'\n').count() - 1)
}
