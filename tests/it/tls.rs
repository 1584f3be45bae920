//! HTTPS served by the service.

use std::path::PathBuf;
use std::process::Output;

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use verbatim::config::TlsSettings;

use crate::support::app::{App, client_that_trusts};
use crate::support::process::{KEY, SECRET, verbatim};

/// Folder with a certificate and its key.
struct Pair(TempDir);

impl Pair {
    /// Creates a self-signed certificate for this machine.
    fn new() -> Self {
        let pair = Self(TempDir::new().unwrap());
        pair.renew();
        pair
    }

    fn files(&self) -> TlsSettings {
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| self.0.path().join(name));
        TlsSettings { cert, key }
    }

    /// Replaces the pair with a new one.
    fn renew(&self) {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        self.put("cert.pem", &made.cert.pem());
        self.put("key.pem", &made.signing_key.serialize_pem());
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join("new"), text).unwrap();
        std::fs::rename(self.0.path().join("new"), self.0.path().join(name)).unwrap();
    }

    /// Copies the present certificate for a client.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.0.path().join(name);
        std::fs::copy(self.files().cert, &copy).unwrap();
        copy
    }
}

async fn health_status(client: &reqwest::Client, app: &App) -> Option<u16> {
    let answer = client.get(format!("{}/healthz", app.address)).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

#[actix_web::test]
async fn new_certificate_is_used_without_closing_connections() {
    let pair = Pair::new();
    let app = App::start_with(|settings| settings.tls = Some(pair.files())).await;
    assert!(app.address.starts_with("https://"));
    let before = client_that_trusts(&pair.copy("before.pem"));
    assert_eq!(health_status(&before, &app).await, Some(200), "no connection");

    // A new certificate without its key is ignored: the previous pair stays in use.
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    pair.put("cert.pem", &made.cert.pem());
    assert_eq!(app.deliver(chat_push("first")).await.status, 200);

    pair.renew();
    let after = client_that_trusts(&pair.copy("after.pem"));
    while health_status(&after, &app).await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(health_status(&before, &app).await, Some(200), "the open connection was closed");
    let new_connection = client_that_trusts(&pair.0.path().join("before.pem"));
    assert_eq!(
        health_status(&new_connection, &app).await,
        None,
        "a new connection gets the new certificate"
    );
    assert_eq!(app.log().await.len(), 1);
}

#[actix_web::test]
async fn simulate_and_verify_trust_a_given_certificate() {
    let pair = Pair::new();
    let app = App::start_with(|settings| settings.tls = Some(pair.files())).await;
    let ledger = pair.0.path().join("ledger.jsonl");
    let run = async |args: &[&str], path: &str, ca_file: bool| -> Output {
        let mut command = tokio::process::Command::from(verbatim());
        command.args(args).args(["--url", &format!("{}{path}", app.address), "--ledger"]);
        command.arg(&ledger).env("VERBATIM_API_KEY", KEY).env("VERBATIM_WEBHOOK_SECRET", SECRET);
        if ca_file {
            command.arg("--ca-file").arg(pair.files().cert);
        }
        command.kill_on_drop(true).output().await.unwrap()
    };
    let simulate = ["simulate", "--sessions", "2", "--contract", "d", "--header", "A: b"];
    let distrusted = run(&simulate, "/webhook", false).await;
    let text = String::from_utf8_lossy(&distrusted.stdout).into_owned();
    assert!(!distrusted.status.success() && text.contains("no connection"), "{text}");

    let simulate = ["simulate", "--sessions", "2", "--contract", "b"];
    let trusted = run(&simulate, "/webhook", true).await;
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stderr));
    app.drained().await;
    let verified = run(&["verify"], "", true).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[actix_web::test]
async fn healthcheck_accepts_a_certificate_for_another_name() {
    let pair = Pair::new();
    let app = App::start_with(|settings| settings.tls = Some(pair.files())).await;
    let TlsSettings { cert, key } = pair.files();
    let mut command = tokio::process::Command::from(verbatim());
    command.args(["healthcheck", "--listen", app.address.trim_start_matches("https://")]);
    command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
    let healthy = command.kill_on_drop(true).output().await.unwrap();
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    assert!(String::from_utf8_lossy(&healthy.stdout).contains("\"ready\""));
}

#[actix_web::test]
async fn connections_without_a_handshake_do_not_delay_deliveries() {
    let pair = Pair::new();
    let app = App::start_with(|settings| settings.tls = Some(pair.files())).await;
    let address = app.address.trim_start_matches("https://");
    // More than any limit of pending handshakes on each thread.
    let mut silent = Vec::new();
    for _ in 0..400 * std::thread::available_parallelism().unwrap().get().min(4) {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    for n in 0..3 {
        let delivery = app.deliver(chat_push(&format!("beside {n}")));
        let answer = tokio::time::timeout(std::time::Duration::from_secs(2), delivery).await;
        assert_eq!(answer.expect("the delivery waits for a handshake").status, 200);
    }
    drop(silent);
    assert_eq!(app.log().await.len(), 3);
}

fn chat_push(text: &str) -> String {
    serde_json::json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}
