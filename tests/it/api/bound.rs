//! A walk over every route there is, with a key that is bound to one agent, in search of another.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::json;
use sqlx::ConnectOptions as _;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SessionId, SourceName};
use verbatim::store::ingest::{Row, write};
use verbatim::store::jobs::{NewJob, RetryFilter};
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};
use verbatim::store::saved_views::ViewRow;

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::http::Answer;
use super::{figures, search};

/// Whom the key must not find. No answer may hold it, whatever the route.
const THEIRS: &str = "hidden-agent";
/// Whom it may.
const MINE: &str = "mine";
/// What is said of them, and nowhere else.
const HUSH: &str = "hushhush";
/// The sender's id of a conversation that both have, that of one that only they have, and that of one
/// that only we have.
const SESSIONS: [&str; 3] = ["shared", "hidden-session", "own"];
/// What we say; a part of it is a part of what they say, too.
const OWN: &str = "brushed";
/// Longer than the stream takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every route that has anything of an agent, as the code registers it, with the methods it takes.
fn routes() -> BTreeSet<&'static str> {
    let code = include_str!("../../../src/api/routes.rs");
    let paths = code.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    // `/metrics`, set-up and retention are about no agent, and refuse every bound key:
    // tests/it/metrics.rs, setup.rs, retention.rs.
    let paths = paths.filter(|path| path.starts_with("/v1/"));
    let of_none = |path: &str| path.starts_with("/v1/setup") || path == "/v1/retention";
    paths.filter(|path| !of_none(path)).collect()
}

fn arrival(second: i64, agent: &str, session: &str, text: &str) -> Arrival {
    let body = json!({
        "event_type": "chat.push", "agent_id": agent, "timestamp": at(second).timestamp(),
        "data": { "session_id": session, "role": "user", "message": text },
    });
    Arrival {
        id: DeliveryId::new(at(second)),
        received_at: at(second),
        source: SourceName::default(),
        evidence: Evidence::default(),
        body: body.to_string().into(),
    }
}

/// What there is of theirs, by whatever names it.
struct Theirs {
    deliveries: Vec<String>,
    sessions: Vec<String>,
    key: String,
    erasure: String,
    jobs: Vec<String>,
}

/// Stores what both have and what only they have.
async fn converse(api: &TestApi) -> Vec<String> {
    let theirs = [arrival(0, THEIRS, SESSIONS[0], HUSH), arrival(1, THEIRS, SESSIONS[1], HUSH), {
        // In quarantine, and nobody knows whose.
        let mut lost = arrival(2, THEIRS, SESSIONS[1], HUSH);
        lost.body = format!(r#"{{"agent_id":"{THEIRS}","said":"{HUSH}"}}"#).into();
        lost
    }];
    // Begun without a join soon after theirs fell silent, as if it went on from it.
    let mine = [
        arrival(3, MINE, SESSIONS[0], OWN),
        arrival(4, MINE, SESSIONS[2], OWN),
        arrival(5, MINE, SESSIONS[2], "brush it"),
    ];
    let mut connection = api.database.options().connect().await.unwrap();
    for arrivals in [&theirs, &mine] {
        let rows: Vec<_> = arrivals
            .iter()
            .map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) })
            .collect();
        write(&mut connection, &rows).await.unwrap();
    }
    search::index(api).await;
    figures::follow(api).await;
    theirs.iter().map(|arrival| arrival.id.0.to_string()).collect()
}

/// A key of theirs, by its id.
async fn their_key(api: &TestApi) -> String {
    let id = DeliveryId::new(now()).0;
    let new = NewKey {
        id,
        name: "hidden-key",
        hash: KeyHash::of(&generate_key()),
        scopes: &[Scope::Read],
        agent_ids: Some(&[THEIRS.to_owned()]),
        created_at: now(),
        expires_at: None,
        made_by: None,
    };
    api.store.insert_key(&new).await.unwrap();
    id.to_string()
}

/// The receipt of something of theirs that was erased long ago, by its id.
async fn their_erasure(api: &TestApi) -> String {
    let id = DeliveryId::new(now()).0;
    sqlx::query(
        "INSERT INTO erasures (id, kind, agent_id, erased_at, finished_at, counts)
         VALUES ($1, 'agent', $2, $3, $3, '{}')",
    )
    .bind(id)
    .bind(THEIRS)
    .bind(at(-1_000_000))
    .execute(api.database.pool())
    .await
    .unwrap();
    id.to_string()
}

