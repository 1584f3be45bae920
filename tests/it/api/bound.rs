//! Requests every route with a key that is bound to one agent, and checks that no answer shows
//! another agent.

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

/// Agent that the key must not see. No answer of any route may contain it.
const HIDDEN_AGENT: &str = "hidden-agent";
/// Agent of the key.
const OWN_AGENT: &str = "mine";
/// Text of its messages, and of no others.
const HIDDEN_TEXT: &str = "hushhush";
/// Sender's IDs of three conversations: one of both agents, one of the hidden agent, and one of the
/// key's agent.
const SESSIONS: [&str; 3] = ["shared", "hidden-session", "own"];
/// Text of the key's agent. A part of it is a part of the hidden text, too.
const OWN_TEXT: &str = "brushed";
/// Longer than the stream needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns every route about agents, as the code registers it, with its methods.
fn routes() -> BTreeSet<&'static str> {
    let code = include_str!("../../../src/api/routes.rs");
    let paths = code.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    // `/metrics`, set-up and retention are about no agent, and reject every bound key:
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

/// IDs and keys of the hidden agent.
struct Hidden {
    deliveries: Vec<String>,
    sessions: Vec<String>,
    key: String,
    erasure: String,
    jobs: Vec<String>,
}

/// Stores conversations of both agents, and of the hidden agent alone.
async fn converse(api: &TestApi) -> Vec<String> {
    let hidden = [
        arrival(0, HIDDEN_AGENT, SESSIONS[0], HIDDEN_TEXT),
        arrival(1, HIDDEN_AGENT, SESSIONS[1], HIDDEN_TEXT),
        {
            // In quarantine, and of no known agent.
            let mut lost = arrival(2, HIDDEN_AGENT, SESSIONS[1], HIDDEN_TEXT);
            lost.body = format!(r#"{{"agent_id":"{HIDDEN_AGENT}","said":"{HIDDEN_TEXT}"}}"#).into();
            lost
        },
    ];
    // Begins without a join soon after the other agent fell silent, as if it continued that
    // session.
    let mine = [
        arrival(3, OWN_AGENT, SESSIONS[0], OWN_TEXT),
        arrival(4, OWN_AGENT, SESSIONS[2], OWN_TEXT),
        arrival(5, OWN_AGENT, SESSIONS[2], "brush it"),
    ];
    let mut connection = api.database.options().connect().await.unwrap();
    for arrivals in [&hidden, &mine] {
        let rows: Vec<_> = arrivals
            .iter()
            .map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) })
            .collect();
        write(&mut connection, &rows).await.unwrap();
    }
    search::index(api).await;
    figures::follow(api).await;
    hidden.iter().map(|arrival| arrival.id.0.to_string()).collect()
}

/// Creates a key bound to the hidden agent, and returns its ID.
async fn hidden_key(api: &TestApi) -> String {
    let id = DeliveryId::new(now()).0;
    let new = NewKey {
        id,
        name: "hidden-key",
        hash: KeyHash::of(&generate_key()),
        scopes: &[Scope::Read],
        agent_ids: Some(&[HIDDEN_AGENT.to_owned()]),
        created_at: now(),
        expires_at: None,
        made_by: None,
    };
    api.store.insert_key(&new).await.unwrap();
    id.to_string()
}

/// Stores the receipt of an old erasure of the hidden agent, and returns its ID.
async fn hidden_erasure(api: &TestApi) -> String {
    let id = DeliveryId::new(now()).0;
    sqlx::query(
        "INSERT INTO erasures (id, kind, agent_id, erased_at, finished_at, counts)
         VALUES ($1, 'agent', $2, $3, $3, '{}')",
    )
    .bind(id)
    .bind(HIDDEN_AGENT)
    .bind(at(-1_000_000))
    .execute(api.database.pool())
    .await
    .unwrap();
    id.to_string()
}

/// Stores a job of a key that sees the hidden agent, and returns its ID.
async fn hidden_job(api: &TestApi, agents: Option<Vec<String>>) -> String {
    let id = DeliveryId::new(now()).0;
    let filter = RetryFilter { agents: Some(vec![HIDDEN_AGENT.into()]), ..RetryFilter::default() };
    let job = NewJob { id, key_id: None, agents, filter, created_at: now() };
    assert!(api.store.insert_job(&job).await.unwrap());
    id.to_string()
}

