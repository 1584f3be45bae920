//! Walks along lists: every row once, and only with cursors of the service.

use std::collections::HashSet;

use super::app::{TestApi, at};
use super::rows::{Row, insert_message};

#[actix_web::test]
async fn walk_returns_every_row_once_with_equal_times() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let names: Vec<_> = (0..23).map(|count| format!("s{count}")).collect();
    for (count, name) in (0_i64..).zip(&names) {
        let agent = ["A", "B", "C"][usize::try_from(count % 3).unwrap()];
        Row { active: at(-(count / 7)), ..Row::new(agent, name) }.store(pool).await;
    }
    let session = Row::new("D", "talk").store(pool).await;
    for count in 0..23 {
        insert_message(pool, session, at(-40 + count / 9), "user", &count.to_string()).await;
    }
    for (target, column) in [
        ("/v1/sessions", "id"),
        ("/v1/sessions?agent_id=A&agent_id=B&agent_id=D", "id"),
        ("/v1/agents/A/sessions", "id"),
        ("/v1/agents", "agent_id"),
        ("/v1/sessions/talk/messages", "id"),
    ] {
        let separator = if target.contains('?') { '&' } else { '?' };
        for order in ["asc", "desc"] {
            let list = format!("{target}{separator}order={order}");
            let whole = api.get(&format!("{list}&limit=500")).await.column(column);
            assert_eq!(whole.iter().collect::<HashSet<_>>().len(), whole.len());
            assert!(whole.len() > 3);
            for limit in [1, 3, whole.len() - 1, whole.len()] {
                assert_eq!(api.walk(&format!("{list}&limit={limit}"), column).await, whole);
            }
        }
    }
}

#[actix_web::test]
async fn walk_is_not_disturbed_by_new_rows() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    for count in 0..12 {
        Row { active: at(-10 * count), started: at(-200), ..Row::new("A", &format!("s{count}")) }
            .store(pool)
            .await;
    }
    let before = api.get("/v1/sessions").await.column("session_id");
    let mut met = Vec::new();
    let mut target = "/v1/sessions?limit=3".to_owned();
    for round in 0.. {
        let page = api.get(&target).await;
        met.extend(page.column("session_id"));
        let Some(cursor) = page.json()["next_cursor"].as_str().map(str::to_owned) else {
            break;
        };
        // One before, one after, and one among the rows that are still to be read.
        for (name, active) in [("new", 60), ("old", -500), ("amid", -10 * i64::from(round) - 35)] {
            let name = format!("{name}{round}");
            Row { active: at(active), started: at(-600), ..Row::new("A", &name) }.store(pool).await;
        }
        target = format!("/v1/sessions?limit=3&cursor={cursor}");
    }
    let met: Vec<_> = met.into_iter().filter(|name| name.starts_with('s')).collect();
    assert_eq!(met, before);
}

#[actix_web::test]
async fn link_header_has_the_next_page() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    for name in ["a/b", "c d", "é"] {
        Row { room: Some("a room & more"), ..Row::new("x/y z", name) }.store(pool).await;
    }
    let mut target = "/v1/agents/x%2Fy%20z/sessions?room_name=a+room+%26+more&limit=1".to_owned();
    let mut met = Vec::new();
    loop {
        let page = api.get(&target).await;
        met.extend(page.column("session_id"));
        let Some(link) = page.header("link") else {
            break;
        };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        let next = next.expect("a link to the next page");
        assert!(next.starts_with('?'), "no path, since a proxy may change it: {next}");
        target = format!("/v1/agents/x%2Fy%20z/sessions{next}");
    }
    assert_eq!(met.iter().collect::<HashSet<_>>().len(), 3, "{met:?}");
}

#[actix_web::test]
async fn cursor_is_rejected_with_other_filters_and_accepted_with_another_limit() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    for count in 0..5 {
        Row::new("A", &format!("s{count}")).store(pool).await;
    }
    let page = api.get("/v1/sessions?agent_id=A&limit=2").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    for (target, taken) in [
        ("/v1/sessions?agent_id=A", true),
        ("/v1/sessions?agent_id=A&limit=1&order=desc&include=messages", true),
        ("/v1/sessions?agent_id=B", false),
        ("/v1/sessions?agent_id=A&agent_id=B", false),
        ("/v1/sessions?agent_id=A&order=asc", false),
        ("/v1/sessions?agent_id=A&status=live", false),
        ("/v1/sessions?limit=2", false),
        ("/v1/agents/A/sessions?limit=2", false),
        ("/v1/agents?limit=2", false),
        ("/v1/sessions/s1/messages?agent_id=A", false),
    ] {
        let separator = if target.contains('?') { '&' } else { '?' };
        let answer = api.get(&format!("{target}{separator}cursor={cursor}")).await;
        if taken {
            assert_eq!(answer.status, 200, "{target}");
        } else {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_cursor"),
                "{target}"
            );
        }
    }
}

#[actix_web::test]
async fn modified_cursor_is_rejected() {
    let api = TestApi::start().await;
    for target in ["/v1/sessions", "/v1/agents", "/v1/sessions/s/messages"] {
        for cursor in
            ["x", "AAAA", "%F0%9F%A6%8A", "....", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"]
        {
            let answer = api.get(&format!("{target}?cursor={cursor}")).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_cursor"),
                "{cursor}"
            );
        }
    }
}
