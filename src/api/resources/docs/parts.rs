//! The parts of an operation on the page: parameters, answers, a command.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde_json::Value;

/// Returns the target of a reference to `#/components/…`, or the value itself.
pub(super) fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let target = part["$ref"].as_str().and_then(|path| document.pointer(path.strip_prefix('#')?));
    target.unwrap_or(part)
}

/// A string, or nothing.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns text with `code` and **weight**.
pub(super) fn inline(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (weighted(part)) }
        }
    }
}

/// Returns text with **weight**.
fn weighted(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split("**").enumerate() {
            @if index % 2 == 1 { b { (part) } } @else { (part) }
        }
    }
}

/// Returns a list of parameters.
pub(super) fn parameters(document: &Value, params: &[&Value]) -> Markup {
    html! {
        @if !params.is_empty() {
            h4 { "Parameters" }
            dl {
                @for param in params {
                    @let place = text(&param["in"]);
                    dt {
                        code { (text(&param["name"])) }
                        @if place != "query" { " " small { (place) } }
                    }
                    @let kind = kind(document, &param["schema"]);
                    (definition(&kind, text(&param["description"]), &param["example"]))
                }
            }
        }
    }
}

/// Returns a list of the members of what a schema describes.
pub(super) fn members(document: &Value, schema: &Value) -> Markup {
    let mut schema = resolve(document, schema);
    // Of a list it is the rows that are of interest.
    let rows = &schema["properties"]["data"];
    if schema["properties"].get("next_cursor").is_some() {
        schema = resolve(document, &rows["items"]);
    }
    let whole = schema["allOf"].as_array().map(Vec::as_slice);
    let parts = whole.unwrap_or(std::slice::from_ref(schema)).iter();
    let properties = parts.filter_map(|part| resolve(document, part)["properties"].as_object());
    let properties: Vec<_> = properties.flatten().collect();
    html! {
        @if !properties.is_empty() {
            dl {
                @for (name, schema) in properties {
                    dt { code { (name) } }
                    (definition(&kind(document, schema), about(document, schema), &Value::Null))
                }
            }
        }
    }
}

/// Returns the description of a member, or that of the schema which it refers to.
fn about<'a>(document: &'a Value, schema: &'a Value) -> &'a str {
    match text(&schema["description"]) {
        "" => text(&resolve(document, schema)["description"]),
        about => about,
    }
}

/// Returns the description of a name in a list. An example of `null` is left out.
fn definition(kind: &str, about: &str, example: &Value) -> Markup {
    let example = plain(example);
    html! {
        dd {
            span.kind { (kind) }
            " "
            (inline(about))
            @if !example.is_empty() && example != "null" {
                " " span.example { (example) }
            }
        }
    }
}

/// A type in a few words.
fn kind(document: &Value, schema: &Value) -> String {
    let schema = resolve(document, schema);
    let words = |values: &[Value]| values.iter().map(plain).collect::<Vec<_>>().join(" | ");
    if let Some(values) = schema["enum"].as_array() {
        return words(values);
    }
    for choices in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choices].as_array() {
            let kinds: Vec<_> = choices.iter().map(|each| kind(document, each)).collect();
            return kinds.join(" | ");
        }
    }
    let range = match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(least), Value::Number(most)) => format!(" {least}–{most}"),
        (Value::Number(least), _) if least.as_i64().is_some_and(|least| least > 0) => {
            format!(" from {least}")
        }
        _ => String::new(),
    };
    let default = schema.get("default").map(|value| format!(", {} by default", plain(value)));
    let name = match &schema["type"] {
        Value::Array(types) => words(types),
        Value::String(name) if name == "array" => {
            return format!("list of {}", kind(document, &schema["items"]));
        }
        Value::String(name) => {
            schema["format"].as_str().filter(|_| name == "string").unwrap_or(name).to_owned()
        }
        _ => "anything".to_owned(),
    };
    format!("{name}{range}{}", default.unwrap_or_default())
}

/// Returns every answer.
pub(super) fn responses(document: &Value, all: &Value) -> Markup {
    html! {
        h4 { "Answers" }
        @for (status, response) in all.as_object().into_iter().flatten() {
            (answer(document, status, resolve(document, response)))
        }
    }
}

/// Returns an answer, folded: the example, and the meaning of its members.
fn answer(document: &Value, status: &str, response: &Value) -> Markup {
    let success = status.starts_with(['2', '3']);
    let class = if success { "well" } else { "wrong" };
    let line = html! { b.(class) { (status) } " " (inline(text(&response["description"]))) };
    let contents: Vec<_> = response["content"].as_object().into_iter().flatten().collect();
    html! {
        @if contents.is_empty() {
            p.answer { (line) }
        } @else {
            details open[success] {
                summary { (line) }
                @for (media, content) in contents {
                    p { small { (media) } }
                    @for example in examples(content) { pre { (example) } }
                    @if success { (members(document, &content["schema"])) }
                }
            }
        }
    }
}

/// The first example of some content.
pub(super) fn example(content: &Value) -> Option<String> {
    examples(content).into_iter().next()
}

fn examples(content: &Value) -> Vec<String> {
    let named = content["examples"].as_object().into_iter().flat_map(serde_json::Map::values);
    content
        .get("example")
        .into_iter()
        .chain(named.map(|example| &example["value"]))
        .map(pretty)
        .collect()
}

fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// A value on one line, as it would be written in a URL.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A command that asks it.
pub(super) fn curl(method: &str, path: &str, operation: &Value, params: &[&Value]) -> String {
    let mut url = path.to_owned();
    for param in params.iter().filter(|param| param["in"] == "path") {
        url = url.replace(&format!("{{{}}}", text(&param["name"])), &plain(&param["example"]));
    }
    let mut command = String::from("curl");
    if method != "get" {
        let _ = write!(command, " -X {}", method.to_uppercase());
    }
    let _ = write!(command, " \"$VERBATIM_URL{url}\"");
    let ways = operation["security"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ways.iter().any(|way| way.get("signature").is_some()) {
        command.push_str(" \\\n  -H \"X-bitHuman-Signature: sha256=$SIGNATURE\"");
    } else if !ways.is_empty() {
        command.push_str(" \\\n  -H \"Authorization: Bearer $VERBATIM_KEY\"");
    }
    let body = &operation["requestBody"]["content"]["application/json"];
    if let Some(body) =
        body.get("example").or_else(|| body["examples"].as_object()?.values().next()?.get("value"))
    {
        let _ = write!(command, " \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'");
    }
    command
}