impl Hidden {
    async fn store(api: &TestApi) -> Self {
        let id =
            |session| SessionId::of(&SourceName::default(), HIDDEN_AGENT, session).0.to_string();
        Self {
            deliveries: converse(api).await,
            sessions: vec![SESSIONS[1].to_owned(), id(SESSIONS[0]), id(SESSIONS[1])],
            key: hidden_key(api).await,
            erasure: hidden_erasure(api).await,
            jobs: vec![
                hidden_job(api, None).await,
                hidden_job(api, Some(vec![HIDDEN_AGENT.into()])).await,
                hidden_job(api, Some(vec![OWN_AGENT.into(), HIDDEN_AGENT.into()])).await,
            ],
        }
    }

    /// Returns paths that name something of the hidden agent. Each must answer as if it did not
    /// exist.
    fn named(&self, route: &str) -> Vec<String> {
        let Some((head, rest)) = route.split_once('{') else { return Vec::new() };
        let tail = rest.split_once('}').unwrap().1;
        let ids = match route.split('/').nth(2).unwrap() {
            "agents" => vec![HIDDEN_AGENT.to_owned()],
            "sessions" => self.sessions.clone(),
            "deliveries" => self.deliveries.clone(),
            "keys" => vec![self.key.clone()],
            "erasures" => vec![self.erasure.clone()],
            // Views of the settings' key.
            "views" => vec!["hidden-view".to_owned()],
            "jobs" => self.jobs.clone(),
            other => panic!("{other} is new: add the IDs that name the other agent"),
        };
        let mut paths = Vec::new();
        for id in &ids {
            for query in
                [String::new(), format!("?agent_id={HIDDEN_AGENT}"), "?source=default".into()]
            {
                paths.push(format!("{head}{id}{tail}{query}"));
            }
        }
        if route.starts_with("/v1/sessions/{") {
            // The key's agent has one of this name, and must not learn of the other.
            paths.push(format!("{head}{}{tail}?agent_id={HIDDEN_AGENT}", SESSIONS[0]));
        }
        paths.extend(queries(route).iter().map(|query| format!("{head}{}{tail}{query}", ids[0])));
        paths
    }
}

/// Returns queries with which a route shows more.
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

/// Returns paths that the key may read. They are answered without the hidden agent.
fn allowed(route: &str) -> Vec<String> {
    let by_agent = [
        format!("?agent_id={HIDDEN_AGENT}"),
        format!("?agent_id={HIDDEN_AGENT}&agent_id={OWN_AGENT}"),
        format!("?agent_id={OWN_AGENT}"),
    ];
    let session = &SessionId::of(&SourceName::default(), HIDDEN_AGENT, SESSIONS[0]).0.to_string();
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
        // As words, prefixes and parts of words, and with the text of the key's agent.
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
        // Only a POST: tests/it/api/bulk_retry.rs.
        "/v1/stream" | "/v1/deliveries/retry" => Vec::new(),
        route if route.contains('{') => {
            let own = |id: &str| {
                let (head, rest) = route.split_once('{').unwrap();
                format!("{head}{id}{}", rest.split_once('}').unwrap().1)
            };
            let ids: &[&str] = match route {
                "/v1/agents/{agent_id}" | "/v1/agents/{agent_id}/sessions" => &[OWN_AGENT],
                route if route.starts_with("/v1/sessions/{") && !route.ends_with("/hold") => {
                    &[SESSIONS[0], SESSIONS[2]]
                }
                _ => &[],
            };
            let more = queries(route).iter().chain([&""]);
            more.flat_map(|query| ids.iter().map(move |id| format!("{}{query}", own(id)))).collect()
        }
        other => panic!("{other} is new: add the requests that show everything it has"),
    }
}

#[actix_web::test]
async fn bound_key_finds_nothing_of_another_agent_on_any_route() {
    let api = TestApi::start().await;
    let beginning = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let hidden = Hidden::store(&api).await;
    for held in
        [format!("/v1/agents/{HIDDEN_AGENT}"), format!("/v1/sessions/{}", hidden.sessions[1])]
    {
        let put = api.send("PUT", &format!("{held}/hold"), &[("X-API-Key", BOOTSTRAP)]).await;
        assert!(put.status < 300, "{}", put.text());
    }
    let view = ViewRow {
        name: "hidden-view".into(),
        place: None,
        query: json!({ "agent_id": HIDDEN_AGENT }).to_string(),
        updated_at: now(),
    };
    assert!(api.store.save_view(None, &view).await.unwrap());
    let bound = api.key(&[Scope::Admin], Some(&[OWN_AGENT])).await;
    let key = [("X-API-Key", bound.as_str())];

    let mut walked = BTreeSet::from(["/v1/stream", "/v1/deliveries/retry"]);
    for route in routes() {
        for target in hidden.named(route) {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
                let answer = api.send(method, &target, &key).await;
                assert_nothing_hidden(method, &target, &answer);
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
            assert_nothing_hidden("GET", &target, &answer);
            walked.insert(route);
        }
    }
    assert_eq!(walked, routes(), "not every route was requested");
    assert_nothing_hidden_in_stream(&api, &bound, &beginning).await;
    assert_hidden_is_stored(&api, &hidden).await;
}

