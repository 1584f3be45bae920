//! Erasure of deliveries without a session, and receipts.

use std::borrow::Cow;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Outcome, SourceName};
use verbatim::jobs::retention::finish_erasures;
use verbatim::store::erase::{BeginOutcome, NewErasure, Target};
use verbatim::store::ingest::{Row, write};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at, now};
use super::http::Answer;

fn arrival(body: &str) -> Arrival {
    Arrival {
        id: DeliveryId::new(at(-5)),
        received_at: at(-5),
        source: SourceName::default(),
        evidence: Evidence::default(),
        body: body.as_bytes().to_vec().into(),
    }
}

fn message(agent: &str, session: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": agent, "timestamp": at(-6).timestamp(),
        "data": { "session_id": session, "role": "user", "message": "hello" } })
    .to_string()
}

/// Writes deliveries one by one, and returns the outcome of each.
async fn drain<'a>(api: &TestApi, bodies: impl IntoIterator<Item = &'a str>) -> Vec<Outcome> {
    let mut connection = api.database.options().connect().await.unwrap();
    let mut outcomes = Vec::new();
    for body in bodies {
        let arrival = arrival(body);
        let row = Row { arrival: &arrival, read: Cow::Owned(decode(&arrival)) };
        outcomes.extend(write(&mut connection, &[row]).await.unwrap());
    }
    outcomes
}

async fn erase(api: &TestApi, key: &str, target: &str) -> Value {
    let receipt = api.send("DELETE", target, &[("X-API-Key", key)]).await;
    assert_eq!(receipt.status, 200, "{}", receipt.text());
    receipt.json()
}

/// Returns the bodies in quarantine or of an unknown type.
async fn left(api: &TestApi) -> Vec<String> {
    let bodies: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM deliveries WHERE session_id IS NULL AND body <> ''")
            .fetch_all(api.database.pool())
            .await
            .unwrap();
    let mut bodies: Vec<_> =
        bodies.into_iter().map(|body| String::from_utf8_lossy(&body).into_owned()).collect();
    bodies.sort_unstable();
    bodies
}

fn sorted(bodies: &[&str]) -> Vec<String> {
    let mut bodies: Vec<_> = bodies.iter().map(|body| (*body).to_owned()).collect();
    bodies.sort_unstable();
    bodies
}

/// Bodies of others: each contains the words `role`, `data` and `E-17`, and names neither agent nor
/// session.
const OTHERS: [&str; 5] = [
    r#"{"event_type":"chat.push","agent_id":"Z","data":{"role":7,"message":"E-17 role"}}"#,
    r#"{"event_type":"chat.push","agent_id":"Z","data":{"role":"E-17","session_id":"role","message":[]}}"#,
    r#"{"event_type":"chat.push","data":{"message":"E-17","role":"data"}}"#,
    r#"{"event_type":"new.kind","agent_id":"Z","E-17":"role","data":{"x":{"agent_id":"E-17"}}}"#,
    "E-17 role data",
];
/// Bodies of E-17, in every spelling of its name.
const OWN: [&str; 6] = [
    r#"{"event_type":"chat.push","agent_id":"E-17","data":{"session_id":"role","message":[1]}}"#,
    r#"{"event_type":"chat.push","agent_code":"\u0045-17","data":{"session_id":"r\u006fle","message":[2]}}"#,
    r#"{"event":"chat.push","agentId":"E\u002D17","sessionId":"role","message":{"content":3}}"#,
    r#"{"event_type":"new.kind","agent_id":"E-17","data":{"session_id":"\u0072ole"}}"#,
    r#"{"event_type":"chat.push","data":{"agent_id":"E-17","session_id":"role","message":[4]}}"#,
    r#"{"event_type":"new.kind","agent_id":"E-17","session_id":"role"}"#,
];
/// Bodies that may be of E-17: truncated, or with the name of another agent as well.
const DOUBTFUL: [&str; 3] = [
    r#"{"event_type":"chat.push","agent_id":"\u0045-17","data":{"session_id":"role","mess"#,
    r#"[{"agentId":"E-17","sessionId":"role"}]"#,
    r#"{"event_type":"chat.push","agent_id":"E-17","data":{"agent_id":"Z","session_id":"role"}}"#,
];

