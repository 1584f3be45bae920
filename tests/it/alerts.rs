//! Alerts: evaluated, persisted, and sent to a receiver.

mod away;
mod receiver;
mod verified;
mod world;

use chrono::TimeDelta;
use serde_json::json;
use verbatim::alerts::{Amount, Draft};
use verbatim::jobs::alerts::{Client, Evaluated, NotSent, Outgoing};
use verbatim::store::alerts::{StateRow, StateWrite};

use crate::support::app::{App, KEY, now};
use crate::support::command::{stderr, stdout, verbatim};
use receiver::{Answer, Receiver};
use world::{SECRET, World, alert, undrained};

#[actix_web::test]
async fn alert_fires_once_and_resolves_once() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let hold = Draft { hold: Some("30s".into()), ..undrained() };
    let mut job = world.job(vec![alert(&hold, &receiver.url)]);
    world.undrained_for(Some(TimeDelta::seconds(120)));
    for _ in 0..6 {
        assert_eq!(job.evaluate().await.unwrap(), Evaluated::Here);
        job.send_due().await.unwrap();
        world.pass(TimeDelta::seconds(15));
    }
    assert_eq!(receiver.types(), ["alert.firing"]);
    world.undrained_for(None);
    for _ in 0..3 {
        job.evaluate().await.unwrap();
        job.send_due().await.unwrap();
        world.pass(TimeDelta::seconds(15));
    }
    assert_eq!(receiver.types(), ["alert.firing", "alert.resolved"]);
    let [firing, resolved] = receiver.bodies().try_into().unwrap();
    assert_eq!(firing["data"]["value"], 150.0, "the condition held from 120 s on, for 30 s");
    assert_eq!(firing["data"]["since"], "2026-09-28T14:55:00.000000Z");
    assert_eq!(firing["timestamp"], "2026-09-28T14:55:30.000000Z");
    assert_eq!(
        firing["data"]["summary"],
        "Deliveries have waited for the database for 2.5 minutes; the limit is 60 seconds."
    );
    assert_eq!(resolved["data"]["since"], firing["data"]["since"]);
    assert_eq!(resolved["data"]["resolved_at"], resolved["timestamp"]);
    assert_ne!(receiver.ids()[0], receiver.ids()[1]);
}

#[actix_web::test]
async fn condition_shorter_than_its_hold_does_not_fire() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let hold = Draft { hold: Some("1m".into()), ..undrained() };
    let mut job = world.job(vec![alert(&hold, &receiver.url)]);
    for waits in [Some(90), Some(105), None, Some(90), Some(105), None] {
        world.undrained_for(waits.map(TimeDelta::seconds));
        job.evaluate().await.unwrap();
        assert_eq!(job.send_due().await.unwrap(), 0);
        world.pass(TimeDelta::seconds(15));
    }
}

#[actix_web::test]
async fn restart_between_evaluation_and_sending_sends_each_notification_once() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let alerts = vec![alert(&undrained(), &receiver.url)];
    world.undrained_for(Some(TimeDelta::seconds(120)));
    let mut job = world.job(alerts.clone());
    job.evaluate().await.unwrap();
    drop(job);
    world.pass(TimeDelta::seconds(15));
    let mut job = world.job(alerts.clone());
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Here);
    job.send_due().await.unwrap();
    assert_eq!(receiver.types(), ["alert.firing"]);
    drop(job);
    world.pass(TimeDelta::minutes(10));
    let mut job = world.job(alerts);
    world.undrained_for(None);
    job.evaluate().await.unwrap();
    job.send_due().await.unwrap();
    job.send_due().await.unwrap();
    assert_eq!(receiver.types(), ["alert.firing", "alert.resolved"]);
}

