//! The parts of an operation on the page: parameters, answers, a command.

use std::fmt::Write as _;

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

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with `code` and **weight**.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in escape(text).split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(out, "<code>{part}</code>");
            continue;
        }
        for (index, part) in part.split("**").enumerate() {
            let _ = match index % 2 {
                1 => write!(out, "<b>{part}</b>"),
                _ => write!(out, "{part}"),
            };
        }
    }
    out
}

/// Writes a table of parameters.
pub(super) fn parameters(document: &Value, params: &[&Value]) -> String {
    if params.is_empty() {
        return String::new();
    }
    let rows: String = params
        .iter()
        .map(|param| {
            let place = match text(&param["in"]) {
                "query" => String::new(),
                place => format!(" <small>{place}</small>"),
            };
            row(
                &format!("<code>{}</code>{place}", escape(text(&param["name"]))),
                &kind(document, &param["schema"]),
                text(&param["description"]),
                Some(plain(&param["example"])),
            )
        })
        .collect();
    format!("<h4>Parameters</h4><dl>{rows}</dl>")
}

/// The members of what a schema describes.
pub(super) fn members(document: &Value, schema: &Value) -> String {
    let mut schema = resolve(document, schema);
    // Of a list it is the rows that are of interest.
    let rows = &schema["properties"]["data"];
    if schema["properties"].get("next_cursor").is_some() {
        schema = resolve(document, &rows["items"]);
    }
    let whole = schema["allOf"].as_array().map(Vec::as_slice);
    let parts = whole.unwrap_or(std::slice::from_ref(schema)).iter();
    let properties = parts.filter_map(|part| resolve(document, part)["properties"].as_object());
    let rows: String = properties
        .flatten()
        .map(|(name, schema)| {
            let about = text(&schema["description"]);
            let about = if about.is_empty() {
                text(&resolve(document, schema)["description"])
            } else {
                about
            };
            row(&format!("<code>{}</code>", escape(name)), &kind(document, schema), about, None)
        })
        .collect();
    if rows.is_empty() { rows } else { format!("<dl>{rows}</dl>") }
}

fn row(name: &str, kind: &str, about: &str, example: Option<String>) -> String {
    let example = example.filter(|text| !text.is_empty() && text != "null");
    let example = example.map(|text| format!(" <span class=example>{}</span>", escape(&text)));
    format!(
        "<dt>{name}</dt><dd><span class=kind>{}</span> {}{}</dd>",
        escape(kind),
        inline(about),
        example.unwrap_or_default()
    )
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

/// Every answer, folded: the example, and what its members mean.
pub(super) fn responses(document: &Value, all: &Value) -> String {
    let mut out = String::from("<h4>Answers</h4>");
    for (status, response) in all.as_object().into_iter().flatten() {
        let response = resolve(document, response);
        let about = inline(text(&response["description"]));
        let (class, open) =
            if status.starts_with(['2', '3']) { ("well", " open") } else { ("wrong", "") };
        let content = response["content"].as_object().into_iter().flatten();
        let mut inside = String::new();
        for (media, content) in content {
            let _ = write!(inside, "<p><small>{}</small></p>", escape(media));
            for example in examples(content) {
                let _ = write!(inside, "<pre>{}</pre>", escape(&example));
            }
            if class == "well" {
                inside.push_str(&members(document, &content["schema"]));
            }
        }
        let line = format!("<b class={class}>{status}</b> {about}");
        let _ = if inside.is_empty() {
            write!(out, "<p class=answer>{line}</p>")
        } else {
            write!(out, "<details{open}><summary>{line}</summary>{inside}</details>")
        };
    }
    out
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
