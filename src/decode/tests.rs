//! Tests of deliveries of every generation, valid and invalid.

use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::clock::linear::assert_linear;
use crate::domain::{DeliveryId, Evidence, SourceName};

fn arrival(body: impl Into<Bytes>) -> Arrival {
    Arrival {
        id: DeliveryId(Uuid::from_u128(7)),
        received_at: DateTime::from_timestamp(1_790_700_000, 0).unwrap(),
        source: SourceName::default(),
        evidence: Evidence { signed: true, ..Evidence::default() },
        body: body.into(),
    }
}

fn read(body: impl Into<Bytes>) -> Delivery {
    decode(&arrival(body)).unwrap()
}

fn fault(body: impl Into<Bytes>) -> (&'static str, String) {
    let fault = decode(&arrival(body)).unwrap_err();
    (fault.field, fault.problem)
}

fn message_of(delivery: &Delivery) -> (&str, &str, &str, bool) {
    match &delivery.event {
        Event::Message { session, role, message, altered } => {
            (&session.sender_session_id, role, message, *altered)
        }
        other => panic!("not a message: {other:?}"),
    }
}

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../tests/payloads/", $name, ".json"))
    };
}

#[test]
fn message_of_each_generation_is_decoded() {
    let help = ("session_xyz789", "user", "Hello, I need help with my order", false);
    let a = read(sample!("a-chat-push"));
    assert_eq!(message_of(&a), help);
    assert_eq!(a.generation, Generation::A);
    assert_eq!(a.event_type, "chat.push");
    assert_eq!(a.occurred_at.to_rfc3339(), "2024-01-15T10:31:25+00:00");

    let b = read(sample!("b-chat-push"));
    assert_eq!(message_of(&b), help);
    assert_eq!(b.generation, Generation::B);
    assert_eq!(b.agent_id.as_deref(), Some("agent_abc123"));
    assert_eq!(b.occurred_at.timestamp(), 1_705_312_285);

    let c = read(sample!("c-chat-push"));
    assert_eq!(message_of(&c), ("session_xyz", "user", "help with order #12345", false));
    assert_eq!(c.generation, Generation::C);
    assert_eq!(c.agent_id.as_deref(), Some("A91XMB7113"));
    assert_eq!(c.occurred_at.timestamp(), 1_705_312_285, "the envelope's time is used");

    let mut unsigned = arrival(sample!("d-chat-push"));
    unsigned.evidence.signed = false;
    let d = decode(&unsigned).unwrap();
    assert_eq!(message_of(&d).2, "I'm Pip, your friendly science fox!");
    assert_eq!(d.generation, Generation::D);
    assert_eq!(d.occurred_at.timestamp_micros(), 1_790_607_268_895_698, "data's time, rounded");
    assert_eq!(d.sent_at.unwrap().timestamp_micros(), 1_790_607_268_895_705);
}

#[test]
fn join_of_each_generation_is_decoded() {
    for (body, room, count, at) in [
        (sample!("a-room-join"), "customer-support", 1, 1_705_314_600),
        (sample!("b-room-join"), "customer-support", 1, 1_705_312_200),
        (sample!("d-room-join"), "room-A80HVD8577-qtrJ-cOFR", 3, 1_790_607_253),
    ] {
        let join = read(body);
        assert_eq!(join.event_type, "room.join");
        assert_eq!(join.occurred_at.timestamp(), at);
        let Event::Join { room_name, participant_count, .. } = join.event else {
            panic!("not a join: {body}")
        };
        assert_eq!(room_name.as_deref(), Some(room));
        assert_eq!(participant_count, Some(count));
    }
}

#[test]
fn session_end_has_its_reason() {
    let end = read(sample!("a-session-end"));
    let Event::End { session, reason, started_at } = end.event else { panic!("an end") };
    assert_eq!(session.agent_id, "agent_customer_support");
    assert_eq!(reason.as_deref(), Some("user_disconnect"));
    assert_eq!(started_at.unwrap().to_rfc3339(), "2024-01-15T10:30:00+00:00");
}

