//! The private `PostgreSQL`, against the machine's real server binaries.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use verbatim::config::DatabaseSettings;
use verbatim::postgres::{Database, migrate, read_pool};

use crate::support::command::{command, stdout};

/// Longest wait for any step on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// Environment variable with the data folder for [`holds_a_folder_for_another_test`].
const HELD_FOLDER: &str = "VERBATIM_TEST_HELD_FOLDER";

/// Data folder of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // As root, the server runs under another account, which must be able to enter the folder.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        Self(folder)
    }

    fn settings(&self) -> DatabaseSettings {
        let data_dir = self.0.path().join("data");
        DatabaseSettings { data_dir, url: None, read_url: None, postgres_listen: None }
    }

    fn cluster(&self) -> PathBuf {
        self.0.path().join("data/postgres/cluster")
    }

    /// Opens the database, and waits until it accepts connections.
    async fn open(&self) -> Database {
        let database = Database::open(&self.settings()).await.unwrap();
        tokio::time::timeout(LIMIT, database.wait_ready()).await.unwrap().unwrap();
        database
    }

    /// Creates a folder with a cleanly stopped cluster that holds one row.
    async fn with_a_row() -> Self {
        let folder = Self::new();
        let database = folder.open().await;
        put_row(&mut connect(&database).await).await;
        database.stop().await.unwrap();
        folder
    }

    /// Returns the process ID in the cluster's PID file.
    fn server(&self) -> Pid {
        self.starting_server().unwrap()
    }

    /// Returns the same while a server starts: it creates the file before it writes to it.
    fn starting_server(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.cluster().join("postmaster.pid")).ok()?;
        Some(Pid::from_raw(text.lines().next()?.trim().parse().ok()?))
    }

    /// Writes a PID file as a crashed server with this process ID leaves it.
    fn leave_pid_file(&self, pid: u32) {
        let cluster = self.cluster();
        let text = format!("{pid}\n{}\n1700000000\n5432\n\n\n", cluster.display());
        let path = cluster.join("postmaster.pid");
        std::fs::write(&path, text).unwrap();
        let owner = cluster.metadata().unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}

async fn connect(database: &Database) -> PgConnection {
    database.connect_options().connect().await.unwrap()
}

async fn put_row(connection: &mut PgConnection) {
    sqlx::raw_sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('word for word')")
        .execute(connection)
        .await
        .unwrap();
}

async fn assert_row_exists(database: &Database) {
    let words: Vec<String> = sqlx::query_scalar("SELECT word FROM kept")
        .fetch_all(&mut connect(database).await)
        .await
        .unwrap();
    assert_eq!(words, ["word for word"]);
}

async fn show(connection: &mut PgConnection, query: &'static str) -> String {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

fn is_running(pid: Pid) -> bool {
    // A zombie accepts signals, but has no command line.
    let zombie = std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.is_empty());
    kill(pid, None).is_ok() && !zombie
}

