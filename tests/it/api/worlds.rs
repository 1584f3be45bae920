//! A key that is bound to agents gets the same answers, byte for byte, in two worlds that differ
//! only in the data of other agents.
//!
//! The routes and their parameters come from the API document. A new route is included
//! automatically, and a new parameter fails the test until `values` has values for it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Executor as _, PgPool};
use uuid::Uuid;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, EventId, Evidence, SessionId, SourceName};
use verbatim::store::ingest::journal::append_erasures;
use verbatim::store::ingest::{Row, write};
use verbatim::store::journal::{ErasedSession, Erasure, ErasureKind};
use verbatim::store::keys::{KeyHash, NewKey, Scope};

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::http::Answer;
use super::{figures, search};

/// Agent of the key.
const OWN_AGENT: &str = "mine";
/// Agent that the key must not see.
const OTHER_AGENT: &str = "theirs";
/// The key, the same in both worlds.
const KEY: &str = "vb_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// Routes that show nothing of any agent, with the reason.
const SKIPPED: [(&str, &str); 8] = [
    ("/healthz", "it shows that the process runs"),
    ("/readyz", "it is about the service, and needs no key"),
    ("/metrics", "it rejects every bound key: tests/it/metrics.rs"),
    ("/v1/retention", "it rejects every bound key: tests/it/retention.rs"),
    ("/v1/setup", "it rejects every bound key: tests/it/setup.rs"),
    ("/v1/browser-session", "it shows the rights of the key"),
    ("/openapi.json", "it is the same for every caller"),
    ("/docs", "it is the same for every caller"),
];
/// Routes whose positions depend on more than the caller sees. Their cursors are compared only by
/// the rows that follow.
const MOVED: [&str; 2] = ["/v1/changes", "/v1/stream"];
/// Longer than the stream needs.
const PATIENCE: Duration = Duration::from_secs(30);
/// More messages of others than one read of the journal examines.
const MANY: usize = 10_500;

/// Returns an ID for a time that is the same in both worlds.
fn id(at: DateTime<Utc>, number: u64) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap();
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&number.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

/// Creates deliveries with numbers.
struct Sender(u64);

impl Sender {
    fn send(&mut self, seconds: i64, body: &Value) -> Arrival {
        self.0 += 1;
        Arrival {
            id: DeliveryId(id(at(seconds), self.0)),
            received_at: at(seconds),
            source: SourceName::default(),
            evidence: Evidence { signed: true, ..Evidence::default() },
            body: body.to_string().into(),
        }
    }

    fn message(
        &mut self,
        agent: &str,
        session: &str,
        seconds: i64,
        role: &str,
        text: &str,
    ) -> Arrival {
        let body = json!({ "event_type": "chat.push", "agent_id": agent,
            "timestamp": at(seconds).timestamp(),
            "data": { "session_id": session, "role": role, "message": text } });
        self.send(seconds, &body)
    }

    fn join(&mut self, agent: &str, session: &str, seconds: i64) -> Arrival {
        let body = json!({ "event_type": "room.join", "agent_id": agent,
            "timestamp": at(seconds).timestamp(),
            "data": { "session_id": session, "room_name": "hall", "participant_count": 2 } });
        self.send(seconds, &body)
    }
}

/// Returns batches of the key's agent. Some are duplicates, some of no session.
fn mine() -> Vec<Vec<Arrival>> {
    let mut sender = Sender(1 << 40);
    let mut batches = vec![vec![sender.join(OWN_AGENT, "shared", -90_000)]];
    for (number, day) in (0..5).zip([-4, -3, -2, -1, 0]) {
        let begin = day * 86_400 - 600;
        let session = if number < 2 { "shared".to_owned() } else { format!("own {number}") };
        let talk = (0..6).map(|turn| {
            let role = ["user", "assistant"][usize::try_from(turn % 2).unwrap()];
            let text = format!("refund {number}-{turn} of the brushed merger");
            sender.message(OWN_AGENT, &session, begin + turn * 7, role, &text)
        });
        batches.push(talk.collect());
    }
    // More matches than a search ranks together, over days with messages of others.
    let many = (0..160).map(|turn| {
        let text = "refund ".repeat(usize::try_from(turn % 5 + 1).unwrap());
        sender.message(
            OWN_AGENT,
            "own many",
            -1_000 - turn * 2_900,
            "user",
            &format!("{text}{turn} merger"),
        )
    });
    batches.push(many.collect());
    let again = batches[2][1].clone();
    let ready = json!({ "event": "agent.ready", "created": at(-50).timestamp(),
        "data": { "agent_id": OWN_AGENT } });
    let unknown = json!({ "event_type": "new.kind", "agent_id": OWN_AGENT, "data": {} });
    batches.push(vec![
        Arrival { id: DeliveryId(id(at(-40), 7)), received_at: at(-40), ..again },
        sender.send(-45, &ready),
        sender.send(-44, &unknown),
    ]);
    batches
}

