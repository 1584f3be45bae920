//! `GET /v1/sessions` and `GET /v1/sessions/{session_id}`.

use serde_json::json;

use super::app::{TestApi, at};
use super::rows::{Row, insert_message};

#[actix_web::test]
async fn session_has_its_documented_shape() {
    let api = TestApi::start().await;
    let row = Row { room: Some("lobby"), participants: Some(2), ..Row::new("A12", "sess_1") };
    let id = row.store_with(api.database.pool(), &[("user", "hi"), ("assistant", "hello")]).await;

    let answer = api.get("/v1/sessions/sess_1").await;
    let expected =
        format!(r#"{{"id":"{id}","session_id":"sess_1","agent_id":"A12","source":"default","#)
            + r#""room_name":"lobby","status":"live","end_reason":null,"opened_by":"room.join","#
            + r#""started_at":"2026-09-28T14:53:13.000000Z","#
            + r#""last_activity_at":"2026-09-28T14:54:13.000000Z","ended_at":null,"#
            + r#""duration_seconds":60.0,"participant_count":2,"message_count":2,"#
            + r#""user_message_count":1,"assistant_message_count":1}"#;
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let same = api.get(&format!("/v1/sessions/{id}")).await;
    assert_eq!(same.text(), expected, "our ID names it, too");
}

#[actix_web::test]
async fn unknown_session_is_not_found() {
    let api = TestApi::start().await;
    for path in ["/v1/sessions/none", "/v1/sessions/5c7d1b5e-0000-5000-8000-000000000000"] {
        for part in ["", "/messages", "/transcript"] {
            assert_eq!(api.get(&format!("{path}{part}")).await.code(), "not_found", "{path}{part}");
        }
    }
}

#[actix_web::test]
async fn each_filter_selects_its_rows() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    Row { room: Some("lobby"), ..Row::new("A", "lobby") }.store_with(pool, &[("user", "1")]).await;
    Row { source: "kiosk", active: at(-1), ..Row::new("A", "kiosk") }.store(pool).await;
    Row { joined: false, active: at(-2), ..Row::new("B", "pushed") }
        .store_with(pool, &[("user", "1"), ("user", "2")])
        .await;
    Row { started: at(-900), active: at(-600), ..Row::new("C", "idle") }.store(pool).await;
    Row { started: at(-9000), active: at(-8000), ..Row::new("C", "silent") }.store(pool).await;
    Row { joined: false, ended: Some((at(-9), None)), active: at(-9), ..Row::new("D", "over") }
        .store(pool)
        .await;

    for (query, expected) in [
        ("", &["lobby", "kiosk", "pushed", "over", "idle", "silent"] as &[_]),
        ("agent_id=A", &["lobby", "kiosk"]),
        ("agent_id=A&agent_id=B&agent_id=A", &["lobby", "kiosk", "pushed"]),
        ("agent_id=a", &[]),
        ("source=kiosk", &["kiosk"]),
        ("room_name=lobby", &["lobby"]),
        ("status=live", &["lobby", "kiosk", "pushed"]),
        ("status=idle", &["idle"]),
        ("status=ended", &["over", "silent"]),
        ("opened_by=room.join", &["lobby", "kiosk", "idle", "silent"]),
        ("opened_by=chat.push", &["pushed"]),
        ("started_after=2026-09-28T14:39:13Z", &["lobby", "kiosk", "pushed", "over"]),
        ("started_before=2026-09-28T14:39:13.000001Z", &["idle", "silent"]),
        ("started_before=1790606353", &["silent"]),
        ("active_after=1790607251", &["lobby", "kiosk"]),
        ("active_before=2026-09-28T16:54:11%2B02:00", &["over", "idle", "silent"]),
        ("active_before=2026-09-28T16:54:11+02:00", &["over", "idle", "silent"]),
        ("min_messages=1", &["lobby", "pushed"]),
        ("min_messages=2", &["pushed"]),
        ("status=live&agent_id=B&min_messages=0&opened_by=chat.push", &["pushed"]),
    ] {
        let answer = api.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!(answer.column("session_id"), expected, "{query}");
        let mut reversed = expected.to_vec();
        reversed.reverse();
        let answer = api.get(&format!("/v1/sessions?order=asc&{query}")).await;
        assert_eq!(answer.column("session_id"), reversed, "asc {query}");
    }
}