/// A job of a key that sees what is theirs, by its id.
async fn their_job(api: &TestApi, agents: Option<Vec<String>>) -> String {
    let id = DeliveryId::new(now()).0;
    let filter = RetryFilter { agents: Some(vec![THEIRS.into()]), ..RetryFilter::default() };
    let job = NewJob { id, key_id: None, agents, filter, created_at: now() };
    assert!(api.store.insert_job(&job).await.unwrap());
    id.to_string()
}

impl Theirs {
    async fn store(api: &TestApi) -> Self {
        let id = |session| SessionId::of(&SourceName::default(), THEIRS, session).0.to_string();
        Self {
            deliveries: converse(api).await,
            sessions: vec![SESSIONS[1].to_owned(), id(SESSIONS[0]), id(SESSIONS[1])],
            key: their_key(api).await,
            erasure: their_erasure(api).await,
            jobs: vec![
                their_job(api, None).await,
                their_job(api, Some(vec![THEIRS.into()])).await,
                their_job(api, Some(vec![MINE.into(), THEIRS.into()])).await,
            ],
        }
    }

    /// Paths that name what is theirs: whatever is done there, it is as if there were nothing.
    fn named(&self, route: &str) -> Vec<String> {
        let Some((head, rest)) = route.split_once('{') else { return Vec::new() };
        let tail = rest.split_once('}').unwrap().1;
        let ids = match route.split('/').nth(2).unwrap() {
            "agents" => vec![THEIRS.to_owned()],
            "sessions" => self.sessions.clone(),
            "deliveries" => self.deliveries.clone(),
            "keys" => vec![self.key.clone()],
            "erasures" => vec![self.erasure.clone()],
            // Views of the settings' key.
            "views" => vec!["hidden-view".to_owned()],
            "jobs" => self.jobs.clone(),
            other => panic!("{other} is new: say here by which ids another agent's would be found"),
        };
        let mut paths = Vec::new();
        for id in &ids {
            for query in [String::new(), format!("?agent_id={THEIRS}"), "?source=default".into()] {
                paths.push(format!("{head}{id}{tail}{query}"));
            }
        }
        if route.starts_with("/v1/sessions/{") {
            // We have one of this name; of theirs we must not learn.
            paths.push(format!("{head}{}{tail}?agent_id={THEIRS}", SESSIONS[0]));
        }
        paths.extend(queries(route).iter().map(|query| format!("{head}{}{tail}{query}", ids[0])));
        paths
    }
}

/// What makes a route show more.
fn queries(route: &str) -> &'static [&'static str] {
    match route {
        "/v1/agents/{agent_id}/sessions" | "/v1/sessions" => &[
            "?include=messages",
            "?limit=1&order=asc",
            "?status=live&include=messages",
            "?include=first_user_message,flags&sort=messages",
        ],
        "/v1/sessions/{session_id}" => {
            &["?include=continues", "?include=completeness", "?include=continues,completeness"]
        }
        "/v1/sessions/{session_id}/messages" => &["?limit=1", "?order=desc", "?visit=1"],
        "/v1/sessions/{session_id}/transcript" => {
            &["?format=md", "?format=json", "?format=jsonl", "?format=csv", "?visit=1"]
        }
        "/v1/sessions/{session_id}/visits" => &["?limit=1", "?order=desc"],
        _ => &[],
    }
}

