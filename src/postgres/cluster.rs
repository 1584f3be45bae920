//! Cluster on disk: its atomic creation, and the server's command line.

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
use super::name::NAME;
use super::upgrade::finish_switch;

/// Preferred UTF-8 locales, the best first. Any other UTF-8 locale comes after them.
const LOCALES: [&str; 2] = ["C.UTF-8", "en_US.UTF-8"];

/// Additions to the configuration of a new cluster. The operator may change them; settings that
/// durability depends on are on the server's command line instead.
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

/// Cluster that can be started.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) home: Home,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    /// Address for readers.
    pub(super) listen: Option<SocketAddr>,
}

impl Cluster {
    /// Opens the cluster at `home`, or creates it. Returns `true` if it was created. The caller
    /// holds the lock of `home`.
    pub(super) async fn prepare(
        home: Home,
        listen: Option<SocketAddr>,
    ) -> anyhow::Result<(Self, bool)> {
        finish_switch(&home)?;
        remove_incomplete_clusters(&home)?;
        let folder = home.cluster();
        if !exists(&folder)? {
            let account = Account::choose()?;
            let binaries = Binaries::find(&account, None)?;
            let cluster = Self { home, account, binaries, listen };
            let place = cluster.home.cluster();
            tracing::info!(
                postgresql = cluster.binaries.major,
                folder = %place.display(),
                "creating the private database"
            );
            cluster.initialise(&place).await.context("cannot create the private database")?;
            return Ok((cluster, true));
        }
        let major = major_of(&folder)?;
        let account = Account::of_cluster(&folder)?;
        let binaries = Binaries::find(&account, Some(major))?;
        Ok((Self { home, account, binaries, listen }, false))
    }

    /// Returns this cluster with the programs that are installed now.
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

    /// Creates a cluster and its database in a temporary folder, and then moves it to `place`. A
    /// process that is killed meanwhile leaves no partial cluster there.
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
        std::fs::rename(&aside, place).context("cannot rename the new cluster")?;
        // The rename must survive a power failure before the first row is written.
        std::fs::File::open(self.home.path())?.sync_all()?;
        Ok(())
    }

    async fn initdb(&self, folder: &Path) -> anyhow::Result<()> {
        let mut command = self.account.command(&self.binaries.initdb());
        command
            .arg("--pgdata")
            .arg(folder)
            .args(["--username", NAME, "--encoding=UTF8", "--data-checksums"])
            // A UTF-8 locale classifies letters; without it text search would skip most scripts.
            .arg(format!("--locale={}", utf8_locale()))
            // Order by code point is fast, and an upgrade of the C library cannot break an index.
            .arg("--lc-collate=C")
            .args(["--auth-local=trust", "--auth-host=reject", "--no-instructions"]);
        run(command, "").await.map(drop).context("initdb failed")
    }

    /// Creates the database in single-user mode, so that no client ever connects to a server
    /// without it.
    async fn create_database(&self, folder: &Path) -> anyhow::Result<()> {
        let mut command = self.account.command(&self.binaries.postgres());
        command.arg("--single").arg("-D").arg(folder).arg("postgres");
        let text = run(command, &format!("CREATE DATABASE {NAME}\n")).await?;
        // Single-user mode exits with status 0 after an error.
        ensure!(!text.contains("ERROR:"), "cannot create the database: {text}");
        Ok(())
    }

    /// Returns the server's command line. It contains the settings that durability depends on,
    /// since it overrides postgresql.conf and ALTER SYSTEM.
    pub(super) fn server(&self, listen: Option<Listen>) -> std::process::Command {
        let mut command = self.server_at(&self.home.cluster());
        match listen {
            // No TCP: the socket is the only access.
            None => command.args(["-c", "listen_addresses=", "-c", "port=5432"]),
            Some(listen) => {
                let options = listen.options(&self.home.access_rules());
                command.args(options.iter().flat_map(|option| [OsStr::new("-c"), option]))
            }
        };
        command
    }

    /// Returns the command line for a cluster in any folder, without the addresses to listen on.
    pub(super) fn server_at(&self, folder: &Path) -> std::process::Command {
        let mut command = self.account.command(&self.binaries.postgres());
        command.arg("-D").arg(folder);
        for setting in ["fsync=on", "full_page_writes=on", "synchronous_commit=on"] {
            command.args(["-c", setting]);
        }
        command.args(["-c", "unix_socket_permissions=0700", "-c"]);
        command.arg(quoted("unix_socket_directories=", &self.home.socket_folder()));
        // The `log` module writes and limits the log.
        command.args(["-c", "log_destination=stderr", "-c", "logging_collector=off"]);
        command.args(["-c", "cluster_name=verbatim"]);
        command
    }
}

