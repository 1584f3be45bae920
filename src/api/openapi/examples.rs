//! Examples: of a value by its name, and of a whole answer from those of its parts.

use serde_json::{Map, Value, json};

use crate::analytics::calendar::Bucket;
use crate::analytics::catalog::METRICS;
use crate::analytics::range::{Comparison, Period};
use crate::domain::Outcome;
use crate::store::figures::SessionCounts;

/// Deepest schema that is followed; ours have eight levels, each of up to three steps.
const DEEPEST: usize = 24;

/// What a parameter or a member of this name holds in examples. Where a name means different
/// things in different places, `#[schema(example = …)]` at the field goes before.
fn by_name(name: &str) -> Option<Value> {
    Some(match name {
        "agent_id" => json!("A80HVD8577"),
        "session_id" => json!("A80HVD8577_5f3c1a"),
        "id" | "around" => json!("01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64"),
        "source" => json!("default"),
        "room_name" => json!("room-5f3c1a"),
        "role" => json!("user"),
        "message" => json!("What are your opening hours?"),
        "limit" => json!(50),
        "cursor" | "next_cursor" | "previous_cursor" | "last_event_id" | "Last-Event-ID" => {
            json!("AZmaLD8LfVGcVTocjg8rZA")
        }
        "order" => json!("desc"),
        "opened_by" => json!("room.join"),
        "include" => json!("messages"),
        "outcome" => json!("stored"),
        "event_type" => json!("chat.push"),
        "generation" => json!("b"),
        "reason" | "unknown_source" | "end_reason" | "revoked_at" | "made_by" | "last_test_at"
        | "ended_at" | "oldest_age_seconds" | "error_bound" => {
            json!(null)
        }
        "min_messages" | "participant_count" => json!(2),
        "max_messages" => json!(100),
        "min_duration" => json!(60),
        "max_duration" => json!(3_600),
        "sort" => json!("activity"),
        "message_count" | "examined_messages" => json!(8),
        "user_message_count" | "assistant_message_count" => json!(4),
        "session_count" => json!(17),
        "duration_seconds" => json!(93.645_697),
        "started_at" => json!("2026-09-28T14:52:40.250000Z"),
        "first_seen_at" | "created_at" => json!("2026-07-01T09:30:00.000000Z"),
        "received_at" => json!("2026-09-28T14:54:14.102233Z"),
        "expires_at" => json!("2026-12-27T09:30:00.000000Z"),
        "size_bytes" => json!(46),
        "sender_delivery_id" => json!("dlv_01J8Z5K3"),
        "body" => json!("{\"event_type\":\"chat.push\"}"),
        "body_base64" => json!("eyJldmVudF90eXBlIjoiY2hhdC5wdXNoIn0="),
        "name" => json!("dashboard"),
        "scopes" => json!(["read"]),
        "agents" | "agent_ids" => json!(["A80HVD8577"]),
        "key" => json!("vb_4f6uXq0mJ7yR2cV9tB1nK8sD3hL5wE6a"),
        "schema" => json!("current"),
        "format" => json!("txt"),
        "tz" => json!("Europe/Berlin"),
        "user_name" => json!("Visitor"),
        "assistant_name" => json!("Ada"),
        "started_after" | "active_after" | "after" | "received_after" => {
            json!("2026-09-28T00:00:00Z")
        }
        "started_before" | "active_before" | "before" | "received_before" => {
            json!("2026-09-29T00:00:00Z")
        }
        "has_more" | "has_previous" | "signed" | "writable" | "reachable" | "used" | "hit"
        | "with_cursor" | "silent" | "engaged" | "single_turn" | "plan" => json!(true),
        "altered" | "undated" | "stale" | "test" | "complete" | "excerpt" | "parts_of_words"
        | "bom" | "formula_guard" => {
            json!(false)
        }
        "max_cell_chars" => json!(32_767),
        "confidence" | "silence_before_seconds" => json!(0.8),
        "q" | "text" | "read_as" => json!("opening hours"),
        "forgiven" | "incomplete" => json!([]),
        "end" => json!(13),
        "of_entries" => json!(4211),
        "score" => json!(0.72),
        "lag_entries" | "lag_seconds" | "lag_bytes" | "start" | "done_entries" => json!(0),
        "rows" => json!({ "messages": 8, "sessions": 1, "deliveries": 9 }),
        "status" => json!("live"),
        "compression" => json!("zstd"),
        "from" | "to" | "as_of" | "complete_until" => json!("2026-09-28T00:00:00.000000Z"),
        "period" => json!("last_7d"),
        "bucket" => json!("day"),
        "week_starts" => json!("monday"),
        "metric" => json!("sessions"),
        "stat" => json!("count"),
        "flag" => json!("no_join"),
        "count" | "visit" | "seq" => json!(1),
        "timestamp" | "at" | "last_activity_at" | "erased_at" | "finished_at" => {
            json!("2026-09-28T14:54:13.945697Z")
        }
        "kind" | "type" => json!("message"),
        "answer" => json!({ "status": "ok" }),
        "place" => json!("conversations"),
        "error" => json!(null),
        "other" => json!({ "groups": 3, "sessions": 5 }),
        "If-None-Match" => json!("\"kE8Qv0m2Yw1nJ4rT6uXz9A\""),
        _ => return None,
    })
}

