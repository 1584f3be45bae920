//! Alerts while the database is unavailable.

use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use verbatim::alerts::{Amount, Draft};
use verbatim::jobs::alerts::Evaluated;

use super::receiver::{Answer, Receiver};
use super::world::{World, alert, undrained};

/// Rejects connections to the world's database, or accepts them again.
async fn set_unavailable(world: &World, unavailable: bool) {
    let options = world.database.options();
    let name = options.get_database().unwrap().to_owned();
    let mut admin = options.database("postgres").connect().await.unwrap();
    let sql = format!(
        "ALTER DATABASE {name} ALLOW_CONNECTIONS {};
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        !unavailable
    );
    for statement in sql.split(';') {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut admin).await.unwrap();
    }
    admin.close().await.unwrap();
}

fn quiet() -> Draft {
    Draft {
        name: "quiet".into(),
        metric: "quiet".into(),
        above: Some(Amount::Number(60.0)),
        ..Draft::default()
    }
}

#[actix_web::test]
async fn own_state_of_the_service_fires_once_without_the_database() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let alerts = vec![alert(&undrained(), &receiver.url), alert(&quiet(), &receiver.url)];
    let mut job = world.job(alerts.clone());
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Here);
    set_unavailable(&world, true).await;
    world.pass(TimeDelta::seconds(15));
    world.undrained_for(Some(TimeDelta::seconds(120)));
    receiver.answer([Answer::Status(503)]);
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Alone);
    assert_eq!(job.send_due().await.unwrap(), 1);
    world.pass(TimeDelta::seconds(15));
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Alone);
    assert_eq!(job.send_due().await.unwrap(), 1, "again, from memory");
    assert_eq!(job.send_due().await.unwrap(), 0);
    assert_eq!(receiver.types(), ["alert.firing", "alert.firing"]);
    assert_eq!(receiver.ids()[0], receiver.ids()[1]);

    // The events are stored once the database is available, and nothing is sent again.
    set_unavailable(&world, false).await;
    world.pass(TimeDelta::seconds(15));
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Here);
    assert_eq!(job.send_due().await.unwrap(), 0);
    assert_eq!(world.state("drain").await.status, "firing");
    let row = world.events().await.remove(0);
    assert_eq!((row.attempts, row.delivered_at.is_some()), (2, true));
    drop(job);
    let mut job = world.job(alerts);
    world.undrained_for(None);
    // The last report of a stopped service counts for a minute.
    world.pass(TimeDelta::minutes(2));
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Here);
    job.send_due().await.unwrap();
    assert_eq!(receiver.types()[2..], ["alert.resolved"]);
}

#[actix_web::test]
async fn notification_not_sent_from_memory_is_sent_from_the_database() {
    let world = World::new().await;
    let receiver = Receiver::start();
    let alerts = vec![alert(&undrained(), &receiver.url)];
    assert_eq!(world.job(alerts.clone()).evaluate().await.unwrap(), Evaluated::Here);
    world.pass(TimeDelta::seconds(15));
    let mut job = world.job(alerts);
    set_unavailable(&world, true).await;
    world.undrained_for(Some(TimeDelta::seconds(120)));
    receiver.answer([Answer::Status(503)]);
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Alone, "also at start-up");
    job.send_due().await.unwrap();
    set_unavailable(&world, false).await;
    world.pass(TimeDelta::seconds(15));
    assert_eq!(job.evaluate().await.unwrap(), Evaluated::Here);
    assert_eq!(job.send_due().await.unwrap(), 1);
    let ids = receiver.ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(world.events().await.len(), 1);
}
