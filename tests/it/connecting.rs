//! Connections to the database through a real pooler, and with an outdated certificate.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::postgres::PgSslMode;
use sqlx::{Connection as _, Row as _};
use tempfile::TempDir;
use verbatim::postgres::{Connector, check, migrate};

use crate::support::app::App;
use crate::support::database::TestDatabase;
use crate::support::process::verbatim;
use crate::support::programs::{Running, free_port, program};

/// Longest wait for a state of the service.
const STATE_TIMEOUT: Duration = Duration::from_mins(1);

fn chat_push(number: usize) -> String {
    json!({ "event_type": "chat.push", "agent_id": format!("a{}", number % 7),
        "timestamp": 1_790_607_253.5 + f64::from(u32::try_from(number).unwrap()),
        "data": { "session_id": format!("s{}", number % 11), "role": "user",
            "message": format!("message {number}") } })
    .to_string()
}

/// Starts PgBouncer in front of a database with its defaults, except for addresses and access.
fn pgbouncer(program: &Path, folder: &Path, port: u16, to: &TestDatabase, mode: &str) -> Running {
    let options = to.options();
    let socket = options.get_socket().map(|socket| socket.display().to_string());
    let host = socket.clone().unwrap_or_else(|| options.get_host().to_owned());
    // As in Debian's file; the default of `pool_mode` is session.
    let mode = if mode == "session" { String::new() } else { format!("pool_mode = {mode}\n") };
    let file = folder.join("pgbouncer.ini");
    let configuration = format!(
        "[databases]\n* = host={host} port={} user={}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\ndefault_pool_size = 40\n{mode}",
        options.get_port(),
        options.get_username(),
    );
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program);
    if nix::unistd::Uid::effective().is_root() {
        // PgBouncer does not run as root, and only the server's account may open its socket.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder, open).unwrap();
        let owner = socket.as_ref().map(|folder| std::fs::metadata(folder).unwrap().uid());
        let owner = owner.and_then(|owner| nix::unistd::User::from_uid(owner.into()).unwrap());
        command.args(["-u", &owner.map_or("nobody".to_owned(), |owner| owner.name)]);
    }
    command.arg("-q").arg(&file).stderr(Stdio::null());
    Running::start(command, port)
}

fn pooler_url(port: u16, database: &TestDatabase) -> String {
    let name = database.options().get_database().unwrap().to_owned();
    format!("postgres://somebody:secret@127.0.0.1:{port}/{name}?sslmode=disable")
}

async fn status(app: &App, status: &str) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            last = app.get("/readyz").await.json();
            if last["status"] == status {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(STATE_TIMEOUT, waiting).await;
    assert!(waited.is_ok(), "the service is not {status}: {last}");
    last
}

/// Texts of all stored messages, sorted.
async fn messages(app: &App) -> Vec<String> {
    tokio::time::timeout(STATE_TIMEOUT, app.drained()).await.expect("the inbox is drained");
    sqlx::query_scalar("SELECT message FROM messages ORDER BY 1")
        .fetch_all(app.database.pool())
        .await
        .unwrap()
}

/// Every message of the first `count` deliveries.
fn expected(count: usize) -> Vec<String> {
    let mut all: Vec<_> = (0..count).map(|number| format!("message {number}")).collect();
    all.sort_unstable();
    all
}

#[actix_web::test]
async fn everything_works_through_pgbouncer_with_session_pooling() {
    let Some(program) = program("pgbouncer") else { return };
    let (database, folder, port) =
        (TestDatabase::empty().await, TempDir::new().unwrap(), free_port());
    let _pooler = pgbouncer(&program, folder.path(), port, &database, "session");
    let url = pooler_url(port, &database);
    // The schema is created through the pooler, too.
    let app = App::start_on(database, TempDir::new().unwrap(), |settings| {
        settings.database.url = Some(SecretString::from(url.clone()));
    })
    .await;
    status(&app, "ready").await;
    for number in 0..120 {
        assert_eq!(app.deliver(chat_push(number)).await.status, 200);
        if number % 3 == 0 {
            assert_eq!(app.deliver(chat_push(number)).await.status, 200, "a duplicate");
        }
    }
    assert_eq!(messages(&app).await, expected(120));
    let document = app.get("/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_some() && path != "/v1/stream" {
            let answer = app.get(&path.replace(['{', '}'], "")).await;
            assert!(answer.status < 500, "{path}: {answer:?}");
        }
    }
    let erased = app.ask("DELETE", "/v1/agents/a3").await;
    assert_eq!(erased.status, 200, "{erased:?}");
    let left = app.get("/v1/export/messages?format=jsonl").await.text.lines().count();
    assert_eq!(left, (0..120).filter(|number| number % 7 != 3).count());
    let doctor = doctor(&app, &url).await;
    assert_eq!(doctor["server"]["status"], "ok", "{doctor}");
}

/// Results of doctor on the database, by check.
async fn doctor(app: &App, url: &str) -> Value {
    let mut command = verbatim();
    command.args(["doctor", "--json", "--data-dir"]).arg(app.data.path()).env("DATABASE_URL", url);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap().iter();
    let of_database = checks.filter(|check| check["area"] == "database");
    of_database.map(|check| (check["check"].as_str().unwrap().to_owned(), check.clone())).collect()
}

