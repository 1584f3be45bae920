//! `/v1/views`: filters that a key saves for itself.

use serde_json::{Value, json};
use verbatim::store::keys::Scope;

use super::app::{BOOTSTRAP, TestApi};
use super::http::{self, Answer};

async fn save(api: &TestApi, key: &str, name: &str, body: &Value) -> Answer {
    let headers = [("X-API-Key", key)];
    let target = format!("/v1/views/{name}");
    http::send_body(&api.address, "PUT", &target, &headers, body.to_string().as_bytes()).await
}

async fn delete(api: &TestApi, key: &str, name: &str) -> u16 {
    api.send("DELETE", &format!("/v1/views/{name}"), &[("X-API-Key", key)]).await.status
}

#[actix_web::test]
async fn view_is_saved_replaced_listed_and_deleted() {
    let api = TestApi::start().await;
    let query = json!({ "room_name": "hall", "text": "a\u{0}b", "n": 1.50 });
    let first = save(&api, BOOTSTRAP, "b", &json!({ "place": "p", "query": query })).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let expected = json!({ "name": "b", "place": "p", "query": query,
        "updated_at": "2026-09-28T14:54:13.000000Z" });
    assert_eq!(first.json(), expected);
    // A name may contain every character that a path segment can.
    let name = "last%20week%2F%C3%BC%3F";
    let other = save(&api, BOOTSTRAP, name, &json!({ "place": "q", "query": "a=1&b=2" })).await;
    assert_eq!(other.json()["name"], "last week/ü?");

    let list = api.get("/v1/views").await.json();
    assert_eq!(list["data"], json!([expected, other.json()]));
    assert_eq!((&list["has_more"], &list["next_cursor"]), (&json!(false), &Value::Null));

    let again = save(&api, BOOTSTRAP, "b", &json!({ "place": "r", "query": {} })).await;
    assert_eq!((again.status, &again.json()["place"]), (200, &json!("r")));
    assert_eq!(api.get("/v1/views").await.column("place"), ["r", "q"]);

    assert_eq!(delete(&api, BOOTSTRAP, name).await, 204);
    assert_eq!(delete(&api, BOOTSTRAP, name).await, 404);
    let anywhere = save(&api, BOOTSTRAP, "c", &json!({ "query": "" })).await;
    assert_eq!(anywhere.json()["place"], Value::Null);
    assert_eq!(delete(&api, BOOTSTRAP, "c").await, 204);
    assert_eq!(api.get("/v1/views").await.column("name"), ["b"]);
}

#[actix_web::test]
async fn views_belong_to_a_key_and_are_deleted_with_it() {
    let api = TestApi::start().await;
    let keys = [api.key(&[Scope::Read], None).await, api.key(&[Scope::Analytics], None).await];
    for (key, place) in keys.iter().zip(["one", "two"]) {
        let answer = save(&api, key, "same", &json!({ "place": place, "query": "" })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (key, place) in keys.iter().zip(["one", "two"]) {
        assert_eq!(api.get_as(key, "/v1/views").await.column("place"), [place]);
    }
    assert_eq!(api.get("/v1/views").await.column("place"), [""; 0]);
    assert_eq!(delete(&api, BOOTSTRAP, "same").await, 404);
    let erases = api.key(&[Scope::Erase], None).await;
    assert_eq!(api.get_as(&erases, "/v1/views").await.status, 403);
    assert_eq!(save(&api, &erases, "x", &json!({ "place": "p", "query": "" })).await.status, 403);

    for key in api.get("/v1/keys").await.column("id") {
        let target = format!("/v1/keys/{key}");
        let answer = api.send("DELETE", &target, &[("X-API-Key", BOOTSTRAP)]).await;
        assert_eq!(answer.status, 204);
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM saved_views")
        .fetch_one(api.database.pool())
        .await
        .unwrap();
    assert_eq!(left, 0, "views are deleted with their key");
}

#[actix_web::test]
async fn view_that_is_too_large_or_misshapen_is_rejected() {
    let api = TestApi::start().await;
    let long = "x".repeat(4_094);
    let fits = save(&api, BOOTSTRAP, "fits", &json!({ "place": "p", "query": long })).await;
    assert_eq!(fits.status, 200);
    for (name, body, says) in [
        ("a", json!({ "place": "p", "query": format!("{long}x") }), "`query` has 4096 bytes"),
        ("a", json!({ "place": "p", "query": 7 }), "`query` is a string or an object"),
        ("a", json!({ "place": "p", "query": [] }), "`query` is a string or an object"),
        ("a", json!({ "place": "", "query": "" }), "`place` has 1 to 50"),
        ("a", json!({ "place": "a\u{0}", "query": "" }), "`place` has 1 to 50"),
        ("a", json!({ "place": "x".repeat(51), "query": "" }), "`place` has 1 to 50"),
        ("a", json!({ "place": "p", "query": "", "more": 1 }), "unknown field `more`"),
        ("a", json!({ "place": "p" }), "missing field `query`"),
        ("a", json!(["p", ""]), "it is not an object"),
        (&"n".repeat(101), json!({ "place": "p", "query": "" }), "`name` has 1 to 100"),
    ] {
        let answer = save(&api, BOOTSTRAP, name, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{says}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(says), "{detail}");
    }
    let huge = json!({ "place": "p", "query": "x".repeat(40_000) });
    assert_eq!(save(&api, BOOTSTRAP, "a", &huge).await.status, 413);
    assert_eq!(api.get("/v1/views").await.column("name"), ["fits"]);
}

#[actix_web::test]
async fn hundred_and_first_view_is_rejected() {
    let api = TestApi::start().await;
    let key = api.key(&[Scope::Read], None).await;
    let body = json!({ "place": "p", "query": "" });
    for number in 0..100 {
        assert_eq!(save(&api, &key, &number.to_string(), &body).await.status, 200, "{number}");
    }
    let (one, other) = tokio::join!(save(&api, &key, "x", &body), save(&api, &key, "y", &body));
    assert_eq!([one.code(), other.code()], ["conflict", "conflict"]);
    assert_eq!(save(&api, &key, "7", &body).await.status, 200, "an existing view is replaced");
    assert_eq!(delete(&api, &key, "0").await, 204);
    let both = tokio::join!(save(&api, &key, "x", &body), save(&api, &key, "y", &body));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "of two at the same time one fits");
}