/// Polls until `done`, and panics after [`LIMIT`].
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done().await {
        assert!(Instant::now() < deadline, "timed out: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Another process that serves from a folder. It is killed on drop, as by a crash.
struct Holder(Child);

impl Holder {
    /// Starts the process, and waits until its database accepts connections.
    async fn start(folder: &Folder) -> Self {
        let data_dir = folder.settings().data_dir;
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "embedded::holds_a_folder_for_another_test", "--ignored"])
            .env(HELD_FOLDER, &data_dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let holder = Self(child);
        until("the other process has the cluster", async || {
            // Wait first: an earlier command would start the server itself.
            let lock = std::fs::read_to_string(data_dir.join("postgres/lock")).unwrap_or_default();
            lock.starts_with(&format!("{} ", holder.0.id()))
        })
        .await;
        Database::attach(&folder.settings()).await.unwrap();
        holder
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test]
#[ignore = "other tests run it as a process that they kill"]
async fn holds_a_folder_for_another_test() {
    let Some(data_dir) = std::env::var_os(HELD_FOLDER) else {
        return;
    };
    let settings = DatabaseSettings {
        data_dir: data_dir.into(),
        url: None,
        read_url: None,
        postgres_listen: None,
    };
    let _database = Database::open(&settings).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn stored_rows_survive_a_restart() {
    let folder = Folder::with_a_row().await;
    let database = folder.open().await;
    assert_row_exists(&database).await;
    database.stop().await.unwrap();
}

#[tokio::test]
async fn server_is_durable_private_and_utf8() {
    let folder = Folder::new();
    let database = folder.open().await;
    let mut connection = connect(&database).await;
    assert_eq!(show(&mut connection, "SHOW fsync").await, "on");
    assert_eq!(show(&mut connection, "SHOW full_page_writes").await, "on");
    assert_eq!(show(&mut connection, "SHOW synchronous_commit").await, "on");
    assert_eq!(show(&mut connection, "SHOW data_checksums").await, "on");
    assert_eq!(show(&mut connection, "SHOW listen_addresses").await, "");
    assert_eq!(show(&mut connection, "SHOW timezone").await, "UTC");
    assert_eq!(show(&mut connection, "SHOW server_encoding").await, "UTF8");
    assert_eq!(show(&mut connection, "SELECT lower('ÄÖ')").await, "äö");
    assert_eq!(
        show(&mut connection, "SELECT current_setting('application_name')").await,
        "verbatim"
    );
    let ctype = "SELECT datctype::text FROM pg_database WHERE datname = current_database()";
    let ctype = show(&mut connection, ctype).await.to_lowercase().replace('-', "");
    assert!(ctype.ends_with("utf8"), "{ctype}");
    let socket = folder.0.path().join("data/postgres/socket").metadata().unwrap();
    assert_eq!(socket.mode() & 0o777, 0o700);
    database.stop().await.unwrap();
}

#[tokio::test]
async fn stale_pid_file_does_not_prevent_a_start() {
    let folder = Folder::with_a_row().await;
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    folder.leave_pid_file(ended.id());
    let database = folder.open().await;
    assert_row_exists(&database).await;
    database.stop().await.unwrap();
}

#[tokio::test]
async fn empty_pid_file_does_not_prevent_a_start() {
    let folder = Folder::with_a_row().await;
    std::fs::write(folder.cluster().join("postmaster.pid"), "").unwrap();
    let database = folder.open().await;
    assert_row_exists(&database).await;
    database.stop().await.unwrap();
}

#[tokio::test]
async fn foreign_process_in_the_pid_file_is_not_ended() {
    let folder = Folder::with_a_row().await;
    let owner = folder.cluster().metadata().unwrap();
    // The process has the server's account: PostgreSQL alone would refuse to start.
    let mut foreign =
        Command::new("sleep").arg("600").uid(owner.uid()).gid(owner.gid()).spawn().unwrap();
    folder.leave_pid_file(foreign.id());
    let database = folder.open().await;
    assert_row_exists(&database).await;
    assert!(foreign.try_wait().unwrap().is_none(), "the foreign process was ended");
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    database.stop().await.unwrap();
}

#[tokio::test]
async fn killed_server_is_restarted_with_its_data() {
    let folder = Folder::with_a_row().await;
    let database = folder.open().await;
    let pool = read_pool(database.connect_options());
    sqlx::query("SELECT word FROM kept").fetch_one(&pool).await.unwrap();
    let killed = folder.server();
    kill(killed, Signal::SIGKILL).unwrap();
    until("the pool reads again", async || {
        folder.starting_server().is_some_and(|server| server != killed)
            && sqlx::query("SELECT word FROM kept").fetch_one(&pool).await.is_ok()
    })
    .await;
    assert_row_exists(&database).await;
    pool.close().await;
    database.stop().await.unwrap();
}

#[tokio::test]
async fn folder_in_use_is_rejected_with_the_process_id() {
    let folder = Folder::new();
    let database = folder.open().await;
    let error = Database::open(&folder.settings()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("process {} ", std::process::id())), "{error}");
    assert!(error.contains("--data-dir"), "{error}");
    database.stop().await.unwrap();
    folder.open().await.stop().await.unwrap();
}

#[tokio::test]
async fn server_of_a_killed_process_is_taken_over() {
    let folder = Folder::with_a_row().await;
    let mut holder = Holder::start(&folder).await;
    let error = Database::open(&folder.settings()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("process {} ", holder.0.id())), "{error}");
    let orphan = folder.server();
    holder.kill();
    assert!(is_running(orphan));

    let database = folder.open().await;
    assert_ne!(folder.server(), orphan);
    assert!(!is_running(orphan));
    assert_row_exists(&database).await;
    database.stop().await.unwrap();
}

#[tokio::test]
async fn cluster_of_another_major_version_is_rejected_with_advice() {
    let folder = Folder::with_a_row().await;
    std::fs::write(folder.cluster().join("PG_VERSION"), "7\n").unwrap();
    let error = Database::open(&folder.settings()).await.unwrap_err().to_string();
    assert!(error.contains("made by PostgreSQL 7"), "{error}");
    assert!(error.contains("pg_upgrade"), "{error}");
}

#[tokio::test]
async fn clean_stop_ends_every_process() {
    let folder = Folder::new();
    let database = folder.open().await;
    // Ctrl-C in a terminal signals our process group and not the server's.
    assert_eq!(nix::unistd::getpgid(Some(folder.server())), Ok(folder.server()));
    // An open connection does not delay the stop.
    let _connection = connect(&database).await;
    let server = folder.server();
    database.stop().await.unwrap();
    assert!(!is_running(server));
    assert!(!folder.cluster().join("postmaster.pid").exists());
}

#[tokio::test]
async fn dropped_database_stops_its_server() {
    let folder = Folder::new();
    let database = folder.open().await;
    let server = folder.server();
    drop(database);
    until("the server has ended", async || !is_running(server)).await;
}

#[tokio::test]
async fn long_path_works() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.data_dir = settings.data_dir.join("a-long-name".repeat(10)).join("data");
    let database = Database::open(&settings).await.unwrap();
    database.wait_ready().await.unwrap();
    let socket = show(&mut connect(&database).await, "SHOW unix_socket_directories").await;
    let socket = Path::new(socket.trim_matches('"')).to_owned();
    assert!(socket.starts_with("/tmp"), "{}", socket.display());
    database.stop().await.unwrap();
    std::fs::remove_dir_all(socket).unwrap();
}

