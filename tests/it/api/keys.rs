//! Authentication with keys, and their rights.

use verbatim::store::key_changes::{Revocation, Revoked};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at};
use super::rows::Row;

#[actix_web::test]
async fn request_without_a_key_is_rejected_with_a_challenge() {
    let api = TestApi::start().await;
    for headers in [
        &[] as &[(&str, &str)],
        &[("Authorization", "Basic dTpw")],
        &[("Authorization", "Bearer ")],
        &[("X-API-Key", "")],
    ] {
        for path in ["/v1/agents", "/v1/sessions/s", "/v1/sessions/s/transcript"] {
            let answer = api.send("GET", path, headers).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "missing_credentials"));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"verbatim\""));
        }
    }
}

#[actix_web::test]
async fn key_is_accepted_in_either_header() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], None).await;
    for key in [BOOTSTRAP, &key] {
        for headers in [
            &[("Authorization", format!("Bearer {key}"))] as &[_],
            &[("authorization", format!("bearer  {key}"))],
            &[("X-API-Key", key.to_owned())],
            &[("Authorization", "Basic dTpw".to_owned()), ("x-api-key", key.to_owned())],
        ] {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(api.send("GET", "/v1/agents", &headers).await.status, 200, "{headers:?}");
        }
    }
}

#[actix_web::test]
async fn key_bound_to_an_agent_twice_shows_everything_once() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], Some(&["A"])).await;
    // As earlier versions stored it.
    sqlx::query("UPDATE api_keys SET agent_ids = ARRAY['A', 'B', 'A']")
        .execute(api.database.pool())
        .await
        .unwrap();
    for session in ["one", "two"] {
        Row::new("A", session).store(api.database.pool()).await;
    }
    for path in ["/v1/sessions", "/v1/sessions?agent_id=A", "/v1/agents/A/sessions"] {
        let answer = api.get_as(&key, path).await;
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), 2, "{path}");
    }
}

#[actix_web::test]
async fn wrong_key_is_rejected() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], None).await;
    let mut near = key.clone();
    let last = if near.ends_with('A') { "B" } else { "A" };
    near.replace_range(near.len() - 1.., last);
    for wrong in [&near, "vb_", "x", &key[..45], &format!("{key}A"), &"vb_\u{e9}".repeat(10)] {
        let answer = api.get_as(wrong, "/v1/agents").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_key"), "{wrong}");
    }
}

#[actix_web::test]
async fn key_allows_what_its_scopes_grant() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    let paths = [
        "/v1/agents",
        "/v1/agents/A",
        "/v1/agents/A/sessions",
        "/v1/sessions",
        "/v1/sessions/s",
        "/v1/sessions/s/messages",
        "/v1/sessions/s/transcript",
    ];
    for scope in Scope::ALL {
        let key = api.key(&[scope], None).await;
        let allowed = matches!(scope, Scope::Read | Scope::Admin);
        for path in paths {
            let answer = api.get_as(&key, path).await;
            if allowed {
                assert_eq!(answer.status, 200, "{scope:?} {path}");
            } else {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (403, "forbidden"),
                    "{scope:?} {path}"
                );
            }
        }
    }
}

