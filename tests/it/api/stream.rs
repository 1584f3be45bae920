//! `GET /v1/stream`.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use verbatim::store::ingest::journal::append_erasures;
use verbatim::store::journal::{ErasedSession, Erasure, ErasureKind};
use verbatim::store::key_changes::Revocation;
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at};
use super::rows::Row;
use super::writers::{join_delivery, message_delivery, of_agent, put, start};
use crate::support::app::{self, App};
use crate::support::database::TestDatabase;

/// Longer than any test here needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the stream.
pub(super) struct Listener {
    response: reqwest::Response,
    buffer: Vec<u8>,
    /// The newest ID, as a browser keeps it: also of a block that is no event.
    pub(super) last_id: String,
    comments: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
}

impl Listener {
    /// Connects, and waits until the stream is open.
    async fn to(address: &str, key: &str, query: &str, last_id: Option<&str>) -> Self {
        Self::with(&app::client(), address, key, query, last_id).await.unwrap()
    }

    /// Connects with an existing client, to a service that may be down.
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

    /// Returns the next event, or `None` once the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        timeout(PATIENCE, self.next_ever()).await.expect("an event in time").unwrap()
    }

    /// Returns the next event without a time limit. Fails if the connection breaks.
    pub(super) async fn next_ever(&mut self) -> reqwest::Result<Option<Event>> {
        // Start of the part that was not searched for the end of a block.
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

    /// Parses a block as the standard defines it.
    fn read(&mut self, block: &str) -> Option<Event> {
        let (mut name, mut data) = ("message", None);
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").expect("a field or a comment") {
                ("", comment) => self.comments.push(comment.to_owned()),
                ("event", value) => name = value,
                ("id", value) => value.clone_into(&mut self.last_id),
                ("data", value) => {
                    assert!(data.is_none(), "data has one line");
                    data = Some(serde_json::from_str(value).unwrap());
                }
                ("retry", value) => assert!(value.parse::<u32>().is_ok()),
                (other, _) => panic!("no such field: {other}"),
            }
        }
        Some(Event { name: name.to_owned(), data: data? })
    }

    /// Returns the text of the next message.
    async fn text(&mut self) -> String {
        loop {
            let event = self.next().await.expect("the stream continues");
            if event.name == "message" {
                return event.data["message"].as_str().unwrap().to_owned();
            }
        }
    }

    /// Returns the texts of the next `count` messages. None may occur twice.
    async fn texts(&mut self, count: usize) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        while texts.len() < count {
            let text = self.text().await;
            assert!(texts.insert(text.clone()), "{text} occurred twice");
        }
        texts
    }

    /// Reads until the stream ends without further events, and returns the last comment.
    async fn end(mut self) -> String {
        assert_eq!(self.next().await, None);
        self.comments.pop().expect("a last comment")
    }
}

#[actix_web::test]
async fn events_have_the_form_of_the_other_endpoints() {
    let api = TestApi::start().await;
    put(&api.database.options(), &[message_delivery("A", "s", "before")]).await;
    let mut listening = Listener::on(&api, "").await;
    put(
        &api.database.options(),
        &[join_delivery("A", "s"), message_delivery("A", "s", "hello\\nthere")],
    )
    .await;

    let event = listening.next().await.unwrap();
    let session = api.get("/v1/sessions/s").await.json();
    assert_eq!(event, Event { name: "session".into(), data: session.clone() });
    let event = listening.next().await.unwrap();
    let messages = api.get("/v1/sessions/s/messages").await.json();
    let said = messages["data"].as_array().unwrap().iter();
    let hello = said.clone().find(|message| message["message"] == "hello\nthere").unwrap();
    // It also has our ID of its session.
    let mut hello = hello.clone();
    hello["session"] = session["id"].clone();
    assert_eq!(event, Event { name: "message".into(), data: hello });

    // The IDs are positions of the feed.
    let feed = api.get(&format!("/v1/changes?after={}", listening.last_id)).await.json();
    assert_eq!((&feed["data"], &feed["has_more"]), (&json!([]), &json!(false)));
}

