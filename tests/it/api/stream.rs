//! `GET /v1/stream`.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use verbatim::config::Secret;
use verbatim::store::ingest::journal::append_erasures;
use verbatim::store::journal::{ErasedSession, Erasure, ErasureKind};
use verbatim::store::key_changes::Revocation;
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at};
use super::rows::Row;
use super::writers::{joined, of_agent, put, said, start};
use crate::support::app::{self, App};
use crate::support::database::TestDatabase;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the stream.
pub(super) struct Listening {
    response: reqwest::Response,
    buffer: Vec<u8>,
    /// As a browser keeps it: the newest id, also of a block that is no event.
    pub(super) last_id: String,
    comments: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
}

impl Listening {
    /// Begins to listen, and waits until the stream stands.
    async fn to(address: &str, key: &str, query: &str, last_id: Option<&str>) -> Self {
        Self::with(&app::client(), address, key, query, last_id).await.unwrap()
    }

    /// The same with a client that is there already, of a service that may not be.
    pub(super) async fn with(
        client: &reqwest::Client,
        address: &str,
        key: &str,
        query: &str,
        last_id: Option<&str>,
    ) -> reqwest::Result<Self> {
        let address = address.trim_start_matches("http://");
        let mut request =
            client.get(format!("http://{address}/v1/stream?{query}")).bearer_auth(key);
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await?.error_for_status()?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let last_id = last_id.unwrap_or_default().to_owned();
        Ok(Self { response, buffer: Vec::new(), last_id, comments: Vec::new() })
    }

    async fn on(api: &TestApi, query: &str) -> Self {
        Self::to(&api.address, BOOTSTRAP, query, None).await
    }

    /// The next event; `None` once the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        timeout(PATIENCE, self.next_ever()).await.expect("an event comes").unwrap()
    }

    /// The same however long it takes; an error where the connection is cut.
    pub(super) async fn next_ever(&mut self) -> reqwest::Result<Option<Event>> {
        // Where there is no end of a block before.
        let mut seen = 0;
        loop {
            let unseen = &self.buffer[seen..];
            if let Some(end) = unseen.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..seen + end + 2).collect();
                if let Some(event) = self.read(std::str::from_utf8(&block).unwrap()) {
                    return Ok(Some(event));
                }
                seen = 0;
                continue;
            }
            seen = self.buffer.len().saturating_sub(1);
            let Some(chunk) = self.response.chunk().await? else { return Ok(None) };
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// What a block says, as the standard has it.
    fn read(&mut self, block: &str) -> Option<Event> {
        let (mut name, mut data) = ("message", None);
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").expect("a field or a comment") {
                ("", comment) => self.comments.push(comment.to_owned()),
                ("event", value) => name = value,
                ("id", value) => value.clone_into(&mut self.last_id),
                ("data", value) => {
                    assert!(data.is_none(), "one line");
                    data = Some(serde_json::from_str(value).unwrap());
                }
                ("retry", value) => assert!(value.parse::<u32>().is_ok()),
                (other, _) => panic!("no such field: {other}"),
            }
        }
        Some(Event { name: name.to_owned(), data: data? })
    }

    /// The next message that somebody said.
    async fn text(&mut self) -> String {
        loop {
            let event = self.next().await.expect("it goes on");
            if event.name == "message" {
                return event.data["message"].as_str().unwrap().to_owned();
            }
        }
    }

    /// So many of them; none twice.
    async fn texts(&mut self, count: usize) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        while texts.len() < count {
            let text = self.text().await;
            assert!(texts.insert(text.clone()), "{text} came twice");
        }
        texts
    }

    /// Reads until the end, where nothing more is to come; gives the last comment.
    async fn end(mut self) -> String {
        assert_eq!(self.next().await, None);
        self.comments.pop().expect("last words")
    }
}