#[actix_web::test]
async fn bound_key_erases_only_what_is_provably_its_agents() {
    for target in ["/v1/sessions/role", "/v1/agents/E-17"] {
        let api = TestApi::start().await;
        drain(&api, [message("E-17", "role").as_str()]).await;
        drain(&api, OTHERS.into_iter().chain(OWN).chain(DOUBTFUL)).await;
        let bound = api.key(&[Scope::Erase], Some(&["E-17"])).await;
        let receipt = erase(&api, &bound, target).await;
        assert_eq!(receipt["rows"]["deliveries"], 1 + OWN.len(), "{target}");
        let rest = [&OTHERS[..], &DOUBTFUL[..]].concat();
        assert_eq!(left(&api).await, sorted(&rest), "{target}");

        // The erasure blocks only its own deliveries.
        let again = drain(&api, OWN).await;
        assert!(again.iter().all(|outcome| *outcome == Outcome::Duplicate), "{again:?}");
        sqlx::query("DELETE FROM deliveries").execute(api.database.pool()).await.unwrap();
        let again = drain(&api, rest.iter().copied()).await;
        let kept =
            |outcome: &Outcome| *outcome == Outcome::Quarantined || *outcome == Outcome::Duplicate;
        assert!(again.iter().all(kept));
        let quarantined = again.iter().filter(|outcome| **outcome == Outcome::Quarantined).count();
        assert_eq!(quarantined, rest.len() - 1, "the one of an unknown type is a duplicate");
    }
}

#[actix_web::test]
async fn unbound_key_erases_truncated_bodies_as_well() {
    let api = TestApi::start().await;
    drain(&api, [message("E-17", "role").as_str()]).await;
    drain(&api, OTHERS.into_iter().chain(OWN).chain(DOUBTFUL)).await;
    let receipt = erase(&api, BOOTSTRAP, "/v1/agents/E-17").await;
    assert_eq!(receipt["rows"]["deliveries"], 1 + OWN.len() + DOUBTFUL.len());
    assert_eq!(left(&api).await, sorted(&OTHERS));
    let again = drain(&api, OWN.into_iter().chain(DOUBTFUL)).await;
    assert!(again.iter().all(|outcome| *outcome == Outcome::Duplicate), "{again:?}");
    assert_eq!(left(&api).await, sorted(&OTHERS));
}

#[actix_web::test]
async fn agent_is_found_by_its_fields_and_not_by_words() {
    let api = TestApi::start().await;
    drain(&api, OTHERS).await;
    let bound = api.key(&[Scope::Erase], Some(&["E-17"])).await;
    for key in [BOOTSTRAP, &bound] {
        let answer = api.send("DELETE", "/v1/agents/E-17", &[("X-API-Key", key)]).await;
        assert_eq!(answer.code(), "not_found");
    }
    drain(&api, [DOUBTFUL[0]]).await;
    let answer = api.send("DELETE", "/v1/agents/E-17", &[("X-API-Key", &bound)]).await;
    assert_eq!(answer.code(), "not_found", "nothing is provably its own");
    erase(&api, BOOTSTRAP, "/v1/agents/E-17").await;
}

#[actix_web::test]
async fn unbound_erasure_is_not_limited_by_an_earlier_bound_one() {
    let api = TestApi::start().await;
    drain(&api, [message("E-17", "role").as_str(), DOUBTFUL[0]]).await;
    let new = |bound| NewErasure {
        id: DeliveryId::new(now()).0,
        target: Target::Agent("E-17"),
        at: now(),
        key_id: None,
        bound,
    };
    let (first, wider) = (new(true), new(false));
    assert_eq!(api.store.begin_erasure(&first).await.unwrap(), BeginOutcome::Yes);
    assert_eq!(api.store.begin_erasure(&new(true)).await.unwrap(), BeginOutcome::Already(first.id));
    assert_eq!(api.store.begin_erasure(&wider).await.unwrap(), BeginOutcome::Yes);
    // Several services look for interrupted erasures.
    let checks = (0..4).map(|_| finish_erasures(&api.store, &api.clock));
    for look in futures_util::future::join_all(checks).await {
        look.unwrap();
    }
    finish_erasures(&api.store, &api.clock).await.unwrap();
    assert_eq!(left(&api).await, [] as [String; 0]);
    assert!(api.store.unfinished_erasures().await.unwrap().is_empty());
}