#[actix_web::test]
async fn client_that_reconnects_gets_missed_events_once() {
    let api = TestApi::start().await;
    let options = api.database.options();
    let listening = Listener::on(&api, "").await;
    // It disconnects before the first event.
    let mut id = {
        let mut listening = listening;
        let chunk = listening.response.chunk().await.unwrap().unwrap();
        assert_eq!(listening.read(std::str::from_utf8(&chunk).unwrap()), None);
        listening.last_id
    };
    put(&options, &[message_delivery("A", "s", "1"), message_delivery("A", "s", "2")]).await;
    put(&options, &[message_delivery("A", "s", "3")]).await;
    let mut received = BTreeSet::new();
    for _ in 0..3 {
        let mut listening = Listener::to(&api.address, BOOTSTRAP, "", Some(&id)).await;
        assert!(received.insert(listening.text().await));
        id = listening.last_id;
    }
    assert_eq!(received, ["1", "2", "3"].map(str::to_owned).into());
    let query = format!("last_event_id={id}");
    let mut listening = Listener::to(&api.address, BOOTSTRAP, &query, None).await;
    put(&options, &[message_delivery("A", "s", "4")]).await;
    assert_eq!(listening.text().await, "4");
    // A browser that reconnects repeats the query, and its header is newer.
    let mut again = Listener::to(&api.address, BOOTSTRAP, &query, Some(&listening.last_id)).await;
    put(&options, &[message_delivery("A", "s", "5")]).await;
    assert_eq!(again.text().await, "5");
}

#[actix_web::test]
async fn clients_that_reconnect_during_eight_writers_get_every_row_once() {
    let api = TestApi::start().await;
    let mut steady = Listener::on(&api, "").await;
    let mut odd = Listener::on(&api, "agent_id=odd").await;
    let mut restless = Listener::on(&api, "").await;
    let (writers, all) = start(&api.database.options(), 8, 40);
    let steady = async { steady.texts(all.len()).await };
    let of_odd = of_agent(&all, "odd");
    let odd = async { odd.texts(of_odd.len()).await };
    let restless = async {
        let mut received = BTreeSet::new();
        while received.len() < all.len() {
            for _ in 0..(all.len() / 7).min(all.len() - received.len()) {
                assert!(received.insert(restless.text().await), "each once");
            }
            let id = restless.last_id.clone();
            restless = Listener::to(&api.address, BOOTSTRAP, "", Some(&id)).await;
        }
        received
    };
    let (steady, odd, restless, _) = tokio::join!(steady, odd, restless, writers.join_all());
    assert_eq!(steady, all);
    assert_eq!(odd, of_odd);
    assert_eq!(restless, all);
}

#[actix_web::test]
async fn position_without_a_continuation_is_a_gap() {
    let api = TestApi::start().await;
    let options = api.database.options();
    put(&options, &[message_delivery("A", "s", "1")]).await;
    let old = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    put(&options, &[message_delivery("A", "s", "2")]).await;
    sqlx::query("DELETE FROM journal WHERE seq = 1").execute(api.database.pool()).await.unwrap();
    for id in [old.as_str(), "made up", "\u{e9}"] {
        let mut listening = Listener::to(&api.address, BOOTSTRAP, "", Some(id)).await;
        let gap = listening.next().await.unwrap();
        assert_eq!(gap.name, "gap", "{id}");
        assert!(gap.data["reason"].is_string());
        put(&options, &[message_delivery("A", "s", &format!("after {id}"))]).await;
        assert_eq!(listening.text().await, format!("after {id}"));
    }
    // Removed while clients listen.
    let mut listening = Listener::on(&api, "").await;
    put(&options, &[message_delivery("A", "s", "last")]).await;
    assert_eq!(listening.text().await, "last");
    sqlx::raw_sql("DELETE FROM journal; UPDATE journal_head SET seq = 0")
        .execute(api.database.pool())
        .await
        .unwrap();
    assert!(listening.end().await.contains("journal replaced"));
    let answer = api.get("/v1/stream?last_event_id=").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"));
}

