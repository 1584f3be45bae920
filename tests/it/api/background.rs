//! What one session is told with: what it goes on from, and whether it is all there.

use serde_json::{Value, json};
use verbatim::store::keys::Scope;

use super::app::TestApi;
use super::talk::Talk;

async fn show(api: &TestApi, target: &str) -> Value {
    let answer = api.get(&format!("/v1/sessions/{}", target.replace(' ', "%20"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// A conversation that is whole: joined, and with both sides in it.
fn whole<'a>(agent: &'a str, session: &'a str) -> Talk<'a> {
    Talk::new(agent, session).join(-600).say(-590, "assistant", "hello").say(-580, "user", "hi")
}

#[actix_web::test]
async fn an_interrupted_session_and_the_one_that_goes_on_name_each_other() {
    let api = TestApi::start().await;
    let before = whole("A", "before").store(&api).await;
    let after = Talk::new("A", "after").say(-568, "assistant", "as I said").store(&api).await;

    let session = show(&api, "after").await;
    let reason = "This session began with a message and without a join, 12 s after the other one \
                  of the same agent and source had fallen silent. Its first message is by the \
                  other side than the last one there.";
    let expected =
        json!({ "id": before, "session_id": "before", "confidence": 0.95, "reason": reason });
    assert_eq!(session["continues"], expected);
    assert_eq!(session.get("continued_by"), None, "it is told where it is asked for");

    let earlier = show(&api, "before?include=continues").await;
    let expected =
        json!([{ "id": after, "session_id": "after", "confidence": 0.95, "reason": reason }]);
    assert_eq!((earlier.get("continues"), &earlier["continued_by"]), (None, &expected));
    assert_eq!(show(&api, "after?include=continues").await["continued_by"], json!([]));

    // They are two sessions, and each has its own messages.
    assert_eq!(api.get("/v1/sessions/after/messages").await.column("message"), ["as I said"]);
    let listed = api.get("/v1/sessions?opened_by=chat.push").await.json();
    assert_eq!(listed["data"][0].get("continues"), None, "a list does not look for it");

    Talk::new("A", "after").join(-569).store(&api).await;
    let joined = show(&api, "after").await;
    assert_eq!(
        joined.get("continues"),
        None,
        "the join came late: it is a conversation of its own"
    );
    assert_eq!(show(&api, "before?include=continues").await["continued_by"], json!([]));
}

#[actix_web::test]
async fn another_agent_source_or_time_is_not_gone_on_from() {
    let api = TestApi::start().await;
    whole("B", "of another").store(&api).await;
    Talk::from("kiosk", "A", "elsewhere").say(-580, "user", "hi").store(&api).await;
    Talk::new("A", "long ago").say(-2400, "user", "hi").store(&api).await;
    Talk::new("A", "goes on").say(-580, "user", "hi").say(-560, "user", "there").store(&api).await;
    Talk::new("A", "alone").say(-570, "assistant", "hello").store(&api).await;
    assert_eq!(show(&api, "alone").await.get("continues"), None);

    let bound = api.key(&[Scope::Read], Some(&["A"])).await;
    let answer = api.get_as(&bound, "/v1/sessions/alone?include=continues").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("of another"), "{}", answer.text());
}

#[actix_web::test]
async fn what_the_sender_ended_and_what_has_rivals_is_less_sure() {
    let api = TestApi::start().await;
    let confidence = async |session: &str| show(&api, session).await["continues"].clone();

    Talk::new("A", "ended").say(-600, "assistant", "bye").end(-590).store(&api).await;
    Talk::new("A", "after the end").say(-580, "user", "wait").store(&api).await;
    let found = confidence("after the end").await;
    assert_eq!((&found["session_id"], &found["confidence"]), (&json!("ended"), &json!(0.38)));
    assert!(found["reason"].as_str().unwrap().contains("the sender had ended"), "{found}");

    for name in ["one", "two"] {
        Talk::new("B", name).join(-700).say(-600, "assistant", "hello").store(&api).await;
    }
    Talk::new("B", "third").say(-590, "user", "hi").store(&api).await;
    let found = confidence("third").await;
    assert_eq!(found["confidence"], 0.47);
    assert!(found["reason"].as_str().unwrap().contains("1 further session"), "{found}");

    // A chain: what was gone on in by another is no good rival of that other.
    Talk::new("C", "first").join(-900).say(-800, "assistant", "hello").store(&api).await;
    Talk::new("C", "second").say(-790, "user", "hi").say(-780, "assistant", "so").store(&api).await;
    Talk::new("C", "third").say(-770, "user", "yes").store(&api).await;
    assert_eq!(confidence("third?agent_id=C").await["session_id"], "second");
    assert_eq!(confidence("second").await["session_id"], "first");

    // Which of many at once it was cannot be told.
    for name in 0..12 {
        let name = format!("busy {name}");
        Talk::new("D", &name).join(-700).say(-600, "assistant", "hello").store(&api).await;
    }
    Talk::new("D", "lost").say(-590, "user", "hi").store(&api).await;
    assert_eq!(show(&api, "lost").await.get("continues"), None);
}

#[actix_web::test]
async fn another_room_is_less_likely() {
    let api = TestApi::start().await;
    Talk::new("A", "lobby")
        .join_room(-610, Some("lobby"))
        .say(-600, "user", "hi")
        .store(&api)
        .await;
    Talk::new("A", "office").say(-590, "assistant", "hello").store(&api).await;
    sqlx::query("UPDATE sessions SET room_name = 'office' WHERE sender_session_id = 'office'")
        .execute(api.database.pool())
        .await
        .unwrap();
    assert_eq!(show(&api, "office").await["continues"]["confidence"], 0.47);
}

/// The flags of a session, by name, and whether it counts as complete.
async fn flags(api: &TestApi, session: &str) -> (Value, Vec<String>, bool) {
    let told = show(api, &format!("{session}?include=completeness")).await["completeness"].clone();
    let flags = told["flags"].as_array().unwrap().clone();
    let names = flags.iter().map(|flag| flag["flag"].as_str().unwrap().to_owned()).collect();
    (Value::from(flags), names, told["complete"].as_bool().unwrap())
}

#[actix_web::test]
async fn a_whole_conversation_has_no_flags() {
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
async fn each_flag_is_raised_by_what_it_tells_of() {
    let api = TestApi::start().await;
    let said = |session| Talk::new("A", session).join(-600).say(-590, "assistant", "hello");
    let visited = Talk::new("A", "two visitors").join(-2000).say(-1990, "assistant", "hello");
    for (talk, session, expected, complete) in [
        (
            Talk::new("A", "pushed").say(-9, "user", "hi").say(-8, "assistant", "hello"),
            "pushed",
            &["no_join"] as &[_],
            false,
        ),
        (said("monologue"), "monologue", &["one_sided"], false),
        (Talk::new("A", "deaf").join(-9).say(-8, "user", "hi"), "deaf", &["one_sided"], false),
        (Talk::new("A", "silent").join(-9), "silent", &[], true),
        (
            said("unanswered").say(-580, "user", "hi").say(-570, "user", "anybody?"),
            "unanswered",
            &["repeated_user_turn"],
            false,
        ),
        (visited.say(-1980, "user", "bye").say(-20, "user", "hello"), "two visitors", &[], true),
        (said("damaged").say(-580, "user", "a\0b"), "damaged", &["altered"], false),
        (
            said("overtaken").arrive(-580, -560, "user", "hi").arrive(-570, -565, "assistant", "x"),
            "overtaken",
            &["out_of_order"],
            true,
        ),
        (said("undated").say_undated(-580, "user", "hi"), "undated", &["undated"], true),
    ] {
        talk.store(&api).await;
        let (told, names, is_complete) = flags(&api, session).await;
        assert_eq!(names, expected, "{session}: {told}");
        assert_eq!(is_complete, complete, "{session}: {told}");
    }
}

#[actix_web::test]
async fn a_flag_says_how_often_and_where_first() {
    let api = TestApi::start().await;
    Talk::new("A", "s")
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