#[tokio::test]
async fn killed_first_start_is_repeated() {
    let folder = Folder::new();
    let half = folder.0.path().join("data/postgres/cluster.new-killed");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    // With a strict umask, the server's account cannot enter a folder from `create_dir_all`.
    for folder in half.ancestors().skip(1).take(2) {
        std::fs::set_permissions(folder, Permissions::from_mode(0o711)).unwrap();
    }
    let database = folder.open().await;
    assert!(!half.exists());
    put_row(&mut connect(&database).await).await;
    assert_row_exists(&database).await;
    database.stop().await.unwrap();
}

#[tokio::test]
async fn command_starts_and_stops_its_own_server() {
    let folder = Folder::new();
    let database = Database::attach(&folder.settings()).await.unwrap();
    let migrated = migrate(&database.connect_options()).await.unwrap();
    assert!(!migrated.applied.is_empty());
    let again = migrate(&database.connect_options()).await.unwrap();
    assert_eq!((again.version, again.applied), (migrated.version, vec![]));
    let server = folder.server();
    database.stop().await.unwrap();
    assert!(!is_running(server));
}

#[tokio::test]
async fn command_uses_a_running_server_and_leaves_it_running() {
    let folder = Folder::with_a_row().await;
    let serving = folder.open().await;
    let server = folder.server();
    let command = Database::attach(&folder.settings()).await.unwrap();
    assert_row_exists(&command).await;
    command.stop().await.unwrap();
    assert_eq!(folder.server(), server);
    assert_row_exists(&serving).await;
    serving.stop().await.unwrap();
}

