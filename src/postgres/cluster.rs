//! A cluster on disk: made once, all or nothing, and recognised afterwards.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;

use super::account::Account;
use super::binaries::Binaries;
use super::home::Home;
use super::listen::Listen;
use super::upgrade::finish_switch;

/// The database, and the superuser that owns it. Whoever gets through the socket's folder is that
/// user: the folder's mode is the password.
pub(super) const NAME: &str = "verbatim";

/// Locales that are UTF-8, the best first; failing these, any that the machine has.
const LOCALES: [&str; 2] = ["C.UTF-8", "en_US.UTF-8"];

/// What a new cluster's configuration says beyond `PostgreSQL`'s own. It is the keeper's to
/// change; what the promise rests on is not here but on the server's command line.
const CONFIGURATION: &str = "
# Added by verbatim for a small machine; yours to change.
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 60
shared_buffers = 256MB
# Fewer checkpoints: each makes the next change of every page cost a whole page of WAL.
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
# The disk is an SSD, and the queries are short.
random_page_cost = 1.1
jit = off
";

/// A cluster that can be started.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) home: Home,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    /// Address for readers.
    pub(super) listen: Option<SocketAddr>,
}

impl Cluster {
    /// The one at `home`, made now if there is none, and `true` if it was. The caller holds the
    /// home's lock.
    pub(super) async fn prepare(
        home: Home,
        listen: Option<SocketAddr>,
    ) -> anyhow::Result<(Self, bool)> {
        finish_switch(&home)?;
        sweep(&home)?;
        let folder = home.cluster();
        if !is_there(&folder)? {
            let account = Account::choose()?;
            let binaries = Binaries::find(&account, None)?;
            let cluster = Self { home, account, binaries, listen };
            let place = cluster.home.cluster();
            tracing::info!(
                postgresql = cluster.binaries.major,
                folder = %place.display(),
                "first start: making the private database"
            );
            cluster.initialise(&place).await.context("cannot make the private database")?;
            return Ok((cluster, true));
        }
        let major = major_of(&folder)?;
        let account = Account::of_cluster(&folder)?;
        let binaries = Binaries::find(&account, Some(major))?;
        Ok((Self { home, account, binaries, listen }, false))
    }

    /// The same cluster with the programs that this machine has for it now.
    pub(super) async fn with_programs_found_again(&self) -> anyhow::Result<Self> {
        let cluster = self.clone();
        // Each candidate is run once.
        let find = move || {
            let major = major_of(&cluster.home.cluster())?;
            let binaries = Binaries::find(&cluster.account, Some(major))?;
            Ok(Self { binaries, ..cluster })
        };
        tokio::task::spawn_blocking(find).await?
    }

    /// Makes a cluster with its database in a folder aside, and moves it to its place once it is
    /// whole: a process that is killed on the way leaves no half of a cluster there.
    pub(super) async fn initialise(&self, place: &Path) -> anyhow::Result<()> {
        let aside = self.home.new_cluster();
        std::fs::create_dir(&aside)?;
        self.account.give(&aside)?;
        self.initdb(&aside).await?;
        std::fs::OpenOptions::new()
            .append(true)
            .open(aside.join("postgresql.conf"))
            .and_then(|mut file| {
                file.write_all(CONFIGURATION.as_bytes())?;
                file.sync_all()
            })
            .context("cannot write postgresql.conf")?;
        self.create_database(&aside).await?;
        std::fs::rename(&aside, place).context("cannot move it to its place")?;
        // The move itself must outlive a power cut, before the first row is written to it.
        std::fs::File::open(self.home.path())?.sync_all()?;
        Ok(())
    }

    async fn initdb(&self, folder: &Path) -> anyhow::Result<()> {
        let mut command = self.account.command(&self.binaries.initdb());
        command
            .arg("--pgdata")
            .arg(folder)
            .args(["--username", NAME, "--encoding=UTF8", "--data-checksums"])
            // Letters are told by a UTF-8 locale, or text search would pass over most scripts.
            .arg(format!("--locale={}", utf8_locale()))
            // Order is by code point: quick, and no upgrade of the C library breaks an index.
            .arg("--lc-collate=C")
            .args(["--auth-local=trust", "--auth-host=reject", "--no-instructions"]);
        run(command, "").await.map(drop).context("initdb failed")
    }

    /// In single-user mode nothing else can connect, so no client ever meets a server without the
    /// database that it asks for.
    async fn create_database(&self, folder: &Path) -> anyhow::Result<()> {
        let mut command = self.account.command(&self.binaries.postgres());
        command.arg("--single").arg("-D").arg(folder).arg("postgres");
        let said = run(command, &format!("CREATE DATABASE {NAME}\n")).await?;
        // An error in single-user mode does not show in the exit status.
        ensure!(!said.contains("ERROR:"), "cannot create the database: {said}");
        Ok(())
    }

    /// The server's command line: what the promise rests on is said here, where neither
    /// postgresql.conf nor ALTER SYSTEM can say otherwise.
    pub(super) fn server(&self, listen: Option<Listen>) -> std::process::Command {
        let mut command = self.server_at(&self.home.cluster());
        match listen {
            // Nothing listens on the network; the socket is the only way in.
            None => command.args(["-c", "listen_addresses=", "-c", "port=5432"]),
            Some(listen) => {
                let options = listen.options(&self.home.access_rules());
                command.args(options.iter().flat_map(|option| [OsStr::new("-c"), option]))
            }
        };
        command
    }

