//! Rights over keys and holds that another key created, and the effect of a revocation.

use serde_json::{Value, json};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi, at};
use super::http::Answer;
use super::rows::Row;

/// A key that was created over HTTP.
struct Made {
    key: String,
    id: String,
}

async fn make(api: &TestApi, with: &str, agents: Option<&[&str]>) -> Made {
    let body = json!({ "name": "x", "scopes": ["admin"], "agents": agents });
    let made = api.post_as(with, "/v1/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
    Made { key: text("key"), id: text("id") }
}

async fn send(api: &TestApi, key: &str, method: &str, target: &str) -> Answer {
    api.send(method, target, &[("X-API-Key", key)]).await
}

async fn revoke(api: &TestApi, key: &str, which: &Made, query: &str) -> Answer {
    send(api, key, "DELETE", &format!("/v1/keys/{}{query}", which.id)).await
}

async fn is_valid(api: &TestApi, made: &Made) -> bool {
    match api.get_as(&made.key, "/v1/agents").await {
        answer if answer.status == 200 => true,
        answer => {
            assert_eq!(answer.code(), "invalid_key");
            false
        }
    }
}

/// Returns the maker of each key in the list, by the key's ID.
async fn makers(api: &TestApi, key: &str) -> Vec<(String, Value)> {
    let list = api.get_as(key, "/v1/keys?order=asc").await.json();
    let keys = list["data"].as_array().unwrap().iter();
    keys.map(|key| (key["id"].as_str().unwrap().to_owned(), key["made_by"].clone())).collect()
}

#[actix_web::test]
async fn list_shows_the_maker_of_each_key_if_the_caller_may_see_it() {
    let api = TestApi::start().await;
    let owner = make(&api, BOOTSTRAP, None).await;
    api.clock.set(at(1));
    let tenant = make(&api, &owner.key, Some(&["A", "B"])).await;
    api.clock.set(at(2));
    let child = make(&api, &tenant.key, Some(&["A"])).await;
    assert_eq!(
        makers(&api, BOOTSTRAP).await,
        [
            (owner.id.clone(), json!(null)),
            (tenant.id.clone(), json!(owner.id)),
            (child.id.clone(), json!(tenant.id)),
        ]
    );
    assert_eq!(
        makers(&api, &tenant.key).await,
        [(tenant.id.clone(), json!(null)), (child.id.clone(), json!(tenant.id))]
    );
    assert_eq!(makers(&api, &child.key).await, [(child.id.clone(), json!(null))]);
}

#[actix_web::test]
async fn bound_key_revokes_itself_and_keys_of_the_same_binding() {
    let api = TestApi::start().await;
    let tenant = make(&api, BOOTSTRAP, Some(&["A", "B"])).await;
    let sibling = make(&api, BOOTSTRAP, Some(&["A"])).await;
    let [child, other] =
        [make(&api, &tenant.key, Some(&["A"])).await, make(&api, &tenant.key, Some(&["B"])).await];
    let grandchild = make(&api, &child.key, Some(&["A"])).await;
    // The unbound key created them, so only it can revoke them.
    for (who, whom, status) in [(&tenant, &sibling, 403), (&sibling, &tenant, 404)] {
        assert_eq!(revoke(&api, &who.key, whom, "").await.status, status);
        assert!(is_valid(&api, whom).await);
    }
    assert_eq!(revoke(&api, &sibling.key, &child, "").await.code(), "forbidden");
    assert_eq!(revoke(&api, &other.key, &other, "").await.status, 204, "itself");
    assert!(!is_valid(&api, &other).await);
    assert_eq!(revoke(&api, &tenant.key, &grandchild, "").await.status, 204);
    assert_eq!(revoke(&api, &tenant.key, &child, "").await.status, 204);
    assert!(!is_valid(&api, &grandchild).await && !is_valid(&api, &child).await);
    assert!(is_valid(&api, &tenant).await && is_valid(&api, &sibling).await);
}

#[actix_web::test]
async fn keys_that_a_revoked_key_made_are_revoked_with_it() {
    let api = TestApi::start().await;
    let leaked = make(&api, BOOTSTRAP, None).await;
    let child = make(&api, &leaked.key, Some(&["A"])).await;
    let grandchild = make(&api, &child.key, Some(&["A"])).await;
    let bystander = make(&api, BOOTSTRAP, None).await;
    assert_eq!(revoke(&api, &bystander.key, &leaked, "").await.status, 204);
    for gone in [&leaked, &child, &grandchild] {
        assert!(!is_valid(&api, gone).await);
    }
    assert!(is_valid(&api, &bystander).await);
}

#[actix_web::test]
async fn key_is_replaced_by_one_that_it_made() {
    let api = TestApi::start().await;
    let old = make(&api, BOOTSTRAP, None).await;
    let new = make(&api, &old.key, None).await;
    let refused = revoke(&api, &new.key, &old, "").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "conflict"));
    assert!(refused.text().contains("keep_made=true") && is_valid(&api, &old).await);
    assert_eq!(revoke(&api, &new.key, &old, "?keep_made=maybe").await.code(), "invalid_parameter");
    assert_eq!(revoke(&api, &new.key, &old, "?keep_made=true").await.status, 204);
    assert!(!is_valid(&api, &old).await && is_valid(&api, &new).await);
}