/// Returns deliveries of the other agent, before and among the batches of the key's agent: the same
/// words, the same names of sessions, at the same times.
fn theirs(round: usize) -> Vec<Arrival> {
    let mut sender = Sender(u64::try_from(round).unwrap() * 100_000);
    let count = if round == 2 { MANY } else { 20 };
    let mut all: Vec<_> = (0..count)
        .map(|number| {
            let session = ["shared", "hidden", "own 2"][number % 3];
            let ago = i64::try_from(number % 400_000).unwrap() * 37 % 400_000;
            let text = format!("refund {round} {number} rebrushed mergers of the merger");
            sender.message(OTHER_AGENT, session, -ago, "user", &text)
        })
        .collect();
    all.push(sender.send(-5, &json!({ "agent_id": OTHER_AGENT, "said": "unreadable merger" })));
    all.push(sender.send(-4, &json!({ "event_type": "new.kind", "agent_id": OTHER_AGENT })));
    all
}

async fn put(api: &TestApi, arrivals: &[Arrival]) {
    let mut connection = api.database.options().connect().await.unwrap();
    for arrivals in arrivals.chunks(1_000) {
        let rows: Vec<_> = arrivals
            .iter()
            .map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) })
            .collect();
        write(&mut connection, &rows).await.unwrap();
    }
}

async fn run(pool: &PgPool, sql: &'static str) {
    pool.execute(sql).await.unwrap();
}

/// Stores keys, holds and receipts, with IDs that are the same in both worlds.
async fn store_keys(api: &TestApi) {
    let pool = api.database.pool();
    run(
        pool,
        "INSERT INTO cursor_keys
         VALUES ('00000000-0000-4000-8000-000000000001', decode(repeat('5a', 32), 'hex'),
             '2026-09-28 00:00:00Z')",
    )
    .await;
    let mine = [OWN_AGENT.to_owned()];
    for (number, key) in [(1, KEY), (2, "another"), (3, "a third")] {
        let new = NewKey {
            id: id(now(), number),
            name: key,
            hash: KeyHash::of(key),
            scopes: &Scope::ALL,
            agent_ids: Some(&mine),
            created_at: now() - TimeDelta::minutes(1),
            expires_at: None,
            made_by: (number > 1).then(|| id(now(), 1)),
        };
        assert!(api.store.insert_key(&new).await.unwrap());
    }
    // Its use is recorded to the minute, in the background.
    run(pool, "UPDATE api_keys SET last_used_at = '2026-09-28 14:54:13Z'").await;
    run(
        pool,
        "INSERT INTO holds (id, agent_id, created_at)
         VALUES ('00000000-0000-4000-8000-000000000002', 'mine', '2026-09-28 00:00:00Z');
         INSERT INTO erasures (id, kind, agent_id, erased_at, finished_at, counts)
         VALUES ('00000000-0000-4000-8000-000000000003', 'agent', 'mine', '2026-01-01',
             '2026-01-01', '{\"messages\": 2}'),
             ('00000000-0000-4000-8000-000000000004', 'agent', 'mine', '2026-01-02',
             '2026-01-02', '{}');
         INSERT INTO jobs (id, kind, agents, filter, created_at, state)
         VALUES ('00000000-0000-4000-8000-000000000005', 'retry_deliveries', '{mine}',
             '{\"agents\": [\"mine\"]}', '2026-01-01', 'cancelled'),
             ('00000000-0000-4000-8000-000000000006', 'retry_deliveries', '{mine}', '{}',
             '2026-01-02', 'waiting')",
    )
    .await;
}

