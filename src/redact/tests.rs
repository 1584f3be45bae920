//! What is replaced, what is not, and that nothing else changes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Kind, Redaction};

fn all() -> Redaction {
    [Kind::Email, Kind::Phone, Kind::Card].into_iter().collect()
}

fn kept(text: &str) -> String {
    all().text(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn addresses_and_numbers_are_replaced_in_every_form_that_people_use() {
    for (said, kept_as) in [
        ("write to jane.doe+x@mail.example.com.", "write to [email]."),
        ("<müller@exämple.de>, a@b.co", "<[email]>, [email]"),
        ("call +49 170 1234567 now", "call [phone] now"),
        ("call +1 (555) 123-4567", "call [phone]"),
        ("(555) 123-4567 or 555.123.4567", "[phone] or [phone]"),
        ("030/12345678, 0170-1234567, 01701234567", "[phone], [phone], [phone]"),
        ("0049 170 1234567", "[phone]"),
        ("电话+8613812345678。", "电话[phone]。"),
        ("4111 1111 1111 1111 12/28", "[card] 12/28"),
        ("4111-1111-1111-1111", "[card]"),
        ("my card is 378282246310005!", "my card is [card]!"),
        ("+49 170 1234567 4111111111111111", "[phone] [card]"),
        ("5555\u{a0}5555\u{a0}5555\u{a0}4444", "[card]"),
    ] {
        assert_eq!(kept(said), kept_as, "{said}");
    }
}

#[test]
fn what_only_looks_a_little_like_it_stays() {
    for said in [
        "4111 1111 1111 1112 fails the check",
        "on 2026-11-24 at 01.02.2026 12:30",
        "user@localhost, @home, 5 @ 3.50",
        "order 1234567890123, 12345678",
        "1790607253000 and 0.123456789012",
        "550e8400-e29b-41d4-a716-446655440000",
        "192.168.100.200",
        "0000 0000 0000 0000 0000",
        "1,000,000.00",
        "",
    ] {
        assert_eq!(all().text(said), None, "{said}");
    }
}

#[test]
fn only_what_was_asked_for_is_replaced() {
    let said = "a@b.co, +49 170 1234567, 4111111111111111";
    let of = |kind| Redaction::from_iter([kind]).text(said).unwrap();
    assert_eq!(of(Kind::Email), "[email], +49 170 1234567, 4111111111111111");
    assert_eq!(of(Kind::Phone), "a@b.co, [phone], 4111111111111111");
    assert_eq!(of(Kind::Card), "a@b.co, +49 170 1234567, [card]");
    assert_eq!(Redaction::default().body(said.as_bytes()), None);
}

#[test]
fn what_a_delivery_is_known_by_stays_and_all_else_byte_for_byte() {
    let body = br#" { "agent_id":"+49 170 1234567", "timestamp" : "4111111111111111",
        "data":{"session_id":"a@b.co","list":["a@b.co",{"session\u005fid":"a@b.co"},"c\u0040d.ef"],
        "message":"\ud83d lone \ud83d\ude00 \\ud83d a\u0040b.co \u00e9x@y.zz","n":1.50}}"#;
    let kept = all().body(body).unwrap();
    let expected = r#" { "agent_id":"+49 170 1234567", "timestamp" : "4111111111111111",
        "data":{"session_id":"a@b.co","list":["[email]",{"session\u005fid":"a@b.co"},"[email]"],
        "message":"� lone 😀 \\ud83d [email] [email]","n":1.50}}"#;
    assert_eq!(String::from_utf8(kept).unwrap(), expected);
}

#[test]
fn what_is_no_json_is_taken_for_one_text() {
    let kept = all().body(b"\xFF{\"message\": \"a@b.co").unwrap();
    assert_eq!(kept, b"\xFF{\"message\": \"[email]");
    let kept = all().body(b"\xEF\xBB\xBF{\"m\":\"\xFF a@b.co\"}").unwrap();
    assert_eq!(kept, "\u{FEFF}{\"m\":\"\u{FFFD} [email]\"}".as_bytes());
}

/// A document with texts anywhere, and the places where they stand.
fn document() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        Just("write to a@b.co".to_owned()),
        Just("+49 170 1234567".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
    ];
    let leaf = prop_oneof![
        text.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("session_id|message|[a-z]{1,4}", inner, 0..4)
                .prop_map(|members| json!(members)),
        ]
    })
}

/// The same, done on the tree.
fn redacted(value: &Value, left_alone: bool) -> Value {
    match value {
        Value::String(text) if !left_alone => kept(text).into(),
        Value::Array(list) => list.iter().map(|one| redacted(one, left_alone)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, one)| {
                let left_alone = ["id", "session_id", "name", "role", "type"].contains(&&**key);
                (key.clone(), redacted(one, left_alone))
            })
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn json_stays_json_and_only_its_texts_change(document in document(), pretty: bool) {
        let body = if pretty {
            serde_json::to_vec_pretty(&document).unwrap()
        } else {
            serde_json::to_vec(&document).unwrap()
        };
        let kept = all().body(&body).unwrap_or(body);
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        prop_assert_eq!(&kept, &redacted(&document, false));
    }

    #[test]
    fn what_was_redacted_holds_nothing_more_to_redact(text in "[ a-z0-9@.+()/-]{0,60}") {
        let once = kept(&text);
        prop_assert_eq!(all().text(&once).unwrap_or(once.clone()), once);
    }

    #[test]
    fn any_bytes_can_be_redacted(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = all().body(&bytes);
    }
}
