//! Sides of messages, ends of sessions, and clocks that are ahead.

use serde_json::{Value, json};
use verbatim::domain::Roles;

use super::app::{TestApi, at};
use super::talk::Conversation;
use crate::support::app::App;

async fn session(api: &TestApi, id: &str) -> Value {
    api.get(&format!("/v1/sessions/{id}?include=completeness")).await.json()
}

#[actix_web::test]
async fn other_roles_of_the_assistant_count_as_its_side() {
    let api = TestApi::start().await;
    for (n, (user, assistant)) in
        [("user", "assistant"), ("User", "agent"), ("USER", "Bot"), ("user", "AI")]
            .iter()
            .enumerate()
    {
        let id = format!("s{n}");
        let talk = Conversation::new("A", &id)
            .join(0)
            .message(1, user, "question")
            .message(2, assistant, "answer");
        talk.message(3, user, "again").message(4, "narrator", "aside").store(&api).await;
        let shown = session(&api, &id).await;
        let counts = ["message_count", "user_message_count", "assistant_message_count"];
        assert_eq!(counts.map(|count| shown[count].as_i64().unwrap()), [4, 2, 1], "{assistant}");
        assert_eq!(
            shown["completeness"],
            json!({
                "complete": true, "examined_messages": 4, "flags": [],
            })
        );
        let visits = api.get(&format!("/v1/sessions/{id}/visits")).await.json();
        assert_eq!(visits["data"][0]["user_message_count"], 2);
        assert_eq!(visits["data"][0]["assistant_message_count"], 1);
        let said = api.get(&format!("/v1/sessions/{id}/messages?role=assistant")).await;
        assert_eq!(said.column("role"), [*assistant], "in the sender's spelling");
        let said = api.get(&format!("/v1/sessions/{id}/messages?role=user")).await;
        assert_eq!(said.column("message"), ["question", "again"]);
        let export = api.get(&format!("/v1/export/messages?session_id={id}&role=assistant")).await;
        let row: Value = serde_json::from_str(export.text()).unwrap();
        assert_eq!((&row["role"], &row["message"]), (&json!(assistant), &json!("answer")));
    }
    let own = api.get("/v1/sessions/s1/messages?role=Agent").await;
    assert_eq!(own.column("message"), ["answer"], "a role is found in the sender's spelling, too");
    Conversation::new("A", "strange")
        .join(0)
        .message(1, "user", "hi")
        .message(2, "narrator", "x")
        .store(&api)
        .await;
    assert_eq!(session(&api, "strange").await["completeness"]["flags"][0]["flag"], "one_sided");
}

/// Returns roles and sides of an answer's messages.
fn sides<'a>(messages: impl IntoIterator<Item = &'a Value>) -> Vec<(&'a str, Option<&'a str>)> {
    let sides = messages.into_iter();
    sides.map(|one| (one["role"].as_str().unwrap(), one["side"].as_str())).collect()
}

#[actix_web::test]
async fn message_has_a_side_if_the_role_is_not_standard() {
    let api = TestApi::start().await;
    let talk = Conversation::new("A", "s").join(0).message(1, "user", "same").message(
        2,
        "assistant",
        "same",
    );
    let talk =
        talk.message(3, "USER", "same").message(4, "Bot", "same").message(5, "narrator", "same");
    talk.store(&api).await;
    super::search::index(&api).await;
    let expected = [
        ("user", None),
        ("assistant", None),
        ("USER", Some("user")),
        ("Bot", Some("assistant")),
        ("narrator", Some("other")),
    ];
    let body = api.get("/v1/sessions/s/messages").await.json();
    assert_eq!(sides(body["data"].as_array().unwrap()), expected);
    let list = api.get("/v1/sessions?include=messages").await.json();
    assert_eq!(sides(list["data"][0]["messages"].as_array().unwrap()), expected);
    let file = api.get("/v1/sessions/s/transcript?format=json").await.json();
    assert_eq!(sides(file["messages"].as_array().unwrap()), expected);
    let found = api.get("/v1/search?q=same").await.json();
    let mut found = sides(found["data"].as_array().unwrap().iter().map(|one| &one["message"]));
    found.sort_unstable();
    let mut sorted = expected;
    sorted.sort_unstable();
    assert_eq!(found, sorted);

    let changes = api.get("/v1/changes").await.json();
    let changes = changes["data"].as_array().unwrap().iter();
    let said: Vec<_> = changes.filter_map(|change| change.get("message")).collect();
    assert_eq!(sides(said.iter().copied()), expected);
    let session = list["data"][0]["id"].as_str().unwrap();
    assert!(
        said.iter().all(|message| message["session"] == session),
        "our ID of the session: {said:?}"
    );
}

#[actix_web::test]
async fn roles_of_the_assistant_are_a_setting() {
    let roles = Roles::new(["guide"]).unwrap();
    let app = App::start_with(|settings| settings.roles = roles).await;
    for (n, role) in ["user", "Guide", "agent"].into_iter().enumerate() {
        let body = json!({
            "event_type": "chat.push", "agent_id": "A", "timestamp": 1_790_607_200 + n,
            "data": { "session_id": "s", "role": role, "message": role },
        });
        assert_eq!(app.deliver(body.to_string()).await.status, 200);
    }
    app.drained().await;
    let session = app.get("/v1/sessions/s?include=completeness").await.json();
    assert_eq!(session["assistant_message_count"], 1);
    let said = app.get("/v1/sessions/s/messages?role=assistant").await.json();
    assert_eq!(said["data"][0]["role"], "Guide");
    assert_eq!(said["data"].as_array().unwrap().len(), 1);
    let flags = session["completeness"]["flags"].as_array().unwrap();
    assert!(flags.iter().all(|flag| flag["flag"] != "one_sided"), "{flags:?}");
}