#[actix_web::test]
async fn rejected_notification_is_sent_again_with_the_same_id() {
    let world = World::new().await;
    let receiver = Receiver::start();
    receiver.answer([Answer::Status(500), Answer::Never, Answer::Status(302)]);
    let mut job = world.job(vec![alert(&undrained(), &receiver.url)]);
    world.undrained_for(Some(TimeDelta::seconds(120)));
    job.evaluate().await.unwrap();
    assert_eq!(job.send_due().await.unwrap(), 1);
    assert_eq!(job.send_due().await.unwrap(), 0, "not due again yet");
    world.pass(TimeDelta::seconds(9));
    assert_eq!(job.send_due().await.unwrap(), 0);
    world.pass(TimeDelta::seconds(1));
    assert_eq!(job.send_due().await.unwrap(), 1);
    let row = world.events().await.remove(0);
    assert_eq!(row.last_error.as_deref(), Some("no answer in time"));
    world.pass(TimeDelta::seconds(30));
    assert_eq!(job.send_due().await.unwrap(), 1);
    // The resolved notification waits for the firing one.
    world.undrained_for(None);
    world.pass(TimeDelta::seconds(15));
    job.evaluate().await.unwrap();
    assert_eq!(job.send_due().await.unwrap(), 0);
    world.pass(TimeDelta::seconds(45));
    assert_eq!(job.send_due().await.unwrap(), 1);
    assert_eq!(job.send_due().await.unwrap(), 1);
    let types = receiver.types();
    assert_eq!(types[..4], ["alert.firing"; 4]);
    assert_eq!(types[4..], ["alert.resolved"]);
    let ids = receiver.ids();
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0], "{ids:?}");
    let row = world.events().await.remove(0);
    assert_eq!((row.attempts, row.delivered_at.is_some()), (4, true));
}

#[actix_web::test]
async fn notification_is_given_up_after_three_days() {
    let world = World::new().await;
    let receiver = Receiver::start();
    receiver.answer([Answer::Status(500), Answer::Status(500)]);
    let mut job = world.job(vec![alert(&undrained(), &receiver.url)]);
    world.undrained_for(Some(TimeDelta::seconds(120)));
    job.evaluate().await.unwrap();
    job.send_due().await.unwrap();
    world.pass(TimeDelta::days(3));
    job.send_due().await.unwrap();
    world.pass(TimeDelta::days(1));
    assert_eq!(job.send_due().await.unwrap(), 0);
    let row = world.events().await.remove(0);
    assert_eq!((row.attempts, row.delivered_at), (2, None));
    assert!(row.given_up_at.is_some() && row.next_attempt_at.is_none());
    assert_eq!(row.last_error.as_deref(), Some("the receiver answered 500"));
}

#[actix_web::test]
async fn two_services_send_one_notification() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let alerts = vec![alert(&undrained(), &receiver.url)];
    let (mut one, mut other) = (world.job(alerts.clone()), world.job(alerts));
    world.undrained_for(Some(TimeDelta::seconds(120)));
    for waits in [Some(120), Some(135), None, None] {
        world.undrained_for(waits.map(TimeDelta::seconds));
        let both = tokio::join!(one.evaluate(), other.evaluate());
        let both = [both.0.unwrap(), both.1.unwrap()];
        assert!(both.contains(&Evaluated::Here) && both.contains(&Evaluated::Elsewhere));
        let (one, other) = tokio::join!(one.send_due(), other.send_due());
        one.unwrap();
        other.unwrap();
        world.pass(TimeDelta::seconds(15));
    }
    assert_eq!(receiver.types(), ["alert.firing", "alert.resolved"]);
}

#[tokio::test]
async fn second_write_of_a_stale_state_is_ignored() {
    let world = World::new().await;
    let write = |status: &str| StateWrite {
        state: StateRow {
            name: "a".into(),
            status: status.into(),
            since: world.clock.now(),
            evaluated_at: world.clock.now(),
            value: Some(1.0),
            normal: None,
            threshold: None,
            missing: None,
            agent_ids: None,
            version: 0,
        },
        events: vec![world.event("a")],
    };
    world.store.write_alert_states(&[write("firing")]).await.unwrap();
    world.store.write_alert_states(&[write("pending")]).await.unwrap();
    let states = world.store.alert_states(&["a".to_owned()]).await.unwrap();
    assert_eq!((states[0].status.as_str(), states[0].version), ("firing", 1));
    assert_eq!(world.events().await.len(), 1);
}

#[actix_web::test]
async fn idle_service_sees_the_backlog_of_another() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let alerts = vec![alert(&undrained(), &receiver.url)];
    let (mut busy, mut idle) = (world.job(alerts.clone()), world.idle_job(alerts));
    world.undrained_for(Some(TimeDelta::seconds(45)));
    assert_eq!(busy.evaluate().await.unwrap(), Evaluated::Here);
    world.pass(TimeDelta::seconds(30));
    assert_eq!(idle.evaluate().await.unwrap(), Evaluated::Here);
    idle.send_due().await.unwrap();
    assert_eq!(receiver.types(), ["alert.firing"]);
    // The state of a stopped service no longer counts.
    world.pass(TimeDelta::minutes(5));
    idle.evaluate().await.unwrap();
    idle.send_due().await.unwrap();
    assert_eq!(receiver.types(), ["alert.firing", "alert.resolved"]);
}

