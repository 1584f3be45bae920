//! `verbatim doctor` finds each fault that these tests provoke.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use secrecy::SecretString;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use verbatim::clock::Clock;
use verbatim::config::TlsSettings;
use verbatim::jobs::partitions;

use super::support::app::{App, SECRET};
use super::support::database::TestDatabase;
use super::support::process::verbatim;
use super::support::standby::Pair;

/// Password that no output may contain.
const PASSWORD: &str = "hunter2hunter2hunter2";

/// `verbatim doctor` with the settings of a test.
struct Doctor(Command);

/// Report of the command.
struct Report {
    exit_status: i32,
    checks: Vec<Value>,
}

impl Doctor {
    fn new(data: &Path) -> Self {
        let mut command = verbatim();
        command.args(["doctor", "--json", "--data-dir"]).arg(data);
        // A port that was free a moment ago: nothing listens there.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self(command)
            .with("VERBATIM_LISTEN", &free.to_string())
            .with("VERBATIM_WEBHOOK_SECRET", "long enough not to be guessed")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Checks a service that runs in this process.
    fn of(app: &App) -> Self {
        Self::new(app.data.path())
            .with("VERBATIM_LISTEN", app.address.split_once("://").unwrap().1)
            .with("VERBATIM_WEBHOOK_SECRET", SECRET)
            .with("DATABASE_URL", &app.database.url())
    }

    async fn run(self) -> Report {
        let mut command = self.0;
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let printed = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!printed.contains(PASSWORD), "a secret is shown: {printed}");
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{printed}"));
        let checks = report["checks"].as_array().unwrap().clone();
        Report { exit_status: output.status.code().unwrap(), checks }
    }
}

impl Report {
    /// Returns status and message of a check: the worst one if it was made several times.
    #[track_caller]
    fn of(&self, area: &str, check: &str) -> (&str, &str) {
        let made = self.checks.iter().filter(|one| one["area"] == area && one["check"] == check);
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().len();
        let worst =
            made.max_by_key(|one| ["ok", "warn", "fail"].iter().position(|s| one["status"] == **s));
        let worst = worst.unwrap_or_else(|| panic!("no check {area} {check}: {:?}", self.checks));
        let is_fault = worst["status"] != "ok";
        assert_eq!(is_fault, text(worst, "advice") > 0, "advice is for faults: {worst}");
        (worst["status"].as_str().unwrap(), worst["says"].as_str().unwrap())
    }

    /// Asserts the status of a check, a part of its message, and the exit status of the command.
    #[track_caller]
    fn assert_check(&self, area: &str, check: &str, status: &str, words: &str) {
        let (actual, message) = self.of(area, check);
        assert_eq!(actual, status, "{area} {check}: {message}");
        assert!(message.contains(words), "{area} {check}: {message}");
        let failed = self.checks.iter().any(|one| one["status"] == "fail");
        assert_eq!(self.exit_status, i32::from(failed), "{:?}", self.checks);
    }
}