#[actix_web::test]
async fn status_changes_exactly_at_its_limit_and_the_filter_agrees() {
    let api = TestApi::start().await;
    Row::new("A", "quiet").store(api.database.pool()).await;
    Row { ended: Some((at(0), Some("user_disconnect"))), ..Row::new("A", "over") }
        .store(api.database.pool())
        .await;
    Row { ended: Some((at(-1), Some("user_disconnect"))), ..Row::new("A", "revived") }
        .store(api.database.pool())
        .await;
    let micro = chrono::TimeDelta::microseconds(1);
    for (now, status) in [
        (at(120) - micro, "live"),
        (at(120), "idle"),
        (at(1800) - micro, "idle"),
        (at(1800), "ended"),
        (at(1800) + micro, "ended"),
    ] {
        api.clock.set(now);
        let shown = api.get("/v1/sessions/quiet").await.json();
        assert_eq!(shown["status"], status, "{now}");
        for filter in ["live", "idle", "ended"] {
            let listed = api.get(&format!("/v1/sessions?status={filter}")).await;
            let listed = listed.column("session_id");
            assert_eq!(listed.contains(&"quiet".into()), filter == status, "{now} {filter}");
            assert_eq!(listed.contains(&"revived".into()), filter == status, "{now} {filter}");
            assert_eq!(listed.contains(&"over".into()), filter == "ended", "{now} {filter}");
        }
    }
    let silent = api.get("/v1/sessions/quiet").await.json();
    assert_eq!(
        (&silent["end_reason"], &silent["ended_at"]),
        (&json!("silence"), &silent["last_activity_at"])
    );
    let over = api.get("/v1/sessions/over").await.json();
    assert_eq!(over["end_reason"], "user_disconnect");
    assert_eq!(over["ended_at"], "2026-09-28T14:54:13.000000Z");
    let revived = api.get("/v1/sessions/revived").await.json();
    assert_eq!(revived["end_reason"], "silence", "a message after the end makes it live again");
    assert_eq!(revived["ended_at"], "2026-09-28T14:54:13.000000Z");
}

#[actix_web::test]
async fn session_with_only_an_end_has_no_opening_event() {
    let api = TestApi::start().await;
    Row { joined: false, ended: Some((at(0), None)), ..Row::new("A", "s") }
        .store(api.database.pool())
        .await;
    let session = api.get("/v1/sessions/s").await.json();
    assert_eq!(
        (&session["opened_by"], &session["end_reason"]),
        (&json!(null), &json!("session_end"))
    );
}

#[actix_web::test]
async fn include_messages_returns_the_first_200_of_each_session() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let long: Vec<_> = (0..203).map(|count| count.to_string()).collect();
    let long: Vec<_> = long.iter().map(|text| ("user", text.as_str())).collect();
    Row { started: at(-400), active: at(-100), ..Row::new("A", "long") }
        .store_with(pool, &long)
        .await;
    Row::new("A", "short").store_with(pool, &[("user", "hi"), ("assistant", "hello")]).await;
    Row { active: at(-200), started: at(-200), ..Row::new("A", "empty") }.store(pool).await;

    let page = api.get("/v1/sessions?include=messages").await.json();
    let texts = |index: usize| -> Vec<&str> {
        let messages = page["data"][index]["messages"].as_array().unwrap();
        messages.iter().map(|message| message["message"].as_str().unwrap()).collect()
    };
    assert_eq!(texts(0), ["hi", "hello"]);
    assert_eq!(texts(1).len(), 200);
    assert_eq!((texts(1)[0], texts(1)[199]), ("0", "199"));
    assert!(texts(2).is_empty());
    let whole = api.get("/v1/sessions/short/messages").await.json();
    assert_eq!(
        page["data"][0]["messages"], whole["data"],
        "a message has the same form everywhere"
    );
    assert_eq!(api.get("/v1/sessions?include=all").await.code(), "invalid_parameter");
}