#[actix_web::test]
async fn quarantine_and_silence_of_all_agents_fire() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let quarantined = Draft {
        name: "quarantined".into(),
        metric: "quarantined".into(),
        above: Some(Amount::Number(1.0)),
        ..Draft::default()
    };
    let silent = Draft {
        name: "silent".into(),
        metric: "no_delivery".into(),
        above: Some(Amount::Duration("1h".into())),
        ..Draft::default()
    };
    let mut job =
        world.job(vec![alert(&quarantined, &receiver.url), alert(&silent, &receiver.url)]);
    job.evaluate().await.unwrap();
    assert_eq!(
        world.state("silent").await.missing.as_deref(),
        Some("no event has arrived yet"),
        "a new service is not silent"
    );
    world.deliver_unreadable(2).await;
    world.pass(TimeDelta::seconds(15));
    job.evaluate().await.unwrap();
    job.send_due().await.unwrap();
    assert_eq!(receiver.bodies()[0]["data"]["value"], 2.0);
    assert_eq!(
        receiver.bodies()[0]["data"]["summary"],
        "Deliveries that went to quarantine in the last hour: 2; the limit is 1."
    );
    world.pass(TimeDelta::minutes(61));
    job.evaluate().await.unwrap();
    job.send_due().await.unwrap();
    let types: Vec<_> =
        receiver.bodies().iter().map(|body| json!([body["data"]["name"], body["type"]])).collect();
    assert_eq!(types[0], json!(["quarantined", "alert.firing"]));
    assert!(types.contains(&json!(["quarantined", "alert.resolved"])));
    assert!(types.contains(&json!(["silent", "alert.firing"])));
}

#[actix_web::test]
async fn expired_history_and_orphaned_notifications_are_deleted() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let mut job = world.job(vec![alert(&undrained(), &receiver.url)]);
    let mut orphan = world.event("removed from the file");
    orphan.progress.next_attempt_at = Some(world.clock.now());
    world.store.write_offline_alerts(&[], &[world.event("a"), orphan]).await.unwrap();
    world.pass(TimeDelta::days(4));
    job.evaluate().await.unwrap();
    let rows = world.events().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().any(|row| row.given_up_at.is_some() && row.attempts == 0));
    world.pass(TimeDelta::days(87));
    job.evaluate().await.unwrap();
    assert!(world.events().await.is_empty());
}

#[actix_web::test]
async fn running_service_evaluates_and_sends() {
    let receiver = Receiver::start();
    let url = receiver.url.clone();
    let app = App::start_with(|settings| {
        let drained = Draft { below: Some(Amount::Number(1.0)), above: None, ..undrained() };
        settings.alerts = vec![alert(&drained, &url)];
    })
    .await;
    receiver.wait_for(1).await;
    let alerts = app.get("/v1/alerts").await.json();
    let shown = &alerts["data"][0];
    assert_eq!((&shown["name"], &shown["state"]), (&json!("drain"), &json!("firing")));
    assert_eq!(shown["history"][0]["kind"], "firing");
    let scrape = app.get("/metrics").await.text;
    assert!(scrape.contains("verbatim_alerts_firing 1\n"), "{scrape}");
    assert!(!alerts.to_string().contains(&url), "the receiver's URL is hidden");
    assert!(!alerts.to_string().contains(KEY));
    app.stop().await;
}