/// Returns every path below a folder with its mode and content.
fn tree(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let (path, mode) = {
                let entry = entry.unwrap();
                (entry.path(), entry.metadata().unwrap().permissions().mode())
            };
            let content = if path.is_dir() { vec![] } else { std::fs::read(&path).unwrap() };
            found.push((path.display().to_string(), mode, content));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

async fn sql(database: &TestDatabase, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(database.pool()).await.unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn healthy_service_passes_every_check() {
    let app = App::start().await;
    set_mode(app.data.path(), 0o700);
    assert_eq!(app.deliver(include_str!("../payloads/test.json")).await.status, 200);
    assert_eq!(app.deliver(include_str!("../payloads/d-chat-push.json")).await.status, 200);
    app.drained().await;
    partitions::run_once(app.database.pool(), Clock::system().now()).await.unwrap();
    let found = Doctor::of(&app).with("VERBATIM_API_KEY", "a key that is long enough").run().await;
    for (area, check, words) in [
        ("configuration", "source", "default: 1 secret"),
        ("configuration", "address", "127.0.0.1"),
        ("service", "answer", "runs on"),
        ("database", "server", "PostgreSQL"),
        ("database", "encoding", "UTF8"),
        ("database", "role", "may write"),
        ("database", "schema", "up to date"),
        ("database", "partitions", "created ahead"),
        ("database", "strays", "0 deliveries"),
        ("inbox", "file", "intact"),
        ("inbox", "quota", "of 4.0 GiB"),
        ("disk", "folder", "0700"),
        ("disk", "inodes", "free"),
        ("clock", "Postgres", "ours"),
        ("deliveries", "last", "source default, stored"),
        ("deliveries", "quarantine", "none"),
    ] {
        found.assert_check(area, check, "ok", words);
    }
    assert_eq!(found.exit_status, 0);
    app.stop().await;
}

#[tokio::test]
async fn doctor_creates_nothing() {
    let folder = TempDir::new().unwrap();
    let found = Doctor::new(&folder.path().join("data")).run().await;
    found.assert_check("service", "answer", "warn", "nothing listens");
    found.assert_check("database", "server", "ok", "the first start creates one");
    found.assert_check("inbox", "file", "ok", "none yet");
    found.assert_check("disk", "folder", "ok", "is created by the first start");
    assert_eq!(tree(folder.path()), []);
}

#[tokio::test]
async fn unusable_settings_are_reported() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let found = Doctor::new(&data)
        .with("VERBATIM_WEBHOOK_SECRET", "short,\"stands in quotes all of it\"")
        .with("VERBATIM_WEBHOOK_HEADER", "X-Key: Bearer abc")
        .with("VERBATIM_API_KEY", "short")
        .with("VERBATIM_LISTEN", "192.0.2.1:8080")
        .run()
        .await;
    found.assert_check("configuration", "address", "fail", "not an address of this machine");
    let all = serde_json::to_string(&found.checks).unwrap();
    for words in [
        "secret 1 of 2 has 5 characters",
        "secret 2 of 2 is in quotes",
        "header x-key has 3 characters",
        "the API key has 5 characters",
        "one secret is configured twice",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }

    let config = folder.path().join("verbatim.toml");
    std::fs::write(&config, "[[sources]]\nname = \"kiosk\"\n").unwrap();
    let found = Doctor::new(&data).with("VERBATIM_CONFIG", config.to_str().unwrap()).run().await;
    found.assert_check(
        "configuration",
        "settings",
        "fail",
        "kiosk has neither a secret nor a header",
    );
    std::fs::write(&config, format!("api_key = \"{PASSWORD}")).unwrap();
    let found = Doctor::new(&data).with("VERBATIM_CONFIG", config.to_str().unwrap()).run().await;
    found.assert_check("configuration", "settings", "fail", "line 1");
}

#[tokio::test]
async fn another_program_on_the_address_is_reported() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    let found = Doctor::new(folder.path()).with("VERBATIM_LISTEN", &address).run().await;
    found.assert_check("service", "answer", "fail", "does not answer as Verbatim does");
}

#[tokio::test]
async fn unreachable_database_is_reported_without_its_password() {
    let folder = TempDir::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://verbatim:{PASSWORD}@{free}/verbatim");
    let found = Doctor::new(folder.path()).with("DATABASE_URL", &url).run().await;
    found.assert_check("database", "server", "fail", "cannot connect");
    let url = format!("{PASSWORD}@db.example.com/verbatim");
    let found = Doctor::new(folder.path()).with("DATABASE_URL", &url).run().await;
    found.assert_check("database", "server", "fail", "not a URL");
}

#[tokio::test]
async fn unsuitable_schema_is_reported() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    let doctor = || Doctor::new(folder.path()).with("DATABASE_URL", &database.url());
    let add = "INSERT INTO _sqlx_migrations (version, description, success, checksum,
                                             execution_time)
               VALUES (99990101000000, 'to come', true, '', 0)";
    sql(&database, add).await;
    doctor().run().await.assert_check("database", "schema", "fail", "created by a newer verbatim");
    sql(
        &database,
        "DELETE FROM _sqlx_migrations WHERE version = 99990101000000;
         UPDATE _sqlx_migrations SET checksum = 'x'",
    )
    .await;
    doctor().run().await.assert_check("database", "schema", "fail", "is not the one");
    sql(&database, "DROP TABLE _sqlx_migrations").await;
    doctor().run().await.assert_check("database", "schema", "warn", "none yet");
}

#[tokio::test]
async fn read_only_database_is_reported() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    let doctor = || Doctor::new(folder.path()).with("DATABASE_URL", &database.url());
    let name = database.options().get_database().unwrap().to_owned();
    sql(&database, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    doctor().run().await.assert_check("database", "role", "fail", "may only read");
    let reset = format!(
        "BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT"
    );
    sql(&database, &reset).await;

    let role = format!("{name}_reader");
    sql(&database, &format!("CREATE ROLE {role} LOGIN")).await;
    sql(&database, &format!("ALTER DATABASE {name} SET role = {role}")).await;
    let found = doctor().run().await;
    // Drop the role before the assertions can fail: it outlives its database.
    let away = format!("RESET ROLE; ALTER DATABASE {name} RESET role; DROP OWNED BY {role}");
    sql(&database, &format!("{away}; DROP ROLE {role}")).await;
    found.assert_check("database", "role", "fail", "may not read and write every table");
    found.assert_check("database", "schema", "fail", "may not read which migrations");
}