#[actix_web::test]
async fn session_with_a_message_after_its_end_is_live_again() {
    let api = TestApi::start().await;
    let standing = async |at_second: i64| {
        api.clock.set(at(at_second));
        let shown = session(&api, "s").await;
        for filter in ["live", "idle", "ended"] {
            for path in ["/v1/sessions", "/v1/export/sessions"] {
                let listed = api.get(&format!("{path}?status={filter}")).await;
                let is_there = listed.text().contains("\"session_id\":\"s\"");
                assert_eq!(is_there, shown["status"] == filter, "{path} {filter} {at_second}");
            }
        }
        (shown["status"].clone(), shown["end_reason"].clone(), shown["ended_at"].clone())
    };
    let ended = |second| {
        let at = at(second).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        (json!("ended"), json!("user_disconnect"), json!(at))
    };
    Conversation::new("A", "s").message(0, "user", "bye").end(5).store(&api).await;
    assert_eq!(standing(6).await, ended(5));
    Conversation::new("A", "s").message(20, "user", "hello again").store(&api).await;
    assert_eq!(standing(21).await, (json!("live"), json!(null), json!(null)));
    // A message of before the end changes nothing.
    Conversation::new("A", "s").arrive(4, 22, "assistant", "see you").store(&api).await;
    assert_eq!(standing(22).await.0, "live");
    Conversation::new("A", "s").end(30).store(&api).await;
    assert_eq!(standing(31).await, ended(30));
    // The first end again.
    Conversation::new("A", "s").end(5).store(&api).await;
    assert_eq!(standing(32).await, ended(30));
}

#[actix_web::test]
async fn message_from_the_future_keeps_its_time_and_counts_at_its_arrival() {
    let api = TestApi::start().await;
    let month = 30 * 86_400;
    Conversation::new("A", "ahead")
        .message(-10, "user", "now")
        .arrive(month, -5, "user", "ahead")
        .store(&api)
        .await;
    Conversation::new("B", "usual").message(0, "user", "usual").store(&api).await;
    let shown = session(&api, "ahead").await;
    assert_eq!(shown["last_activity_at"], "2026-09-28T14:54:08.000000Z");
    assert_eq!(shown["duration_seconds"], 5.0);
    assert_eq!(api.get("/v1/sessions").await.column("session_id"), ["usual", "ahead"]);
    assert_eq!(api.get("/v1/agents").await.column("agent_id"), ["B", "A"]);
    api.clock.set(at(-5 + 1800));
    assert_eq!(session(&api, "ahead").await["status"], "ended");
    api.clock.set(at(month));
    assert_eq!(session(&api, "ahead").await["status"], "ended");

    let path = "/v1/sessions/ahead/messages";
    assert_eq!(api.walk(path, "message").await, ["now", "ahead"]);
    assert_eq!(api.walk(path, "timestamp").await[1], "2026-10-28T14:54:13.000000Z");
    let after = format!("after={}", at(month - 1).timestamp());
    assert_eq!(api.get(&format!("{path}?{after}")).await.column("message"), ["ahead"]);
    let transcript = api.get("/v1/sessions/ahead/transcript?format=jsonl").await;
    assert_eq!(transcript.text().lines().count(), 2);
    let export = api.get(&format!("/v1/export/messages?{after}")).await;
    assert_eq!(export.text().lines().count(), 1, "{}", export.text());
    let visits = api.get("/v1/sessions/ahead/visits").await;
    assert_eq!(visits.json()["data"].as_array().unwrap().len(), 2);
    let found = api.get("/v1/sessions/ahead?include=completeness").await.json();
    assert_eq!(found["completeness"]["examined_messages"], 2);

    // A session with only future messages is listed now, and not again later.
    Conversation::new("C", "only").arrive(month, 3, "user", "only").store(&api).await;
    let only = session(&api, "only").await;
    assert_eq!(only["started_at"], only["last_activity_at"]);
    assert_eq!(only["started_at"], "2026-09-28T14:54:16.000000Z");
    assert_eq!(api.walk("/v1/sessions/only/messages", "message").await, ["only"]);
}

#[actix_web::test]
async fn earlier_arrival_moves_activity_back() {
    let api = TestApi::start().await;
    let day = 86_400;
    // The later copy is written first: it is from a process whose inbox was drained earlier.
    Conversation::new("A", "s").arrive(day, 100, "user", "ahead").store(&api).await;
    Conversation::new("A", "u").undated_message(100, "user", "undated").store(&api).await;
    Conversation::new("A", "s").arrive(day, 40, "user", "ahead").store(&api).await;
    Conversation::new("A", "u").undated_message(40, "user", "undated").store(&api).await;
    for id in ["s", "u"] {
        let shown = session(&api, id).await;
        assert_eq!(shown["last_activity_at"], "2026-09-28T14:54:53.000000Z", "{id}");
        assert_eq!(shown["message_count"], 1);
        let messages = api.get(&format!("/v1/sessions/{id}/messages")).await;
        assert_eq!(messages.column("received_at"), ["2026-09-28T14:54:53.000000Z"]);
    }
    let undated = api.get("/v1/sessions/u/messages").await;
    assert_eq!(undated.column("timestamp"), ["2026-09-28T14:54:53.000000Z"]);
    let agent = api.get("/v1/agents/A").await.json();
    assert_eq!(agent["last_activity_at"], "2026-09-28T14:54:53.000000Z");
}