#[actix_web::test]
async fn pooler_without_session_pooling_is_reported_and_nothing_is_lost() {
    let Some(program) = program("pgbouncer") else { return };
    let (database, folder, port) =
        (TestDatabase::create().await, TempDir::new().unwrap(), free_port());
    let url = pooler_url(port, &database);
    let pooler = pgbouncer(&program, folder.path(), port, &database, "transaction");
    let app = App::start_on(database, TempDir::new().unwrap(), |settings| {
        settings.database.url = Some(SecretString::from(url.clone()));
    })
    .await;
    let ready = status(&app, "degraded").await;
    assert_eq!(ready["postgres"]["writable"], false);
    for number in 0..50 {
        assert_eq!(app.deliver(chat_push(number)).await.status, 200);
    }
    for mode in ["transaction", "statement"] {
        let connector: Connector = url.parse().unwrap();
        let error = format!("{:#}", check(&connector).await.unwrap_err());
        assert!(error.contains("pool_mode = session"), "{mode}: {error}");
        if mode == "transaction" {
            let server = doctor(&app, &url).await["server"].clone();
            assert_eq!(server["status"], "fail", "{server}");
            let text = server.to_string();
            assert!(text.contains("pool_mode = session") && !text.contains("secret"), "{text}");
        }
    }
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    assert_eq!(written, 0, "nothing is written through such a pooler");
    drop(pooler);
    let _pooler = pgbouncer(&program, folder.path(), port, &app.database, "session");
    assert_eq!(messages(&app).await, expected(50));
    status(&app, "ready").await;
}

/// `PostgreSQL` server with TLS. It stops when this value is dropped.
struct Server {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// Starts the server with a self-signed certificate of X.509 version 1, as `openssl x509 -req`
    /// creates it without extensions. `access` is a line of `pg_hba.conf`.
    fn start(access: &str) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let (key, certificate) = version_1_certificate(folder.path());
        let hba = folder.path().join("pg_hba.conf");
        std::fs::write(&hba, format!("local all all trust\n{access}\n")).unwrap();
        if nix::unistd::Uid::effective().is_root() {
            let name = if user("postgres").is_some() { "postgres" } else { "nobody" };
            let user = user(name).unwrap();
            for file in [folder.path(), &key, &certificate, &hba] {
                nix::unistd::chown(file, Some(user.uid), Some(user.gid)).unwrap();
            }
        }
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c ssl=on -c ssl_cert_file={} \
             -c ssl_key_file={} -c hba_file={}",
            certificate.display(),
            key.display(),
            hba.display()
        );
        let mut process =
            Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with-postgres"))
                .args(["sh", "-c", "echo ready; cat"])
                .env("POSTGRES_OPTIONS", options)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the server did not start");
        Self { process, port, _folder: folder }
    }

    fn url(&self, mode: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode={mode}", self.port)
    }

    fn connector(&self, mode: &str) -> Connector {
        self.url(mode).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of input ends the command, and then `scripts/with-postgres` stops the server.
        if let Some(mut input) = self.process.stdin.take() {
            let _ = input.flush();
        }
        let _ = self.process.wait();
    }
}

fn user(name: &str) -> Option<nix::unistd::User> {
    nix::unistd::User::from_name(name).unwrap()
}

/// Creates a private key and a certificate, and returns their paths.
fn version_1_certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let [key, request, certificate] = ["key", "request", "certificate"].map(|n| folder.join(n));
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").current_dir(folder).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "key",
        "-out",
        "request",
    ]);
    openssl(&[
        "x509",
        "-req",
        "-in",
        "request",
        "-signkey",
        "key",
        "-days",
        "2",
        "-out",
        "certificate",
    ]);
    let shown = openssl(&["x509", "-in", "certificate", "-noout", "-text"]);
    assert!(shown.contains("Version: 1 (0x0)"), "{shown}");
    std::fs::remove_file(request).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    (key, certificate)
}

async fn has_tls(connector: &Connector) -> bool {
    let mut connection = connector.connect().await.unwrap();
    let row = sqlx::raw_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let has_tls: bool = row.try_get(0).unwrap();
    connection.close().await.unwrap();
    has_tls
}

#[tokio::test]
async fn preferred_tls_falls_back_to_plain_with_a_version_1_certificate() {
    if program("openssl").is_none() {
        return;
    }
    let server = Server::start("host all all 127.0.0.1/32 trust");
    let preferred = server.connector("prefer");
    assert!(!has_tls(&preferred).await);
    assert!(
        matches!(preferred.options().get_ssl_mode(), PgSslMode::Disable),
        "the fallback is remembered"
    );
    migrate(&preferred).await.unwrap();
    check(&server.connector("prefer")).await.unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = server.connector(mode).connect().await.unwrap_err().to_string();
        assert!(error.contains("X.509 version 3") && error.contains("sslmode"), "{mode}: {error}");
    }
    assert!(!has_tls(&server.connector("disable")).await);
}

#[tokio::test]
async fn required_tls_with_a_version_1_certificate_is_reported_with_advice() {
    if program("openssl").is_none() {
        return;
    }
    let server = Server::start("hostssl all all 127.0.0.1/32 trust");
    let error = server.connector("prefer").connect().await.unwrap_err().to_string();
    assert!(error.contains("X.509 version 3"), "{error}");
    let folder = TempDir::new().unwrap();
    let mut command = verbatim();
    command.args(["doctor", "--data-dir"]).arg(folder.path());
    let output = command.env("DATABASE_URL", server.url("prefer")).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("X.509 version 3"), "{stdout}");
}

#[tokio::test]
async fn connections_disable_jit() {
    let database = TestDatabase::create().await;
    let connector = Connector::from(database.options().clone().options([("jit", "on")]));
    let mut connection = connector.connect().await.unwrap();
    let jit: String = sqlx::query_scalar("SHOW jit").fetch_one(&mut connection).await.unwrap();
    assert_eq!(jit, "off");
    let pool = verbatim::postgres::read_pool(connector);
    let jit: String = sqlx::query_scalar("SHOW jit").fetch_one(&pool).await.unwrap();
    assert_eq!(jit, "off");
}