impl Cluster {
    /// Prepares to listen for readers, if an address is configured. A failure is only logged:
    /// storing deliveries matters more.
    pub(super) async fn prepare_to_listen(&self) -> Option<Listen> {
        let address = self.listen?;
        let has_tls = Listen::is_public(address) && self.has_tls().await;
        let listen = Listen { address, requires_tls: has_tls };
        let free = listen.check_free().context("the address cannot be used");
        if let Err(error) = free.and_then(|()| listen.write_rules(&self.home.access_rules())) {
            tracing::error!(
                %address,
                error = format!("{error:#}"),
                "private PostgreSQL does not listen for readers"
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

    /// Checks whether the cluster's configuration turns TLS on.
    async fn has_tls(&self) -> bool {
        let mut command = self.account.command(&self.binaries.postgres());
        command.arg("-D").arg(self.home.cluster()).args(["-C", "ssl"]);
        run(command, "").await.is_ok_and(|text| text.lines().any(|line| line.trim() == "on"))
    }
}

/// Removes incomplete clusters of processes that were killed.
fn remove_incomplete_clusters(home: &Home) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(home.path())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("cluster.new-") {
            tracing::warn!(folder = %entry.path().display(), "removing an incomplete cluster");
            // An initdb of a killed process may still write to it. The next start removes the rest.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Returns the major version that created a cluster.
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

/// Returns `true` if there is a cluster, or anything that must not be overwritten.
fn exists(folder: &Path) -> anyhow::Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// Returns the best UTF-8 locale of this machine. Systems without `locale` (Alpine) accept every
/// name.
fn utf8_locale() -> String {
    let listed = std::process::Command::new("locale").arg("-a").output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    choose_locale(&listed.unwrap_or_default())
}

fn choose_locale(listed: &str) -> String {
    // `locale -a` prints C.utf8 for C.UTF-8.
    let plain = |name: &str| name.to_lowercase().replace('-', "");
    let known: Vec<&str> = listed.lines().map(str::trim).collect();
    let preferred =
        LOCALES.into_iter().find(|name| known.iter().any(|known| plain(known) == plain(name)));
    let any = || known.into_iter().find(|name| plain(name).contains(".utf8"));
    preferred.or_else(any).unwrap_or(LOCALES[0]).to_owned()
}

/// Returns a setting whose value is a list with this path.
fn quoted(setting: &str, path: &Path) -> OsString {
    let mut quoted = [setting.as_bytes(), b"\""].concat();
    for byte in path.as_os_str().as_encoded_bytes() {
        // A quotation mark inside the quotes is doubled.
        quoted.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

/// Runs a program to its end and returns its output. Fails if the exit status is not 0.
async fn run(command: std::process::Command, input: &str) -> anyhow::Result<String> {
    let program = PathBuf::from(command.get_program());
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that has already ended reports the reason itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    ensure!(output.status.success(), "{} ended with {}: {text}", program.display(), output.status);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_locale_is_always_utf8() {
        assert_eq!(choose_locale("C\nC.utf8\nPOSIX\n"), "C.UTF-8");
        assert_eq!(choose_locale("C\nPOSIX\nde_DE.UTF-8\nen_US.UTF-8\n"), "en_US.UTF-8");
        assert_eq!(choose_locale("C\nde_DE\nde_DE.utf8\n"), "de_DE.utf8");
        assert_eq!(choose_locale(""), "C.UTF-8");
    }
}
