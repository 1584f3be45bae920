//! `GET /v1/sessions/{session_id}/messages?around=`: the page around one message.

use serde_json::Value;

use super::app::{BOOTSTRAP, TestApi, at};
use super::rows::{Row, insert_message};

/// Returns the texts of an answer's messages.
fn texts(body: &Value) -> String {
    let rows = body["data"].as_array().expect("a list").iter();
    rows.map(|row| row["message"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// Stores a conversation of ten messages, 0 to 9, of which 3, 4 and 5 have the same time.
async fn conversation(api: &TestApi) -> Vec<String> {
    let pool = api.database.pool();
    let session = Row { started: at(-90), ..Row::new("A", "s") }.store(pool).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        let second = if (3..=5).contains(&number) { 4 } else { number };
        let role = if number % 2 == 0 { "user" } else { "assistant" };
        let id = insert_message(pool, session, at(second - 60), role, &number.to_string()).await;
        ids.push(id.to_string());
    }
    // Messages of the same time are in the order of their IDs.
    let order = api.get("/v1/sessions/s/messages").await.json();
    let order = order["data"].as_array().unwrap().iter();
    order.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn page_around_a_message_has_half_of_its_messages_before_it() {
    let api = TestApi::start().await;
    let ids = conversation(&api).await;
    let all = api.walk("/v1/sessions/s/messages", "message").await;
    for limit in [1, 2, 3, 4, 7, 500] {
        for (place, id) in ids.iter().enumerate() {
            let (from, to) = (place.saturating_sub(limit / 2), place + limit - limit / 2);
            let expected = &all[from..to.min(10)];
            let path = format!("/v1/sessions/s/messages?limit={limit}&around={id}");
            let body = api.get(&path).await.json();
            assert_eq!(texts(&body), expected.join(" "), "{path}");
            assert_eq!(body["has_previous"], from > 0, "{path}");
            assert_eq!(body["previous_cursor"].is_string(), from > 0, "{path}");
            assert_eq!(body["has_more"], to < 10, "{path}");
            assert_eq!(body["next_cursor"].is_string(), to < 10, "{path}");

            let body = api.get(&format!("{path}&order=desc")).await.json();
            let (from, to) = ((place + 1).saturating_sub(limit - limit / 2), place + 1 + limit / 2);
            let mut expected = all[from..to.min(10)].to_vec();
            expected.reverse();
            assert_eq!(texts(&body), expected.join(" "), "{path} backwards");
            assert_eq!(
                (body["has_previous"] == true, body["has_more"] == true),
                (to < 10, from > 0)
            );
        }
    }
}

#[actix_web::test]
async fn cursors_of_a_page_around_a_message_lead_both_ways() {
    let api = TestApi::start().await;
    let ids = conversation(&api).await;
    let all = api.walk("/v1/sessions/s/messages", "message").await;
    for (order, other) in [("asc", "desc"), ("desc", "asc")] {
        let list = "/v1/sessions/s/messages?limit=2";
        let answer = api.get(&format!("{list}&order={order}&around={}", ids[4])).await;
        let page = answer.json();
        let cursor = |name: &str| page[name].as_str().unwrap().to_owned();
        let mut expected = all.clone();
        if order == "desc" {
            expected.reverse();
        }
        let ahead = format!("{list}&order={order}&cursor={}", cursor("next_cursor"));
        let back = format!("{list}&order={other}&cursor={}", cursor("previous_cursor"));
        let (mut found, mut page_of) = (Vec::new(), Vec::new());
        for mut target in [back, ahead] {
            loop {
                let body = api.get(&target).await.json();
                page_of.extend(texts(&body).split(' ').map(str::to_owned));
                let Some(next) = body["next_cursor"].as_str() else { break };
                target = format!("{}&cursor={next}", target.split("&cursor").next().unwrap());
            }
            if found.is_empty() {
                page_of.reverse();
                page_of.extend(texts(&page).split(' ').map(str::to_owned));
            }
            found.append(&mut page_of);
        }
        assert_eq!(found, expected, "{order}: each once, in order");

        let link = answer.header("link").unwrap();
        let query = link.strip_prefix("<?").unwrap().split('>').next().unwrap();
        let next = api.get(&format!("/v1/sessions/s/messages?{query}")).await;
        assert_eq!(
            next.json()["has_previous"],
            Value::Null,
            "`around` has no effect with a cursor"
        );
        assert_ne!(texts(&next.json()), texts(&page));
    }
    // A cursor of the other direction is valid only for the other order.
    let page = api.get(&format!("/v1/sessions/s/messages?limit=2&around={}", ids[4])).await.json();
    let cursor = page["previous_cursor"].as_str().unwrap();
    let answer = api.get(&format!("/v1/sessions/s/messages?limit=2&cursor={cursor}")).await;
    assert_eq!(answer.code(), "invalid_cursor");
}

#[actix_web::test]
async fn filters_apply_on_both_sides_of_the_message() {
    let api = TestApi::start().await;
    let ids = conversation(&api).await;
    let around = |query: &str| format!("/v1/sessions/s/messages?limit=4&around={}&{query}", ids[7]);
    let body = api.get(&around("role=assistant")).await.json();
    let by_assistant: Vec<_> = api.walk("/v1/sessions/s/messages?role=assistant", "message").await;
    let place = by_assistant.iter().position(|text| text == "7").unwrap();
    let end = (place + 2).min(by_assistant.len());
    assert_eq!(texts(&body), by_assistant[place - 2..end].join(" "));
    // If the filter excludes the message, its neighbours are still returned.
    let body = api.get(&around("role=user")).await.json();
    assert!(texts(&body).ends_with("6 8"), "{body}");
    let body = api.get(&around("after=2030-01-01")).await.json();
    assert_eq!((texts(&body), &body["has_more"]), (String::new(), &false.into()));
}

#[actix_web::test]
async fn deleted_messages_leave_no_gap_and_their_cursors_stay_valid() {
    let api = TestApi::start().await;
    let ids = conversation(&api).await;
    let all = api.walk("/v1/sessions/s/messages", "message").await;
    let list = "/v1/sessions/s/messages?limit=4";
    let page = api.get(&format!("{list}&around={}", ids[5])).await.json();
    assert_eq!(texts(&page), all[3..7].join(" "));
    // The rows at the page's ends, which its cursors refer to, and the message itself.
    let deleted: Vec<uuid::Uuid> = [3, 5, 6].map(|place: usize| ids[place].parse().unwrap()).into();
    sqlx::query("DELETE FROM messages WHERE id = ANY ($1)")
        .bind(deleted)
        .execute(api.database.pool())
        .await
        .unwrap();
    let follow = |name: &str, order: &str| {
        format!("{list}&order={order}&cursor={}", page[name].as_str().unwrap())
    };
    let before = api.get(&follow("previous_cursor", "desc")).await.json();
    assert_eq!(texts(&before), [2, 1, 0].map(|place: usize| all[place].as_str()).join(" "));
    let after = api.get(&follow("next_cursor", "asc")).await.json();
    assert_eq!(texts(&after), all[7..].join(" "));

    let answer = api.get(&format!("{list}&around={}", ids[5])).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    let page = api.get(&format!("{list}&around={}", ids[4])).await.json();
    assert_eq!(texts(&page), [1, 2, 4, 7].map(|place: usize| all[place].as_str()).join(" "));

    let erased = api.send("DELETE", "/v1/sessions/s", &[("X-API-Key", BOOTSTRAP)]).await;
    assert_eq!(erased.status, 200, "{}", erased.text());
    assert_eq!(api.get(&format!("{list}&around={}", ids[4])).await.status, 404);
}

#[actix_web::test]
async fn message_of_another_session_is_not_found() {
    let api = TestApi::start().await;
    let ids = conversation(&api).await;
    let pool = api.database.pool();
    let other = Row::new("B", "t").store(pool).await;
    let foreign = insert_message(pool, other, at(-30), "user", "elsewhere").await.to_string();
    for (id, status, code) in [
        (foreign.as_str(), 404, "not_found"),
        ("00000000-0000-0000-0000-000000000000", 404, "not_found"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", 404, "not_found"),
        ("nonsense", 400, "invalid_parameter"),
    ] {
        let answer = api.get(&format!("/v1/sessions/s/messages?around={id}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{id}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("`around`"), "{id}");
    }
    let bound = api.key(&[verbatim::store::keys::Scope::Read], Some(&["B"])).await;
    let target = format!("/v1/sessions/t/messages?around={}", ids[3]);
    assert_eq!(api.get_as(&bound, &target).await.status, 404);
    let target = format!("/v1/sessions/t/messages?around={foreign}");
    assert_eq!(texts(&api.get_as(&bound, &target).await.json()), "elsewhere");
}