#[actix_web::test]
async fn what_comes_is_told_as_the_other_endpoints_show_it() {
    let api = TestApi::start().await;
    put(&api.database.options(), &[said("A", "s", "before")]).await;
    let mut listening = Listening::on(&api, "").await;
    put(&api.database.options(), &[joined("A", "s"), said("A", "s", "hello\\nthere")]).await;

    let event = listening.next().await.unwrap();
    let session = api.get("/v1/sessions/s").await.json();
    assert_eq!(event, Event { name: "session".into(), data: session.clone() });
    let event = listening.next().await.unwrap();
    let messages = api.get("/v1/sessions/s/messages").await.json();
    let said = messages["data"].as_array().unwrap().iter();
    let hello = said.clone().find(|message| message["message"] == "hello\nthere").unwrap();
    // It names its session by our id, too.
    let mut hello = hello.clone();
    hello["session"] = session["id"].clone();
    assert_eq!(event, Event { name: "message".into(), data: hello });

    // The ids are positions of the feed.
    let feed = api.get(&format!("/v1/changes?after={}", listening.last_id)).await.json();
    assert_eq!((&feed["data"], &feed["has_more"]), (&json!([]), &json!(false)));
}

#[actix_web::test]
async fn a_client_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    let api = TestApi::start().await;
    let options = api.database.options();
    let listening = Listening::on(&api, "").await;
    // It goes before anything has come.
    let mut id = {
        let mut listening = listening;
        let chunk = listening.response.chunk().await.unwrap().unwrap();
        assert_eq!(listening.read(std::str::from_utf8(&chunk).unwrap()), None);
        listening.last_id
    };
    put(&options, &[said("A", "s", "1"), said("A", "s", "2")]).await;
    put(&options, &[said("A", "s", "3")]).await;
    let mut told = BTreeSet::new();
    for _ in 0..3 {
        let mut listening = Listening::to(&api.address, BOOTSTRAP, "", Some(&id)).await;
        assert!(told.insert(listening.text().await));
        id = listening.last_id;
    }
    assert_eq!(told, ["1", "2", "3"].map(str::to_owned).into());
    let query = format!("last_event_id={id}");
    let mut listening = Listening::to(&api.address, BOOTSTRAP, &query, None).await;
    put(&options, &[said("A", "s", "4")]).await;
    assert_eq!(listening.text().await, "4");
    // A browser that reconnects by itself repeats the query, and its header is newer.
    let mut again = Listening::to(&api.address, BOOTSTRAP, &query, Some(&listening.last_id)).await;
    put(&options, &[said("A", "s", "5")]).await;
    assert_eq!(again.text().await, "5");
}

#[actix_web::test]
async fn eight_write_and_clients_that_come_and_go_get_every_row_once() {
    let api = TestApi::start().await;
    let mut steady = Listening::on(&api, "").await;
    let mut odd = Listening::on(&api, "agent_id=odd").await;
    let mut restless = Listening::on(&api, "").await;
    let (writers, all) = start(&api.database.options(), 8, 40);
    let steady = async { steady.texts(all.len()).await };
    let of_odd = of_agent(&all, "odd");
    let odd = async { odd.texts(of_odd.len()).await };
    let restless = async {
        let mut told = BTreeSet::new();
        while told.len() < all.len() {
            for _ in 0..(all.len() / 7).min(all.len() - told.len()) {
                assert!(told.insert(restless.text().await), "none twice");
            }
            let id = restless.last_id.clone();
            restless = Listening::to(&api.address, BOOTSTRAP, "", Some(&id)).await;
        }
        told
    };
    let (steady, odd, restless, _) = tokio::join!(steady, odd, restless, writers.join_all());
    assert_eq!(steady, all);
    assert_eq!(odd, of_odd);
    assert_eq!(restless, all);
}

#[actix_web::test]
async fn a_position_that_cannot_be_gone_on_from_is_a_gap() {
    let api = TestApi::start().await;
    let options = api.database.options();
    put(&options, &[said("A", "s", "1")]).await;
    let old = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    put(&options, &[said("A", "s", "2")]).await;
    sqlx::query("DELETE FROM journal WHERE seq = 1").execute(api.database.pool()).await.unwrap();
    for id in [old.as_str(), "made up", "\u{e9}"] {
        let mut listening = Listening::to(&api.address, BOOTSTRAP, "", Some(id)).await;
        let gap = listening.next().await.unwrap();
        assert_eq!(gap.name, "gap", "{id}");
        assert!(gap.data["reason"].is_string());
        put(&options, &[said("A", "s", &format!("after {id}"))]).await;
        assert_eq!(listening.text().await, format!("after {id}"));
    }
    // Torn away from those who listen.
    let mut listening = Listening::on(&api, "").await;
    put(&options, &[said("A", "s", "last")]).await;
    assert_eq!(listening.text().await, "last");
    sqlx::raw_sql("DELETE FROM journal; UPDATE journal_head SET seq = 0")
        .execute(api.database.pool())
        .await
        .unwrap();
    assert!(listening.end().await.contains("lost"));
    let answer = api.get("/v1/stream?last_event_id=").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"));
}

