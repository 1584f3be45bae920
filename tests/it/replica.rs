//! Reads from a real streaming standby that lags, is stopped, promoted, cut off, or cancels reads
//! during replay. No answer is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use verbatim::config::{ReplicaSettings, Settings};

use crate::support::app::{Answer, App, KEY, client};
use crate::support::database::TestDatabase;
use crate::support::prometheus::Scrape;
use crate::support::standby::{Pair, SLOT};

/// Lag limit longer than any test, so that a lagging standby is read.
const PATIENT: Duration = Duration::from_mins(10);
/// The shortest lag limit.
const STRICT: Duration = Duration::from_secs(2);
/// Longest wait for an expected state.
const STATE_TIMEOUT: Duration = Duration::from_mins(1);

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
        world.standby_state("used").await;
        world
    }

    /// Waits until `/readyz` has this state of the standby, and returns its report on it.
    async fn standby_state(&self, state: &str) -> Value {
        let probe = async || {
            let ready = self.app.get("/readyz").await.json();
            assert_eq!(ready["status"], "ready", "a standby does not matter to deliveries");
            ready["replica"].clone()
        };
        poll_until(probe, |replica| replica["state"] == state).await
    }

    /// Reads as a client that needs all changes.
    async fn get_all(&self, path: &str) -> Answer {
        let key = format!("Bearer {KEY}");
        let answer = self.app.get_with(path, &[("Authorization", &key), ("Prefer", "wait")]).await;
        assert_eq!(answer.headers["preference-applied"], "wait", "{path}");
        answer
    }

    /// Reads as a client that needs the changes up to a position.
    async fn get_after(&self, path: &str, position: &str) -> Answer {
        let key = format!("Bearer {KEY}");
        let headers = [("Authorization", key.as_str()), ("Verbatim-Position", position)];
        self.app.get_with(path, &headers).await
    }

    async fn deliver(&self, session: &str, text: &str, second: u32) {
        assert_eq!(self.app.deliver(chat_push(session, text, second)).await.status, 200);
        self.app.drained().await;
    }

    /// Waits until the standby and the primary give the same page, with rows.
    async fn replicated(&self, path: &str) {
        let probe = async || (self.app.get(path).await.text, self.get_all(path).await.text);
        let is_same = |(standby, primary): &(String, String)| {
            standby == primary && !standby.contains("\"data\":[]")
        };
        poll_until(probe, is_same).await;
    }

    /// Pauses or resumes the replay of the standby.
    async fn pause(&self, pause: bool) {
        let what = if pause { "pause" } else { "resume" };
        self.pair.standby.run(&format!("SELECT pg_wal_replay_{what}()")).await;
    }

    async fn reads(&self) -> Reads {
        let scrape = Scrape::read(&self.app.get("/metrics").await.text);
        Reads {
            primary: scrape.count("verbatim_reads_total{server=\"primary\"}"),
            standby: scrape.count("verbatim_reads_total{server=\"standby\"}"),
            retried: scrape.count("verbatim_reads_repeated_total"),
        }
    }
}

/// Counts of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reads {
    primary: u64,
    standby: u64,
    retried: u64,
}

/// Returns a function that sets the standby of a pair.
fn reading(
    pair: &Pair,
    database: &TestDatabase,
    max_lag: Duration,
) -> impl FnOnce(&mut Settings) + use<> {
    let url = SecretString::from(pair.standby.reader_url(database.name()));
    move |settings| settings.replica = Some(ReplicaSettings { url, max_lag })
}

fn chat_push(session: &str, text: &str, second: u32) -> String {
    json!({ "event_type": "chat.push", "agent_id": "A1", "timestamp": 1_790_607_000 + second,
        "data": { "session_id": session, "role": "user", "message": text } })
    .to_string()
}

