//! Entity tags of single resources: an unchanged body is not sent again.

use super::app::{BOOTSTRAP, TestApi, at};
use super::http::Answer;
use super::rows::{Row, insert_message};

async fn ask(api: &TestApi, method: &str, path: &str, if_none_match: &str) -> Answer {
    api.send(method, path, &[("X-API-Key", BOOTSTRAP), ("If-None-Match", if_none_match)]).await
}

#[actix_web::test]
async fn unchanged_resource_is_answered_with_304() {
    let api = TestApi::start().await;
    let session = Row::new("A", "s").store(api.database.pool()).await;
    for path in ["/v1/agents/A", "/v1/sessions/s"] {
        let first = api.get(path).await;
        let tag = first.header("etag").expect("a tag").to_owned();
        assert_eq!(first.header("cache-control"), Some("private, no-cache"));
        let strong = tag.strip_prefix("W/").expect("a weak tag").to_owned();
        for if_none_match in [tag.clone(), strong, format!("\"other\", {tag}"), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let again = ask(&api, method, path, &if_none_match).await;
                assert_eq!((again.status, again.body.len()), (304, 0), "{path} {if_none_match}");
                assert_eq!(again.header("etag"), Some(&*tag));
            }
        }
        for unknown in ["\"other\"", "W/\"other\"", "nonsense", ""] {
            let again = ask(&api, "GET", path, unknown).await;
            assert_eq!((again.status, &again.body), (200, &first.body), "{path} {unknown}");
        }
        insert_message(api.database.pool(), session, at(0), "user", path).await;
        let changed = ask(&api, "GET", path, &tag).await;
        assert_eq!(changed.status, 200, "{path}");
        assert_ne!(changed.header("etag"), Some(&*tag));
    }
    assert_eq!(ask(&api, "GET", "/v1/agents/B", "*").await.status, 404);
}

#[actix_web::test]
async fn etag_changes_when_a_session_falls_silent() {
    let api = TestApi::start().await;
    Row::new("A", "s").store(api.database.pool()).await;
    let live = api.get("/v1/sessions/s").await;
    let tag = live.header("etag").expect("a tag");
    api.clock.set(at(60));
    assert_eq!(ask(&api, "GET", "/v1/sessions/s", tag).await.status, 304, "it is still live");
    api.clock.set(at(121));
    assert_eq!(ask(&api, "GET", "/v1/sessions/s", tag).await.json()["status"], "idle");
}