/// Adds an erasure to the journal.
async fn store_erasure(api: &TestApi, agent: &str, number: u64) {
    let session = ErasedSession {
        id: id(now(), number + 1),
        session_id: "erased".into(),
        source: "default".into(),
    };
    let erasure = Erasure {
        id: id(now(), number),
        kind: ErasureKind::Retention,
        agent_id: agent.into(),
        session: Some(session),
        at: now(),
        before: None,
    };
    let mut connection = api.database.options().connect().await.unwrap();
    append_erasures(&mut connection, &[erasure], &[]).await.unwrap();
}

/// Returns a world, with or without others.
async fn world(others: bool) -> TestApi {
    let api = TestApi::start().await;
    store_keys(&api).await;
    for (round, batch) in mine().into_iter().enumerate() {
        let mut all = Vec::new();
        if others {
            put(&api, &theirs(2 * round)).await;
            // The key's deliveries among those of others in one transaction, in their own order.
            let (before, after) = (theirs(2 * round + 1), theirs(100 + round));
            all.extend(before.into_iter().take(500));
            all.extend(batch);
            all.extend(after.into_iter().take(400));
        } else {
            all = batch;
        }
        put(&api, &all).await;
        if round == 2 {
            store_erasure(&api, OWN_AGENT, 500).await;
        }
        if others {
            store_erasure(&api, OTHER_AGENT, 700 + 2 * u64::try_from(round).unwrap()).await;
        }
    }
    if others {
        let key = [("X-API-Key", BOOTSTRAP)];
        let hidden = format!("/v1/sessions/hidden?agent_id={OTHER_AGENT}");
        assert_eq!(api.send("DELETE", &hidden, &key).await.status, 200);
        let hold = format!("/v1/agents/{OTHER_AGENT}/hold");
        assert_eq!(api.send("PUT", &hold, &key).await.status, 200);
        api.key(&[Scope::Admin], Some(&[OTHER_AGENT])).await;
        api.key(&[Scope::Admin], None).await;
        run(
            api.database.pool(),
            "INSERT INTO jobs (id, kind, agents, filter, created_at, state)
             VALUES ('00000000-0000-4000-8000-000000000007', 'retry_deliveries', '{theirs}', '{}',
                 '2026-01-01', 'waiting'),
                 ('00000000-0000-4000-8000-000000000008', 'retry_deliveries', '{mine,theirs}', '{}',
                 '2026-01-01', 'waiting'),
                 ('00000000-0000-4000-8000-000000000009', 'retry_deliveries', NULL, '{}',
                 '2026-01-01', 'waiting')",
        )
        .await;
        put(&api, &theirs(50)).await;
    }
    search::index(&api).await;
    figures::follow(&api).await;
    api
}

/// Follows a reference of the document.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|path| document.pointer(&path[1..]));
    target.map_or(value, |target| resolved(document, target))
}

/// Returns every GET route, with the names of its query parameters.
fn routes() -> Vec<(String, Vec<String>)> {
    let document: Value = serde_json::from_str(verbatim::api::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        if operations.get("get").is_none() || SKIPPED.iter().any(|(known, _)| known == path) {
            continue;
        }
        let all = [&operations["parameters"], &operations["get"]["parameters"]];
        let all = all.into_iter().filter_map(Value::as_array).flatten();
        let all = all.map(|parameter| resolved(&document, parameter));
        let query = all.filter(|parameter| parameter["in"] == "query");
        let names = query.map(|parameter| parameter["name"].as_str().unwrap().to_owned());
        routes.push((path.clone(), names.collect()));
    }
    assert!(routes.len() > 15, "{routes:?}");
    routes
}