/// Paths of what is our own, or of everything that we may see: they are answered, without theirs.
fn allowed(route: &str) -> Vec<String> {
    let by_agent = [
        format!("?agent_id={THEIRS}"),
        format!("?agent_id={THEIRS}&agent_id={MINE}"),
        format!("?agent_id={MINE}"),
    ];
    let session = &SessionId::of(&SourceName::default(), THEIRS, SESSIONS[0]).0.to_string();
    let plain = |more: &[&str]| more.iter().map(|query| format!("{route}{query}")).collect();
    let with_agents = |more: &[&str]| -> Vec<String> {
        let queries = more.iter().map(|query| (*query).to_owned()).chain(by_agent.clone());
        queries.map(|query| format!("{route}{query}")).collect()
    };
    match route {
        "/v1/agents" | "/v1/keys" | "/v1/holds" | "/v1/erasures" | "/v1/jobs" => {
            plain(&["", "?limit=1", "?order=asc"])
        }
        "/v1/alerts/history" => plain(&["", "?limit=1&order=asc", "?alert=drain"]),
        "/v1/alerts" | "/v1/analytics/catalog" | "/v1/browser-session" | "/v1/views" => {
            plain(&[""])
        }
        "/v1/analytics/summary" | "/v1/analytics/heatmap" => {
            with_agents(&["?from=2026-09-01&to=2026-10-15"])
        }
        "/v1/analytics/timeseries" => with_agents(&[
            "?from=2026-09-01&to=2026-10-15",
            "?from=2026-09-01&to=2026-10-15&metric=sessions&group_by=agent",
        ]),
        "/v1/analytics/distribution" => with_agents(&[
            "?from=2026-09-01&to=2026-10-15&metric=messages_per_session",
            "?from=2026-09-01&to=2026-10-15&metric=session_duration&group_by=agent&edges=1,2",
        ])
        .into_iter()
        .map(|target| if target.contains("metric") { target } else { target + "&metric=reply_gap" })
        .collect(),
        "/v1/analytics/top" => with_agents(&[
            "?from=2026-09-01&to=2026-10-15",
            "?from=2026-09-01&to=2026-10-15&by=room",
            "?from=2026-09-01&to=2026-10-15&by=first_message",
            "?from=2026-09-01&to=2026-10-15&by=first_message&metric=messages_per_session&stat=p90",
        ]),
        "/v1/sessions" => {
            let queries = queries(route);
            with_agents(&["", "?limit=500", queries[0], queries[1], queries[3]])
        }
        "/v1/changes" => with_agents(&["", "?limit=1", "?limit=500"]),
        "/v1/deliveries" => {
            let outcomes = ["stored", "duplicate", "test", "unhandled", "quarantined"];
            let by_outcome = outcomes.map(|outcome| format!("{route}?outcome={outcome}"));
            by_outcome.into_iter().chain(plain(&["", "?limit=1", "?order=asc"])).collect()
        }
        "/v1/export/messages" | "/v1/export/sessions" => {
            let mut paths =
                with_agents(&["", "?format=csv", "?with_cursor=true", "?format=parquet"]);
            if route.ends_with("messages") {
                let names = [SESSIONS[0], SESSIONS[1], session];
                paths.extend(names.map(|name| format!("{route}?session_id={name}")));
            }
            paths
        }
        // As words, as their beginnings, as parts of them, and with what we say.
        "/v1/search" => ["hushhush", "hush*", "ush", "hhus", "rush", "%22hushhush%22", "brush"]
            .iter()
            .flat_map(|q| {
                let plain = [format!("{route}?q={q}"), format!("{route}?q={q}&limit=1")];
                plain.into_iter().chain(
                    by_agent
                        .iter()
                        .map(move |by| format!("{route}?q={q}&{}", by.trim_start_matches('?'))),
                )
            })
            .collect(),
        // A POST alone: tests/it/api/bulk_retry.rs.
        "/v1/stream" | "/v1/deliveries/retry" => Vec::new(),
        route if route.contains('{') => {
            let own = |id: &str| {
                let (head, rest) = route.split_once('{').unwrap();
                format!("{head}{id}{}", rest.split_once('}').unwrap().1)
            };
            let ids: &[&str] = match route {
                "/v1/agents/{agent_id}" | "/v1/agents/{agent_id}/sessions" => &[MINE],
                route if route.starts_with("/v1/sessions/{") && !route.ends_with("/hold") => {
                    &[SESSIONS[0], SESSIONS[2]]
                }
                _ => &[],
            };
            let more = queries(route).iter().chain([&""]);
            more.flat_map(|query| ids.iter().map(move |id| format!("{}{query}", own(id)))).collect()
        }
        other => panic!("{other} is new: say here how everything that it has is asked for"),
    }
}

#[actix_web::test]
async fn a_bound_key_finds_nothing_of_another_agent_on_any_route() {
    let api = TestApi::start().await;
    let beginning = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let theirs = Theirs::store(&api).await;
    for held in [format!("/v1/agents/{THEIRS}"), format!("/v1/sessions/{}", theirs.sessions[1])] {
        let put = api.send("PUT", &format!("{held}/hold"), &[("X-API-Key", BOOTSTRAP)]).await;
        assert!(put.status < 300, "{}", put.text());
    }
    let view = ViewRow {
        name: "hidden-view".into(),
        place: None,
        query: json!({ "agent_id": THEIRS }).to_string(),
        updated_at: now(),
    };
    assert!(api.store.save_view(None, &view).await.unwrap());
    let bound = api.key(&[Scope::Admin], Some(&[MINE])).await;
    let key = [("X-API-Key", bound.as_str())];

    let mut walked = BTreeSet::from(["/v1/stream", "/v1/deliveries/retry"]);
    for route in routes() {
        for target in theirs.named(route) {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
                let answer = api.send(method, &target, &key).await;
                assert_holds_nothing(method, &target, &answer);
                let refused = [400, 404, 405].contains(&answer.status);
                assert!(refused, "{method} {target}: {}", answer.status);
                if answer.status == 404 {
                    walked.insert(route);
                }
            }
        }
        for target in allowed(route) {
            let answer = api.send("GET", &target, &key).await;
            assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
            assert_holds_nothing("GET", &target, &answer);
            walked.insert(route);
        }
    }
    assert_eq!(walked, routes(), "every route was walked");
    assert_streams_nothing(&api, &bound, &beginning).await;
    assert_all_is_there(&api, &theirs).await;
}

