//! Filters of `GET /v1/search` on sessions.

use super::app::TestApi;
use super::figures;
use super::search;
use super::talk::Conversation;

/// Stores four conversations of different kinds. The text of each names its kind.
async fn conversations(api: &TestApi) {
    let conversation = |session, room: Option<&'static str>| match room {
        Some(room) => Conversation::new("A", session).join_room(-3_000, Some(room)),
        None => Conversation::new("A", session),
    };
    conversation("greeted", Some("hall"))
        .message(-2_990, "assistant", "word greeted")
        .store(api)
        .await;
    conversation("talked", Some("hall"))
        .message(-1_000, "assistant", "Hello")
        .message(-990, "user", "word talked")
        .message(-980, "assistant", "Yes")
        .store(api)
        .await;
    conversation("pushed", None)
        .message(-20, "user", "word pushed")
        .message(-10, "assistant", "Yes")
        .store(api)
        .await;
    conversation("twice", Some("shop"))
        .message(-800, "user", "word twice")
        .message(-790, "user", "again")
        .end(-780)
        .store(api)
        .await;
    search::index(api).await;
    figures::follow(api).await;
}

/// Returns all matches, one a page, sorted.
async fn walk(api: &TestApi, target: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = api.get(&format!("{target}&limit=1{cursor}")).await;
        found.extend(search::texts(&answer));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort_unstable();
    found
}

#[actix_web::test]
async fn matches_are_filtered_by_their_sessions() {
    let api = TestApi::start().await;
    conversations(&api).await;
    for (query, expected) in [
        ("", "greeted pushed talked twice"),
        ("&room_name=hall", "greeted talked"),
        ("&room_name=cellar", ""),
        ("&status=live", "pushed"),
        ("&status=idle", "talked"),
        ("&status=ended", "greeted twice"),
        ("&opened_by=chat.push", "pushed"),
        ("&opened_by=room.join", "greeted talked twice"),
        ("&silent=true", "greeted"),
        ("&silent=false", "pushed talked twice"),
        ("&flag=no_join", "pushed"),
        ("&flag=no_join,repeated_user_turn", "pushed twice"),
        ("&flag=no_join&flag=one_sided", "greeted pushed twice"),
        ("&flag=altered", ""),
        ("&room_name=hall&silent=false", "talked"),
        ("&room_name=hall&role=assistant", "greeted"),
        ("&status=ended&agent_id=B", ""),
        ("&session_id=talked&room_name=hall", "talked"),
        ("&session_id=talked&room_name=shop", ""),
    ] {
        let target = format!("/v1/search?q=word{query}");
        let answer = api.get(&target).await;
        let mut found = search::texts(&answer);
        found.sort_unstable();
        let expected: Vec<_> =
            expected.split_whitespace().map(|name| format!("word {name}")).collect();
        assert_eq!(found, expected, "{target}");
        let pages = walk(&api, &target).await;
        assert_eq!(pages, expected, "{target}, page by page");
    }
    for query in ["status=over", "silent=maybe", "flag=odd", "opened_by=x", "engaged=true"] {
        let answer = api.get(&format!("/v1/search?q=word&{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{query}");
    }
    let cursor = api.get("/v1/search?q=word&limit=1").await.json()["next_cursor"].clone();
    let cursor = cursor.as_str().unwrap();
    let answer = api.get(&format!("/v1/search?q=word&limit=1&silent=true&cursor={cursor}")).await;
    assert_eq!(answer.code(), "invalid_cursor", "a cursor belongs to its filters");
}
