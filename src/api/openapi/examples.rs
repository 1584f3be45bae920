//! Examples of whole bodies, composed of the examples of their fields.

use serde_json::{Map, Value, json};

/// Deepest schema that is followed; ours have eight levels, each of up to three steps.
const DEEPEST: usize = 24;

/// Returns an example of a schema: its own one, or one that is composed of its parts.
pub(super) fn of(document: &Value, schema: &Value) -> Option<Value> {
    example(document, schema, 0)
}

fn example(document: &Value, schema: &Value, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let own = schema.get("example").or_else(|| schema["examples"].get(0));
    if let Some(own) = own {
        return Some(own.clone());
    }
    let deeper = |schema: &Value| example(document, schema, depth + 1);
    if let Some(properties) = schema["properties"].as_object() {
        let member = |(name, schema): (&String, &Value)| Some((name.clone(), deeper(schema)?));
        return properties.iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object);
    }
    if let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        return deeper(document.pointer(path)?);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        if let [part] = &parts[..] {
            return deeper(part);
        }
        let parts: Option<Vec<_>> = parts.iter().map(deeper).collect();
        let members = parts?.into_iter().filter_map(|part| part.as_object().cloned()).flatten();
        return Some(Value::Object(members.collect()));
    }
    for choices in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choices].as_array() {
            let not_null = choices.iter().filter(|choice| choice["type"] != "null");
            return not_null.map(deeper).find(Option::is_some).flatten();
        }
    }
    if let Some(first) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return Some(first.clone());
    }
    let has_type = |wanted: &str| {
        schema["type"] == wanted || schema["type"].get(0).is_some_and(|first| first == wanted)
    };
    if has_type("array") {
        return deeper(&schema["items"]).map(|item| json!([item]));
    }
    // Its members are not described, or it may have any type.
    let is_any = schema.as_object().is_some_and(|schema| !schema.contains_key("type"));
    if is_any || has_type("object") {
        return Some(json!({}));
    }
    has_type("integer").then(|| json!(0))
}