/// Nothing of theirs, neither in the head nor in the body, and not in a cursor either.
fn assert_holds_nothing(method: &str, target: &str, answer: &Answer) {
    let mut texts =
        vec![answer.head().to_owned(), String::from_utf8_lossy(&answer.body).into_owned()];
    if let Ok(body) = serde_json::from_slice::<serde_json::Value>(&answer.body) {
        // A search repeats what it was asked for.
        if let Some(asked) = body["query"]["read_as"].as_str() {
            let asked = format!("\"read_as\":{}", json!(asked));
            texts[1] = texts[1].replace(&asked, "");
        }
        let cursor = body["next_cursor"].as_str().and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
        texts.extend(cursor.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    }
    if answer.header("content-type") == Some("application/vnd.apache.parquet") {
        let file = SerializedFileReader::new(Bytes::copy_from_slice(&answer.body)).unwrap();
        texts.extend(file.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()));
        assert!(texts.len() > 2 || target.contains(THEIRS), "{target} has rows of our own");
    }
    for secret in [THEIRS, HUSH, SESSIONS[1], "hidden-key"] {
        for text in &texts {
            assert!(!text.contains(secret), "{method} {target}: {text}");
        }
    }
    let only_theirs =
        target.contains(&format!("agent_id={THEIRS}")) && !target.contains("agent_id=mine");
    let lists = ["/v1/sessions?", "/v1/changes?", "/v1/search?"];
    if only_theirs && lists.iter().any(|list| target.starts_with(list)) {
        assert_eq!(answer.json()["data"], json!([]), "{target}");
    }
}

/// What the stream tells from the beginning on, up to our own, which came last.
async fn assert_streams_nothing(api: &TestApi, bound: &str, beginning: &str) {
    for query in ["", "agent_id=hidden-agent&agent_id=mine", "session_id=shared"] {
        let url = format!("http://{}/v1/stream?{query}", api.address);
        let request = crate::support::app::client().get(url).bearer_auth(bound);
        let mut response = request.header("Last-Event-ID", beginning).send().await.unwrap();
        let last = if query.starts_with("session") { OWN } else { "brush it" };
        let mut text = String::new();
        while !text.contains(last) {
            let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await.expect("it comes");
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap().expect("it goes on")));
        }
        for secret in [THEIRS, HUSH, SESSIONS[1]] {
            assert!(!text.contains(secret), "{query}: {text}");
        }
    }
}

/// All of it is still there, for those who may see it: so this test sees what it looks for.
async fn assert_all_is_there(api: &TestApi, theirs: &Theirs) {
    for id in &theirs.deliveries {
        assert_eq!(api.get(&format!("/v1/deliveries/{id}")).await.status, 200);
    }
    for session in &theirs.sessions {
        let messages = api.get(&format!("/v1/sessions/{session}/messages")).await;
        assert!(messages.text().contains(HUSH));
    }
    assert!(api.get("/v1/search?q=hhus").await.text().contains(HUSH));
    assert!(api.get("/v1/holds").await.text().contains(THEIRS));
    let keys = api.get("/v1/keys").await;
    assert!(keys.text().contains(r#""name":"hidden-key""#));
    assert!(keys.json()["data"].as_array().unwrap().iter().all(|key| key["revoked_at"].is_null()));
}

#[actix_web::test]
async fn what_a_bound_key_erases_of_a_name_that_others_have_too_is_its_own() {
    let api = TestApi::start().await;
    let theirs = Theirs::store(&api).await;
    let bound = api.key(&[Scope::Admin], Some(&[MINE])).await;
    let target = format!("/v1/sessions/{}", SESSIONS[0]);
    let answer = api.send("DELETE", &target, &[("X-API-Key", &bound)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["agent_id"], MINE);
    assert_holds_nothing("DELETE", &target, &answer);
    for session in &theirs.sessions {
        let messages = api.get(&format!("/v1/sessions/{session}/messages")).await;
        assert!(messages.text().contains(HUSH));
    }
}
