//! Identical requests at the same time, which share one read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::{join, join_all};
use verbatim::store::keys::Scope;

use super::app::{TestApi, at};
use super::rows::{Row, insert_message};

#[actix_web::test]
async fn answer_has_everything_committed_before_its_request() {
    const MESSAGES: usize = 150;
    let api = TestApi::start().await;
    let session = Row { started: at(0), ..Row::new("A", "s") }.store(api.database.pool()).await;
    let (committed, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let insert = async {
        for second in (0_i64..).take(MESSAGES) {
            insert_message(api.database.pool(), session, at(second), "user", &second.to_string())
                .await;
            committed.fetch_add(1, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    };
    let ask = async || {
        let mut last = false;
        while !last {
            // Once more after the end, to see the whole.
            last = done.load(Ordering::SeqCst);
            let before = committed.load(Ordering::SeqCst);
            let shown = api.get("/v1/sessions/s/messages?limit=500").await.column("message");
            assert!(shown.len() >= before, "{} of {before} are shown", shown.len());
            let expected: Vec<_> = (0..shown.len()).map(|second| second.to_string()).collect();
            assert_eq!(shown, expected, "shown without a gap");
            let session = api.get("/v1/sessions/s").await.json();
            assert!(session["message_count"].as_u64().unwrap() >= before as u64, "{session}");
        }
    };
    join(insert, join_all((0..64).map(|_| ask()))).await;
    assert_eq!(committed.load(Ordering::SeqCst), MESSAGES);
}

#[actix_web::test]
async fn only_callers_with_the_same_rights_share_an_answer() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    Row::new("theirs", "secret").store_with(pool, &[("user", "hush")]).await;
    let allowed = api.key(&[Scope::Read], Some(&["theirs"])).await;
    let stranger = api.key(&[Scope::Read], Some(&["mine"])).await;
    let unfit = api.key(&[Scope::Analytics], Some(&["theirs"])).await;
    for path in ["/v1/sessions/secret/messages", "/v1/sessions/secret"] {
        let answers = join_all((0..64).map(|number| {
            let key = [&allowed, &stranger, &unfit][number % 3];
            api.get_as(key, path)
        }));
        for (number, answer) in answers.await.into_iter().enumerate() {
            match number % 3 {
                0 => assert_eq!(answer.status, 200, "{path}"),
                1 => assert_eq!((answer.status, answer.code().as_str()), (404, "not_found")),
                _ => assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden")),
            }
        }
    }
}

#[actix_web::test]
async fn each_page_has_its_link_and_each_answer_its_request_id() {
    let api = TestApi::start().await;
    let talk = [("user", "0"), ("user", "1"), ("user", "2")];
    Row::new("A", "s").store_with(api.database.pool(), &talk).await;
    let path = |number: usize| format!("/v1/sessions/s/messages?limit={}", 1 + number % 3);
    let paths: Vec<_> = (0..48).map(path).collect();
    let answers = join_all(paths.iter().map(|path| api.get(path))).await;
    let mut ids = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        let limit = 1 + number % 3;
        assert_eq!(answer.column("message"), &["0", "1", "2"][..limit]);
        let link = answer.header("link");
        assert_eq!(link.is_some(), limit < 3);
        let (_, query) = paths[number].split_once('?').unwrap();
        let asked = format!("<?{query}&cursor=");
        assert!(link.is_none_or(|link| link.starts_with(&asked)), "{link:?}");
        ids.push(answer.header("x-request-id").expect("an id").to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 48);
}

#[actix_web::test]
async fn problem_is_returned_to_all_with_their_request_ids() {
    let api = TestApi::start().await;
    api.store.pool().close().await;
    let answers = join_all((0..32).map(|_| api.get("/v1/sessions/s/messages"))).await;
    for answer in answers {
        // `code` compares the body's request id with the header's.
        assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}
