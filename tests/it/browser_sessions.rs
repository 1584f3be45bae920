//! Browser sessions: sign-in with a key or a one-time link, and protection against misuse.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Method, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use verbatim::store::Store;
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};
use verbatim::store::sign_in_links::generate_link_token;

use crate::support::app::{Answer, App, KEY, client, client_that_trusts, now};
use crate::support::command;
use crate::support::database::TestDatabase;

const PATH: &str = "/v1/browser-session";
const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
/// More failures than one address may have in a minute.
const MANY: usize = 25;

/// A browser with at most one session cookie.
struct Browser<'a> {
    app: &'a App,
    client: Client,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, client: client(), cookie: None }
    }

    async fn response(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.app.address));
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        Answer::of(self.response(method, path, headers, body).await).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &Value::Null).await
    }

    /// Signs in as the page does, and stores the cookie.
    async fn sign_in(&mut self, body: Value) -> Answer {
        let answer = self.send("POST", PATH, &[SAME_ORIGIN], &body).await;
        self.store_cookie(&answer);
        answer
    }

    fn store_cookie(&mut self, answer: &Answer) {
        if let Some(cookie) = set_cookie(answer) {
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
    }

    async fn sign_out(&self) -> Answer {
        self.send("DELETE", PATH, &[SAME_ORIGIN], &Value::Null).await
    }

    /// Status of the session, and the code of a problem.
    async fn session_status(&self) -> (u16, Option<String>) {
        let answer = self.get(PATH).await;
        (answer.status, (answer.status != 200).then(|| answer.code()))
    }
}

async fn signed_in<'a>(app: &'a App, key: &str) -> Browser<'a> {
    let mut browser = Browser::new(app);
    let answer = browser.sign_in(json!({ "key": key })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    browser
}

fn set_cookie(answer: &Answer) -> Option<&str> {
    answer.headers.get("set-cookie").map(|value| value.to_str().unwrap())
}

fn session_ended() -> (u16, Option<String>) {
    (401, Some("invalid_key".to_owned()))
}

fn store(app: &App) -> Store {
    Store::new(app.database.pool().clone())
}

/// A key, and its ID.
async fn key(
    app: &App,
    scopes: &[Scope],
    agents: Option<&[String]>,
    expires_at: Option<DateTime<Utc>>,
) -> (String, uuid::Uuid) {
    let (key, id) = (generate_key(), uuid::Uuid::new_v4());
    let new = NewKey {
        id,
        name: "front desk",
        hash: KeyHash::of(&key),
        scopes,
        agent_ids: agents,
        created_at: now(),
        expires_at,
        made_by: None,
    };
    assert!(store(app).insert_key(&new).await.unwrap());
    (key, id)
}

/// Creates a one-time link at `at`, and returns its token.
async fn link(app: &App, at: DateTime<Utc>) -> String {
    let token = generate_link_token();
    store(app).insert_sign_in_link(KeyHash::of(&token), uuid::Uuid::new_v4(), at).await.unwrap();
    token
}