/// Polls `probe` until `is_right`, and returns the value. Panics after [`STATE_TIMEOUT`].
async fn poll_until<T: std::fmt::Debug>(
    probe: impl AsyncFn() -> T,
    is_right: impl Fn(&T) -> bool,
) -> T {
    let mut last = None;
    let waiting = async {
        loop {
            let value = probe().await;
            if is_right(&value) {
                return value;
            }
            last = Some(value);
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(STATE_TIMEOUT, waiting).await.ok();
    waited.unwrap_or_else(|| panic!("timed out; last value: {last:?}"))
}

fn texts(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    let texts = data.as_array().unwrap().iter();
    texts.map(|message| message["message"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn standby_gives_the_same_answers_as_the_primary() {
    let world = World::start(PATIENT).await;
    for (session, second) in [("one", 1), ("two", 2), ("one", 3)] {
        world.deliver(session, &format!("hello {second}"), second).await;
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
    assert_eq!(after.retried, 0, "{after:?}");
    // Paths that only the primary serves accept `Prefer: wait`, too.
    let changes = world.get_all("/v1/changes").await;
    assert_eq!(changes.status, 200);
}

#[actix_web::test]
async fn client_reads_its_own_writes_from_the_primary() {
    let world = World::start(PATIENT).await;
    let path = "/v1/sessions/s/messages";
    world.deliver("s", "first", 1).await;
    world.replicated(path).await;
    world.pause(true).await;
    world.deliver("s", "second", 2).await;
    assert_eq!(texts(&world.app.get(path).await), ["first"], "it is read from the standby");
    assert_eq!(texts(&world.get_all(path).await), ["first", "second"]);
    let changed = world.app.ask("PUT", "/v1/sessions/s/hold").await;
    let position = changed.headers["verbatim-position"].to_str().unwrap().to_owned();
    let again = world.app.ask("PUT", "/v1/sessions/s/hold").await;
    assert_ne!(
        again.headers["verbatim-position"], position,
        "the position reveals writes of others"
    );
    for position in [&*position, "of somebody else"] {
        assert_eq!(texts(&world.get_after(path, position).await), ["first", "second"]);
    }
    assert_eq!(world.app.get("/v1/sessions/new").await.status, 404);
    world.deliver("new", "a session that the standby does not have", 3).await;
    assert_eq!(world.app.get("/v1/sessions/new").await.status, 200, "the primary is read");
    world.pause(false).await;
    poll_until(async || texts(&world.app.get(path).await), |texts| texts.len() == 2).await;
    let read_there = async || {
        let before = world.reads().await.standby;
        assert_eq!(texts(&world.get_after(path, &position).await).len(), 2);
        world.reads().await.standby - before
    };
    poll_until(read_there, |standby| *standby == 1).await;
}

#[actix_web::test]
async fn lagging_standby_is_not_read() {
    let world = World::start(STRICT).await;
    let path = "/v1/sessions/s/messages";
    world.deliver("s", "first", 1).await;
    world.replicated(path).await;
    world.pause(true).await;
    world.deliver("s", "second", 2).await;
    let lagging = world.standby_state("lagging").await;
    assert!(lagging["lag_bytes"].as_i64() > Some(0), "{lagging}");
    assert!(lagging["lag_seconds"].as_f64() >= Some(STRICT.as_secs_f64()), "{lagging}");
    assert_eq!(texts(&world.app.get(path).await), ["first", "second"]);
    let scrape = Scrape::read(&world.app.get("/metrics").await.text);
    assert_eq!(scrape.count("verbatim_replica_used"), 0);
    world.pause(false).await;
    world.standby_state("used").await;
    assert_eq!(texts(&world.app.get(path).await), ["first", "second"]);
}

#[actix_web::test]
async fn erasure_takes_effect_at_once_despite_lag() {
    let world = World::start(PATIENT).await;
    for session in ["here", "elsewhere"] {
        world.deliver(session, "a secret", 1).await;
    }
    world.replicated("/v1/sessions?include=messages").await;
    let found = async || world.app.get("/v1/search?q=secret").await.json()["data"].clone();
    poll_until(found, |data| data.as_array().unwrap().len() == 2).await;
    world.pause(true).await;
    assert_eq!(world.app.ask("DELETE", "/v1/sessions/here").await.status, 200);
    assert_eq!(world.app.get("/v1/sessions/here/messages").await.status, 404);
    let left = world.app.get("/v1/sessions?include=messages").await.json();
    assert_eq!(left["data"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(found().await.as_array().unwrap().len(), 1);
    world.pause(false).await;
    // An erasure by another service on the same database.
    let probe = async || {
        let before = world.reads().await.standby;
        world.app.get("/v1/sessions").await;
        world.reads().await.standby > before
    };
    poll_until(probe, |standby| *standby).await;
    world.pause(true).await;
    let other = App::start_on(world.app.database.shared(), TempDir::new().unwrap(), |_| {}).await;
    assert_eq!(other.ask("DELETE", "/v1/sessions/elsewhere").await.status, 200);
    let messages = async || world.app.get("/v1/sessions").await.json()["data"].clone();
    poll_until(messages, |data| *data == json!([])).await;
    world.pause(false).await;
    other.stop().await;
}

#[actix_web::test]
async fn pages_after_one_of_the_primary_are_read_from_the_primary() {
    let world = World::start(PATIENT).await;
    for second in 1..=4 {
        world.deliver("s", &second.to_string(), second).await;
    }
    let path = "/v1/sessions/s/messages?limit=2";
    world.replicated("/v1/sessions/s/messages").await;
    let cursor = |answer: &Answer| answer.json()["next_cursor"].as_str().unwrap().to_owned();
    let of_standby = cursor(&world.app.get(path).await);
    world.pause(true).await;
    world.deliver("s", "5", 5).await;
    let of_primary = cursor(&world.get_all(path).await);
    assert_ne!(of_standby, of_primary);
    let next = |cursor: &str| format!("{path}&cursor={cursor}");
    // Each cursor continues on the server of its first page.
    let page = world.app.get(&next(&of_standby)).await;
    assert_eq!(texts(&page), ["3", "4"]);
    assert_eq!(page.json()["has_more"], false);
    let page = world.app.get(&next(&of_primary)).await;
    assert_eq!(texts(&page), ["3", "4"]);
    assert_eq!(texts(&world.app.get(&next(&cursor(&page))).await), ["5"]);
    // The primary can serve the page after one of the standby. All later pages are the primary's.
    let page = world.get_all(&next(&of_standby)).await;
    assert_eq!(texts(&world.app.get(&next(&cursor(&page))).await), ["5"]);
    world.pause(false).await;
}

/// Clients that read until stopped, and collect answers other than 200.
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

    /// Waits for 20 more reads.
    async fn wait_for_reads(&self) {
        let until = self.read.load(Ordering::Relaxed) + 20;
        let read = async || self.read.load(Ordering::Relaxed);
        poll_until(read, |read| *read >= until).await;
    }

    async fn finish(self) {
        self.wait_for_reads().await;
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            assert_eq!(reader.await.unwrap(), Vec::<String>::new());
        }
    }
}

#[actix_web::test]
async fn reads_continue_while_the_standby_is_stopped_and_started() {
    let world = World::start(STRICT).await;
    world.deliver("s", "first", 1).await;
    world.replicated("/v1/search?q=first").await;
    let readers = Readers::start(&world.app.address);
    readers.wait_for_reads().await;
    world.pair.standby.stop_server();
    world.standby_state("unreachable").await;
    readers.wait_for_reads().await;
    world.deliver("s", "second", 2).await;
    world.pair.standby.start_server();
    world.standby_state("used").await;
    readers.wait_for_reads().await;
    assert_eq!(texts(&world.app.get("/v1/sessions/s/messages").await), ["first", "second"]);
    readers.finish().await;
}

#[actix_web::test]
async fn promoted_standby_is_not_read() {
    let world = World::start(PATIENT).await;
    world.deliver("s", "first", 1).await;
    world.replicated("/v1/search?q=first").await;
    let readers = Readers::start(&world.app.address);
    world.pair.standby.promote();
    let promoted = world.standby_state("promoted").await;
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
async fn standby_without_its_log_is_not_read() {
    let world = World::start(STRICT).await;
    world.deliver("s", "first", 1).await;
    world.replicated("/v1/search?q=first").await;
    let readers = Readers::start(&world.app.address);
    world.pair.standby.stop_server();
    world.pair.primary.run(&format!("SELECT pg_drop_replication_slot('{SLOT}')")).await;
    world.deliver("s", "second", 2).await;
    for _ in 0..4 {
        world.pair.primary.run("SELECT pg_switch_wal()").await;
        world.pair.primary.run("CHECKPOINT").await;
    }
    world.pair.standby.start_server();
    let lagging = world.standby_state("lagging").await;
    assert!(lagging["lag_bytes"].as_i64() > Some(16 << 20), "{lagging}");
    assert_eq!(texts(&world.app.get("/v1/sessions/s/messages").await), ["first", "second"]);
    assert!(world.pair.standby.log().contains("FATAL"), "{}", world.pair.standby.log());
    readers.finish().await;
}

#[actix_web::test]
async fn read_cancelled_by_replay_is_retried_on_the_primary() {
    let world = World::start(PATIENT).await;
    world.deliver("s", "first", 1).await;
    world.replicated("/v1/agents").await;
    let database = world.app.database.name().to_owned();
    let mut primary = world.pair.primary.connect(&database).await;
    // Slow enough for the replay to cancel it.
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
    assert_eq!(after.retried, before.retried + 1, "{after:?}");
    assert_eq!(after.primary, before.primary + 1, "{after:?}");
    let log = world.pair.standby.log();
    assert!(log.contains("canceling statement due to conflict with recovery"), "{log}");
}