#[tokio::test]
async fn encoding_other_than_utf8_is_reported() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    let name = database.options().get_database().unwrap().to_owned();
    for (encoding, status, words) in [("SQL_ASCII", "fail", "SQL_ASCII"), ("UTF8", "ok", "UTF8")] {
        let made = format!("{name}_{}", encoding.to_lowercase());
        let create =
            format!("CREATE DATABASE {made} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        sql(&database, &create).await;
        let url = database.url().replace(&name, &made);
        let found = Doctor::new(folder.path()).with("DATABASE_URL", &url).run().await;
        sql(&database, &format!("DROP DATABASE {made} WITH (FORCE)")).await;
        found.assert_check("database", "encoding", status, words);
    }
}

#[tokio::test]
async fn missing_partitions_and_rows_in_the_default_partition_are_reported() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    let doctor = || Doctor::new(folder.path()).with("DATABASE_URL", &database.url());
    let now = Clock::system().now();
    partitions::run_once(database.pool(), now).await.unwrap();
    doctor().run().await.assert_check("database", "partitions", "ok", "ahead");
    let today = format!("deliveries_{}", now.format("%Y_%m_%d"));
    sql(&database, &format!("DROP TABLE {today}")).await;
    sql(
        &database,
        "INSERT INTO deliveries (id, received_at, source, outcome, signed, stale, test, body)
         VALUES (gen_random_uuid(), now(), 'default', 'unhandled', true, false, false, '')",
    )
    .await;
    let found = doctor().run().await;
    found.assert_check("database", "partitions", "warn", &today);
    found.assert_check("database", "strays", "warn", "1 deliveries");
}

#[tokio::test]
async fn arrival_in_the_future_and_quarantine_are_reported() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    sql(
        &database,
        "INSERT INTO deliveries (id, received_at, source, outcome, signed, stale, test, body)
         VALUES ('00000000-0000-7000-8000-000000000001', now(), 'kiosk', 'test',
                 true, false, false, ''),
                ('00000000-0000-7000-8000-000000000002', now() - interval '1 hour', 'default',
                 'quarantined', true, false, false, ''),
                ('ffffffff-0000-7000-8000-000000000003', now() + interval '1 hour', 'default',
                 'stored', true, false, false, '')",
    )
    .await;
    let found = Doctor::new(folder.path()).with("DATABASE_URL", &database.url()).run().await;
    found.assert_check("deliveries", "last", "warn", "in the future");
    found.assert_check("deliveries", "last test", "ok", "source kiosk, test");
    found.assert_check("deliveries", "quarantine", "warn", "1 could not be read");
}

#[tokio::test]
async fn undrained_inbox_is_reported_and_not_changed() {
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    // Without the database, deliveries stay in the inbox.
    let app = App::start_on(database, data, |settings| {
        let away = "postgres://verbatim@127.0.0.1:1/verbatim".to_owned();
        settings.database.url = Some(SecretString::from(away));
    })
    .await;
    assert_eq!(app.deliver(include_str!("../payloads/d-chat-push.json")).await.status, 200);
    let running = Doctor::of(&app).run().await;
    running.assert_check("service", "answer", "warn", "Postgres does not answer it");
    let (database, data) = app.stop().await;
    let doctor = || Doctor::new(data.path()).with("DATABASE_URL", &database.url());

    let before = tree(data.path());
    let found = doctor().run().await;
    found.assert_check("inbox", "waiting", "warn", "1 deliveries");
    assert_eq!(tree(data.path()), before, "doctor changed a file");
    let full = doctor().with("VERBATIM_INBOX_QUOTA", "100B").run().await;
    full.assert_check("inbox", "quota", "fail", "of 100 B");

    let file = data.path().join("inbox/inbox.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    let text = b"friendly science fox";
    let at = bytes.windows(text.len()).position(|part| part == text).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    doctor().run().await.assert_check("inbox", "file", "fail", "deliveries in it are damaged");
    // The version of the layout is at byte 60 of the header.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, &bytes).unwrap();
    doctor().run().await.assert_check("inbox", "file", "fail", "newer than this version");
    let aside = file.with_file_name("inbox.sqlite.damaged-20261123T231500Z");
    for name in [aside.clone(), aside.with_extension("damaged-20261123T231500Z-wal")] {
        std::fs::write(name, "").unwrap();
    }
    doctor().run().await.assert_check("inbox", "set aside", "warn", "1 damaged files");
    std::fs::write(&file, "noise, and nothing that was ever a database of any kind").unwrap();
    doctor().run().await.assert_check("inbox", "file", "fail", "not a database");
}

#[tokio::test]
async fn data_folder_open_to_others_is_reported() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("webhook-secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    for (mode, secret_mode, status, words) in [
        (0o777, 0o644, "fail", "others may write"),
        (0o755, 0o644, "warn", "others may list"),
        (0o711, 0o600, "ok", "0711"),
    ] {
        set_mode(folder.path(), mode);
        set_mode(&secret, secret_mode);
        let found = Doctor::new(folder.path()).run().await;
        found.assert_check("disk", "folder", status, words);
        let wanted = if secret_mode == 0o600 { "ok" } else { "fail" };
        found.assert_check("disk", "secrets", wanted, "webhook-secret");
    }
    let config = folder.path().join("verbatim.toml");
    std::fs::write(&config, "").unwrap();
    for (mode, status) in [(0o666, "fail"), (0o644, "warn"), (0o640, "ok")] {
        set_mode(&config, mode);
        let found = Doctor::new(folder.path())
            .with("VERBATIM_CONFIG", config.to_str().unwrap())
            .run()
            .await;
        found.assert_check("disk", "secrets", status, "verbatim.toml");
    }
}

