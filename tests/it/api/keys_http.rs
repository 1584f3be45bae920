//! Keys over HTTP: creation, list and revocation.

use std::time::Duration;

use serde_json::{Value, json};
use verbatim::store::keys::{Scope, has_key_form};

use super::app::{BOOTSTRAP, TestApi, at};
use super::http::Answer;

async fn create(api: &TestApi, key: &str, body: &Value) -> Answer {
    api.post_as(key, "/v1/keys", body).await
}

async fn revoke(api: &TestApi, key: &str, id: &str) -> Answer {
    let target = format!("/v1/keys/{id}");
    api.send("DELETE", &target, &[("X-API-Key", key)]).await
}

#[actix_web::test]
async fn key_is_shown_once_and_ends_when_revoked() {
    let api = TestApi::start().await;
    let body = json!({
        "name": "n8n", "scopes": ["export", "read", "read"], "agents": ["B", "A"], "expires": "90d"
    });
    let made = create(&api, BOOTSTRAP, &body).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let mut about = made.json();
    let key = about["key"].take().as_str().unwrap().to_owned();
    about.as_object_mut().unwrap().remove("key");
    assert!(has_key_form(&key));
    let id = about["id"].as_str().unwrap().to_owned();
    assert_eq!(
        about,
        json!({
            "id": id,
            "name": "n8n",
            "scopes": ["read", "export"],
            "agents": ["A", "B"],
            "created_at": "2026-09-28T14:54:13.000000Z",
            "expires_at": "2026-12-27T14:54:13.000000Z",
            "revoked_at": null,
            "last_used_at": null,
            "made_by": null,
        })
    );
    let list = api.get("/v1/keys").await;
    assert_eq!(list.json()["data"], json!([about]), "as created, without the key");

    assert_eq!(api.get_as(&key, "/v1/agents").await.status, 200);
    assert_eq!(api.get_as(&key, "/v1/keys").await.code(), "forbidden");
    for seconds in [1, 2] {
        api.clock.set(at(seconds));
        let revoked = revoke(&api, BOOTSTRAP, &id).await;
        assert_eq!((revoked.status, revoked.body.len()), (204, 0));
        assert_eq!(api.get_as(&key, "/v1/agents").await.code(), "invalid_key", "at once");
    }
    let list = api.get("/v1/keys").await.json();
    assert_eq!(list["data"][0]["revoked_at"], "2026-09-28T14:54:14.000000Z", "the first time");
}

#[actix_web::test]
async fn key_ends_at_its_expiry() {
    let api = TestApi::start().await;
    for expires in ["1m", "60", "2026-09-28T14:55:13Z", "2026-09-28T16:55:13+02:00", "1790607313"] {
        let body = json!({ "name": "brief", "scopes": ["read"], "expires": expires });
        let made = create(&api, BOOTSTRAP, &body).await;
        if expires == "60" {
            assert_eq!(made.code(), "invalid_parameter", "neither a future time nor a duration");
            continue;
        }
        let key = made.json()["key"].as_str().unwrap().to_owned();
        api.clock.set(at(59));
        assert_eq!(api.get_as(&key, "/v1/agents").await.status, 200, "{expires}");
        api.clock.set(at(60));
        assert_eq!(api.get_as(&key, "/v1/agents").await.code(), "invalid_key", "{expires}");
        api.clock.set(at(0));
    }
}

#[actix_web::test]
async fn invalid_key_request_is_rejected() {
    let api = TestApi::start().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({ "name": "x", "scopes": ["read"] });
        body[name] = value;
        body
    };
    for (body, named) in [
        (json!({}), "name"),
        (json!({ "name": "x" }), "scopes"),
        (json!([]), "JSON such as"),
        (with("scope", json!(["read"])), "unknown field `scope`"),
        (with("name", json!("")), "`name`"),
        (with("name", json!("a\0b")), "`name`"),
        (with("name", json!("x".repeat(201))), "`name`"),
        (with("name", json!(7)), "expected a string"),
        (with("scopes", json!([])), "read, analytics, export, erase, admin"),
        (with("scopes", json!(["read", "Admin"])), "`scopes`"),
        (with("agents", json!([])), "`agents`"),
        (with("agents", json!([""])), "`agents`"),
        (with("agents", json!(["a\0b"])), "`agents`"),
        (with("agents", json!(["x".repeat(513)])), "`agents`"),
        (with("agents", json!(vec!["x"; 1_001])), "`agents`"),
        (with("agents", json!("A")), "expected a sequence"),
        (with("expires", json!("soon")), "`expires`"),
        (with("expires", json!("0s")), "`expires`"),
        (with("expires", json!("200y")), "`expires`"),
        (with("expires", json!("2026-09-28T14:54:13Z")), "`expires`"),
        (with("expires", json!(90)), "expected a string"),
    ] {
        let answer = create(&api, BOOTSTRAP, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{body}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{body}: {detail}");
    }
    let huge = create(&api, BOOTSTRAP, &with("name", json!("x".repeat(1 << 20)))).await;
    assert_eq!((huge.status, huge.code().as_str()), (413, "payload_too_large"));
    let query = api.post_as(BOOTSTRAP, "/v1/keys?name=x", &json!({})).await;
    assert_eq!(query.code(), "invalid_parameter");
    for scope in Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin) {
        let key = api.key(&[scope], None).await;
        let body = json!({ "name": "x", "scopes": [scope.as_str()] });
        assert_eq!(create(&api, &key, &body).await.code(), "forbidden");
    }
    assert_eq!(api.store.list_keys().await.unwrap().len(), 4, "only those of this test");
}

