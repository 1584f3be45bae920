//! Cursors are sealed with keys that all services on a database share, and that rotate.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use verbatim::api::{OPENS_FOR, SEALS_FOR};
use verbatim::store::keys::Scope;

use super::app::{TestApi, now};
use super::rows::Row;
use super::writers::{message_delivery, put};

async fn cursor(api: &TestApi, target: &str) -> String {
    let answer = api.get(target).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["next_cursor"].as_str().expect("a next page").to_owned()
}

async fn assert_invalid(api: &TestApi, target: &str) {
    let answer = api.get(target).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_cursor"), "{target}");
}

async fn three_sessions(api: &TestApi) {
    for name in ["s1", "s2", "s3"] {
        Row::new("A", name).store(api.database.pool()).await;
    }
}

async fn count_keys(api: &TestApi) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM cursor_keys")
        .fetch_one(api.database.pool())
        .await
        .unwrap()
}

#[actix_web::test]
async fn key_is_created_on_first_use_and_shared() {
    let api = TestApi::start().await;
    three_sessions(&api).await;
    assert_eq!(count_keys(&api).await, 0);
    // Eight services that need a key at the same moment.
    let services: Vec<_> = (0..8).map(|_| api.beside(now())).collect();
    let lists = services.iter().map(|service| cursor(service, "/v1/sessions?limit=1"));
    let cursors: HashSet<String> =
        futures_util::future::join_all(lists).await.into_iter().collect();
    assert_eq!((cursors.len(), count_keys(&api).await), (1, 1), "the same row, the same cursor");
    for cursor in cursors {
        assert_eq!(api.get(&format!("/v1/sessions?limit=1&cursor={cursor}")).await.status, 200);
    }
}

#[actix_web::test]
async fn cursor_survives_a_restart() {
    let api = TestApi::start().await;
    three_sessions(&api).await;
    put(&api.database.options(), &[message_delivery("A", "s9", "hello")]).await;
    let list = cursor(&api, "/v1/sessions?limit=2").await;
    let feed = cursor(&api, "/v1/changes").await;
    let api = api.beside(now());
    for target in
        [format!("/v1/sessions?limit=2&cursor={list}"), format!("/v1/changes?after={feed}")]
    {
        let answer = api.get(&target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }
    assert_eq!(cursor(&api, "/v1/sessions?limit=2").await, list);
    assert_ne!(cursor(&api, "/v1/changes").await, feed, "the position is not visible");
}

#[actix_web::test]
async fn key_rotates_and_the_previous_one_still_opens() {
    let api = TestApi::start().await;
    three_sessions(&api).await;
    let next = |cursor: &str| format!("/v1/sessions?limit=1&cursor={cursor}");
    let first = cursor(&api, "/v1/sessions?limit=1").await;
    // Another service, whose clock is later, adds a key. This one does not know it yet.
    let second = cursor(&api.beside(now() + SEALS_FOR), "/v1/sessions?limit=1").await;
    assert_ne!(first, second);
    assert_eq!(count_keys(&api).await, 2);
    for cursor in [&first, &second] {
        assert_eq!(api.get(&next(cursor)).await.status, 200, "{cursor}");
    }
    let late = api.beside(now() + OPENS_FOR);
    assert_invalid(&late, &next(&first)).await;
    assert_eq!(late.get(&next(&second)).await.status, 200);
    assert_eq!(count_keys(&api).await, 2, "a third was added, and the first removed");
}

#[actix_web::test]
async fn cursors_of_the_old_format_and_invented_ones_are_rejected() {
    let api = TestApi::start().await;
    put(&api.database.options(), &[message_delivery("A", "s", "hello")]).await;
    let real = api.get("/v1/changes").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let real = URL_SAFE_NO_PAD.decode(real).unwrap();

    // The old format: a public checksum, and the position in clear.
    let position = [&now().timestamp_micros().to_be_bytes()[..], &[0; 8], &[0; 4]].concat();
    let mut print = Sha256::new();
    print.update(7_usize.to_le_bytes());
    print.update("journal");
    print.update(&position);
    let old = [&print.finalize()[..8], &position].concat();
    // The visible part of a real cursor, before another position.
    let forged = [&real[..45], &position].concat();
    for made_up in [old, forged, vec![1; 65], real[..real.len() - 1].to_vec()] {
        let text = URL_SAFE_NO_PAD.encode(made_up);
        assert_invalid(&api, &format!("/v1/changes?after={text}")).await;
        assert_invalid(&api, &format!("/v1/sessions?cursor={text}")).await;
        assert_invalid(&api, &format!("/v1/deliveries?cursor={text}")).await;
    }
    let real = URL_SAFE_NO_PAD.encode(real);
    assert_invalid(&api, &format!("/v1/sessions?cursor={real}")).await;
}

#[actix_web::test]
async fn cursor_is_valid_only_with_the_same_rights() {
    let api = TestApi::start().await;
    three_sessions(&api).await;
    let bound = api.key(&[Scope::Read], Some(&["A", "B"])).await;
    let alike = api.key(&[Scope::Read], Some(&["B", "A"])).await;
    let less = api.key(&[Scope::Read], Some(&["A"])).await;
    let page = api.get_as(&bound, "/v1/sessions?limit=1").await.json();
    let target = format!("/v1/sessions?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(api.get_as(&bound, &target).await.status, 200);
    assert_eq!(api.get_as(&alike, &target).await.status, 200);
    assert_eq!(api.get_as(&less, &target).await.code(), "invalid_cursor");
    assert_invalid(&api, &target).await;
}

#[actix_web::test]
async fn read_only_database_keeps_its_key() {
    let api = TestApi::start().await;
    three_sessions(&api).await;
    let first = cursor(&api, "/v1/sessions?limit=1").await;
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(api.database.pool())
        .await
        .unwrap();
    let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(api.database.pool()).await.unwrap();
    let late = api.beside(now() + SEALS_FOR);
    assert_eq!(cursor(&late, "/v1/sessions?limit=1").await, first);
    assert_eq!(count_keys(&api).await, 1);
}
