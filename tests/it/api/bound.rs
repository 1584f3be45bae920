//! A walk over every route there is, with a key that is bound to one agent, in search of another.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::json;
use sqlx::ConnectOptions as _;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::store::ingest::{Row, write};
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::http::Answer;
use super::search;

/// Whom the key must not find. No answer may hold it, whatever the route.
const THEIRS: &str = "hidden-agent";
/// What is said of them, and nowhere else.
const HUSH: &str = "hush-hush";
/// The sender's id of a conversation that both have, and that of one that only they have.
const SESSIONS: [&str; 2] = ["shared", "hidden-session"];

/// Every route that has anything of an agent, as the code registers it. (The figures of `/metrics`
/// name none, and are for keys that are not bound.)
fn routes() -> BTreeSet<&'static str> {
    let code = include_str!("../../../src/api/routes.rs");
    let paths = code.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    // `/metrics` is about no agent, and refuses every bound key: tests/it/metrics.rs. The stream does
    // not end: stream.rs has a test of its own for bound keys.
    paths.filter(|path| path.starts_with("/v1/") && *path != "/v1/stream").collect()
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

/// Stores what both have and what only they have, and gives their deliveries' ids.
async fn converse(api: &TestApi) -> Vec<String> {
    let theirs = [arrival(0, THEIRS, SESSIONS[0], HUSH), arrival(1, THEIRS, SESSIONS[1], HUSH), {
        // In quarantine, and nobody knows whose.
        let mut lost = arrival(2, THEIRS, SESSIONS[1], HUSH);
        lost.body = format!(r#"{{"agent_id":"{THEIRS}","said":"{HUSH}"}}"#).into();
        lost
    }];
    let mine = arrival(3, "mine", SESSIONS[0], "hello");
    let arrivals = theirs.iter().chain([&mine]);
    let rows: Vec<_> =
        arrivals.map(|arrival| Row { arrival, read: Cow::Owned(decode(arrival)) }).collect();
    let mut connection = api.database.options().connect().await.unwrap();
    write(&mut connection, &rows).await.unwrap();
    search::index(api).await;
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
    };
    api.store.insert_key(&new).await.unwrap();
    id.to_string()
}

#[actix_web::test]
async fn a_bound_key_finds_nothing_of_another_agent_on_any_route() {
    let api = TestApi::start().await;
    let deliveries = converse(&api).await;
    let key_id = their_key(&api).await;
    let session_id = {
        let source = SourceName::default();
        verbatim::domain::SessionId::of(&source, THEIRS, SESSIONS[0]).0.to_string()
    };
    let bound = api.key(&[Scope::Admin], Some(&["mine"])).await;

    let mut walked = BTreeSet::new();
    for route in routes() {
        let resource = route.split('/').nth(2).unwrap();
        let ids: Vec<&str> = match resource {
            "agents" => vec![THEIRS],
            "sessions" => vec![&session_id, SESSIONS[1]],
            "deliveries" => deliveries.iter().map(String::as_str).collect(),
            "keys" => vec![&key_id],
            "changes" | "holds" | "export" => Vec::new(),
            // By what was said, as words and as a part of one.
            "search" => vec![HUSH, "ush"],
            other => panic!("{other} is new: say here by which ids another agent's would be found"),
        };
        // A list is asked for all, and for theirs by name wherever it can be.
        let targets: Vec<String> = match route.split_once('{') {
            None if resource == "search" => ids
                .iter()
                .flat_map(|q| {
                    [format!("{route}?q={q}"), format!("{route}?q={q}&agent_id={THEIRS}")]
                })
                .collect(),
            None => ["", "?limit=500", "?order=asc", "?include=messages"]
                .into_iter()
                .map(str::to_owned)
                .chain([format!("?agent_id={THEIRS}"), format!("?agent_id={THEIRS}&agent_id=mine")])
                .map(|query| format!("{route}{query}"))
                .collect(),
            Some((head, rest)) => {
                let tail = rest.split_once('}').unwrap().1;
                let plain = ids.iter().map(|id| format!("{head}{id}{tail}"));
                let by_agent = ids.iter().map(|id| format!("{head}{id}{tail}?agent_id={THEIRS}"));
                plain.chain(by_agent).collect()
            }
        };
        for target in targets {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let answer = api.send(method, &target, &[("X-API-Key", &bound)]).await;
                assert_holds_nothing(method, &target, &answer);
                if answer.status != 405 {
                    walked.insert(route);
                }
            }
        }
    }
    assert_eq!(walked, routes(), "every route was walked");
    assert!(walked.len() >= 12, "{walked:?}");

    // All of it is still there, for those who may see it.
    for id in &deliveries {
        assert_eq!(api.get(&format!("/v1/deliveries/{id}")).await.status, 200);
    }
    let theirs = format!("/v1/sessions/{}/messages", SESSIONS[1]);
    assert!(api.get(&theirs).await.text().contains(HUSH), "this test sees what it looks for");
    let keys = api.send("GET", "/v1/keys", &[("X-API-Key", BOOTSTRAP)]).await;
    assert!(keys.text().contains(r#""name":"hidden-key""#));
    assert!(keys.json()["data"].as_array().unwrap().iter().all(|key| key["revoked_at"].is_null()));
}

/// Nothing of theirs; and what is refused is not there, or cannot be asked for at all.
fn assert_holds_nothing(method: &str, target: &str, answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body);
    for secret in [THEIRS, HUSH, SESSIONS[1], "hidden-key"] {
        assert!(!text.contains(secret), "{method} {target}: {text}");
    }
    match answer.status {
        200 => assert!(!target.contains('{'), "{target}"),
        status => assert!([400, 404, 405].contains(&status), "{method} {target}: {text}"),
    }
    let is_list = target.starts_with("/v1/export/");
    let names_theirs = !is_list && target.split('/').count() > 3;
    assert!(!names_theirs || answer.status != 200, "{method} {target}: {text}");
}
