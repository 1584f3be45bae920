//! `include=continues` and `include=completeness` of one session.

use serde_json::{Value, json};
use verbatim::store::keys::Scope;

use super::app::TestApi;
use super::talk::Conversation;

async fn show(api: &TestApi, target: &str) -> Value {
    let answer = api.get(&format!("/v1/sessions/{}", target.replace(' ', "%20"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// A complete conversation: with a join and messages of both sides.
fn whole<'a>(agent: &'a str, session: &'a str) -> Conversation<'a> {
    Conversation::new(agent, session)
        .join(-600)
        .message(-590, "assistant", "hello")
        .message(-580, "user", "hi")
}

#[actix_web::test]
async fn interrupted_session_and_its_continuation_name_each_other() {
    let api = TestApi::start().await;
    let before = whole("A", "before").store(&api).await;
    let after =
        Conversation::new("A", "after").message(-568, "assistant", "as I said").store(&api).await;

    let session = show(&api, "after").await;
    let reason = "This session began with a message and without a join, 12 s after the other one \
                  of the same agent and source had fallen silent. Its first message is by the \
                  other side than the last one there.";
    let expected =
        json!({ "id": before, "session_id": "before", "confidence": 0.95, "reason": reason });
    assert_eq!(session["continues"], expected);
    assert_eq!(session.get("continued_by"), None, "it is included only on request");

    let earlier = show(&api, "before?include=continues").await;
    let expected =
        json!([{ "id": after, "session_id": "after", "confidence": 0.95, "reason": reason }]);
    assert_eq!((earlier.get("continues"), &earlier["continued_by"]), (None, &expected));
    assert_eq!(show(&api, "after?include=continues").await["continued_by"], json!([]));

    // They stay two sessions, each with its messages.
    assert_eq!(api.get("/v1/sessions/after/messages").await.column("message"), ["as I said"]);
    let listed = api.get("/v1/sessions?opened_by=chat.push").await.json();
    assert_eq!(listed["data"][0].get("continues"), None, "a list does not include it");

    Conversation::new("A", "after").join(-569).store(&api).await;
    let joined = show(&api, "after").await;
    assert_eq!(
        joined.get("continues"),
        None,
        "the join arrived late: it is a separate conversation"
    );
    assert_eq!(show(&api, "before?include=continues").await["continued_by"], json!([]));
}

#[actix_web::test]
async fn session_of_another_agent_source_or_time_is_not_continued() {
    let api = TestApi::start().await;
    whole("B", "of another").store(&api).await;
    Conversation::from("kiosk", "A", "elsewhere").message(-580, "user", "hi").store(&api).await;
    Conversation::new("A", "long ago").message(-2400, "user", "hi").store(&api).await;
    Conversation::new("A", "goes on")
        .message(-580, "user", "hi")
        .message(-560, "user", "there")
        .store(&api)
        .await;
    Conversation::new("A", "alone").message(-570, "assistant", "hello").store(&api).await;
    assert_eq!(show(&api, "alone").await.get("continues"), None);

    let bound = api.key(&[Scope::Read], Some(&["A"])).await;
    let answer = api.get_as(&bound, "/v1/sessions/alone?include=continues").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("of another"), "{}", answer.text());
}

#[actix_web::test]
async fn ended_session_and_rivals_lower_the_confidence() {
    let api = TestApi::start().await;
    let confidence = async |session: &str| show(&api, session).await["continues"].clone();

    Conversation::new("A", "ended").message(-600, "assistant", "bye").end(-590).store(&api).await;
    Conversation::new("A", "after the end").message(-580, "user", "wait").store(&api).await;
    let found = confidence("after the end").await;
    assert_eq!((&found["session_id"], &found["confidence"]), (&json!("ended"), &json!(0.38)));
    assert!(found["reason"].as_str().unwrap().contains("the sender had ended"), "{found}");

    for name in ["one", "two"] {
        Conversation::new("B", name)
            .join(-700)
            .message(-600, "assistant", "hello")
            .store(&api)
            .await;
    }
    Conversation::new("B", "third").message(-590, "user", "hi").store(&api).await;
    let found = confidence("third").await;
    assert_eq!(found["confidence"], 0.47);
    assert!(found["reason"].as_str().unwrap().contains("1 further session"), "{found}");

    // A chain: a session that another one continues is not a rival of that other one.
    Conversation::new("C", "first")
        .join(-900)
        .message(-800, "assistant", "hello")
        .store(&api)
        .await;
    Conversation::new("C", "second")
        .message(-790, "user", "hi")
        .message(-780, "assistant", "so")
        .store(&api)
        .await;
    Conversation::new("C", "third").message(-770, "user", "yes").store(&api).await;
    assert_eq!(confidence("third?agent_id=C").await["session_id"], "second");
    assert_eq!(confidence("second").await["session_id"], "first");

    // With many candidates at the same time there is no answer.
    for name in 0..12 {
        let name = format!("busy {name}");
        Conversation::new("D", &name)
            .join(-700)
            .message(-600, "assistant", "hello")
            .store(&api)
            .await;
    }
    Conversation::new("D", "lost").message(-590, "user", "hi").store(&api).await;
    assert_eq!(show(&api, "lost").await.get("continues"), None);
}

#[actix_web::test]
async fn another_room_lowers_the_confidence() {
    let api = TestApi::start().await;
    Conversation::new("A", "lobby")
        .join_room(-610, Some("lobby"))
        .message(-600, "user", "hi")
        .store(&api)
        .await;
    Conversation::new("A", "office").message(-590, "assistant", "hello").store(&api).await;
    sqlx::query("UPDATE sessions SET room_name = 'office' WHERE sender_session_id = 'office'")
        .execute(api.database.pool())
        .await
        .unwrap();
    assert_eq!(show(&api, "office").await["continues"]["confidence"], 0.47);
}

/// Returns the flags of a session by name, and whether it counts as complete.
async fn flags(api: &TestApi, session: &str) -> (Value, Vec<String>, bool) {
    let completeness =
        show(api, &format!("{session}?include=completeness")).await["completeness"].clone();
    let flags = completeness["flags"].as_array().unwrap().clone();
    let names = flags.iter().map(|flag| flag["flag"].as_str().unwrap().to_owned()).collect();
    (Value::from(flags), names, completeness["complete"].as_bool().unwrap())
}

#[actix_web::test]
async fn complete_conversation_has_no_flags() {
    let api = TestApi::start().await;
    whole("A", "s").store(&api).await;
    let session = show(&api, "s?include=completeness").await;
    let expected = json!({ "complete": true, "examined_messages": 2, "flags": [] });
    assert_eq!(session["completeness"], expected);
    assert_eq!(show(&api, "s").await.get("completeness"), None);
    let both = show(&api, "s?include=completeness,continues").await;
    assert_eq!((&both["completeness"], &both["continued_by"]), (&expected, &json!([])));
    for wrong in ["messages", "completeness,", "all"] {
        let answer = api.get(&format!("/v1/sessions/s?include={wrong}")).await;
        assert_eq!(answer.json()["detail"], "`include` is one of: completeness, continues.");
    }
}

#[actix_web::test]
async fn each_flag_has_its_cause() {
    let api = TestApi::start().await;
    let greeting =
        |session| Conversation::new("A", session).join(-600).message(-590, "assistant", "hello");
    let visited =
        Conversation::new("A", "two visitors").join(-2000).message(-1990, "assistant", "hello");
    for (talk, session, expected, complete) in [
        (
            Conversation::new("A", "pushed").message(-9, "user", "hi").message(
                -8,
                "assistant",
                "hello",
            ),
            "pushed",
            &["no_join"] as &[_],
            false,
        ),
        (greeting("monologue"), "monologue", &["one_sided"], false),
        (
            Conversation::new("A", "deaf").join(-9).message(-8, "user", "hi"),
            "deaf",
            &["one_sided"],
            false,
        ),
        (Conversation::new("A", "silent").join(-9), "silent", &[], true),
        (
            greeting("unanswered").message(-580, "user", "hi").message(-570, "user", "anybody?"),
            "unanswered",
            &["repeated_user_turn"],
            false,
        ),
        (
            visited.message(-1980, "user", "bye").message(-20, "user", "hello"),
            "two visitors",
            &[],
            true,
        ),
        (greeting("damaged").message(-580, "user", "a\0b"), "damaged", &["altered"], false),
        (
            greeting("overtaken").arrive(-580, -560, "user", "hi").arrive(
                -570,
                -565,
                "assistant",
                "x",
            ),
            "overtaken",
            &["out_of_order"],
            true,
        ),
        (greeting("undated").undated_message(-580, "user", "hi"), "undated", &["undated"], true),
    ] {
        talk.store(&api).await;
        let (completeness, names, is_complete) = flags(&api, session).await;
        assert_eq!(names, expected, "{session}: {completeness}");
        assert_eq!(is_complete, complete, "{session}: {completeness}");
    }
}

#[actix_web::test]
async fn flag_has_its_count_and_first_occurrence() {
    let api = TestApi::start().await;
    Conversation::new("A", "s")
        .join(-600)
        .arrive(-590, -500, "user", "0")
        .arrive(-580, -490, "user", "1")
        .arrive(-570, -495, "user", "2")
        .arrive(-560, -494, "assistant", "3")
        .arrive(-550, -400, "user", "4")
        .arrive(-540, -410, "user", "5")
        .store(&api)
        .await;
    let messages = api.get("/v1/sessions/s/messages").await.json()["data"].clone();
    let place = |index: usize| {
        let message = &messages[index];
        json!({ "id": message["id"], "timestamp": message["timestamp"] })
    };
    let (flags, _, _) = flags(&api, "s").await;
    let expected = json!([
        {
            "flag": "repeated_user_turn",
            "reason": "3 messages of the user directly after another of the user: an answer may \
                       be missing in between.",
            "count": 3,
            "first": place(1),
        },
        {
            "flag": "out_of_order",
            "reason": "3 messages that arrived before something that was said earlier. The order \
                       shown is that of the sender's times.",
            "count": 3,
            "first": place(2),
        },
    ]);
    assert_eq!(flags, expected);
}