#[test]
fn tests_account_events_and_unknown_types_are_distinguished() {
    assert_eq!(read(sample!("test")).event, Event::Test);
    let ready = read(sample!("account-agent-ready"));
    assert_eq!((ready.event, ready.generation), (Event::Account, Generation::Account));
    assert_eq!(ready.agent_id.as_deref(), Some("A80HVD8577"));
    assert_eq!(ready.occurred_at.timestamp(), 1_780_417_371);
    assert_eq!(read(r#"{"event_type":"session.summary"}"#).event, Event::Unknown);

    let mut by_header = arrival(sample!("d-chat-push"));
    by_header.evidence.test = true;
    assert_eq!(decode(&by_header).unwrap().event, Event::Test);
}

#[test]
fn error_names_the_invalid_field() {
    let with = |agent: &str, data: &str| {
        format!(r#"{{"event_type":"chat.push","agent_id":{agent},"data":{data}}}"#)
    };
    let deep = format!(r#"{{"event_type":"chat.push","data":{}"#, "[".repeat(100_000));
    let long = format!("\"{}\"", "x".repeat(513));
    for (body, field, problem) in [
        (String::new(), "body", "not JSON"),
        ("{\"event_type\":\"chat.pu".into(), "body", "not JSON"),
        ("[1, 2]".into(), "body", "not an object"),
        ("\"text\"".into(), "body", "not an object"),
        ("{\"timestamp\": NaN, \"event_type\": \"test\"}".into(), "body", "not JSON"),
        (deep, "body", "not JSON"),
        ("{}".into(), "event_type", "missing"),
        ("{\"event_type\": 7}".into(), "event_type", "must be a string, not a number"),
        ("{\"event_type\": \"\"}".into(), "event_type", "empty"),
        (with("null", r#"{"session_id":"s"}"#), "agent_id", "missing"),
        (with("[]", r#"{"session_id":"s"}"#), "agent_id", "must be a string, not an array"),
        (with(&long, r#"{"session_id":"s"}"#), "agent_id", "it has 513 bytes"),
        (with("\"a\"", "[]"), "data", "must be an object, not an array"),
        (with("\"a\"", "{}"), "data.session_id", "missing"),
        (with("\"a\"", r#"{"session_id":"s"}"#), "data.role", "missing"),
        (with("\"a\"", r#"{"session_id":"s","role":"user"}"#), "data.message", "missing"),
        (
            with("\"a\"", r#"{"session_id":"s","role":"user","message":{"text":"t"}}"#),
            "data.message",
            "must be a string, not an object",
        ),
    ] {
        let (found, words) = fault(body.clone());
        let start: String = body.chars().take(120).collect();
        assert_eq!(found, field, "{start}");
        assert!(words.contains(problem), "{start}: {words}");
    }
}

#[test]
fn error_uses_the_field_name_of_the_generation() {
    let old = |agent: &str, session: &str, message: &str| {
        format!(r#"{{"event":"chat_push",{agent}{session}"message":{message}}}"#)
    };
    let (agent, session) = (r#""agentId":"a","#, r#""sessionId":"s","#);
    let said = r#"{"role":"user","content":"hello"}"#;
    assert!(decode(&arrival(old(agent, session, said))).is_ok());
    for (body, field) in [
        (old("", session, said), "agentId"),
        (old(agent, "", said), "sessionId"),
        (old(agent, r#""sessionId":"","#, said), "sessionId"),
        (old(agent, session, r#"{"content":"hello"}"#), "message.role"),
        (old(agent, session, r#"{"role":7,"content":"hello"}"#), "message.role"),
        (old(agent, session, r#"{"role":"user"}"#), "message.content"),
        (old(agent, session, r#"{"role":"user","content":7}"#), "message.content"),
        (old(agent, session, "7"), "message.role"),
        (r#"{"event":7}"#.into(), "event"),
        (r#"{"event_type":"chat.push","agent_code":"c"}"#.into(), "data.session_id"),
        (
            r#"{"event_type":"chat.push","agent_code":"","data":{"session_id":"s"}}"#.into(),
            "agent_code",
        ),
        (
            r#"{"event_type":"chat.push","data":{"session_id":"s","agent_id":[]}}"#.into(),
            "data.agent_id",
        ),
        // In a mixture a field that is present keeps its own name.
        (r#"{"event":"chat_push","agent_id":[],"sessionId":"s"}"#.into(), "agent_id"),
        (
            r#"{"event":"chat_push","agentId":"a","data":{"session_id":"s","role":7}}"#.into(),
            "data.role",
        ),
    ] {
        assert_eq!(fault(body.clone()).0, field, "{body}");
    }
}

#[test]
fn unusual_deliveries_are_decoded() {
    let with =
        |data: &str| read(format!(r#"{{"event_type":"chat.push","agent_id":"a","data":{data}}}"#));
    let text = |message: &str| {
        let delivery = with(&format!(r#"{{"session_id":"s","role":"user","message":{message}}}"#));
        let (_, _, text, altered) = message_of(&delivery);
        (text.to_owned(), altered)
    };
    assert_eq!(text(r#""a\u0000b""#), ("a\u{FFFD}b".into(), true));
    assert_eq!(text(r#""\ud83d""#), ("\u{FFFD}".into(), true), "a lone high surrogate");
    assert_eq!(text(r#""\udc00x""#), ("\u{FFFD}x".into(), true), "a lone low surrogate");
    assert_eq!(text(r#""\ud83e\udd8a""#), ("🦊".into(), false), "a pair is one character");
    assert_eq!(text(r#""""#), (String::new(), false));
    assert_eq!(text(r#""one","message":"two""#), ("two".into(), false), "the last key counts");

    let numbered = with(r#"{"session_id":42,"role":"user","message":"m"}"#);
    assert_eq!(message_of(&numbered).0, "42", "a number is accepted as an ID");

    let deep = format!(
        r#"{{"session_id":"s","role":"user","message":"m","more":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(message_of(&with(&deep)).2, "m", "an unused field may have any depth");

    let mut broken = br#"{"event_type":"chat.push","agent_id":"a","data":{"session_id":"s",
        "role":"user","message":"caf"#
        .to_vec();
    broken.extend_from_slice(b"\xE9\"}}");
    let broken = read(broken);
    assert_eq!(message_of(&broken).2, "caf\u{FFFD}", "only the invalid byte is replaced");
    assert!(message_of(&broken).3);

    let mut marked = b"\xEF\xBB\xBF".to_vec();
    marked.extend_from_slice(sample!("b-chat-push").as_bytes());
    assert_eq!(message_of(&read(marked)).1, "user", "a byte order mark is ignored");
}

#[test]
fn invalid_time_is_replaced_by_the_next_best() {
    let at = |data: &str, envelope: &str| {
        let delivery = read(format!(
            r#"{{"event_type":"chat.push","agent_id":"a","timestamp":{envelope},
                "data":{{"session_id":"s","role":"user","message":"m","timestamp":{data}}}}}"#
        ));
        (delivery.occurred_at.timestamp(), delivery.undated)
    };
    let arrived = 1_790_700_000;
    assert_eq!(at("1705312285.5", "1705312286"), (1_705_312_285, false));
    assert_eq!(at("\"1705312285.5\"", "0"), (1_705_312_285, false), "number in quotes");
    assert_eq!(at("1705312285500", "0"), (1_705_312_285, false), "milliseconds");
    assert_eq!(at("\"2024-01-15T09:51:25Z\"", "0"), (1_705_312_285, false));
    for nonsense in ["-5", "0", "1e300", "1e999", "\"NaN\"", "\"soon\"", "null", "{}", "true"] {
        assert_eq!(at(nonsense, "1705312286"), (1_705_312_286, false), "{nonsense}");
        assert_eq!(at(nonsense, nonsense), (arrived, true), "{nonsense}");
    }
}

#[test]
fn count_is_a_whole_number_or_none() {
    for (count, expected) in [
        ("3", Some(3)),
        ("\"3\"", Some(3)),
        ("3.0", Some(3)),
        ("-1", None),
        ("2.5", None),
        ("1e12", None),
        ("[]", None),
    ] {
        let join = read(format!(
            r#"{{"event_type":"room.join","agent_id":"a",
                "data":{{"session_id":"s","participant_count":{count}}}}}"#
        ));
        let Event::Join { participant_count, .. } = join.event else { panic!("a join") };
        assert_eq!(participant_count, expected, "{count}");
    }
}

#[test]
fn duplicates_share_an_identity_and_other_deliveries_do_not() {
    let one = arrival(sample!("b-chat-push"));
    let mut later = one.clone();
    later.id = DeliveryId(Uuid::from_u128(8));
    later.received_at += chrono::TimeDelta::seconds(31);
    assert_eq!(decode(&one).unwrap().id, decode(&later).unwrap().id);

    let mut elsewhere = one.clone();
    elsewhere.source = SourceName::parse("kiosk").unwrap();
    assert_ne!(decode(&one).unwrap().id, decode(&elsewhere).unwrap().id);

    let mut named = one.clone();
    named.evidence.sender_delivery_id = Some("dlv_1".into());
    let mut another = arrival(sample!("test"));
    another.evidence.sender_delivery_id = Some("dlv_1".into());
    assert_eq!(decode(&one).unwrap().id, decode(&named).unwrap().id, "a header changes nothing");
    assert_ne!(
        decode(&named).unwrap().id,
        decode(&another).unwrap().id,
        "the header alone does not identify"
    );
}

proptest! {
    #[test]
    fn decoding_any_body_does_not_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&arrival(body));
    }

    #[test]
    fn decoding_a_corrupted_delivery_does_not_panic(
        at in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut body = sample!("d-chat-push").as_bytes().to_vec();
        let at = at.index(body.len());
        let end = (at + noise.len()).min(body.len());
        body.splice(at..end, noise);
        let _ = decode(&arrival(body));
    }

    #[test]
    fn any_text_is_decoded_unchanged(message in "\\PC*", role in "[a-z]{1,20}") {
        let body = serde_json::json!({
            "event_type": "chat.push", "agent_id": "a", "timestamp": 1_705_312_285.0,
            "data": { "session_id": "s", "role": role, "message": message },
        });
        let delivery = read(body.to_string());
        let (_, found_role, found, altered) = message_of(&delivery);
        prop_assert_eq!((found_role, found, altered), (role.as_str(), message.as_str(), false));
    }
}

#[test]
fn decoding_time_is_linear_for_any_body() {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    assert_linear(|text| decode(&arrival(text.to_owned())));
    assert_linear(|text| {
        let message = quoted(text);
        decode(&arrival(format!(
            r#"{{"event_type":"chat.push","agent_id":"a","data":{{"session_id":"s","role":"user","message":{message}}}}}"#
        )))
    });
    // Inserted unquoted, so that its escapes stay escapes.
    assert_linear(|text| {
        decode(&arrival(format!(r#"{{"event_type":"{text}","data":{{"x":"{text}"}}}}"#)))
    });
    assert_linear(|text| {
        let bytes: Vec<u8> = text.bytes().map(|byte| byte | 0x80).collect();
        decode(&arrival([b"{\"event_type\":\"".as_slice(), &bytes, b"\"}"].concat()))
    });
}