    /// The same for a cluster in any folder, but for what it listens on.
    pub(super) fn server_at(&self, folder: &Path) -> std::process::Command {
        let mut command = self.account.command(&self.binaries.postgres());
        command.arg("-D").arg(folder);
        for setting in ["fsync=on", "full_page_writes=on", "synchronous_commit=on"] {
            command.args(["-c", setting]);
        }
        command.args(["-c", "unix_socket_permissions=0700", "-c"]);
        command.arg(quoted("unix_socket_directories=", &self.home.socket_folder()));
        // We keep its log, and bound it.
        command.args(["-c", "log_destination=stderr", "-c", "logging_collector=off"]);
        command.args(["-c", "cluster_name=verbatim"]);
        command
    }
}

impl Cluster {
    /// Prepares to listen for readers, where that is wanted and can be done. What prevents it is
    /// logged: storing deliveries matters more.
    pub(super) async fn prepare_to_listen(&self) -> Option<Listen> {
        let address = self.listen?;
        let has_tls = Listen::is_public(address) && self.has_tls().await;
        let listen = Listen { address, requires_tls: has_tls };
        let free = listen.check_free().context("the address cannot be used");
        if let Err(error) = free.and_then(|()| listen.write_rules(&self.home.access_rules())) {
            tracing::error!(
                %address,
                error = format!("{error:#}"),
                "private PostgreSQL does not listen for readers; it runs without"
            );
            return None;
        }
        if Listen::is_public(address) && !has_tls {
            tracing::warn!(
                %address,
                configuration = %self.home.cluster().join("postgresql.conf").display(),
                "private PostgreSQL listens for readers without TLS; set ssl, ssl_cert_file and \
                 ssl_key_file, or listen on 127.0.0.1 and use a tunnel"
            );
        }
        Some(listen)
    }

    /// Returns whether its configuration turns TLS on.
    async fn has_tls(&self) -> bool {
        let mut command = self.account.command(&self.binaries.postgres());
        command.arg("-D").arg(self.home.cluster()).args(["-C", "ssl"]);
        run(command, "").await.is_ok_and(|said| said.lines().any(|line| line.trim() == "on"))
    }
}

/// Removes what earlier processes that were killed while making a cluster have left.
fn sweep(home: &Home) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(home.path())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("cluster.new-") {
            tracing::warn!(folder = %entry.path().display(), "removing a cluster that was never finished");
            // An initdb that outlived its verbatim may still write to it: what it leaves now is
            // removed by the next start.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// The major version that made a cluster.
pub(super) fn major_of(folder: &Path) -> anyhow::Result<u32> {
    let text = std::fs::read_to_string(folder.join("PG_VERSION")).ok();
    text.and_then(|text| text.trim().parse().ok()).with_context(|| {
        format!(
            "{} is not a PostgreSQL cluster: its PG_VERSION cannot be read. If it holds nothing of \
             yours, move it away, and a new one is made",
            folder.display()
        )
    })
}

/// There is a cluster, or something that we must not take for none.
fn is_there(folder: &Path) -> anyhow::Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// The best UTF-8 locale of this machine. Systems without `locale` (Alpine) take every name.
fn utf8_locale() -> String {
    let listed = std::process::Command::new("locale").arg("-a").output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    choose_locale(&listed.unwrap_or_default())
}

fn choose_locale(listed: &str) -> String {
    // `locale -a` says C.utf8 for what everybody calls C.UTF-8.
    let plain = |name: &str| name.to_lowercase().replace('-', "");
    let known: Vec<&str> = listed.lines().map(str::trim).collect();
    let preferred =
        LOCALES.into_iter().find(|name| known.iter().any(|known| plain(known) == plain(name)));
    let any = || known.into_iter().find(|name| plain(name).contains(".utf8"));
    preferred.or_else(any).unwrap_or(LOCALES[0]).to_owned()
}

/// A path as an item of a setting that is a list.
fn quoted(setting: &str, path: &Path) -> OsString {
    let mut quoted = [setting.as_bytes(), b"\""].concat();
    for byte in path.as_os_str().as_encoded_bytes() {
        // A quote within the quotes is written twice.
        quoted.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

/// Runs a program to its end and gives what it said; an exit status other than 0 is an error.
async fn run(command: std::process::Command, input: &str) -> anyhow::Result<String> {
    let program = PathBuf::from(command.get_program());
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that has ended already says why itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    ensure!(output.status.success(), "{} ended with {}: {said}", program.display(), output.status);
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_always_a_utf8_one() {
        assert_eq!(choose_locale("C\nC.utf8\nPOSIX\n"), "C.UTF-8");
        assert_eq!(choose_locale("C\nPOSIX\nde_DE.UTF-8\nen_US.UTF-8\n"), "en_US.UTF-8");
        assert_eq!(choose_locale("C\nde_DE\nde_DE.utf8\n"), "de_DE.utf8");
        assert_eq!(choose_locale(""), "C.UTF-8");
    }
}