async fn receipts(api: &TestApi, key: &str, query: &str) -> Vec<Value> {
    let answer: Answer = api.get_as(key, &format!("/v1/erasures{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn receipt_can_be_read_again() {
    let api = TestApi::start().await;
    for (agent, session) in [("A", "one"), ("A", "two"), ("B", "one"), ("B", "three")] {
        drain(&api, [message(agent, session).as_str()]).await;
    }
    let mut made = Vec::new();
    for (second, target) in
        [(0, "/v1/sessions/two"), (1, "/v1/sessions/one?agent_id=B"), (2, "/v1/agents/A")]
    {
        api.clock.set(now() + TimeDelta::seconds(second));
        made.push(erase(&api, BOOTSTRAP, target).await);
    }
    made.reverse();
    assert!(made.iter().all(|receipt| receipt["finished_at"].is_string()));
    assert_eq!(receipts(&api, BOOTSTRAP, "").await, made);
    for (query, places) in [
        ("?agent_id=A", &[0, 2][..]),
        ("?session_id=one", &[1]),
        ("?session_id=two&agent_id=B", &[]),
        ("?order=asc&limit=1", &[2]),
    ] {
        let expected: Vec<_> = places.iter().map(|place| made[*place].clone()).collect();
        assert_eq!(receipts(&api, BOOTSTRAP, query).await, expected, "{query}");
    }
    assert_eq!(api.walk("/v1/erasures?limit=1", "id").await.len(), 3);
    let target = format!("/v1/erasures/{}", made[1]["id"].as_str().unwrap());
    assert_eq!(api.get(&target).await.json(), made[1]);

    let bound = api.key(&[Scope::Erase], Some(&["A"])).await;
    assert_eq!(receipts(&api, &bound, "").await, [made[0].clone(), made[2].clone()]);
    assert_eq!(api.get_as(&bound, &target).await.code(), "not_found");
    let reader = api.key(&[Scope::Read], None).await;
    assert_eq!(api.get_as(&reader, "/v1/erasures").await.code(), "forbidden");
    assert_eq!(api.get_as(&reader, &target).await.code(), "forbidden");
    for id in ["x", "%00", "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(api.get(&format!("/v1/erasures/{id}")).await.code(), "not_found");
    }
}

#[actix_web::test]
async fn receipt_of_a_disconnected_client_shows_completion() {
    let api = TestApi::start().await;
    drain(&api, [message("A", "s").as_str()]).await;
    let id = DeliveryId::new(now()).0;
    let new = NewErasure { id, target: Target::Agent("A"), at: now(), key_id: None, bound: false };
    assert_eq!(api.store.begin_erasure(&new).await.unwrap(), BeginOutcome::Yes);
    // Client and service are stopped.
    let waiting = receipts(&api, BOOTSTRAP, "?agent_id=A").await;
    assert_eq!((&waiting[0]["id"], &waiting[0]["finished_at"]), (&json!(id), &json!(null)));
    api.clock.set(at(60));
    finish_erasures(&api.store, &api.clock).await.unwrap();
    let done = receipts(&api, BOOTSTRAP, "?agent_id=A").await;
    assert_eq!(done[0]["finished_at"], "2026-09-28T14:55:13.000000Z");
    assert_eq!(done[0]["rows"]["messages"], 1);
}

#[actix_web::test]
async fn erasure_dropped_at_any_point_is_finished_by_another_service() {
    let api = TestApi::start().await;
    let other = api.beside(now());
    for (round, polls) in [0, 1, 2, 4, 8, 16, 32, 64].into_iter().enumerate() {
        let agent = format!("E-{round}");
        let unread = format!(r#"{{"event_type":"chat.push","agent_id":"{agent}"}}"#);
        let sessions = ["one", "two", "three"].map(|session| message(&agent, session));
        drain(&api, sessions.iter().map(String::as_str).chain([unread.as_str()])).await;
        let id = DeliveryId::new(now()).0;
        let target = Target::Agent(&agent);
        let new = NewErasure { id, target, at: now(), key_id: None, bound: false };
        assert_eq!(api.store.begin_erasure(&new).await.unwrap(), BeginOutcome::Yes);

        let mut work = Box::pin(api.store.run_erasure(id, &api.clock));
        for _ in 0..polls {
            if futures_util::poll!(&mut work).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(work);
        // Postgres releases its locks when it has noticed.
        while !other.store.unfinished_erasures().await.unwrap().is_empty() {
            finish_erasures(&other.store, &other.clock).await.unwrap();
        }
        let receipt = &receipts(&api, BOOTSTRAP, &format!("?agent_id={agent}")).await[0];
        assert_eq!(receipt["rows"]["messages"], 3, "{polls} polls: {receipt}");
        assert_eq!(receipt["rows"]["deliveries"], 4, "{polls} polls: {receipt}");
        assert_eq!(left(&api).await, [] as [String; 0]);
    }
}