/// Returns values to try for a parameter.
fn values(route: &str, parameter: &str) -> &'static [&'static str] {
    match parameter {
        // Followed from page to page.
        "cursor" | "last_event_id" => &[],
        "after" if MOVED.contains(&route) => &[],
        "limit" if ["/v1/changes", "/v1/search"].contains(&route) => &["40", "500"],
        "limit" => &["1", "2", "500"],
        "order" => &["asc", "desc"],
        "alert" => &["drain"],
        "agent_id" => &["mine", "theirs", "mine&agent_id=theirs"],
        "source" => &["default", "other"],
        "session_id" => &["shared", "hidden", "own%202"],
        "room_name" => &["hall"],
        "status" => &["live", "idle", "ended"],
        "opened_by" => &["room.join", "chat.push"],
        "min_messages" | "max_messages" => &["1", "7"],
        "min_duration" | "max_duration" => &["0", "30"],
        "sort" => &["started", "duration&limit=2", "messages&order=asc&limit=2"],
        "silent" | "engaged" | "single_turn" => &["true", "false"],
        "flag" => &["no_join", "one_sided&flag=undated"],
        "include" if route == "/v1/sessions/{session_id}" => {
            &["completeness", "continues", "completeness,continues"]
        }
        "include" => &["messages", "messages&limit=1", "first_user_message,flags"],
        "role" => &["user", "agent"],
        "visit" => &["1", "2"],
        "around" => around(),
        "started_after" | "active_after" | "after" | "received_after" => &["2026-09-26T00:00:00Z"],
        "started_before" | "active_before" | "before" | "received_before" => {
            &["2026-09-27T00:00:00Z"]
        }
        "outcome" => &["stored", "duplicate", "unhandled", "quarantined"],
        "event_type" => &["chat.push", "new.kind"],
        "reason" => &["is missing", "merger"],
        "q" => &[
            "refund",
            "merger",
            "merger&limit=40",
            "%22brushed%20merger%22",
            "brush*",
            "rush",
            "refund%20-3",
            "rebrushed",
            "unreadable",
            "nobody",
        ],
        "format" if route.ends_with("/transcript") => &["txt", "md", "json", "jsonl", "csv"],
        "format" => &["jsonl", "csv", "parquet"],
        "compression" => &["none", "gzip", "zstd"],
        "with_cursor" => &["true&format=jsonl", "true&format=csv"],
        "bom" => &["true&format=csv"],
        "formula_guard" => &["false&format=csv"],
        "max_cell_chars" => &["100&format=csv"],
        "tz" => &["Europe/Berlin"],
        // Of analytics.
        "from" => &["2026-09-26"],
        "to" => &["2026-09-28&from=2026-09-26"],
        "period" => &["today", "last_7d", "last_week"],
        "week_starts" => &["monday", "sunday"],
        "bucket" => &["auto", "15m", "hour", "day"],
        "metric" if route == "/v1/analytics/top" => &[
            "sessions&by=first_message",
            "turns_per_session&stat=p90&by=room",
            "messages&by=source",
        ],
        "metric" => &["sessions", "messages", "reply_gap", "concurrent_sessions", "agents"],
        "stat" => &["p50&metric=session_duration", "max&metric=reply_gap"],
        "group_by" => &["agent", "source"],
        "compare" => &["previous", "same_weekdays"],
        "by" => &["agent", "source", "room", "first_message"],
        "edges" => &["0,10,60&metric=session_duration", "1&metric=reply_gap&group_by=agent"],
        "user_name" | "assistant_name" => &["Ada"],
        other => panic!("{other} of {route} is new: add values for it"),
    }
}

/// Returns message IDs of both agents.
fn around() -> &'static [&'static str] {
    static IDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let id = |arrival: &Arrival| EventId::of(&arrival.source, &arrival.body).0.to_string();
        let ids = [id(&mine()[1][2]), id(&mine()[2][1]), id(&theirs(0)[0]), "no id".into()];
        let mut words: Vec<&str> = ids.map(|id| &*id.leak()).into();
        words.push(format!("{}&order=desc&limit=3", words[0]).leak());
        words
    });
    &IDS
}