#[actix_web::test]
async fn command_sends_a_signed_sample() {
    let receiver = Receiver::start();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("verbatim.toml");
    let text = format!(
        "alert_url = '{}'\nalert_secrets = ['{SECRET}']\n[[alerts]]\nname = 'quiet-lobby'\n\
         metric = 'quiet'\nagents = ['A1']\nabove_normal = 3\ntz = 'Europe/Berlin'\n",
        receiver.url
    );
    std::fs::write(&file, text).unwrap();
    let config = file.to_str().unwrap();
    let sent = verbatim(&["alerts", "test", "quiet-lobby", "--config", config]).await;
    assert!(sent.status.success(), "{}", stderr(&sent));
    assert!(stdout(&sent).starts_with("delivered: the receiver answered 200\n"));
    assert_eq!(receiver.types(), ["alert.test"]);
    let (text, one) = (stdout(&sent), receiver.requests().remove(0));
    assert!(text.contains(&one.id) && text.contains(&one.body), "{text}");
    assert!(!text.contains(SECRET));

    receiver.answer([Answer::Status(500)]);
    let refused = verbatim(&["alerts", "test", "quiet-lobby", "--config", config]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).starts_with("not delivered: the receiver answered 500\n"));

    let unknown = verbatim(&["alerts", "test", "no-such", "--config", config]).await;
    assert!(stderr(&unknown).contains("list all with `verbatim alerts list`"));
    let listed = stdout(&verbatim(&["alerts", "list", "--config", config]).await);
    assert!(listed.contains("quiet-lobby") && listed.contains("127.0.0.1"), "{listed}");
    assert!(!listed.contains("/hook"), "a path may hold a token: {listed}");
}

#[actix_web::test]
async fn receiver_with_an_untrusted_certificate_gets_nothing_and_its_path_is_not_logged() {
    let receiver = Receiver::start();
    let settings = alert(&undrained(), &receiver.url.replace("http://", "https://"));
    let client = Client::new([&settings.receiver]).unwrap();
    let outgoing = Outgoing { id: uuid::Uuid::nil(), at: now(), body: "{}" };
    let error = client.send(&settings.receiver, outgoing).await.unwrap_err();
    assert!(matches!(error, NotSent::NoConnection(_)), "{error}");
    assert!(!error.to_string().contains("hook"), "a path may hold a token: {error}");
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn doctor_warns_of_http_notifications_outside_the_private_network() {
    let folder = tempfile::TempDir::new().unwrap();
    let (file, data) = (folder.path().join("verbatim.toml"), folder.path().to_str().unwrap());
    let rule = |name: &str, host: &str| {
        format!(
            "[[alerts]]\nname = '{name}'\nmetric = 'quiet'\nabove = 1\nurl = 'http://{host}/hook'\n"
        )
    };
    let hosts = [
        ("a", "10.0.0.7:9000"),
        ("b", "receiver:9000"),
        ("c", "[fd00::1]"),
        ("d", "example.com"),
        ("e", "93.184.216.34"),
    ];
    let rules: String = hosts.iter().map(|(name, host)| rule(name, host)).collect();
    std::fs::write(&file, format!("alert_secrets = ['{SECRET}']\n{rules}")).unwrap();
    let config = file.to_str().unwrap();
    let printed = stdout(&verbatim(&["doctor", "--config", config, "--data-dir", data]).await);
    assert!(printed.contains("5 alerts"), "{printed}");
    for (name, host) in hosts {
        let warned =
            printed.contains(&format!("notifications of alert {name} go to {host} over HTTP"));
        assert_eq!(warned, ["d", "e"].contains(&name), "{name}: {printed}");
    }
}

#[tokio::test]
async fn service_does_not_start_with_an_invalid_alert() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("verbatim.toml");
    let base = format!(
        "alert_url = 'https://example.com/hook'\nalert_secrets = ['{SECRET}']\n[[alerts]]\nname = 'a'\n"
    );
    let config = file.to_str().unwrap();
    for (more, expected) in [
        ("metric = 'mesages'\nabove = 1", "alert \"a\": `metric` is one of: quiet, no_delivery"),
        (
            "metric = 'quiet'\nabove = ['x']",
            "line 6: `above` does not fit, expected a number, or a",
        ),
        ("metric = 'quiet'\nabove = 1\nsecret = 'x'", "unknown field `secret`"),
    ] {
        std::fs::write(&file, format!("{base}{more}\n")).unwrap();
        let data = folder.path().to_str().unwrap();
        for command in [&["serve"][..], &["doctor"], &["alerts", "list"]] {
            let args = [command, &["--config", config, "--data-dir", data]].concat();
            let refused = verbatim(&args).await;
            let printed = format!("{}{}", stdout(&refused), stderr(&refused));
            assert!(
                !refused.status.success() && printed.contains(expected),
                "{command:?}: {printed}"
            );
            assert!(!printed.contains(SECRET), "{printed}");
        }
    }
}