#[actix_web::test]
async fn key_revoked_in_another_process_creates_none() {
    let api = TestApi::start().await;
    let maker = make(&api, BOOTSTRAP, None).await;
    assert!(is_valid(&api, &maker).await);
    // Another process revokes it. The cache of this process still contains it.
    sqlx::query("UPDATE api_keys SET revoked_at = now()")
        .execute(api.database.pool())
        .await
        .unwrap();
    let body = json!({ "name": "x", "scopes": ["read"] });
    assert_eq!(api.post_as(&maker.key, "/v1/keys", &body).await.code(), "invalid_key");
    assert_eq!(makers(&api, BOOTSTRAP).await.len(), 1);
}

#[actix_web::test]
async fn bound_key_ends_no_hold_of_an_unbound_key() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    Row::new("B", "t").store(api.database.pool()).await;
    let bound = api.key(&[Scope::Admin], Some(&["A", "B"])).await;
    let narrow = api.key(&[Scope::Admin], Some(&["A"])).await;
    let owner = api.key(&[Scope::Admin], None).await;
    for hold in ["/v1/sessions/s/hold", "/v1/agents/A/hold"] {
        let end = async |key: &str| send(&api, key, "DELETE", hold).await.status;
        let begin = async |key: &str| {
            let held = send(&api, key, "PUT", hold).await;
            assert_eq!(held.status, 200, "{}", held.text());
            held.json()["made_by"].clone()
        };
        for theirs in [BOOTSTRAP, owner.as_str()] {
            begin(theirs).await;
            assert_eq!((end(&bound).await, end(&narrow).await), (403, 403), "{hold}");
            assert_eq!(begin(&bound).await, json!(null), "a second hold does not change its owner");
            assert_eq!(end(&bound).await, 403);
            assert_eq!(send(&api, &bound, "DELETE", "/v1/agents/A").await.code(), "conflict");
            assert_eq!((end(theirs).await, end(theirs).await), (204, 404));
        }
        // A key ends its own holds, and so does a key with the same or more agents.
        for ends in [&bound, &owner] {
            assert_ne!(begin(&bound).await, json!(null));
            assert_eq!(end(&narrow).await, 403);
            assert_eq!(end(ends).await, 204);
        }
        // If the unbound key requests a hold, too, the hold becomes its own.
        begin(&bound).await;
        begin(&owner).await;
        assert_eq!((end(&bound).await, end(&owner).await), (403, 204));
    }
    let list = api.get_as(&bound, "/v1/holds").await.json();
    assert_eq!(list["data"], json!([]));
}