/// Returns the paths of a route: those of the key's agent, and those of others or of nothing.
fn paths(route: &str) -> [Vec<String>; 2] {
    let Some((head, rest)) = route.split_once('{') else {
        return [vec![route.to_owned()], Vec::new()];
    };
    let tail = rest.split_once('}').unwrap().1;
    let session = |agent| SessionId::of(&SourceName::default(), agent, "shared").0.to_string();
    let nobody = Uuid::nil().to_string();
    let (ours, not_ours): (Vec<String>, Vec<String>) = match route.split('/').nth(2).unwrap() {
        "agents" => (vec![OWN_AGENT.into()], vec![OTHER_AGENT.into(), "nobody".into()]),
        "sessions" => (
            vec!["shared".into(), "own%202".into(), session(OWN_AGENT)],
            vec!["hidden".into(), "nobody".into(), session(OTHER_AGENT)],
        ),
        "deliveries" => {
            (vec![mine()[1][0].id.0.to_string()], vec![theirs(0)[0].id.0.to_string(), nobody])
        }
        "erasures" => (vec!["00000000-0000-4000-8000-000000000003".into()], vec![nobody]),
        "jobs" => (vec!["00000000-0000-4000-8000-000000000005".into()], vec![nobody]),
        other => panic!("{other} is new: add IDs for it"),
    };
    [ours, not_ours].map(|ids| ids.iter().map(|id| format!("{head}{id}{tail}")).collect())
}

/// Returns every request for a route.
fn targets(route: &str, parameters: &[String]) -> Vec<String> {
    let needs = if route == "/v1/search" { "q=refund" } else { "" };
    let [ours, not_ours] = paths(route);
    let mut targets: Vec<_> = not_ours.iter().map(|path| format!("{path}?agent_id=mine")).collect();
    targets.extend(not_ours);
    for path in ours {
        targets.push(format!("{path}?{needs}"));
        for name in parameters {
            for value in values(route, name) {
                let needs = if name == "q" { "" } else { needs };
                targets.push(format!("{path}?{needs}&{name}={value}"));
            }
        }
        targets.push(format!("{path}?{needs}&no_such_parameter=1"));
        targets.push(format!("{path}?{needs}&limit=0"));
    }
    targets
}

async fn ask(api: &TestApi, method: &str, target: &str) -> Answer {
    // Values that are random by design are fixed, so that they are the same.
    let headers = [("X-API-Key", KEY), ("X-Request-Id", "two-worlds")];
    api.send(method, target, &headers).await
}

/// Returns an answer without its date, and with the length instead of the value of cursors.
fn shown(route: &str, answer: &Answer) -> (Vec<String>, Vec<u8>) {
    let mut head: Vec<_> = answer.head().lines().map(str::to_owned).collect();
    head.retain(|line| !line.to_ascii_lowercase().starts_with("date:"));
    head.sort_unstable();
    let mut body = answer.body.clone();
    if MOVED.contains(&route) {
        // An answer to HEAD has only its link.
        let link = answer.header("link").and_then(|link| link.split_once('>'));
        let linked =
            link.and_then(|(target, _)| target.rsplit_once('=')).map(|(_, it)| it.to_owned());
        for cursor in [cursor(answer), linked].into_iter().flatten() {
            let length = format!("(a cursor of {} characters)", cursor.len());
            body = String::from_utf8(body).unwrap().replace(&cursor, &length).into_bytes();
            for line in &mut head {
                *line = line.replace(&cursor, &length);
            }
        }
    }
    (head, body)
}

fn cursor(answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body["next_cursor"].as_str().map(str::to_owned)
}

/// Sends the same request to both worlds, and follows its pages.
async fn compare(worlds: &[TestApi; 2], route: &str, target: &str) -> usize {
    let goes_on = if route == "/v1/changes" { "after" } else { "cursor" };
    let mut next = [target.to_owned(), target.to_owned()];
    let mut answers = 0;
    loop {
        let mut both = Vec::new();
        for (api, target) in worlds.iter().zip(&next) {
            for method in ["GET", "HEAD"] {
                both.push(ask(api, method, target).await);
            }
        }
        let [one, head, other, other_head] = both.try_into().unwrap();
        assert!(one.status < 500, "{target}: {}", String::from_utf8_lossy(&one.body));
        for (one, other) in [(&one, &other), (&head, &other_head)] {
            let (one, other) = (shown(route, one), shown(route, other));
            if one != other {
                let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
                panic!(
                    "{target}, answer {answers}: without others\n{:#?}\n{}\nand with them\n{:#?}\n{}",
                    one.0,
                    text(&one.1),
                    other.0,
                    text(&other.1),
                );
            }
        }
        answers += 1;
        assert!(answers < 200, "{target} does not end");
        let (Some(a), Some(b)) = (cursor(&one), cursor(&other)) else { return answers };
        let separator = if target.contains('?') { '&' } else { '?' };
        let follow = |cursor: String| format!("{target}{separator}{goes_on}={cursor}");
        next = [follow(a), follow(b)];
        if one.json()["has_more"] == false && answers > 1 {
            return answers;
        }
    }
}