/// The words that a parameter of this name takes.
pub(super) fn words(name: &str) -> Option<Vec<&'static str>> {
    Some(match name {
        "order" => vec!["asc", "desc"],
        "opened_by" => vec!["room.join", "chat.push"],
        "sort" => vec!["activity", "started", "duration", "messages"],
        "flag" => SessionCounts::FLAGS.to_vec(),
        "outcome" => Outcome::ALL.map(Outcome::as_str).to_vec(),
        "metric" => METRICS.iter().map(|metric| metric.name).collect(),
        "period" => Period::ALL.map(Period::as_str).to_vec(),
        "compare" => [&["none"], &Comparison::ALL.map(Comparison::as_str)[..]].concat(),
        "bucket" => [&["auto"], &Bucket::ALL.map(Bucket::as_str)[..]].concat(),
        "stat" => vec!["count", "distinct", "ratio", "avg", "p50", "p90", "p99", "max"],
        "group_by" => vec!["agent", "source", "role", "flag"],
        "by" => vec!["agent", "source", "room", "first_message"],
        "week_starts" => {
            vec!["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        }
        _ => return None,
    })
}

/// Whether a value is among the words of a schema, if it has any: one name may stand for different
/// words in different places.
fn is_word(schema: &Value, value: &Value) -> bool {
    schema["enum"].as_array().is_none_or(|words| words.contains(value))
}

/// An example of a value that is called `name`, if it has a name.
pub(super) fn of(document: &Value, name: &str, schema: &Value) -> Option<Value> {
    example(document, name, schema, 0)
}

fn example(document: &Value, name: &str, schema: &Value, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let told = schema.get("example").or_else(|| schema["examples"].get(0));
    if let Some(told) = told {
        return Some(told.clone());
    }
    let deeper = |name: &str, schema: &Value| example(document, name, schema, depth + 1);
    if let Some(properties) = schema["properties"].as_object() {
        let member =
            |(name, schema): (&String, &Value)| Some((name.clone(), deeper(name, schema)?));
        return properties.iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object);
    }
    if let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        let target = document.pointer(path)?;
        let plain = target.get("properties").is_none() && target.get("allOf").is_none();
        let known = by_name(name).filter(|known| plain && is_word(target, known));
        return known.or_else(|| deeper(name, target));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts: Option<Vec<_>> = parts.iter().map(|part| deeper(name, part)).collect();
        let members = parts?.into_iter().filter_map(|part| part.as_object().cloned()).flatten();
        return Some(Value::Object(members.collect()));
    }
    if let Some(known) = by_name(name).filter(|known| is_word(schema, known)) {
        return Some(known);
    }
    for choices in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choices].as_array() {
            return choices
                .iter()
                .filter(|choice| choice["type"] != "null")
                .find_map(|choice| deeper(name, choice));
        }
    }
    if let Some(first) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return Some(first.clone());
    }
    if schema["type"] == "array" || schema["type"].get(0).is_some_and(|first| first == "array") {
        return deeper("", &schema["items"]).map(|item| json!([item]));
    }
    (schema["type"] == "integer").then(|| json!(0))
}