/// Checks that head, body and cursors contain nothing of the hidden agent.
fn assert_nothing_hidden(method: &str, target: &str, answer: &Answer) {
    let mut texts =
        vec![answer.head().to_owned(), String::from_utf8_lossy(&answer.body).into_owned()];
    if let Ok(body) = serde_json::from_slice::<serde_json::Value>(&answer.body) {
        // A search repeats its query.
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
        assert!(
            texts.len() > 2 || target.contains(HIDDEN_AGENT),
            "{target} has no rows of the key's agent"
        );
    }
    for secret in [HIDDEN_AGENT, HIDDEN_TEXT, SESSIONS[1], "hidden-key"] {
        for text in &texts {
            assert!(!text.contains(secret), "{method} {target}: {text}");
        }
    }
    let only_hidden =
        target.contains(&format!("agent_id={HIDDEN_AGENT}")) && !target.contains("agent_id=mine");
    let lists = ["/v1/sessions?", "/v1/changes?", "/v1/search?"];
    if only_hidden && lists.iter().any(|list| target.starts_with(list)) {
        assert_eq!(answer.json()["data"], json!([]), "{target}");
    }
}

/// Reads the stream from the beginning up to the last message of the key's agent.
async fn assert_nothing_hidden_in_stream(api: &TestApi, bound: &str, beginning: &str) {
    for query in ["", "agent_id=hidden-agent&agent_id=mine", "session_id=shared"] {
        let url = format!("http://{}/v1/stream?{query}", api.address);
        let request = crate::support::app::client().get(url).bearer_auth(bound);
        let mut response = request.header("Last-Event-ID", beginning).send().await.unwrap();
        let last = if query.starts_with("session") { OWN_TEXT } else { "brush it" };
        let mut text = String::new();
        while !text.contains(last) {
            let chunk =
                tokio::time::timeout(PATIENCE, response.chunk()).await.expect("a chunk in time");
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap().expect("the stream continues")));
        }
        for secret in [HIDDEN_AGENT, HIDDEN_TEXT, SESSIONS[1]] {
            assert!(!text.contains(secret), "{query}: {text}");
        }
    }
}

/// Checks that everything is still there for keys that may see it, so that this test would find it.
async fn assert_hidden_is_stored(api: &TestApi, hidden: &Hidden) {
    for id in &hidden.deliveries {
        assert_eq!(api.get(&format!("/v1/deliveries/{id}")).await.status, 200);
    }
    for session in &hidden.sessions {
        let messages = api.get(&format!("/v1/sessions/{session}/messages")).await;
        assert!(messages.text().contains(HIDDEN_TEXT));
    }
    assert!(api.get("/v1/search?q=hhus").await.text().contains(HIDDEN_TEXT));
    assert!(api.get("/v1/holds").await.text().contains(HIDDEN_AGENT));
    let keys = api.get("/v1/keys").await;
    assert!(keys.text().contains(r#""name":"hidden-key""#));
    assert!(keys.json()["data"].as_array().unwrap().iter().all(|key| key["revoked_at"].is_null()));
}

#[actix_web::test]
async fn bound_key_erases_only_its_own_session_of_a_shared_name() {
    let api = TestApi::start().await;
    let hidden = Hidden::store(&api).await;
    let bound = api.key(&[Scope::Admin], Some(&[OWN_AGENT])).await;
    let target = format!("/v1/sessions/{}", SESSIONS[0]);
    let answer = api.send("DELETE", &target, &[("X-API-Key", &bound)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["agent_id"], OWN_AGENT);
    assert_nothing_hidden("DELETE", &target, &answer);
    for session in &hidden.sessions {
        let messages = api.get(&format!("/v1/sessions/{session}/messages")).await;
        assert!(messages.text().contains(HIDDEN_TEXT));
    }
}