#[actix_web::test]
async fn key_grants_no_more_than_its_creator() {
    let api = TestApi::start().await;
    let bound = api.key(&[Scope::Admin], Some(&["A", "B"])).await;
    let brief = api.expiring_key(&[Scope::Admin], None, Some(at(60))).await;
    let body = |agents: Option<&[&str]>, expires: Option<&str>| json!({ "name": "x", "scopes": ["admin"], "agents": agents, "expires": expires });
    for (key, agents, expires, allowed) in [
        (&bound, Some(&["A"] as &[_]), None, true),
        (&bound, Some(&["B", "A"]), Some("1000d"), true),
        (&bound, None, None, false),
        (&bound, Some(&["C"]), None, false),
        (&bound, Some(&["A", "C"]), None, false),
        (&brief, None, Some("60s"), true),
        (&brief, Some(&["C"]), Some("1s"), true),
        (&brief, None, None, false),
        (&brief, None, Some("61s"), false),
    ] {
        let body = body(agents, expires);
        let answer = create(&api, key, &body).await;
        if allowed {
            assert_eq!(answer.status, 201, "{body}");
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{body}");
        }
    }
}

#[actix_web::test]
async fn bound_key_sees_and_revokes_only_keys_within_its_binding() {
    let api = TestApi::start().await;
    let bound = api.key(&[Scope::Admin], Some(&["A", "B"])).await;
    let make = async |key: &str, name: &str, agents: Value| {
        let body = json!({ "name": name, "scopes": ["read"], "agents": agents });
        create(&api, key, &body).await.json()["id"].as_str().unwrap().to_owned()
    };
    let within = make(&bound, "within", json!(["B"])).await;
    let beyond = [
        make(BOOTSTRAP, "all", json!(null)).await,
        make(BOOTSTRAP, "partly", json!(["B", "C"])).await,
    ];
    let mut seen = api.get_as(&bound, "/v1/keys").await.column("name");
    seen.sort_unstable();
    assert_eq!(seen, ["a test's", "within"]);
    for id in &beyond {
        assert_eq!(revoke(&api, &bound, id).await.code(), "not_found");
    }
    assert_eq!(revoke(&api, &bound, &within).await.status, 204);
    let all = api.get("/v1/keys").await.json();
    let revoked = all["data"].as_array().unwrap().iter().filter(|key| !key["revoked_at"].is_null());
    assert_eq!(revoked.map(|key| key["name"].as_str().unwrap()).collect::<Vec<_>>(), ["within"]);
}

#[actix_web::test]
async fn unknown_key_cannot_be_revoked() {
    let api = TestApi::start().await;
    for id in [uuid::Uuid::nil().to_string().as_str(), "x", "%FF", "%00"] {
        assert_eq!(revoke(&api, BOOTSTRAP, id).await.code(), "not_found", "{id}");
    }
    let answer = api.send("PATCH", "/v1/keys", &[("X-API-Key", BOOTSTRAP)]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST")));
    let answer = api.send("GET", "/v1/keys/x", &[("X-API-Key", BOOTSTRAP)]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("DELETE")));
}

#[actix_web::test]
async fn walk_over_the_keys_returns_each_once() {
    let api = TestApi::start().await;
    for number in 0..7 {
        // Some at the same moment.
        api.clock.set(at(number / 3));
        let body = json!({ "name": number.to_string(), "scopes": ["read"] });
        assert_eq!(create(&api, BOOTSTRAP, &body).await.status, 201);
    }
    for order in ["asc", "desc"] {
        let whole = api.get(&format!("/v1/keys?order={order}")).await.column("id");
        assert_eq!(whole.len(), 7);
        for limit in [1, 2, 6, 7] {
            let list = format!("/v1/keys?order={order}&limit={limit}");
            assert_eq!(api.walk(&list, "id").await, whole);
        }
    }
}

#[actix_web::test]
async fn last_use_of_a_key_is_shown() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], None).await;
    api.clock.set(at(7));
    assert_eq!(api.get_as(&key, "/v1/agents").await.status, 200);
    // It is recorded in the background.
    tokio::time::timeout(Duration::from_secs(20), async {
        while api.get("/v1/keys").await.json()["data"][0]["last_used_at"].is_null() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is recorded");
    let recorded = &api.get("/v1/keys").await.json()["data"][0]["last_used_at"];
    assert_eq!(recorded, "2026-09-28T14:54:20.000000Z");
}

#[actix_web::test]
async fn key_can_expire_at_the_end_of_a_day() {
    let api = TestApi::start().await;
    let wanted = |expires: &str| json!({ "name": "x", "scopes": ["read"], "expires": expires });
    let made = api.post_as(BOOTSTRAP, "/v1/keys", &wanted("2026-12-01")).await;
    assert_eq!(made.json()["expires_at"], "2026-12-01T00:00:00.000000Z", "in UTC");
    for wrong in ["2026-09-28", "2026-02-30", "9999-12-31", "01.12.2026"] {
        let refused = api.post_as(BOOTSTRAP, "/v1/keys", &wanted(wrong)).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid_parameter".into()), "{wrong}");
    }
}