#[actix_web::test]
async fn a_stream_is_filtered_and_a_bound_key_hears_its_agents_alone() {
    let api = TestApi::start().await;
    let options = api.database.options();
    let key = api.key(&[Scope::Read], Some(&["A"])).await;
    let id = Row::new("A", "s").id();
    let start = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let id_query = format!("session_id={id}");
    let cases = [
        (BOOTSTRAP, "", &["As", "At", "Bs", "Ct"] as &[_]),
        (BOOTSTRAP, "agent_id=A", &["As", "At"]),
        (BOOTSTRAP, "agent_id=B&agent_id=C", &["Bs", "Ct"]),
        (BOOTSTRAP, "session_id=s", &["As", "Bs"]),
        (BOOTSTRAP, "session_id=s&agent_id=B", &["Bs"]),
        (BOOTSTRAP, &id_query, &["As"]),
        (&key, "", &["As", "At"]),
        (&key, "agent_id=B", &[]),
        (&key, "session_id=s", &["As"]),
    ];
    let mut live = Vec::new();
    for (key, query, _) in &cases {
        live.push(Listening::to(&api.address, key, query, None).await);
    }
    for text in ["As", "At", "Bs", "Ct"] {
        put(&options, &[said(&text[..1], &text[1..], text)]).await;
    }
    // Whoever comes later and catches up must see the same.
    for (key, query, _) in &cases {
        live.push(Listening::to(&api.address, key, query, Some(&start)).await);
    }
    let erasure = |agent: &str| Erasure {
        id: uuid::Uuid::from_u128(1),
        kind: ErasureKind::Agent,
        agent_id: agent.into(),
        session: None,
        at: at(9),
        before: None,
    };
    for (place, mut listening) in live.into_iter().enumerate() {
        let (_, query, expected) = cases[place % cases.len()];
        for text in expected {
            assert_eq!(listening.text().await, *text, "{place} {query}");
        }
        if !query.contains("session_id") {
            // Nothing else came in between: the next is what comes now.
            let mut connection = api.database.pool().acquire().await.unwrap();
            for agent in ["Z", "A", "B"] {
                append_erasures(&mut connection, &[erasure(agent)], &[]).await.unwrap();
            }
            if expected.is_empty() {
                continue;
            }
            let event = listening.next().await.unwrap();
            assert_eq!(event.name, "erasure");
            if !query.is_empty() || cases[place % cases.len()].0 != BOOTSTRAP {
                assert_ne!(event.data["agent_id"], "Z");
            }
        }
    }
    let head = api.send("HEAD", "/v1/stream", &[("X-API-Key", BOOTSTRAP)]).await;
    assert_eq!((head.status, head.body.len()), (200, 0), "it has no body, and an end");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let key = api.key(&[Scope::Export], None).await;
    assert_eq!(api.get_as(&key, "/v1/stream").await.code(), "forbidden");
    assert_eq!(api.get("/v1/stream?role=user").await.code(), "invalid_parameter");
}

