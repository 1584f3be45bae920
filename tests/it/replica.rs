//! Answers that are read from a real streaming standby: it lags, is stopped, promoted, cut off and
//! in the way of the replay, and nobody reads what is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use verbatim::config::{ReplicaSettings, Secret, Settings};

use crate::support::app::{Answer, App, KEY, client};
use crate::support::database::TestDatabase;
use crate::support::prometheus::Scrape;
use crate::support::standby::{Pair, SLOT};

/// Longer than any test: what is behind is read all the same.
const PATIENT: Duration = Duration::from_mins(10);
/// The shortest limit.
const STRICT: Duration = Duration::from_secs(2);
/// How long anything may take that must come about.
const IN_THE_END: Duration = Duration::from_mins(1);

/// A service on a primary, with a standby that it reads from.
struct World {
    app: App,
    pair: Pair,
}

impl World {
    async fn start(max_lag: Duration) -> Self {
        let pair = Pair::start().await;
        let database = TestDatabase::create_on(&pair.primary.url("postgres")).await;
        let (read, data) = (reading(&pair, &database, max_lag), TempDir::new().unwrap());
        let app = App::start_on(database, data, read).await;
        let world = Self { app, pair };
        world.standing("used").await;
        world
    }

    /// The answer of `/readyz` as soon as it says this of the standby.
    async fn standing(&self, state: &str) -> Value {
        let seen = async || {
            let ready = self.app.get("/readyz").await.json();
            assert_eq!(ready["status"], "ready", "a standby does not matter to deliveries");
            ready["replica"].clone()
        };
        in_the_end(seen, |replica| replica["state"] == state).await
    }

    /// Reads as a client does that needs everything.
    async fn get_all(&self, path: &str) -> Answer {
        let key = format!("Bearer {KEY}");
        let answer = self.app.get_with(path, &[("Authorization", &key), ("Prefer", "wait")]).await;
        assert_eq!(answer.headers["preference-applied"], "wait", "{path}");
        answer
    }

    /// Reads as a client does that needs the changes up to a position.
    async fn get_after(&self, path: &str, position: &str) -> Answer {
        let key = format!("Bearer {KEY}");
        let headers = [("Authorization", key.as_str()), ("Verbatim-Position", position)];
        self.app.get_with(path, &headers).await
    }

    async fn say(&self, session: &str, text: &str, second: u32) {
        assert_eq!(self.app.deliver(said(session, text, second)).await.status, 200);
        self.app.drained().await;
    }

    /// Waits until the standby gives what the primary gives, which is something.
    async fn replicated(&self, path: &str) {
        let seen = async || (self.app.get(path).await.text, self.get_all(path).await.text);
        let is_same = |(standby, primary): &(String, String)| {
            standby == primary && !standby.contains("\"data\":[]")
        };
        in_the_end(seen, is_same).await;
    }

    /// Keeps the standby from replaying, or lets it go on.
    async fn pause(&self, pause: bool) {
        let what = if pause { "pause" } else { "resume" };
        self.pair.standby.run(&format!("SELECT pg_wal_replay_{what}()")).await;
    }

    async fn reads(&self) -> Reads {
        let scrape = Scrape::read(&self.app.get("/metrics").await.text);
        Reads {
            primary: scrape.count("verbatim_reads_total{server=\"primary\"}"),
            standby: scrape.count("verbatim_reads_total{server=\"standby\"}"),
            repeated: scrape.count("verbatim_reads_repeated_total"),
        }
    }
}

/// Reads that were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reads {
    primary: u64,
    standby: u64,
    repeated: u64,
}

/// Settings with the standby of a pair.
fn reading(
    pair: &Pair,
    database: &TestDatabase,
    max_lag: Duration,
) -> impl FnOnce(&mut Settings) + use<> {
    let url = Secret::new(pair.standby.reader_url(database.name()));
    move |settings| settings.replica = Some(ReplicaSettings { url, max_lag })
}

fn said(session: &str, text: &str, second: u32) -> String {
    json!({ "event_type": "chat.push", "agent_id": "A1", "timestamp": 1_790_607_000 + second,
        "data": { "session_id": session, "role": "user", "message": text } })
    .to_string()
}