#[actix_web::test]
async fn id_shared_by_agents_is_ambiguous_until_the_agent_is_named() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let a = Row::new("A", "1").store_with(pool, &[("user", "to A")]).await;
    let b =
        Row { active: at(-1), ..Row::new("B", "1") }.store_with(pool, &[("user", "to B")]).await;
    let kiosk = Row { source: "kiosk", active: at(-2), ..Row::new("B", "1") }
        .store_with(pool, &[("user", "from the kiosk")])
        .await;

    for part in ["", "/messages", "/transcript"] {
        let answer = api.get(&format!("/v1/sessions/1{part}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "ambiguous_session"));
        assert_eq!(
            answer.json()["sessions"],
            json!([
                { "id": a, "agent_id": "A", "source": "default" },
                { "id": b, "agent_id": "B", "source": "default" },
                { "id": kiosk, "agent_id": "B", "source": "kiosk" },
            ])
        );
        let answer = api.get(&format!("/v1/sessions/1{part}?agent_id=B")).await;
        assert_eq!(answer.json()["sessions"].as_array().unwrap().len(), 2);
    }
    for (path, text) in [
        ("/v1/sessions/1/messages?agent_id=A".to_owned(), "to A"),
        ("/v1/sessions/1/messages?agent_id=B&source=default".to_owned(), "to B"),
        ("/v1/sessions/1/messages?source=kiosk".to_owned(), "from the kiosk"),
        (format!("/v1/sessions/{kiosk}/messages"), "from the kiosk"),
        (format!("/v1/sessions/{kiosk}/messages?agent_id=B"), "from the kiosk"),
    ] {
        assert_eq!(api.get(&path).await.column("message"), [text], "{path}");
    }
    assert_eq!(api.get(&format!("/v1/sessions/{kiosk}?agent_id=A")).await.code(), "not_found");
}

#[actix_web::test]
async fn our_id_wins_over_an_equal_id_of_a_sender() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let id = Row::new("A", "honest").store_with(pool, &[("user", "mine")]).await;
    let name = id.to_string();
    let twin = Row::new("B", &name).store_with(pool, &[("user", "not mine")]).await;
    assert_eq!(api.get(&format!("/v1/sessions/{id}")).await.json()["session_id"], "honest");
    assert_eq!(api.get(&format!("/v1/sessions/{id}/messages")).await.column("message"), ["mine"]);
    let reached = api.get(&format!("/v1/sessions/{twin}/messages")).await;
    assert_eq!(reached.column("message"), ["not mine"]);
    // The newer one, to see that the order does not decide.
    insert_message(pool, twin, at(5), "user", "still not").await;
    assert_eq!(api.get(&format!("/v1/sessions/{id}/messages")).await.column("message"), ["mine"]);
}

#[actix_web::test]
async fn page_with_long_messages_has_as_many_sessions_as_fit() {
    let api = TestApi::start().await;
    let pool = api.database.pool();
    let long = "x".repeat(3 << 20);
    for (second, name, count) in
        [(0, "none", 0), (1, "a", 2), (2, "b", 1), (3, "huge", 5), (4, "c", 1)]
    {
        let said = vec![("user", long.as_str()); count];
        Row { active: at(-second), ..Row::new("A", name) }.store_with(pool, &said).await;
    }
    let list = "/v1/sessions?limit=500&include=messages";
    let (mut target, mut pages) = (list.to_owned(), Vec::new());
    loop {
        let answer = api.get(&target).await;
        assert!(answer.body.len() < 13 << 20, "{} bytes", answer.body.len());
        let body = answer.json();
        let count = |row: &serde_json::Value| row["messages"].as_array().unwrap().len();
        let rows = body["data"].as_array().unwrap().iter();
        pages.push(
            rows.map(|row| (row["session_id"].as_str().unwrap().to_owned(), count(row)))
                .collect::<Vec<_>>(),
        );
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        target = format!("{list}&cursor={cursor}");
    }
    let page = |rows: &[(&str, usize)]| {
        rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>()
    };
    // A session that is longer than a page is alone on its page, up to the page's limit.
    let expected =
        [page(&[("none", 0), ("a", 2), ("b", 1)]), page(&[("huge", 3)]), page(&[("c", 1)])];
    assert_eq!(pages, expected);
}