#[actix_web::test]
async fn stream_is_filtered_and_bound_key_gets_only_its_agents() {
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
        live.push(Listener::to(&api.address, key, query, None).await);
    }
    for text in ["As", "At", "Bs", "Ct"] {
        put(&options, &[message_delivery(&text[..1], &text[1..], text)]).await;
    }
    // A client that connects later and catches up must see the same.
    for (key, query, _) in &cases {
        live.push(Listener::to(&api.address, key, query, Some(&start)).await);
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
            // No other event is between: the next one is the new one.
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
    assert_eq!((head.status, head.body.len()), (200, 0), "it has no body, and ends");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let key = api.key(&[Scope::Export], None).await;
    assert_eq!(api.get_as(&key, "/v1/stream").await.code(), "forbidden");
    assert_eq!(api.get("/v1/stream?role=user").await.code(), "invalid_parameter");
}

#[actix_web::test]
async fn listener_of_a_session_gets_only_erasures_of_it_and_of_its_agent() {
    let api = TestApi::start().await;
    put(&api.database.options(), &[message_delivery("A", "s", "before")]).await;
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
        listening.push(Listener::on(&api, query).await);
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
    put(&api.database.options(), &[message_delivery("A", "s", "after")]).await;
    for (query, _) in &cases {
        listening.push(Listener::to(&api.address, BOOTSTRAP, query, Some(&start)).await);
    }
    for (place, mut listening) in listening.into_iter().enumerate() {
        let (query, expected) = cases[place % cases.len()];
        for number in expected {
            let event = listening.next().await.unwrap();
            assert_eq!(event.name, "erasure", "{place} {query}");
            assert_eq!(event.data["id"], json!(uuid::Uuid::from_u128(*number)), "{place} {query}");
        }
        assert_eq!(listening.text().await, "after", "{place} {query}: and no other event");
    }
}

#[actix_web::test]
async fn streams_end_with_their_key() {
    let api = TestApi::start().await;
    let expiring = api.expiring_key(&[Scope::Read], None, Some(at(60))).await;
    let revoked = api.key(&[Scope::Read], None).await;
    let expiring = Listener::to(&api.address, &expiring, "", None).await;
    let revoked = Listener::to(&api.address, &revoked, "", None).await;
    let mut other = Listener::on(&api, "").await;
    api.clock.set(at(61));
    for key in api.store.list_keys().await.unwrap() {
        let wanted =
            Revocation { id: key.id, visible: None, caller: None, keep_made: false, at: at(1) };
        api.store.revoke_key(&wanted).await.unwrap();
    }
    api.key_cache.clear();
    assert!(expiring.end().await.contains("key"));
    assert!(revoked.end().await.contains("key"));
    put(&api.database.options(), &[message_delivery("A", "s", "hush")]).await;
    assert_eq!(other.text().await, "hush");
}