/// What is seen, as soon as it is as it must be.
async fn in_the_end<T: std::fmt::Debug>(
    see: impl AsyncFn() -> T,
    is_right: impl Fn(&T) -> bool,
) -> T {
    let mut last = None;
    let waiting = async {
        loop {
            let seen = see().await;
            if is_right(&seen) {
                return seen;
            }
            last = Some(seen);
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(IN_THE_END, waiting).await.ok();
    waited.unwrap_or_else(|| panic!("it did not come about; last seen: {last:?}"))
}

fn texts(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    let texts = data.as_array().unwrap().iter();
    texts.map(|message| message["message"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn answers_of_the_standby_are_those_of_the_primary() {
    let world = World::start(PATIENT).await;
    for (session, second) in [("one", 1), ("two", 2), ("one", 3)] {
        world.say(session, &format!("hello {second}"), second).await;
    }
    let before = world.reads().await;
    let paths = [
        "/v1/agents",
        "/v1/agents/A1",
        "/v1/agents/A1/sessions",
        "/v1/sessions?include=messages,first_user_message,flags",
        "/v1/sessions/one?include=completeness,continues",
        "/v1/sessions/one/messages",
        "/v1/sessions/one/messages?visit=1",
        "/v1/sessions/one/visits",
        "/v1/search?q=hello",
        "/v1/analytics/summary",
        "/v1/analytics/timeseries?metric=messages",
        "/v1/analytics/distribution?metric=session_duration",
        "/v1/analytics/heatmap?metric=messages",
        "/v1/analytics/top?by=first_message&metric=sessions",
    ];
    for path in paths {
        assert_eq!(world.get_all(path).await.status, 200, "{path}");
        world.replicated(path).await;
    }
    let after = world.reads().await;
    assert!(after.standby >= before.standby + paths.len() as u64, "{after:?}");
    assert_eq!(after.repeated, 0, "{after:?}");
    // What is never read from it says that it has everything, too.
    let changes = world.get_all("/v1/changes").await;
    assert_eq!(changes.status, 200);
}

#[actix_web::test]
async fn a_client_that_needs_its_own_writes_reads_them_from_the_primary() {
    let world = World::start(PATIENT).await;
    let path = "/v1/sessions/s/messages";
    world.say("s", "first", 1).await;
    world.replicated(path).await;
    world.pause(true).await;
    world.say("s", "second", 2).await;
    assert_eq!(texts(&world.app.get(path).await), ["first"], "it is read from the standby");
    assert_eq!(texts(&world.get_all(path).await), ["first", "second"]);
    let changed = world.app.ask("PUT", "/v1/sessions/s/hold").await;
    let position = changed.headers["verbatim-position"].to_str().unwrap().to_owned();
    let again = world.app.ask("PUT", "/v1/sessions/s/hold").await;
    assert_ne!(again.headers["verbatim-position"], position, "nobody learns what others write");
    for position in [&*position, "of somebody else"] {
        assert_eq!(texts(&world.get_after(path, position).await), ["first", "second"]);
    }
    assert_eq!(world.app.get("/v1/sessions/new").await.status, 404);
    world.say("new", "a session that the standby does not have", 3).await;
    assert_eq!(world.app.get("/v1/sessions/new").await.status, 200, "the primary is asked");
    world.pause(false).await;
    in_the_end(async || texts(&world.app.get(path).await), |texts| texts.len() == 2).await;
    let read_there = async || {
        let before = world.reads().await.standby;
        assert_eq!(texts(&world.get_after(path, &position).await).len(), 2);
        world.reads().await.standby - before
    };
    in_the_end(read_there, |standby| *standby == 1).await;
}

#[actix_web::test]
async fn a_standby_that_is_too_far_behind_is_not_read() {
    let world = World::start(STRICT).await;
    let path = "/v1/sessions/s/messages";
    world.say("s", "first", 1).await;
    world.replicated(path).await;
    world.pause(true).await;
    world.say("s", "second", 2).await;
    let lagging = world.standing("lagging").await;
    assert!(lagging["lag_bytes"].as_i64() > Some(0), "{lagging}");
    assert!(lagging["lag_seconds"].as_f64() >= Some(STRICT.as_secs_f64()), "{lagging}");
    assert_eq!(texts(&world.app.get(path).await), ["first", "second"]);
    let scrape = Scrape::read(&world.app.get("/metrics").await.text);
    assert_eq!(scrape.count("verbatim_replica_used"), 0);
    world.pause(false).await;
    world.standing("used").await;
    assert_eq!(texts(&world.app.get(path).await), ["first", "second"]);
}

#[actix_web::test]
async fn what_was_erased_is_gone_at_once() {
    let world = World::start(PATIENT).await;
    for session in ["here", "elsewhere"] {
        world.say(session, "a secret", 1).await;
    }
    world.replicated("/v1/sessions?include=messages").await;
    let found = async || world.app.get("/v1/search?q=secret").await.json()["data"].clone();
    in_the_end(found, |data| data.as_array().unwrap().len() == 2).await;
    world.pause(true).await;
    assert_eq!(world.app.ask("DELETE", "/v1/sessions/here").await.status, 200);
    assert_eq!(world.app.get("/v1/sessions/here/messages").await.status, 404);
    let left = world.app.get("/v1/sessions?include=messages").await.json();
    assert_eq!(left["data"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(found().await.as_array().unwrap().len(), 1);
    world.pause(false).await;
    // By another service on the same database.
    let seen = async || {
        let before = world.reads().await.standby;
        world.app.get("/v1/sessions").await;
        world.reads().await.standby > before
    };
    in_the_end(seen, |standby| *standby).await;
    world.pause(true).await;
    let other = App::start_on(world.app.database.shared(), TempDir::new().unwrap(), |_| {}).await;
    assert_eq!(other.ask("DELETE", "/v1/sessions/elsewhere").await.status, 200);
    let messages = async || world.app.get("/v1/sessions").await.json()["data"].clone();
    in_the_end(messages, |data| *data == json!([])).await;
    world.pause(false).await;
    other.stop().await;
}

#[actix_web::test]
async fn pages_that_follow_one_of_the_primary_are_of_the_primary() {
    let world = World::start(PATIENT).await;
    for second in 1..=4 {
        world.say("s", &second.to_string(), second).await;
    }
    let path = "/v1/sessions/s/messages?limit=2";
    world.replicated("/v1/sessions/s/messages").await;
    let cursor = |answer: &Answer| answer.json()["next_cursor"].as_str().unwrap().to_owned();
    let of_standby = cursor(&world.app.get(path).await);
    world.pause(true).await;
    world.say("s", "5", 5).await;
    let of_primary = cursor(&world.get_all(path).await);
    assert_ne!(of_standby, of_primary);
    let next = |cursor: &str| format!("{path}&cursor={cursor}");
    // The one goes on where it began, the other has what its first page's server had.
    let page = world.app.get(&next(&of_standby)).await;
    assert_eq!(texts(&page), ["3", "4"]);
    assert_eq!(page.json()["has_more"], false);
    let page = world.app.get(&next(&of_primary)).await;
    assert_eq!(texts(&page), ["3", "4"]);
    assert_eq!(texts(&world.app.get(&next(&cursor(&page))).await), ["5"]);
    // A page of a standby can be followed by one of the primary, and that by no other.
    let page = world.get_all(&next(&of_standby)).await;
    assert_eq!(texts(&world.app.get(&next(&cursor(&page))).await), ["5"]);
    world.pause(false).await;
}

/// Reads without an end, and counts what is not 200.
struct Readers {
    stop: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    readers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Readers {
    fn start(address: &str) -> Self {
        let (stop, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let paths = [
            "/v1/sessions/s/messages",
            "/v1/sessions",
            "/v1/search?q=first",
            "/v1/analytics/summary?metric=messages",
        ];
        let readers = paths.map(|path| {
            let (stop, read, url) = (stop.clone(), read.clone(), format!("{address}{path}"));
            tokio::spawn(async move {
                let (client, mut failed) = (client(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(&url).bearer_auth(KEY).send().await.unwrap();
                    let answer = Answer::of(answer).await;
                    if answer.status != 200 || !answer.text.contains("\"data\":[{") {
                        failed.push(format!("{url}: {answer:?}"));
                    }
                    read.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        });
        Self { stop, read, readers: readers.into() }
    }

    /// Waits until so many more have been read.
    async fn go_on(&self) {
        let until = self.read.load(Ordering::Relaxed) + 20;
        let read = async || self.read.load(Ordering::Relaxed);
        in_the_end(read, |read| *read >= until).await;
    }

    async fn finish(self) {
        self.go_on().await;
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            assert_eq!(reader.await.unwrap(), Vec::<String>::new());
        }
    }
}

#[actix_web::test]
async fn reads_go_on_while_the_standby_is_stopped_and_started() {
    let world = World::start(STRICT).await;
    world.say("s", "first", 1).await;
    world.replicated("/v1/search?q=first").await;
    let readers = Readers::start(&world.app.address);
    readers.go_on().await;
    world.pair.standby.stop_server();
    world.standing("unreachable").await;
    readers.go_on().await;
    world.say("s", "second", 2).await;
    world.pair.standby.start_server();
    world.standing("used").await;
    readers.go_on().await;
    assert_eq!(texts(&world.app.get("/v1/sessions/s/messages").await), ["first", "second"]);
    readers.finish().await;
}

#[actix_web::test]
async fn a_standby_that_was_promoted_is_not_read() {
    let world = World::start(PATIENT).await;
    world.say("s", "first", 1).await;
    world.replicated("/v1/search?q=first").await;
    let readers = Readers::start(&world.app.address);
    world.pair.standby.promote();
    let promoted = world.standing("promoted").await;
    assert_eq!(promoted["lag_seconds"], Value::Null, "{promoted}");
    let mut rogue = world.pair.standby.connect(world.app.database.name()).await;
    sqlx::raw_sql("UPDATE messages SET message = 'of the wrong server'")
        .execute(&mut rogue)
        .await
        .unwrap();
    assert_eq!(texts(&world.app.get("/v1/sessions/s/messages").await), ["first"]);
    readers.finish().await;
}

#[actix_web::test]
async fn a_standby_whose_log_is_gone_is_not_read() {
    let world = World::start(STRICT).await;
    world.say("s", "first", 1).await;
    world.replicated("/v1/search?q=first").await;
    let readers = Readers::start(&world.app.address);
    world.pair.standby.stop_server();
    world.pair.primary.run(&format!("SELECT pg_drop_replication_slot('{SLOT}')")).await;
    world.say("s", "second", 2).await;
    for _ in 0..4 {
        world.pair.primary.run("SELECT pg_switch_wal()").await;
        world.pair.primary.run("CHECKPOINT").await;
    }
    world.pair.standby.start_server();
    let lagging = world.standing("lagging").await;
    assert!(lagging["lag_bytes"].as_i64() > Some(16 << 20), "{lagging}");
    assert_eq!(texts(&world.app.get("/v1/sessions/s/messages").await), ["first", "second"]);
    assert!(world.pair.standby.log().contains("FATAL"), "{}", world.pair.standby.log());
    readers.finish().await;
}

#[actix_web::test]
async fn a_read_that_the_replay_cancels_is_done_on_the_primary() {
    let world = World::start(PATIENT).await;
    world.say("s", "first", 1).await;
    world.replicated("/v1/agents").await;
    let database = world.app.database.name().to_owned();
    let mut primary = world.pair.primary.connect(&database).await;
    // Slow enough to be met.
    let slow = "ALTER TABLE agents RENAME TO held;
        CREATE VIEW agents AS SELECT held.* FROM held CROSS JOIN pg_sleep(2)";
    sqlx::raw_sql(slow).execute(&mut primary).await.unwrap();
    let mut standby = world.pair.standby.connect(&database).await;
    let sleeps = async |standby: &mut sqlx::PgConnection| -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            .fetch_one(standby)
            .await
            .unwrap()
    };
    let before = world.reads().await;
    let reading = async {
        let answer = world.app.get("/v1/agents").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["data"][0]["agent_id"], "A1");
    };
    let disturbing = async {
        while sleeps(&mut standby).await == 0 {
            tokio::task::yield_now().await;
        }
        let lock = "BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE; COMMIT";
        sqlx::raw_sql(lock).execute(&mut primary).await.unwrap();
    };
    tokio::join!(reading, disturbing);
    let after = world.reads().await;
    assert_eq!(after.repeated, before.repeated + 1, "{after:?}");
    assert_eq!(after.primary, before.primary + 1, "{after:?}");
    let log = world.pair.standby.log();
    assert!(log.contains("canceling statement due to conflict with recovery"), "{log}");
}
