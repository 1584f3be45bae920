//! A receiver with the public package `standardwebhooks` verifies notifications.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use chrono::Utc;
use verbatim::alerts::SigningKey;
use verbatim::clock::Clock;
use verbatim::config::AlertSettings;
use verbatim::domain::DeliveryId;
use verbatim::jobs::alerts::{Client, NotSent, Outgoing};

use super::world::{SECRET, alert, undrained};
use crate::support::programs::python_with;

const OTHER_SECRET: &str = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgcmVjZWl2ZXI=";

/// Sends a sample as the command does; returns the receiver's status.
async fn sample(settings: &AlertSettings) -> u16 {
    let now: chrono::DateTime<Utc> = Clock::system().now();
    let body = verbatim::alerts::Message::sample(&settings.rule, now).body(&settings.rule);
    let client = Client::new([&settings.receiver]).unwrap();
    let outgoing = Outgoing { id: DeliveryId::new(now).0, at: now, body: &body };
    match client.send(&settings.receiver, outgoing).await {
        Ok(status) | Err(NotSent::Status { status, .. }) => status,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn standardwebhooks_package_accepts_only_notifications_signed_with_its_secret() {
    let Some(python) = python_with("standardwebhooks") else { return };
    let mut receiver = Command::new(python)
        .arg("tests/reference/alert_receiver.py")
        .env("ALERT_SECRET", SECRET)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let port = lines.next().expect("a line with the port").unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let signed = |secrets: &[&str]| {
        let mut settings = alert(&undrained(), &url);
        settings.receiver.keys =
            secrets.iter().map(|secret| SigningKey::parse(secret).unwrap()).collect();
        settings
    };
    assert_eq!(sample(&signed(&[SECRET])).await, 204);
    let notification: serde_json::Value =
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&notification["type"], &notification["data"]["name"]),
        (&"alert.test".into(), &"drain".into())
    );
    assert_eq!(sample(&signed(&[OTHER_SECRET])).await, 401);
    assert_eq!(sample(&signed(&[OTHER_SECRET, SECRET])).await, 204, "while a secret is rotated");
    receiver.kill().unwrap();
    receiver.wait().unwrap();
}