#[actix_web::test]
async fn who_follows_a_session_hears_of_its_erasure_and_of_its_agents_and_of_no_other() {
    let api = TestApi::start().await;
    put(&api.database.options(), &[said("A", "s", "before")]).await;
    let start = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let row = |agent: &str, session: &str| ErasedSession {
        id: Row::new(agent, session).id(),
        session_id: session.into(),
        source: "default".into(),
    };
    let erased = [("A", Some("t")), ("A", Some("s")), ("B", None), ("A", None), ("B", Some("s"))];
    let id_query = format!("session_id={}", Row::new("A", "s").id());
    let cases = [
        ("session_id=s", &[1_u128, 2, 3, 4] as &[_]),
        ("session_id=s&agent_id=A", &[1, 3]),
        (&id_query, &[1, 2, 3]),
        ("agent_id=A", &[0, 1, 3]),
    ];
    let mut listening = Vec::new();
    for (query, _) in &cases {
        listening.push(Listening::on(&api, query).await);
    }
    let mut connection = api.database.pool().acquire().await.unwrap();
    for (number, (agent, session)) in (0..).zip(erased) {
        let kind = if session.is_some() { ErasureKind::Session } else { ErasureKind::Agent };
        let session = session.map(|session| row(agent, session));
        let id = uuid::Uuid::from_u128(number);
        let erasure =
            Erasure { id, kind, agent_id: agent.into(), session, at: at(9), before: None };
        append_erasures(&mut connection, &[erasure], &[]).await.unwrap();
    }
    put(&api.database.options(), &[said("A", "s", "after")]).await;
    for (query, _) in &cases {
        listening.push(Listening::to(&api.address, BOOTSTRAP, query, Some(&start)).await);
    }
    for (place, mut listening) in listening.into_iter().enumerate() {
        let (query, expected) = cases[place % cases.len()];
        for number in expected {
            let event = listening.next().await.unwrap();
            assert_eq!(event.name, "erasure", "{place} {query}");
            assert_eq!(event.data["id"], json!(uuid::Uuid::from_u128(*number)), "{place} {query}");
        }
        assert_eq!(listening.text().await, "after", "{place} {query}: and of nothing else");
    }
}

#[actix_web::test]
async fn a_key_that_ends_takes_its_streams_along() {
    let api = TestApi::start().await;
    let expiring = api.expiring_key(&[Scope::Read], None, Some(at(60))).await;
    let revoked = api.key(&[Scope::Read], None).await;
    let expiring = Listening::to(&api.address, &expiring, "", None).await;
    let revoked = Listening::to(&api.address, &revoked, "", None).await;
    let mut other = Listening::on(&api, "").await;
    api.clock.set(at(61));
    for key in api.store.list_keys().await.unwrap() {
        let wanted =
            Revocation { id: key.id, visible: None, caller: None, keep_made: false, at: at(1) };
        api.store.revoke_key(&wanted).await.unwrap();
    }
    api.keyring.forget();
    assert!(expiring.end().await.contains("key"));
    assert!(revoked.end().await.contains("key"));
    put(&api.database.options(), &[said("A", "s", "hush")]).await;
    assert_eq!(other.text().await, "hush");
}

