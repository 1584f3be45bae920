//! Who fails to show credentials too often, and what no answer goes without.

use chrono::TimeDelta;
use serde_json::json;
use verbatim::store::Store;
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use crate::support::app::{Answer, App, KEY, sign};

/// Failures of an address that are answered in full, each minute.
const TOLD: usize = 20;

fn said(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

/// A delivery that somebody else signed, with further headers.
async fn forge(app: &App, headers: &[(&str, &str)]) -> Answer {
    let body = said("forged");
    let signature = sign("another secret", body.as_bytes());
    let headers = [&[("X-bitHuman-Signature", signature.as_str())], headers].concat();
    app.post("/webhook", body, &headers).await
}

#[actix_web::test]
async fn a_flood_of_wrong_signatures_leaves_the_good_ones_alone() {
    let app = App::start().await;
    for n in 0..300 {
        let answer = forge(&app, &[]).await;
        if n < TOLD {
            assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_signature"), "{n}");
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"), "{n}");
            let seconds: i64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{seconds}");
        }
        if n % 6 == 0 {
            let answer = app.deliver(said(&format!("good {n}"))).await;
            assert_eq!(answer.status, 200, "the same address, with the right secret");
        }
    }
    assert_eq!(app.log().await.len(), 50, "nothing is stored of the flood");
    app.clock.set(app.clock.now() + TimeDelta::seconds(60));
    assert_eq!(forge(&app, &[]).await.status, 401, "a minute later it is told again");
}

#[actix_web::test]
async fn a_listed_proxy_is_believed_and_nobody_else() {
    let forwarded = |address| [("X-Forwarded-For", address)];
    let (one, other) = (forwarded("203.0.113.9, 198.51.100.1"), forwarded("198.51.100.2"));
    let listed = App::start_with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let open = App::start().await;
    for app in [&listed, &open] {
        for _ in 0..TOLD {
            assert_eq!(forge(app, &one).await.status, 401);
        }
        assert_eq!(forge(app, &one).await.status, 429);
    }
    assert_eq!(forge(&listed, &other).await.status, 401, "another client of the proxy");
    assert_eq!(forge(&open, &other).await.status, 429, "the same client, whatever it says");
}

async fn ask(app: &App, key: &str) -> Answer {
    app.get_with("/v1/agents", &[("X-API-Key", key)]).await
}

async fn make_key(app: &App) -> String {
    let key = generate_key();
    let new = NewKey {
        id: uuid::Uuid::new_v4(),
        name: "a test's",
        hash: KeyHash::of(&key),
        scopes: &[Scope::Read],
        agent_ids: None,
        created_at: app.clock.now(),
        expires_at: None,
    };
    Store::new(app.database.pool().clone()).insert_key(&new).await.unwrap();
    key
}

#[actix_web::test]
async fn a_flood_of_wrong_keys_leaves_the_good_ones_alone() {
    let app = App::start().await;
    let seldom = make_key(&app).await;
    for n in 0..200 {
        // Some could be ours by their form, and some could not.
        let wrong = if n % 2 == 0 { generate_key() } else { "guessed".to_owned() };
        let answer = ask(&app, &wrong).await;
        let expected = if n < TOLD { (401, "invalid_key") } else { (429, "rate_limited") };
        assert_eq!((answer.status, answer.code().as_str()), expected, "{n}");
    }
    assert_eq!(app.get_with("/v1/agents", &[]).await.code(), "rate_limited", "none is no better");
    assert_eq!(ask(&app, KEY).await.status, 200);
    assert_eq!(ask(&app, &seldom).await.status, 200, "one that nobody has used before");

    // One that is made meanwhile is known a second later.
    let new = make_key(&app).await;
    assert_eq!(ask(&app, &new).await.status, 429);
    app.clock.set(app.clock.now() + TimeDelta::seconds(1));
    assert_eq!(ask(&app, &new).await.status, 200);
}

#[actix_web::test]
async fn no_answer_goes_without_the_headers_that_keep_browsers_safe() {
    let app = App::start().await;
    let answers = [
        (app.deliver(said("hello")).await, 200, None),
        (forge(&app, &[]).await, 401, None),
        (app.get("/v1/agents").await, 200, Some("no-store")),
        (app.get("/v1/sessions/s?nonsense=1").await, 400, Some("no-store")),
        (app.get_with("/v1/agents", &[]).await, 401, Some("no-store")),
        (app.get("/nowhere").await, 404, Some("no-store")),
        (app.get("/healthz").await, 200, Some("no-store")),
    ];
    for (answer, status, cache) in answers {
        assert_eq!(answer.status, status);
        let header = |name| answer.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        let policy = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(header("content-security-policy"), Some(policy));
        assert_eq!(header("cache-control"), cache, "{status}");
        assert_eq!(header("server"), None);
        assert_eq!(header("strict-transport-security"), None, "that is the TLS server's to say");
    }
}