#[actix_web::test]
async fn key_bound_to_an_agent_sees_nothing_else() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let secret = Row::new("theirs", "secret").store_with(pool, &[("user", "hush")]).await;
    Row::new("theirs", "shared").store_with(pool, &[("user", "hush")]).await;
    Row::new("mine", "shared").store_with(pool, &[("user", "hello")]).await;
    let key = api.key(&[Scope::Admin], Some(&["mine", "unborn"])).await;
    for path in [
        "/v1/agents/theirs".to_owned(),
        "/v1/agents/theirs/sessions".to_owned(),
        "/v1/agents/unborn".to_owned(),
        "/v1/agents/unborn/sessions".to_owned(),
        "/v1/sessions/secret".to_owned(),
        "/v1/sessions/secret?agent_id=theirs".to_owned(),
        "/v1/sessions/secret/messages".to_owned(),
        "/v1/sessions/secret/messages?agent_id=theirs".to_owned(),
        "/v1/sessions/secret/transcript".to_owned(),
        "/v1/sessions/secret/transcript?agent_id=theirs&format=json".to_owned(),
        "/v1/sessions/shared?agent_id=theirs".to_owned(),
        format!("/v1/sessions/{secret}"),
        format!("/v1/sessions/{secret}/messages"),
        format!("/v1/sessions/{secret}/transcript"),
    ] {
        let answer = api.get_as(&key, &path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
    }
    assert_eq!(api.get_as(&key, "/v1/agents").await.column("agent_id"), ["mine"]);
    for (path, expected) in [
        ("/v1/sessions", &["mine"] as &[_]),
        ("/v1/sessions?include=messages", &["mine"]),
        ("/v1/sessions?agent_id=theirs", &[]),
        ("/v1/sessions?agent_id=theirs&agent_id=mine", &["mine"]),
        ("/v1/agents/mine/sessions", &["mine"]),
        ("/v1/sessions/shared/messages", &["mine"]),
    ] {
        assert_eq!(api.get_as(&key, path).await.column("agent_id"), expected, "{path}");
    }
    let shared = api.get_as(&key, "/v1/sessions/shared").await;
    assert_eq!(shared.json()["agent_id"], "mine", "sessions that it cannot see are no candidates");

    let blind = api.key(&[Scope::Read], Some(&[])).await;
    for path in ["/v1/agents", "/v1/sessions", "/v1/sessions?order=asc"] {
        assert!(api.get_as(&blind, path).await.column("agent_id").is_empty(), "{path}");
    }
}

#[actix_web::test]
async fn key_expires_although_it_was_just_used() {
    let api = TestApi::start().await;
    let key = api.expiring_key(&[Scope::Read], None, Some(at(60))).await;
    assert_eq!(api.get_as(&key, "/v1/agents").await.status, 200);
    api.clock.set(at(59));
    assert_eq!(api.get_as(&key, "/v1/agents").await.status, 200);
    api.clock.set(at(60));
    assert_eq!(api.get_as(&key, "/v1/agents").await.code(), "invalid_key");
    api.key_cache.clear();
    assert_eq!(api.get_as(&key, "/v1/agents").await.code(), "invalid_key");
}

#[actix_web::test]
async fn revoked_key_is_rejected_once_it_leaves_the_cache() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], None).await;
    assert_eq!(api.get_as(&key, "/v1/agents").await.status, 200);
    let id = api.store.list_keys().await.unwrap()[0].id;
    let revoke = |at| Revocation { id, visible: None, caller: None, keep_made: false, at };
    assert_eq!(api.store.revoke_key(&revoke(at(1))).await.unwrap(), Revoked::Yes(1));
    api.key_cache.clear();
    let answer = api.get_as(&key, "/v1/agents").await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_key"));
    assert_eq!(api.store.revoke_key(&revoke(at(9))).await.unwrap(), Revoked::Yes(1));
    assert_eq!(api.store.list_keys().await.unwrap()[0].revoked_at, Some(at(1)));
}

#[actix_web::test]
async fn use_of_a_key_is_recorded_once_a_minute() {
    let api = TestApi::start().await;
    api.key(&[Scope::Read], None).await;
    let id = api.store.list_keys().await.unwrap()[0].id;
    for (now, noted) in [(0, 0), (59, 0), (60, 60), (61, 60), (120, 120)] {
        api.store.record_key_use(id, at(now), at(now - 60)).await.unwrap();
        assert_eq!(api.store.list_keys().await.unwrap()[0].last_used_at, Some(at(noted)));
    }
}

#[actix_web::test]
async fn settings_key_works_without_the_database() {
    let api = TestApi::start().await;
    api.store.pool().close().await;
    assert_eq!(api.get("/v1/agents").await.code(), "unavailable");
    assert_eq!(api.get_as("vb_no", "/v1/agents").await.code(), "invalid_key");
    let absent = verbatim::store::keys::generate_key();
    assert_eq!(api.get_as(&absent, "/v1/agents").await.code(), "unavailable");
}