#[actix_web::test]
async fn a_reader_that_takes_nothing_is_cut_off_and_others_go_on() {
    const BATCHES: usize = 3;
    const MESSAGES: usize = BATCHES * 9;
    let api = TestApi::start().await;
    let options = api.database.options();
    // A small window, so that little is on its way.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut slow = socket.connect(api.address.parse().unwrap()).await.unwrap();
    let request =
        format!("GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BOOTSTRAP}\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 9];
    slow.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 ");

    let mut quick = Listening::on(&api, "").await;
    let long = "x".repeat(900_000);
    // More than the ring keeps, and what lies in the network's buffers.
    let mut all = BTreeSet::new();
    for batch in 0..BATCHES {
        let texts = (0..9).map(|n| format!("{batch}-{n} {long}"));
        put(&options, &texts.map(|text| said("A", "s", &text)).collect::<Vec<_>>()).await;
        all.extend(quick.texts(9).await.into_iter().map(number));
    }
    assert_eq!(all.len(), MESSAGES);
    assert_eq!(api.live.listeners(), 2);
    let mut rest = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("the end").unwrap();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.contains("\n: this reader is too slow; come back with Last-Event-ID\n\n"));

    // It comes back with the last id that it saw, and misses nothing.
    let told = text.lines().filter_map(|line| line.split_once(r#""message":""#));
    let told: BTreeSet<_> = told.map(|(_, text)| number(text.to_owned())).collect();
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert!(told.len() < MESSAGES, "it had not got all");
    let mut back = Listening::to(&api.address, BOOTSTRAP, "", Some(id)).await;
    let rest = back.texts(MESSAGES - told.len()).await.into_iter().map(number).collect();
    assert!(told.is_disjoint(&rest));
    assert_eq!(&told | &rest, all);
    put(&options, &[said("A", "s", "now")]).await;
    assert_eq!((back.text().await, quick.text().await), ("now".into(), "now".into()));
}

/// What a long text begins with.
fn number(mut text: String) -> String {
    text.truncate(text.find(' ').unwrap());
    text
}

#[actix_web::test]
async fn a_thousand_listeners_hear_the_same() {
    const MANY: usize = 1_000;
    // Both ends of each connection are in this process, and the usual limit is 1,024 files.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let api = TestApi::start().await;
    // Each has a connection of its own: the client cannot use one that a stream is on.
    let client = app::client();
    let joining = (0..MANY).map(|_| Listening::with(&client, &api.address, BOOTSTRAP, "", None));
    let mut listeners = futures_util::future::try_join_all(joining).await.unwrap();
    assert_eq!(api.live.listeners(), MANY);
    let (writers, all) = start(&api.database.options(), 4, 1);
    writers.join_all().await;
    let told = listeners.iter_mut().map(|listening| listening.texts(all.len()));
    for told in futures_util::future::join_all(told).await {
        assert_eq!(told, all);
    }
    drop(listeners);
    // Their connections end where something is to be told.
    let ends = async {
        for n in 0.. {
            put(&api.database.options(), &[said("A", "s", &format!("end {n}"))]).await;
            if api.live.listeners() == 0 {
                break;
            }
        }
    };
    timeout(PATIENCE, ends).await.expect("all seats are free again");
}

fn delivery(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

#[actix_web::test]
async fn a_stop_ends_streams_and_they_go_on_after_the_restart() {
    let app = App::start().await;
    let mut listening = Listening::to(&app.address, app::KEY, "", None).await;
    app.deliver(delivery("before")).await;
    assert_eq!(listening.text().await, "before");
    let mut cursor = String::new();
    let feed = async |app: &App, cursor: &mut String| {
        app.drained().await;
        let after = if cursor.is_empty() { String::new() } else { format!("?after={cursor}") };
        let page = app.get(&format!("/v1/changes{after}")).await.json();
        page["next_cursor"].as_str().unwrap().clone_into(cursor);
        let items = page["data"].as_array().unwrap().clone();
        items
            .iter()
            .filter_map(|item| item["message"]["message"].as_str())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(feed(&app, &mut cursor).await, ["before"]);

    let id = listening.last_id.clone();
    let stopping = std::time::Instant::now();
    let ((database, data), last_words) = tokio::join!(app.stop(), listening.end());
    assert!(last_words.contains("stops"), "{last_words}");
    assert!(stopping.elapsed() < Duration::from_secs(10), "nobody waits for a stream");

    let app = App::start_on(database, data, |_| {}).await;
    app.deliver(delivery("after")).await;
    let mut listening = Listening::to(&app.address, app::KEY, "", Some(&id)).await;
    assert_eq!(listening.text().await, "after");
    app.deliver(delivery("later")).await;
    assert_eq!(listening.text().await, "later");
    assert_eq!(feed(&app, &mut cursor).await, ["after", "later"]);
}

#[actix_web::test]
async fn two_services_on_one_database_tell_what_either_takes() {
    let one = App::start().await;
    let (unused, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    let url = one.database.url();
    let other = App::start_on(unused, data, |settings| {
        settings.database.url = Some(Secret::new(url));
    })
    .await;
    let mut at_one = Listening::to(&one.address, app::KEY, "", None).await;
    let mut at_other = Listening::to(&other.address, app::KEY, "", None).await;
    let mut all = BTreeSet::new();
    for n in 0..20 {
        let text = format!("message {n}");
        [&one, &other][n % 2].deliver(delivery(&text)).await;
        all.insert(text);
    }
    let (told_one, told_other) = tokio::join!(at_one.texts(all.len()), at_other.texts(all.len()));
    assert_eq!((&told_one, &told_other), (&all, &all));
    let ids = (at_one.last_id, at_other.last_id);
    // Either can be gone on from at the other.
    let mut at_one = Listening::to(&one.address, app::KEY, "", Some(&ids.1)).await;
    let mut at_other = Listening::to(&other.address, app::KEY, "", Some(&ids.0)).await;
    one.deliver(delivery("last")).await;
    assert_eq!((at_one.text().await, at_other.text().await), ("last".into(), "last".into()));
}
