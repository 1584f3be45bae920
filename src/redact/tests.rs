//! Tests of replaced and unchanged texts.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Kind, Redaction, steps};

/// Most steps per byte of any body.
const MAX_STEPS: usize = 250;

fn all() -> Redaction {
    [Kind::Email, Kind::Phone, Kind::Card].into_iter().collect()
}

/// Returns the text with every character as a JSON escape.
fn escaped(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut escaped, unit| {
        let _ = write!(escaped, "\\u{unit:04x}");
        escaped
    })
}

fn kept(text: &str) -> String {
    all().text(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn addresses_and_numbers_are_replaced_in_all_common_forms() {
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
fn similar_texts_stay_unchanged() {
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
fn only_enabled_kinds_are_replaced() {
    let said = "a@b.co, +49 170 1234567, 4111111111111111";
    let of = |kind| Redaction::from_iter([kind]).text(said).unwrap();
    assert_eq!(of(Kind::Email), "[email], +49 170 1234567, 4111111111111111");
    assert_eq!(of(Kind::Phone), "a@b.co, [phone], 4111111111111111");
    assert_eq!(of(Kind::Card), "a@b.co, +49 170 1234567, [card]");
    assert_eq!(Redaction::default().body(said.as_bytes()), None);
}

#[test]
fn identifying_members_and_other_bytes_stay_unchanged() {
    let body = br#" { "agent_id":"+49 170 1234567", "timestamp" : "4111111111111111",
        "data":{"session_id":"a@b.co","list":["a@b.co",{"session\u005fid":"a@b.co"},"c\u0040d.ef"],
        "message":"\ud83d lone \ud83d\ude00 \\ud83d a\u0040b.co \u00e9x@y.zz","n":1.50}}"#;
    let kept = all().body(body).unwrap();
    let expected = r#" { "agent_id":"+49 170 1234567", "timestamp" : "4111111111111111",
        "data":{"session_id":"a@b.co","list":["[email]",{"session\u005fid":"[email]"},"[email]"],
        "message":"\ud83d lone \ud83d\ude00 \\ud83d [email] [email]","n":1.50}}"#;
    assert_eq!(String::from_utf8(kept).unwrap(), expected);
}

#[test]
fn body_that_is_not_json_is_one_text() {
    let kept = all().body(b"\xFF{\"message\": \"a@b.co").unwrap();
    assert_eq!(kept, b"\xFF{\"message\": \"[email]");
    let kept = all().body(b"\xEF\xBB\xBF{\"m\":\"\xFF a@b.co\"}").unwrap();
    assert_eq!(kept, b"\xEF\xBB\xBF{\"m\":\"\xFF [email]\"}");
}

/// Generates a document with texts at any position.
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
            prop::collection::btree_map("session_id|message|[xyz]{1,3}", inner, 0..4)
                .prop_map(|members| json!(members)),
        ]
    })
}

/// Redacts the parsed tree.
fn redacted(value: &Value, own: bool, top: bool) -> Value {
    match value {
        Value::String(text) if !own => kept(text).into(),
        Value::Array(list) => list.iter().map(|one| redacted(one, false, false)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, one)| (key.clone(), redacted(one, top && key == "session_id", false)))
            .collect(),
        other => other.clone(),
    }
}

/// Numbers and texts beside them.
const NEIGHBOURS: [&str; 36] = [
    "call ",
    "phone ",
    "order ",
    "number ",
    "Order: ",
    "my card ",
    "€",
    "is ",
    ", ",
    ". ",
    "? ",
    "\n",
    " ",
    "-",
    "/",
    "(",
    ")",
    "+",
    "+49 170 1234567",
    "0170 1234567",
    "612 345 678",
    "612345678",
    "4111 1111 1111 1111",
    "4111111111111111",
    "a@b.co",
    "12",
    "1 2 3 4 ",
    "98765 43210",
    "01.12.26",
    "1,234,567",
    "电话",
    "20123456 ",
    "_",
    "double ",
    "DE89 3704 ",
    "06 12 34 56 78",
];

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
        prop_assert_eq!(&kept, &redacted(&document, false, true));
    }

    #[test]
    fn redacted_text_contains_nothing_to_redact(
        noise in "[ a-z0-9@.+()/-]{0,60}",
        parts in prop::collection::vec(prop::sample::select(NEIGHBOURS.to_vec()), 1..9),
    ) {
        for text in [noise, parts.concat()] {
            let once = kept(&text);
            prop_assert_eq!(all().text(&once), None, "{:?} became {:?}", text, once);
        }
    }

    #[test]
    fn any_bytes_can_be_redacted(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = all().body(&bytes);
    }
}