#[actix_web::test]
async fn slow_reader_is_disconnected_and_others_continue() {
    const BATCHES: usize = 3;
    const MESSAGES: usize = BATCHES * 9;
    let api = TestApi::start().await;
    let options = api.database.options();
    // A small window, so that little is in transit.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut slow = socket.connect(api.address.parse().unwrap()).await.unwrap();
    let request =
        format!("GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BOOTSTRAP}\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 9];
    slow.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 ");

    let mut quick = Listener::on(&api, "").await;
    let long = "x".repeat(900_000);
    // More than the ring and the network's buffers can store.
    let mut all = BTreeSet::new();
    for batch in 0..BATCHES {
        let texts = (0..9).map(|n| format!("{batch}-{n} {long}"));
        put(&options, &texts.map(|text| message_delivery("A", "s", &text)).collect::<Vec<_>>())
            .await;
        all.extend(quick.texts(9).await.into_iter().map(number));
    }
    assert_eq!(all.len(), MESSAGES);
    assert_eq!(api.live.listeners(), 2);
    let mut rest = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("the end").unwrap();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.contains("\n: reader too slow; reconnect with Last-Event-ID\n\n"));

    // It reconnects with the last ID that it saw, and misses nothing.
    let received = text.lines().filter_map(|line| line.split_once(r#""message":""#));
    let received: BTreeSet<_> = received.map(|(_, text)| number(text.to_owned())).collect();
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert!(received.len() < MESSAGES, "it had not received everything");
    let mut back = Listener::to(&api.address, BOOTSTRAP, "", Some(id)).await;
    let rest = back.texts(MESSAGES - received.len()).await.into_iter().map(number).collect();
    assert!(received.is_disjoint(&rest));
    assert_eq!(&received | &rest, all);
    put(&options, &[message_delivery("A", "s", "now")]).await;
    assert_eq!((back.text().await, quick.text().await), ("now".into(), "now".into()));
}

/// Returns the beginning of a long text.
fn number(mut text: String) -> String {
    text.truncate(text.find(' ').unwrap());
    text
}

#[actix_web::test]
async fn thousand_listeners_get_the_same() {
    const MANY: usize = 1_000;
    // Both ends of each connection are in this process, and the usual limit is 1,024 files.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let api = TestApi::start().await;
    // One client each: a client cannot reuse a connection with an open stream.
    let client = app::client();
    let joining = (0..MANY).map(|_| Listener::with(&client, &api.address, BOOTSTRAP, "", None));
    let mut listeners = futures_util::future::try_join_all(joining).await.unwrap();
    assert_eq!(api.live.listeners(), MANY);
    let (writers, all) = start(&api.database.options(), 4, 1);
    writers.join_all().await;
    let received = listeners.iter_mut().map(|listening| listening.texts(all.len()));
    for received in futures_util::future::join_all(received).await {
        assert_eq!(received, all);
    }
    drop(listeners);
    // Their connections end with the next event.
    let ends = async {
        for n in 0.. {
            put(&api.database.options(), &[message_delivery("A", "s", &format!("end {n}"))]).await;
            if api.live.listeners() == 0 {
                break;
            }
        }
    };
    timeout(PATIENCE, ends).await.expect("all places are free again");
}

fn delivery(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

#[actix_web::test]
async fn streams_end_at_a_stop_and_continue_after_the_restart() {
    let app = App::start().await;
    let mut listening = Listener::to(&app.address, app::KEY, "", None).await;
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
    assert!(last_words.contains("service stopping"), "{last_words}");
    assert!(stopping.elapsed() < Duration::from_secs(10), "the stop does not wait for a stream");

    let app = App::start_on(database, data, |_| {}).await;
    app.deliver(delivery("after")).await;
    let mut listening = Listener::to(&app.address, app::KEY, "", Some(&id)).await;
    assert_eq!(listening.text().await, "after");
    app.deliver(delivery("later")).await;
    assert_eq!(listening.text().await, "later");
    assert_eq!(feed(&app, &mut cursor).await, ["after", "later"]);
}

#[actix_web::test]
async fn two_services_on_one_database_stream_each_others_deliveries() {
    let one = App::start().await;
    let (unused, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    let url = one.database.url();
    let other = App::start_on(unused, data, |settings| {
        settings.database.url = Some(SecretString::from(url));
    })
    .await;
    let mut at_one = Listener::to(&one.address, app::KEY, "", None).await;
    let mut at_other = Listener::to(&other.address, app::KEY, "", None).await;
    let mut all = BTreeSet::new();
    for n in 0..20 {
        let text = format!("message {n}");
        [&one, &other][n % 2].deliver(delivery(&text)).await;
        all.insert(text);
    }
    let (told_one, told_other) = tokio::join!(at_one.texts(all.len()), at_other.texts(all.len()));
    assert_eq!((&told_one, &told_other), (&all, &all));
    let ids = (at_one.last_id, at_other.last_id);
    // Each service can continue from a position of the other.
    let mut at_one = Listener::to(&one.address, app::KEY, "", Some(&ids.1)).await;
    let mut at_other = Listener::to(&other.address, app::KEY, "", Some(&ids.0)).await;
    one.deliver(delivery("last")).await;
    assert_eq!((at_one.text().await, at_other.text().await), ("last".into(), "last".into()));
}