async fn last_used_at(app: &App) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT last_used_at FROM browser_sessions")
        .fetch_one(app.database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn sign_in_with_a_key_grants_the_rights_of_the_key() {
    let app = App::start().await;
    let agents = ["A".to_owned()];
    let (reader, id) = key(&app, &[Scope::Read, Scope::Analytics], Some(&agents), None).await;
    let mut browser = Browser::new(&app);
    let answer = browser.sign_in(json!({ "key": format!(" {reader}\n") })).await;
    let rights = json!({
        "key_id": id,
        "key_name": "front desk",
        "scopes": ["read", "analytics"],
        "agents": ["A"],
        "expires_at": "2026-10-05T14:55:00.000000Z",
        "idle_expires_at": "2026-09-29T02:55:00.000000Z",
    });
    assert_eq!((answer.status, answer.json()), (200, rights.clone()));
    assert!(!answer.text.contains(&reader) && !set_cookie(&answer).unwrap().contains(&reader));
    let shown = browser.get(PATH).await;
    assert_eq!((shown.status, shown.json()), (200, rights));
    assert_eq!(set_cookie(&shown), None, "only the sign-in sets a cookie");
    for path in ["/v1/agents", "/v1/sessions", "/v1/analytics/summary?period=today"] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
    assert_eq!(browser.get("/v1/keys").await.code(), "forbidden");
    assert_eq!(browser.get("/metrics").await.code(), "forbidden", "it is bound to agents");

    let admin = signed_in(&app, KEY).await;
    let rights = admin.get(PATH).await.json();
    assert_eq!((&rights["key_id"], &rights["scopes"]), (&Value::Null, &json!(["admin"])));
    assert_eq!(admin.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn key_in_a_header_takes_precedence_over_the_cookie() {
    let app = App::start().await;
    let (reader, _) = key(&app, &[Scope::Read], None, None).await;
    let admin = signed_in(&app, KEY).await;
    let bearer = format!("Bearer {reader}");
    for header in [("Authorization", bearer.as_str()), ("X-API-Key", reader.as_str())] {
        let keys = admin.send("GET", "/v1/keys", &[header], &Value::Null).await;
        assert_eq!(keys.code(), "forbidden");
        let rights = admin.send("GET", PATH, &[header], &Value::Null).await.json();
        assert_eq!((&rights["scopes"], &rights["expires_at"]), (&json!(["read"]), &Value::Null));
        let out = admin.send("DELETE", PATH, &[header], &Value::Null).await;
        assert_eq!(out.code(), "not_found", "the request is not authenticated by a session");
    }
    let wrong = admin.send("GET", "/v1/agents", &[("X-API-Key", "wrong")], &Value::Null).await;
    assert_eq!(wrong.code(), "invalid_key");
    // An `Authorization` header for a proxy is not a key.
    let proxys = [("Authorization", "Basic dXNlcjpwYXNz")];
    assert_eq!(admin.send("GET", "/v1/keys", &proxys, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn marker_cookie_is_readable_by_scripts_and_grants_no_access() {
    let app = App::start().await;
    let mark = |answer: &Answer| {
        let mut cookies = answer.headers.get_all("set-cookie").into_iter();
        cookies.nth(1).map(|value| value.to_str().unwrap().to_owned())
    };
    let (figures, _) = key(&app, &[Scope::Analytics], None, None).await;
    for (key, value) in [(KEY, "read"), (&figures, "1")] {
        let answer = Browser::new(&app).sign_in(json!({ "key": key })).await;
        let expected =
            format!("verbatim_signed_in={value}; Path=/; Max-Age=604800; SameSite=Strict");
        assert_eq!(mark(&answer), Some(expected));
    }
    let browser = signed_in(&app, KEY).await;
    let removed = "verbatim_signed_in=1; Path=/; Max-Age=0; SameSite=Strict";
    assert_eq!(mark(&browser.sign_out().await).as_deref(), Some(removed));
    let marked = Some("verbatim_signed_in=read".to_owned());
    let browser = Browser { app: &app, client: client(), cookie: marked };
    assert_eq!(browser.get("/v1/agents").await.status, 401);
}

#[tokio::test]
async fn cookie_over_plain_http_is_http_only_and_same_site() {
    let app = App::start().await;
    let answer = Browser::new(&app).sign_in(json!({ "key": KEY })).await;
    let cookie = set_cookie(&answer).unwrap();
    let (value, flags) = cookie.split_once("; ").unwrap();
    assert_eq!(flags, "Path=/; Max-Age=604800; HttpOnly; SameSite=Strict");
    let token = value.strip_prefix("verbatim_session=vbs_").unwrap();
    assert_eq!(token.len(), 43, "256 bits");
    // `X-Forwarded-Proto` of an unlisted proxy is ignored.
    let claimed = [SAME_ORIGIN, ("X-Forwarded-Proto", "https")];
    let answer = Browser::new(&app).send("POST", PATH, &claimed, &json!({ "key": KEY })).await;
    assert!(set_cookie(&answer).unwrap().starts_with("verbatim_session="));
}

#[tokio::test]
async fn cookie_over_https_is_secure_and_bound_to_the_host() {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [cert, private] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&private, made.signing_key.serialize_pem()).unwrap();
    let files = verbatim::config::TlsSettings { cert: cert.clone(), key: private };
    let app = App::start_with(|settings| settings.tls = Some(files)).await;
    let mut browser = Browser { app: &app, client: client_that_trusts(&cert), cookie: None };
    let answer = browser.sign_in(json!({ "key": KEY })).await;
    assert_secure(set_cookie(&answer).unwrap());
    assert_eq!(browser.session_status().await.0, 200);
    // A page of the same host over plain HTTP.
    let origin = app.address.replace("https://", "http://");
    let plain = [("Origin", origin.as_str())];
    assert_eq!(browser.send("DELETE", PATH, &plain, &Value::Null).await.code(), "forbidden");
    let origin = [("Origin", app.address.as_str())];
    assert_secure_removal(&browser.send("DELETE", PATH, &origin, &Value::Null).await);
    // A sibling domain can set a cookie without the `__Host-` prefix.
    browser.cookie = browser.cookie.map(|cookie| cookie.replace("__Host-", ""));
    assert_eq!(browser.session_status().await, (401, Some("missing_credentials".into())));
}

#[tokio::test]
async fn https_at_a_listed_proxy_makes_the_cookie_secure() {
    let app = App::start_with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let by_https = [SAME_ORIGIN, ("X-Forwarded-Proto", "https")];
    let mut browser = Browser::new(&app);
    let answer = browser.send("POST", PATH, &by_https, &json!({ "key": KEY })).await;
    assert_secure(set_cookie(&answer).unwrap());
    browser.store_cookie(&answer);
    assert_eq!(browser.send("GET", PATH, &by_https, &Value::Null).await.status, 200);
    assert_eq!(
        browser.get(PATH).await.status,
        401,
        "the secure cookie does not count over plain HTTP"
    );
    let out = browser.send("DELETE", PATH, &by_https, &Value::Null).await;
    assert_secure_removal(&out);
}

fn assert_secure(cookie: &str) {
    assert!(cookie.starts_with("__Host-verbatim_session=vbs_"), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
}

fn assert_secure_removal(answer: &Answer) {
    let removed = "__Host-verbatim_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure";
    assert_eq!((answer.status, set_cookie(answer)), (204, Some(removed)));
    assert_eq!(answer.headers["clear-site-data"], "\"cache\"");
}

#[tokio::test]
async fn cookie_authenticates_changes_of_the_same_origin_only() {
    let app = App::start().await;
    let admin = signed_in(&app, KEY).await;
    let body = json!({ "name": "made", "scopes": ["read"] });
    let own = app.address.as_str();
    let host = own.strip_prefix("http://").unwrap();
    for refused in [
        &[] as &[_],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", "https://evil.test")],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:1")],
        // `Sec-Fetch-Site` takes precedence.
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", own)],
        &[("Referer", own)],
        &[("X-Forwarded-Host", "evil.test"), ("Origin", "http://evil.test")],
    ] {
        for (method, path) in [
            ("POST", "/v1/keys"),
            ("PUT", "/v1/agents/A/hold"),
            ("DELETE", "/v1/agents/A"),
            ("DELETE", PATH),
        ] {
            let answer = admin.send(method, path, refused, &body).await;
            assert_eq!(answer.code(), "forbidden", "{method} {path} {refused:?}");
            assert!(answer.text.contains("Sec-Fetch-Site: same-origin"), "{}", answer.text);
        }
        assert_eq!(admin.send("GET", "/v1/keys", refused, &Value::Null).await.status, 200);
    }
    assert_eq!(admin.get("/v1/keys").await.json()["data"], json!([]), "no key was created");
    for allowed in [
        &[SAME_ORIGIN] as &[_],
        &[("Origin", own)],
        &[SAME_ORIGIN, ("Origin", "https://public.test")],
        // An unlisted proxy terminates HTTPS.
        &[("Origin", format!("https://{host}").as_str())],
    ] {
        let made = admin.send("POST", "/v1/keys", allowed, &body).await;
        assert_eq!(made.status, 201, "{allowed:?}");
    }
    // No browser sends a key on its own.
    let with_key = [("X-API-Key", KEY), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(admin.send("POST", "/v1/keys", &with_key, &body).await.status, 201);
}

#[tokio::test]
async fn cross_origin_page_cannot_sign_a_browser_in() {
    let app = App::start().await;
    let browser = Browser::new(&app);
    for headers in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.test")] {
        let answer = browser.send("POST", PATH, &[headers], &json!({ "key": KEY })).await;
        assert_eq!((answer.code().as_str(), set_cookie(&answer)), ("forbidden", None));
    }
    let by_program = browser.send("POST", PATH, &[], &json!({ "key": KEY })).await;
    assert_eq!(by_program.status, 200, "a program is not a browser that a page could misuse");
}

#[tokio::test]
async fn sign_in_creates_a_new_token_and_ends_the_previous_session() {
    let app = App::start().await;
    let mut browser = Browser::new(&app);
    let planted = format!("verbatim_session=vbs_{}", "x".repeat(43));
    browser.cookie = Some(planted.clone());
    assert_eq!(
        browser.session_status().await,
        session_ended(),
        "an unknown token is never adopted"
    );
    let mut previous = vec![planted];
    for _ in 0..3 {
        assert_eq!(browser.sign_in(json!({ "key": KEY })).await.status, 200);
        let cookie = browser.cookie.clone().unwrap();
        assert!(!previous.contains(&cookie));
        assert_eq!(browser.session_status().await.0, 200);
        for old in &previous {
            let browser_before = Browser { app: &app, client: client(), cookie: Some(old.clone()) };
            assert_eq!(browser_before.session_status().await, session_ended(), "{old}");
        }
        previous.push(cookie);
    }
    let failed = browser.sign_in(json!({ "key": "wrong" })).await;
    assert_eq!((failed.code().as_str(), set_cookie(&failed)), ("invalid_key", None));
    assert_eq!(browser.session_status().await.0, 200, "a failed attempt ends nothing");
}

#[tokio::test]
async fn only_hashes_of_tokens_are_stored_and_not_the_key_of_the_settings() {
    let app = App::start().await;
    let browser = signed_in(&app, KEY).await;
    let token = link(&app, now()).await;
    let stored: Vec<String> = sqlx::query_scalar(
        "SELECT b::text FROM browser_sessions AS b UNION ALL SELECT l::text FROM sign_in_links AS l
         UNION ALL SELECT k::text FROM api_keys AS k",
    )
    .fetch_all(app.database.pool())
    .await
    .unwrap();
    assert_eq!(stored.len(), 3);
    let cookie = browser.cookie.clone().unwrap();
    let session = cookie.split_once('=').unwrap().1;
    assert!(stored.iter().any(|row| row.contains(&hex::encode(KeyHash::of(session).0))));
    let settings = hex::encode(KeyHash::of(KEY).0);
    for secret in [session, token.as_str(), KEY, settings.as_str()] {
        assert!(stored.iter().all(|row| !row.contains(secret)), "{secret}");
    }
}

#[tokio::test]
async fn sign_out_ends_the_session_and_removes_the_cookie() {
    let app = App::start().await;
    let browser = signed_in(&app, KEY).await;
    let out = browser.sign_out().await;
    let removed = "verbatim_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict";
    assert_eq!((out.status, set_cookie(&out)), (204, Some(removed)));
    assert!(!out.headers.contains_key("clear-site-data"), "browsers reject it over plain HTTP");
    assert_eq!(browser.session_status().await, session_ended());
    assert_eq!(browser.get("/v1/agents").await.code(), "invalid_key");
}

#[tokio::test]
async fn session_ends_twelve_hours_after_its_last_use() {
    let app = App::start().await;
    let (browser, left) = (signed_in(&app, KEY).await, signed_in(&app, KEY).await);
    for hours in [11, 22] {
        let at = now() + TimeDelta::hours(hours);
        app.clock.set(at);
        assert_eq!(browser.get("/v1/agents").await.status, 200, "{hours}");
        // The time of use is written asynchronously.
        let used = || async {
            sqlx::query_scalar::<_, bool>("SELECT max(last_used_at) = $1 FROM browser_sessions")
                .bind(at)
                .fetch_one(app.database.pool())
                .await
                .unwrap()
        };
        while !used().await {
            // The session stays cached for seconds after the last look-up.
            assert_eq!(browser.get("/v1/agents").await.status, 200);
        }
    }
    assert_eq!(left.session_status().await, session_ended(), "nobody used it");
    app.clock.set(now() + TimeDelta::hours(34));
    assert_eq!(browser.session_status().await, session_ended());
}

#[tokio::test]
async fn session_ends_after_seven_days_or_with_its_key() {
    let app = App::start().await;
    let at_the_end = now() + TimeDelta::days(7);
    let (brief, _) = key(&app, &[Scope::Read], None, Some(now() + TimeDelta::hours(1))).await;
    let mut browser = Browser::new(&app);
    let answer = browser.sign_in(json!({ "key": brief })).await;
    assert_eq!(answer.json()["expires_at"], "2026-09-28T15:55:00.000000Z");
    assert_eq!(answer.json()["idle_expires_at"], "2026-09-28T15:55:00.000000Z");
    assert!(set_cookie(&answer).unwrap().contains("; Max-Age=3600;"));
    app.clock.set(now() + TimeDelta::seconds(3_599));
    assert_eq!(browser.session_status().await.0, 200);
    app.clock.set(now() + TimeDelta::hours(1));
    assert_eq!(browser.session_status().await, session_ended());

    app.clock.set(now());
    let browser = signed_in(&app, KEY).await;
    sqlx::query("UPDATE browser_sessions SET last_used_at = $1")
        .bind(at_the_end)
        .execute(app.database.pool())
        .await
        .unwrap();
    app.clock.set(at_the_end - TimeDelta::seconds(1));
    assert_eq!(browser.session_status().await.0, 200);
    app.clock.set(at_the_end);
    assert_eq!(browser.session_status().await, session_ended(), "even if it is in use");
}

#[tokio::test]
async fn last_use_of_a_session_is_written_at_most_once_a_minute() {
    let app = App::start().await;
    let browser = signed_in(&app, KEY).await;
    app.clock.set(now() + TimeDelta::seconds(59));
    // A look-up by a second service, which has nothing cached yet.
    let (database, data) = (app.database.shared(), TempDir::new().unwrap());
    let beside = App::start_on(database, data, |_| {}).await;
    beside.clock.set(now() + TimeDelta::seconds(59));
    let there = Browser { app: &beside, client: client(), cookie: browser.cookie.clone() };
    assert_eq!(there.session_status().await.0, 200, "services share sessions");
    assert_eq!(last_used_at(&app).await, now());
    let (database, data) = (app.database.shared(), TempDir::new().unwrap());
    let later = App::start_on(database, data, |_| {}).await;
    later.clock.set(now() + TimeDelta::seconds(60));
    let there = Browser { app: &later, client: client(), cookie: browser.cookie.clone() };
    assert_eq!(there.session_status().await.0, 200);
    while last_used_at(&app).await == now() {
        tokio::task::yield_now().await;
    }
    assert_eq!(last_used_at(&app).await, now() + TimeDelta::seconds(60));
}

#[tokio::test]
async fn revoking_the_key_ends_its_sessions_at_once() {
    let app = App::start().await;
    let (reader, id) = key(&app, &[Scope::Read], None, None).await;
    let (browser, other) = (signed_in(&app, &reader).await, signed_in(&app, KEY).await);
    assert_eq!(browser.session_status().await.0, 200);
    assert_eq!(app.ask("DELETE", &format!("/v1/keys/{id}")).await.status, 204);
    assert_eq!(browser.session_status().await, session_ended());
    assert_eq!(other.session_status().await.0, 200, "sessions of other keys continue");
    let again = Browser::new(&app).sign_in(json!({ "key": reader })).await;
    assert_eq!(again.code(), "invalid_key");
}

#[tokio::test]
async fn changing_the_key_of_the_settings_ends_its_sessions() {
    let app = App::start().await;
    let browser = signed_in(&app, KEY).await;
    let (database, data) = (app.database.shared(), TempDir::new().unwrap());
    let changed = App::start_on(database, data, |settings| {
        settings.api_key = Some(SecretString::from("another key"));
    })
    .await;
    let there = Browser { app: &changed, client: client(), cookie: browser.cookie.clone() };
    assert_eq!(there.session_status().await, session_ended());
    let (database, data) = (app.database.shared(), TempDir::new().unwrap());
    let none = App::start_on(database, data, |settings| settings.api_key = None).await;
    let there = Browser { app: &none, client: client(), cookie: browser.cookie.clone() };
    assert_eq!(there.session_status().await, session_ended());
}

/// Reads an open stream to the end.
async fn end_of(mut stream: Response) -> String {
    let mut text = String::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text += std::str::from_utf8(&chunk).unwrap();
    }
    text
}

#[tokio::test]
async fn open_stream_ends_with_its_session() {
    let app = App::start().await;
    let (reader, id) = key(&app, &[Scope::Read], None, None).await;
    let browsers =
        [signed_in(&app, KEY).await, signed_in(&app, &reader).await, signed_in(&app, KEY).await];
    let mut streams = Vec::new();
    for browser in &browsers {
        let mut stream = browser.response("GET", "/v1/stream", &[], &Value::Null).await;
        assert_eq!(stream.status(), 200);
        let first = stream.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b"retry: "));
        streams.push(stream);
    }
    let mut streams = streams.into_iter();
    assert_eq!(browsers[0].sign_out().await.status, 204);
    assert!(end_of(streams.next().unwrap()).await.contains("no longer valid"), "signed out");
    assert_eq!(app.ask("DELETE", &format!("/v1/keys/{id}")).await.status, 204);
    assert!(end_of(streams.next().unwrap()).await.contains("no longer valid"), "revoked");
    app.clock.set(now() + TimeDelta::hours(12));
    assert!(end_of(streams.next().unwrap()).await.contains("no longer valid"), "idle");
}

#[tokio::test]
async fn wrong_keys_and_cookies_are_throttled_and_right_keys_are_not() {
    let app = App::start().await;
    let mut browser = Browser::new(&app);
    for _ in 0..MANY {
        assert_eq!(browser.session_status().await, (401, Some("missing_credentials".into())));
    }
    let first = browser.sign_in(json!({ "key": generate_key() })).await;
    assert_eq!(first.code(), "invalid_key", "a query of the session is not an attempt");
    for number in 0..MANY {
        let body = match number % 3 {
            0 => json!({ "key": generate_key() }),
            1 => json!({ "key": "guess" }),
            _ => json!({ "token": generate_link_token() }),
        };
        browser.sign_in(body).await;
    }
    for body in
        [json!({ "key": "guess" }), json!({ "key": generate_key() }), json!({ "token": "x" })]
    {
        let answer = browser.sign_in(body).await;
        assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"));
        assert!(answer.headers.contains_key("retry-after"));
    }
    browser.cookie = Some(format!("verbatim_session=vbs_{}", "x".repeat(43)));
    assert_eq!(browser.session_status().await.0, 429);
    // Right credentials are accepted nevertheless.
    let (reader, _) = key(&app, &[Scope::Read], None, None).await;
    let token = link(&app, now()).await;
    for body in [json!({ "key": KEY }), json!({ "key": reader }), json!({ "token": token })] {
        assert_eq!(browser.sign_in(body).await.status, 200);
        assert_eq!(browser.session_status().await.0, 200);
    }
}

#[tokio::test]
async fn malformed_sign_in_is_rejected_without_quoting_it() {
    let app = App::start().await;
    let browser = Browser::new(&app);
    for body in [
        json!({}),
        json!({ "key": KEY, "token": "vbl_x" }),
        json!({ "key": null }),
        json!({ "key": 1 }),
        json!({ "kye": KEY }),
        json!([KEY]),
    ] {
        let answer = browser.send("POST", PATH, &[SAME_ORIGIN], &body).await;
        assert_eq!((answer.code().as_str(), set_cookie(&answer)), ("invalid_parameter", None));
        assert!(!answer.text.contains(KEY), "{}", answer.text);
    }
    let large = json!({ "key": "x".repeat(20_000) });
    let answer = browser.send("POST", PATH, &[SAME_ORIGIN], &large).await;
    assert_eq!(answer.code(), "payload_too_large");
    let path = format!("{PATH}?next=https://evil.test");
    let answer = browser.send("POST", &path, &[SAME_ORIGIN], &json!({ "key": KEY })).await;
    assert_eq!(answer.code(), "invalid_parameter", "there is no redirect to another site");
}

#[tokio::test]
async fn answers_are_not_cached_for_other_users() {
    let app = App::start().await;
    let message = json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": "Hello" } });
    assert_eq!(app.deliver(message.to_string()).await.status, 200);
    app.drained().await;
    let browser = signed_in(&app, KEY).await;
    for path in ["/v1/sessions", "/v1/keys", PATH] {
        assert_eq!(browser.get(path).await.headers["cache-control"], "no-store", "{path}");
    }
    let answer = browser.get("/v1/sessions/s").await;
    assert_eq!(answer.headers["cache-control"], "private, no-cache");
    let varies: Vec<_> =
        answer.headers.get_all("vary").iter().map(|it| it.to_str().unwrap()).collect();
    assert!(varies.contains(&"Cookie"), "{varies:?}");
    let refused = Browser::new(&app).get("/v1/sessions/s").await;
    assert_eq!(
        (refused.status, refused.headers["cache-control"].to_str().unwrap()),
        (401, "no-store")
    );
    let tag = answer.headers["etag"].to_str().unwrap();
    let (other, _) = key(&app, &[Scope::Read], Some(&["B".to_owned()]), None).await;
    let other = signed_in(&app, &other).await;
    let known = [("If-None-Match", tag)];
    let answer = other.send("GET", "/v1/sessions/s", &known, &Value::Null).await;
    assert_eq!(answer.status, 404, "a known tag grants no access");
}

#[tokio::test]
async fn one_time_link_signs_in_once() {
    let app = App::start_with(|settings| settings.api_key = None).await;
    let (token, another) = (link(&app, now()).await, link(&app, now()).await);
    let mut browser = Browser::new(&app);
    let answer = browser.sign_in(json!({ "token": token })).await;
    assert_eq!((answer.status, &answer.json()["scopes"]), (200, &json!(["admin"])));
    assert_eq!(browser.session_status().await.0, 200);
    let mut second = Browser::new(&app);
    let answer = second.sign_in(json!({ "token": token })).await;
    assert_eq!((answer.code().as_str(), set_cookie(&answer)), ("invalid_key", None));
    assert!(answer.text.contains("used already"), "{}", answer.text);
    // A link token is neither a key nor a session token.
    let bearer = format!("Bearer {another}");
    let answer =
        second.send("GET", "/v1/agents", &[("Authorization", &bearer)], &Value::Null).await;
    assert_eq!(answer.code(), "invalid_key");
    assert_eq!(second.sign_in(json!({ "key": another })).await.code(), "invalid_key");

    // Of two simultaneous sign-ins, one succeeds.
    let (one, other) = (Browser::new(&app), Browser::new(&app));
    let (body, headers) = (json!({ "token": another }), [SAME_ORIGIN]);
    let answers = tokio::join!(
        one.send("POST", PATH, &headers, &body),
        other.send("POST", PATH, &headers, &body),
    );
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn one_time_link_is_valid_for_five_minutes() {
    let app = App::start().await;
    let (early, late) = (link(&app, now()).await, link(&app, now()).await);
    let mut browser = Browser::new(&app);
    app.clock.set(now() + TimeDelta::seconds(299));
    assert_eq!(browser.sign_in(json!({ "token": early })).await.status, 200);
    app.clock.set(now() + TimeDelta::minutes(5));
    let answer = browser.sign_in(json!({ "token": late })).await;
    assert_eq!(answer.code(), "invalid_key");
    assert!(answer.text.contains("has expired"), "{}", answer.text);
    let answer = browser.sign_in(json!({ "token": generate_link_token() })).await;
    assert!(answer.text.contains("no such one-time link"), "{}", answer.text);
}

#[tokio::test]
async fn sessions_of_links_belong_to_a_key_that_is_listed_and_revoked() {
    let app = App::start().await;
    let mut browser = Browser::new(&app);
    for _ in 0..2 {
        let token = link(&app, now()).await;
        browser.sign_in(json!({ "token": token })).await;
    }
    let unused = link(&app, now()).await;
    let keys = app.get("/v1/keys").await.json();
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
    let listed = &keys["data"][0];
    assert_eq!(listed["name"], "One-time links (verbatim open)");
    let rights = browser.get(PATH).await.json();
    assert_eq!((&rights["key_id"], &rights["key_name"]), (&listed["id"], &listed["name"]));
    let id = listed["id"].as_str().unwrap();
    assert_eq!(app.ask("DELETE", &format!("/v1/keys/{id}")).await.status, 204);
    assert_eq!(browser.session_status().await, session_ended());
    assert_eq!(browser.sign_in(json!({ "token": unused })).await.code(), "invalid_key");
    let token = link(&app, now()).await;
    assert_eq!(browser.sign_in(json!({ "token": token })).await.status, 200, "with another key");
}

#[tokio::test]
async fn sign_in_deletes_expired_and_excess_sessions() {
    let app = App::start().await;
    let (key_hash, other) = (KeyHash::of("one"), KeyHash::of("other"));
    sqlx::query(
        "INSERT INTO browser_sessions
         SELECT sha256(number::text::bytea), CASE WHEN number <= 1100 THEN $1 ELSE $2 END, NULL,
             $3, $3 - number * interval '1 second', $3 + interval '7 days'
         FROM generate_series(1, 1103) AS number",
    )
    .bind(&key_hash.0[..])
    .bind(&other.0[..])
    .bind(now())
    .execute(app.database.pool())
    .await
    .unwrap();
    sqlx::query(
        "UPDATE browser_sessions SET expires_at = $1 WHERE last_used_at > $1 - interval '51 s'",
    )
    .bind(now())
    .execute(app.database.pool())
    .await
    .unwrap();
    let new = verbatim::store::browser_sessions::NewBrowserSession {
        hash: KeyHash::of("token"),
        key: verbatim::store::browser_sessions::SessionKey::Stored(key_hash),
        at: now(),
        expires_at: now() + TimeDelta::days(7),
        replaces: None,
    };
    store(&app).insert_browser_session(&new).await.unwrap();
    let count = |hash: KeyHash| {
        let sql = "SELECT count(*) FROM browser_sessions WHERE key_sha256 = $1";
        let pool = app.database.pool();
        async move {
            let count = sqlx::query_scalar::<_, i64>(sql).bind(hash.0.to_vec());
            count.fetch_one(pool).await.unwrap()
        }
    };
    assert_eq!((count(key_hash).await, count(other).await), (1_000, 3));
}

#[tokio::test]
async fn open_command_prints_a_link_that_signs_in() {
    let app = App::start().await;
    let database_url = app.database.url();
    let open = async |args: &[&str]| {
        let args = [&["open", "--no-browser"], args].concat();
        command::command(&args).env("DATABASE_URL", &database_url).output().await.unwrap()
    };
    let listen = app.address.strip_prefix("http://").unwrap();
    let printed = open(&["--listen", listen]).await;
    assert!(printed.status.success(), "{printed:?}");
    let link = command::stdout(&printed);
    let token = link.trim().strip_prefix(&format!("{}/sign-in#token=", app.address)).unwrap();
    assert!(!command::stderr(&printed).contains("No service answers"), "{printed:?}");
    assert_eq!(Browser::new(&app).sign_in(json!({ "token": token })).await.status, 200);

    let elsewhere = open(&["--url", "https://verbatim.example"]).await;
    assert!(command::stdout(&elsewhere).starts_with("https://verbatim.example/sign-in#token=vbl_"));
    let away = open(&["--listen", "127.0.0.1:1"]).await;
    assert!(command::stderr(&away).contains("No service answers at 127.0.0.1:1"), "{away:?}");
}

#[tokio::test]
async fn open_command_opens_a_file_with_the_link_on_a_desktop() {
    use std::os::unix::fs::PermissionsExt as _;
    let (app, folder) = (App::start().await, TempDir::new().unwrap());
    let program = folder.path().join("xdg-open");
    std::fs::write(&program, "#!/bin/sh\nprintf %s \"$*\" > \"$(dirname \"$0\")/opened\"\n")
        .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let data = folder.path().to_str().unwrap();
    let listen = app.address.strip_prefix("http://").unwrap();
    let open = async |display: &str, path: &str| {
        let mut command = command::command(&["open", "--listen", listen, "--data-dir", data]);
        command.env("DATABASE_URL", app.database.url()).env_remove("WAYLAND_DISPLAY");
        command.env("DISPLAY", display).env("PATH", path).output().await.unwrap()
    };
    assert!(open("", &path).await.status.success());
    assert!(!folder.path().join("opened").exists(), "there is no desktop");

    let printed = open(":0", &path).await;
    assert!(printed.status.success(), "{printed:?}");
    let opened = std::fs::read_to_string(folder.path().join("opened")).unwrap();
    assert_eq!(
        opened,
        folder.path().join("open.html").to_str().unwrap(),
        "the command line has no token"
    );
    let file = std::fs::read_to_string(opened).unwrap();
    assert!(file.contains(command::stdout(&printed).trim()), "{file}");

    let none = open(":0", "/nowhere").await;
    assert!(none.status.success() && command::stdout(&none).contains("/sign-in#token="));
    assert!(command::stderr(&none).contains("Cannot open a browser"), "{none:?}");
}

#[tokio::test]
async fn only_the_first_start_prints_a_link() {
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    for is_first in [true, false] {
        let (printed, link) = start_and_stop(&database, data.path()).await;
        assert!(printed.contains("  page            http://127.0.0.1:"), "{printed}");
        assert_eq!(link.is_some(), is_first, "{printed}");
        if let Some(token) = link {
            let (database, data) = (database.shared(), TempDir::new().unwrap());
            let app = App::start_on(database, data, |_| {}).await;
            assert_eq!(Browser::new(&app).sign_in(json!({ "token": token })).await.status, 200);
        }
    }
}

/// Runs a service without credentials until its banner is complete, and returns the banner and the
/// token of the link.
async fn start_and_stop(
    database: &TestDatabase,
    data: &std::path::Path,
) -> (String, Option<String>) {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let data = data.to_str().unwrap();
    let mut service = command::command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data])
        .env("DATABASE_URL", database.url())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(service.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    while printed.matches("curl ").count() < 2 {
        printed += &lines.next_line().await.unwrap().unwrap();
        printed.push('\n');
    }
    service.kill().await.unwrap();
    let link = printed.lines().find_map(|line| line.split_once("/sign-in#token="));
    let token = link.map(|(_, token)| token.to_owned());
    (printed, token)
}