#[tokio::test]
async fn memory_file_system_and_small_disk_are_reported() {
    let folder = TempDir::new().unwrap();
    let found = Doctor::new(folder.path()).with("VERBATIM_INBOX_QUOTA", "1EB").run().await;
    found.assert_check("disk", "room", "warn", "the inbox may use");
    let memory = Path::new("/dev/shm");
    if memory.exists() {
        let folder = TempDir::new_in(memory).unwrap();
        let found = Doctor::new(folder.path()).run().await;
        found.assert_check("disk", "kind", "fail", "is in memory");
    }
}

#[tokio::test]
async fn private_cluster_without_its_server_is_reported() {
    let folder = TempDir::new().unwrap();
    let cluster = folder.path().join("postgres/cluster");
    std::fs::create_dir_all(&cluster).unwrap();
    if nix::unistd::Uid::effective().is_root() {
        std::os::unix::fs::chown(&cluster, Some(65_534), None).unwrap();
    }
    let doctor = || Doctor::new(folder.path());
    doctor().run().await.assert_check("database", "server", "fail", "PG_VERSION cannot be read");
    std::fs::write(cluster.join("PG_VERSION"), "7\n").unwrap();
    doctor().run().await.assert_check("database", "server", "fail", "made by PostgreSQL 7");
}

#[tokio::test]
async fn tls_files_are_checked() {
    let files = TempDir::new().unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["elsewhere.example.com".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    set_mode(&key, 0o600);
    let app = App::start_with(|settings| {
        settings.tls = Some(TlsSettings { cert: cert.clone(), key: key.clone() });
    })
    .await;
    let doctor = || {
        Doctor::of(&app)
            .with("VERBATIM_TLS_CERT", cert.to_str().unwrap())
            .with("VERBATIM_TLS_KEY", key.to_str().unwrap())
    };
    let found = doctor().run().await;
    found.assert_check("configuration", "TLS", "ok", "cert.pem");
    found.assert_check("service", "answer", "ok", "runs on");
    set_mode(&key, 0o604);
    doctor().run().await.assert_check("configuration", "TLS", "fail", "everybody may open the key");
    std::fs::write(&cert, "no certificate").unwrap();
    doctor().run().await.assert_check("configuration", "TLS", "fail", "cert.pem");
    app.stop().await;
}

#[actix_web::test]
async fn standby_is_checked() {
    let pair = Pair::start().await;
    let database = TestDatabase::create_on(&pair.primary.url("postgres")).await;
    let data = TempDir::new().unwrap();
    let doctor = |standby: &str| {
        Doctor::new(data.path())
            .with("DATABASE_URL", &database.url())
            .with("VERBATIM_READ_DATABASE_URL", standby)
    };
    let url = pair.standby.reader_url(database.name());
    // The standby must have the new database.
    pair.replayed().await;
    doctor(&url).run().await.assert_check("database", "standby", "ok", "bytes behind");
    pair.standby.run("SELECT pg_wal_replay_pause()").await;
    doctor(&url).run().await.assert_check("database", "standby", "warn", "replay is paused");
    pair.standby.run("SELECT pg_wal_replay_resume()").await;
    let elsewhere = TestDatabase::create().await;
    doctor(&elsewhere.url()).run().await.assert_check("database", "standby", "fail", "is promoted");
    pair.standby.promote();
    doctor(&url).run().await.assert_check("database", "standby", "fail", "is promoted");
    pair.standby.stop_server();
    doctor(&url).run().await.assert_check("database", "standby", "warn", "error");
}