#[tokio::test]
async fn failed_server_start_is_reported_with_its_reason() {
    let folder = Folder::with_a_row().await;
    let configuration = folder.cluster().join("postgresql.conf");
    let text = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(&configuration, format!("{text}\nno_such_setting = 1\n")).unwrap();
    let error = format!("{:#}", Database::attach(&folder.settings()).await.unwrap_err());
    assert!(error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn newer_database_is_rejected_with_advice() {
    let folder = Folder::new();
    let database = folder.open().await;
    migrate(&database.connect_options()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations
             SELECT 99991231235959, 'from the future', now(), true, checksum, 0
               FROM _sqlx_migrations LIMIT 1",
    )
    .execute(&mut connect(&database).await)
    .await
    .unwrap();
    let error = migrate(&database.connect_options()).await.unwrap_err().to_string();
    assert!(error.contains("99991231235959") && error.contains("newer"), "{error}");
    database.stop().await.unwrap();
}

/// Returns an address without a listener.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Folder {
    /// Opens the database with an address for readers.
    async fn open_listening(&self, address: SocketAddr) -> Database {
        let settings = DatabaseSettings { postgres_listen: Some(address), ..self.settings() };
        let database = Database::open(&settings).await.unwrap();
        tokio::time::timeout(LIMIT, database.wait_ready()).await.unwrap().unwrap();
        database
    }

    /// Creates a reader while the database is open, and returns its URL.
    async fn reader(&self, name: &str) -> String {
        let created = command(&["readers", "create", "--name", name])
            .env("VERBATIM_DATA_DIR", self.settings().data_dir)
            .env_remove("DATABASE_URL")
            .output()
            .await
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        let text = stdout(&created);
        text.lines().find_map(|line| line.strip_prefix("url")).unwrap().trim().to_owned()
    }
}

async fn refusal(options: PgConnectOptions) -> String {
    options.connect().await.unwrap_err().to_string()
}

#[tokio::test]
async fn only_readers_with_a_password_connect_over_tcp() {
    let folder = Folder::new();
    let address = free_address();
    let database = folder.open_listening(address).await;
    migrate(&database.connect_options()).await.unwrap();
    let url = folder.reader("bi").await;
    assert!(url.ends_with(&format!("@{address}/verbatim")), "{url}");
    let as_reader: PgConnectOptions = url.parse().unwrap();
    let mut reader = as_reader.connect().await.unwrap();
    assert_eq!(show(&mut reader, "SELECT count(*)::text FROM sessions").await, "0");
    let mut ours = connect(&database).await;
    let password = "SELECT rolpassword FROM pg_authid WHERE rolname = 'bi'";
    assert!(show(&mut ours, password).await.starts_with("SCRAM-SHA-256$"));
    let temporary = "BEGIN READ WRITE; CREATE TEMPORARY TABLE t ()";
    let error = sqlx::raw_sql(temporary).execute(&mut reader).await.unwrap_err().to_string();
    assert!(error.contains("permission denied to create temporary tables"), "{error}");

    sqlx::raw_sql("CREATE ROLE somebody LOGIN PASSWORD 'a'; ALTER ROLE verbatim PASSWORD 'a'")
        .execute(&mut ours)
        .await
        .unwrap();
    let error = refusal(as_reader.clone().password("wrong")).await;
    assert!(error.contains("password authentication failed"), "{error}");
    for options in [
        as_reader.clone().username("verbatim").password("a"),
        as_reader.clone().username("somebody").password("a"),
        as_reader.clone().username("nobody").password("a"),
        as_reader.clone().database("postgres"),
    ] {
        let error = refusal(options).await;
        assert!(error.contains("pg_hba.conf rejects connection"), "{error}");
    }

    // The socket is in its usual place.
    let socket = folder.0.path().join("data/postgres/socket/.s.PGSQL.5432");
    assert_eq!(
        std::fs::read_link(&socket).unwrap(),
        Path::new(&format!(".s.PGSQL.{}", address.port()))
    );
    let command = Database::attach(&folder.settings()).await.unwrap();
    assert_eq!(show(&mut connect(&command).await, "SHOW port").await, address.port().to_string());
    command.stop().await.unwrap();
    database.stop().await.unwrap();

    // Without the address the port is closed, and the reader still exists.
    let database = folder.open().await;
    assert_eq!(show(&mut connect(&database).await, "SHOW listen_addresses").await, "");
    assert_eq!(show(&mut connect(&database).await, "SHOW port").await, "5432");
    as_reader.connect().await.unwrap_err();
    database.stop().await.unwrap();
    let database = folder.open_listening(address).await;
    as_reader.connect().await.unwrap();
    database.stop().await.unwrap();
}

#[tokio::test]
async fn address_in_use_does_not_delay_deliveries() {
    let folder = Folder::new();
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let database = folder.open_listening(occupied.local_addr().unwrap()).await;
    assert_eq!(show(&mut connect(&database).await, "SHOW listen_addresses").await, "");
    database.stop().await.unwrap();
}