/// Returns the events of a stream after a position, without their IDs, up to the last of the key's
/// agent.
async fn streamed(api: &TestApi, query: &str, after: &str, last: &str) -> String {
    let url = format!("http://{}/v1/stream?{query}", api.address);
    let request = crate::support::app::client().get(url).header("X-API-Key", KEY);
    let mut response = request.header("Last-Event-ID", after).send().await.unwrap();
    let mut text = String::new();
    while !text.contains(last) {
        let chunk =
            tokio::time::timeout(PATIENCE, response.chunk()).await.expect("a chunk in time");
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap().expect("the stream continues")));
    }
    let mut shown = String::new();
    for line in text.lines().take_while(|line| !line.contains(last)) {
        let id = line.strip_prefix("id: ").map(|id| format!("id of {}", id.len()));
        writeln!(shown, "{}", id.as_deref().unwrap_or(line)).unwrap();
    }
    shown
}

#[actix_web::test]
async fn bound_key_gets_the_same_answers_whatever_other_agents_have() {
    let worlds = [world(false).await, world(true).await];
    // A control: for a key that sees everything the worlds differ.
    let all = [worlds[0].get("/v1/agents").await.json(), worlds[1].get("/v1/agents").await.json()];
    assert_ne!(all[0]["data"], all[1]["data"]);

    for (route, parameters) in routes() {
        if route == "/v1/stream" {
            continue;
        }
        let mut answers = 0;
        for target in targets(&route, &parameters) {
            answers += compare(&worlds, &route, &target).await;
        }
        assert!(answers > 2, "{route}");
    }

    // A position before everything, from a world without messages.
    let empty = TestApi::start().await;
    store_keys(&empty).await;
    let start = empty.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let text = "refund 4-5 of the brushed merger";
    for query in ["", "agent_id=mine&agent_id=theirs", "session_id=own%204"] {
        let mut both = Vec::new();
        for api in &worlds {
            both.push(streamed(api, query, &start, text).await);
        }
        assert!(both[0].contains("event: message"), "{query}: {}", both[0]);
        assert_eq!(both[0], both[1], "{query}");
    }
}

#[actix_web::test]
async fn feed_of_a_bound_key_has_full_pages_and_no_numbers() {
    let api = world(true).await;
    let page = ask(&api, "GET", "/v1/changes?limit=10").await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 10, "though others fill thousands");
    assert!(page["data"].as_array().unwrap().iter().all(|item| item.get("seq").is_none()));
    let page = ask(&api, "GET", "/v1/changes?limit=500").await.json();
    let items = page["data"].as_array().unwrap();
    assert_eq!(items.len(), 190 + 7 + 1, "messages, sessions and an erasure");
    assert_eq!(page["has_more"], false);
    let unbound = api.get("/v1/changes?limit=500").await.json();
    assert!(unbound["data"].as_array().unwrap().iter().all(|item| item["seq"].is_i64()));

    // Messages of others cannot be inferred from two cursors.
    let target = format!("/v1/changes?after={}", page["next_cursor"].as_str().unwrap());
    let [one, other] = [ask(&api, "GET", &target).await, ask(&api, "GET", &target).await];
    assert_ne!(cursor(&one), cursor(&other));
    put(&api, &theirs(60)).await;
    let after = ask(&api, "GET", &target).await;
    assert_eq!(shown("/v1/changes", &one), shown("/v1/changes", &after));
}