#[test]
fn identifying_member_is_preserved_only_in_its_scope() {
    let body = json!({
        "event": "a@b.co", "type": "a@b.co", "timestamp": "a@b.co", "name": "a@b.co",
        "message": {"id": "a@b.co", "role": "a@b.co", "content": "a@b.co", "name": "a@b.co"},
        "room": {"name": "a@b.co", "type": "a@b.co"}, "user": {"id": "a@b.co", "name": "a@b.co"},
        "data": {"role": "a@b.co", "room_name": "a@b.co", "event": "a@b.co", "name": "a@b.co",
            "session_id": "a@b.co", "type": "a@b.co",
            "guest": {"name": "a@b.co", "type": "a@b.co", "role": "a@b.co", "event": "a@b.co",
                "room_name": "a@b.co", "session_id": "a@b.co"}},
    });
    let expected = json!({
        "event": "a@b.co", "type": "a@b.co", "timestamp": "a@b.co", "name": "[email]",
        "message": {"id": "a@b.co", "role": "a@b.co", "content": "[email]", "name": "[email]"},
        "room": {"name": "a@b.co", "type": "[email]"}, "user": {"id": "[email]", "name": "[email]"},
        "data": {"role": "a@b.co", "room_name": "a@b.co", "event": "[email]", "name": "[email]",
            "session_id": "a@b.co", "type": "[email]",
            "guest": {"name": "[email]", "type": "[email]", "role": "[email]", "event": "[email]",
                "room_name": "[email]", "session_id": "[email]"}},
    });
    let kept = all().body(&serde_json::to_vec(&body).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), expected);
}

#[test]
fn member_name_identifies_its_number() {
    for (body, expected) in [
        (r#"{"contact":{"phone":"612345678"}}"#, r#"{"contact":{"phone":"[phone]"}}"#),
        (r#"{"phones":["612345678", 20123456]}"#, r#"{"phones":["[phone]", "[phone]"]}"#),
        (r#"{"mobile":4915112345678}"#, r#"{"mobile":"[phone]"}"#),
        (r#"{"card":{"number":4111111111111111}}"#, r#"{"card":{"number":"[card]"}}"#),
        (r#"{"a@b.co":1,"4111111111111111":2}"#, r#"{"[email]":1,"[card]":2}"#),
    ] {
        let kept = all().body(body.as_bytes()).map(|kept| String::from_utf8(kept).unwrap());
        assert_eq!(kept.as_deref(), Some(expected));
    }
    for body in [
        r#"{"data":{"order_id":"01701234567","ref":"5551234567"}}"#,
        r#"{"count":5551234567,"at":1790607253000,"n":-4111111111111111,"f":41111111.11111111}"#,
        r#"{"item":{"serial":"4111111111111111"}}"#,
        r#"{"text":"612345678 came"}"#,
    ] {
        assert_eq!(all().body(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn escapes_are_decoded_in_complete_and_truncated_json() {
    let escaped = escaped("jane@example.com +49 170 1234567 4111-1111-1111-1111");
    let whole = format!(r#"{{"message":"{escaped}"}}"#);
    let kept = all().body(whole.as_bytes()).unwrap();
    assert_eq!(kept, br#"{"message":"[email]\u0020[phone]\u0020[card]"}"#);
    let torn = &whole[..whole.len() - 1];
    assert_eq!(all().body(torn.as_bytes()).unwrap(), kept[..kept.len() - 1]);
}

#[test]
fn every_decimal_digit_of_unicode_is_recognized() {
    let digits = regex::Regex::new(r"^\p{Nd}$").unwrap();
    let mut value = 0;
    for c in (0..=0x1F_FFFF).filter_map(char::from_u32) {
        if digits.is_match(c.encode_utf8(&mut [0; 4])) {
            assert_eq!(super::characters::digit(c), char::from_digit(value % 10, 10), "{c:?}");
            value += 1;
        } else {
            assert_eq!(super::characters::digit(c), None, "{c:?}");
        }
    }
    assert!(value > 700);
}

/// Parts that may cause quadratic time when they are repeated.
const REPEATED_PARTS: [&str; 40] = [
    "1", "12 ", "1 ", "1-", "0", "+", "+4", "(", ")", "(1)", "@", "a@", "a.", "@a.", ".com", "://",
    "www.", ",", " ", "\n", "call ", "order ", "number ", "double ", "plus ", "\\", "\\u0031",
    "\\ud83d", "[phone]", "[", "]", "\"", "电话", "１", "٣ ", "\u{200B}", "e\u{301}", "是",
    "4111 ", "DE89 ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn steps_grow_linearly_with_the_text(
        parts in prop::collection::vec(prop::sample::select(REPEATED_PARTS.to_vec()), 1..5),
        escaped: bool,
        quoted: bool,
    ) {
        let mut part = parts.concat();
        if escaped {
            part = self::escaped(&part);
        }
        let steps = |times: usize| {
            let text = part.repeat(times);
            let body = if quoted {
                format!(r#"{{"data":{{"message":"{}"}}}}"#, text.replace('"', "'").replace('\n', " "))
            } else {
                text
            };
            steps::of(|| drop(all().body(body.as_bytes())))
        };
        let (once, twice) = (steps(300), steps(600));
        prop_assert!(twice <= 2 * once + once / 10, "{once} and {twice} steps for {part:?}");
        // The steps per byte are limited.
        prop_assert!(twice < 600 * part.len() * MAX_STEPS, "{twice} steps for {part:?}");
    }
}
