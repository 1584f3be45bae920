//! Adds to the document what holds for many routes, so that an annotation says only what is
//! peculiar to its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::{errors, examples, webhook};

/// The methods that a path can have.
pub(super) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The whole document.
pub(super) fn complete(routes: OpenApi) -> Value {
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    name_pages(&mut document);
    document["components"]["schemas"]["Problem"] = errors::problem();
    document["components"]["schemas"]["Code"] = errors::codes();
    document["components"]["securitySchemes"] = security_schemes();
    webhook::describe(&mut document);
    let parts = document.clone();
    each_operation(&mut document, |method, path, operation| {
        operation["operationId"] = Value::from(name(method, path));
        parameters(&parts, path, operation);
        security(operation);
        responses(&parts, path, operation);
        examples_of_bodies(&parts, operation);
    });
    share(&mut document, "responses", |response| response["x-name"].as_str().map(str::to_owned));
    share(&mut document, "parameters", |parameter| parameter["name"].as_str().map(str::to_owned));
    document
}

/// Every operation with its path.
fn each_operation(document: &mut Value, mut change: impl FnMut(&str, &str, &mut Value)) {
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method) {
                change(method, path, operation);
            }
        }
    }
}

/// What generated clients call it, and what a link to it ends with: `get_sessions_session_id`.
fn name(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| !word.is_empty() && *word != "v1");
    words.fold(method.to_owned(), |name, word| format!("{name}_{word}"))
}

/// `Page_Message` reads better as `MessagePage`.
fn name_pages(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object() else { return };
    let pages: Vec<_> =
        schemas.keys().filter_map(|name| Some(name.strip_prefix("Page_")?.to_owned())).collect();
    let mut text = document.to_string();
    for row in pages {
        text = text.replace(&format!("Page_{row}\""), &format!("{row}Page\""));
    }
    *document = serde_json::from_str(&text).unwrap_or_default();
}

/// The ways to show who one is.
fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key.",
        },
        "api_key": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "The same key, where `Authorization` is taken by a proxy.",
        },
        "browser_session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-verbatim_session",
            "description": "Cookie that `POST /v1/browser-session` sets; without HTTPS its name is \
                `verbatim_session`. A key in a header beats it. A request that changes something and \
                comes with it needs `Sec-Fetch-Site: same-origin` or the `Origin` of this service.",
        },
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "X-bitHuman-Signature",
            "description": "For the webhook: `sha256=` and the hexadecimal HMAC-SHA256 of the body \
                under the source's secret; with `X-bitHuman-Timestamp` of `{timestamp}.{body}`. A \
                source can require headers of its own instead, or as well: `Authorization: Bearer` \
                and `X-API-Key` among them.",
        },
    })
}

/// A key can be sent in two ways, and by a cookie that stands for it; its scopes, of which any will do, stand in the text, too.
fn security(operation: &mut Value) {
    let any = operation["security"].as_array().into_iter().flatten();
    let any: Vec<Value> = any.filter_map(|one| one.get("key").cloned()).collect();
    if any.is_empty() {
        if operation.get("security").is_none() {
            operation["security"] = json!([]);
        }
        return;
    }
    let ways = |scopes: &Value| {
        ["bearer", "api_key", "browser_session"].map(|way| json!({ way: scopes.clone() }))
    };
    operation["security"] = any.iter().flat_map(ways).collect();
    let names = any.iter().filter_map(|scopes| scopes[0].as_str()).map(|name| format!("`{name}`"));
    let names = names.collect::<Vec<_>>().join(" or ");
    if names.is_empty() {
        return;
    }
    let before = operation["description"].as_str().map(|text| format!("{text}\n\n"));
    let text = format!("{}Needs the scope {names}.", before.unwrap_or_default());
    operation["description"] = Value::from(text);
}

/// The ids of the path, the header of a conditional request, and of each an example.
fn parameters(document: &Value, path: &str, operation: &mut Value) {
    let mut all = match operation["parameters"].take() {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let ids = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    for (id, _) in ids {
        all.retain(|param| param["name"] != id || param["in"] != "path");
        all.push(json!({
            "name": id, "in": "path", "required": true, "description": about_id(id, path),
            "schema": { "type": "string", "minLength": 1 },
        }));
    }
    if operation["responses"].get("304").is_some() {
        all.push(json!({
            "name": "If-None-Match", "in": "header", "schema": { "type": "string" },
            "description": "The `ETag` of what one has; where it is still right, the answer is 304.",
        }));
    }
    for param in &mut all {
        complete_parameter(document, param);
    }
    let Some(members) = operation.as_object_mut() else { return };
    members.remove("parameters");
    if !all.is_empty() {
        members.insert("parameters".into(), all.into());
    }
}

fn about_id(id: &str, path: &str) -> &'static str {
    match id {
        "agent_id" => "The sender's code for the agent.",
        "session_id" => "The sender's id of the session, or our own `id` of it.",
        "source" => "A source's name, as the settings have it.",
        "name" => "Its name, of 1 to 100 characters.",
        _ if path.starts_with("/v1/keys") => "The key's `id`.",
        _ => "Its `id`.",
    }
}

fn complete_parameter(document: &Value, param: &mut Value) {
    let name = param["name"].as_str().unwrap_or_default().to_owned();
    if param["in"] == "query" {
        param["required"] = Value::from(false);
        without_null(&mut param["schema"]);
        let list = param["schema"]["type"] == "array";
        let one = if list { &mut param["schema"]["items"] } else { &mut param["schema"] };
        if one.get("pattern").is_some() {
            // It says by itself what it takes.
        } else if let Some(words) = examples::words(&name) {
            one["enum"] = json!(words);
        } else if one["type"] == "string" && one.get("enum").is_none() {
            one["minLength"] = json!(1);
            one["pattern"] = json!("^[^\\u0000]+$");
        }
    }
    if param.get("example").is_none()
        && let Some(example) = examples::of(document, &name, &param["schema"])
    {
        let list = param["schema"]["type"] == "array" && !example.is_array();
        param["example"] = if list { json!([example]) } else { example };
    }
}

/// What is optional is left out; there is no way to send a null.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array() {
        let rest: Vec<_> = types.iter().filter(|each| **each != "null").cloned().collect();
        if let [only] = &rest[..] {
            schema["type"] = only.clone();
        }
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let rest: Vec<_> = choices.iter().filter(|each| each["type"] != "null").cloned().collect();
        if let [only] = &rest[..] {
            *schema = only.clone();
        }
    }
}

/// The errors that a route shares with others or names by their codes, and everyone's headers.
fn responses(document: &Value, path: &str, operation: &mut Value) {
    let mut codes = errors::of_route(path, operation);
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in &*responses {
        let named = response["description"].as_str().and_then(errors::named);
        if let (Ok(status), Some(named)) = (status.parse(), named) {
            codes.entry(status).or_default().extend(named);
        }
    }
    for (status, codes) in codes {
        let mut response = errors::response(&codes);
        response["x-name"] = Value::from(errors::name(&codes));
        responses.insert(status.to_string(), response);
    }
    let tagged = responses.contains_key("304");
    for (status, response) in responses {
        let header = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
        let mut headers = match response["headers"].take() {
            Value::Object(headers) => headers,
            _ => Map::new(),
        };
        headers.insert("X-Request-Id".into(), header("What the log says more under."));
        if tagged && matches!(status.as_str(), "200" | "304") {
            headers.insert("ETag".into(), header("Of these very bytes, for `If-None-Match`."));
        }
        let schema = &response["content"]["application/json"]["schema"]["$ref"];
        let page = schema.as_str().and_then(|path| document.pointer(path.strip_prefix('#')?));
        if page.is_some_and(|page| page["properties"].get("next_cursor").is_some()) {
            headers.insert("Link".into(), header("The next page, as `rel=\"next\"`."));
        }
        if status == "304" {
            response["description"] = json!("It is what `If-None-Match` names.");
        }
        response["headers"] = headers.into();
        if response["content"].is_null()
            && let Some(members) = response.as_object_mut()
        {
            members.remove("content");
        }
    }
}

fn examples_of_bodies(document: &Value, operation: &mut Value) {
    let complete = |content: &mut Value| {
        for media in content.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if media.get("example").is_none()
                && media.get("examples").is_none()
                && let Some(example) = examples::of(document, "", &media["schema"])
            {
                media["example"] = example;
            }
        }
    };
    if let Some(body) = operation.get_mut("requestBody") {
        complete(&mut body["content"]);
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(content) = response.get_mut("content") {
            complete(content);
        }
    }
}

/// What is the same in several operations is told once, among the components.
fn share(document: &mut Value, kind: &str, name: impl Fn(&Value) -> Option<String>) {
    let mut uses: BTreeMap<String, (String, usize)> = BTreeMap::new();
    each_operation(document, |_, _, operation| {
        each_part(operation, kind, |part| {
            if let Some(name) = name(part) {
                uses.entry(part.to_string()).or_insert((name, 0)).1 += 1;
            }
        });
    });
    let mut shared = Map::new();
    let mut names = BTreeMap::new();
    for (text, (name, count)) in uses {
        if count < 2 {
            continue;
        }
        // Two that differ and share a name: an `id` of this and of that.
        let taken =
            (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}_{number}") });
        let Some(free) = taken.into_iter().find(|name| !shared.contains_key(name)) else {
            continue;
        };
        let mut part: Value = serde_json::from_str(&text).unwrap_or_default();
        unmark(&mut part);
        shared.insert(free.clone(), part);
        names.insert(text, free);
    }
    each_operation(document, |_, _, operation| {
        each_part(operation, kind, |part| match names.get(&part.to_string()) {
            Some(name) => *part = json!({ "$ref": format!("#/components/{kind}/{name}") }),
            None => unmark(part),
        });
    });
    document["components"][kind] = shared.into();
}

fn unmark(part: &mut Value) {
    if let Some(members) = part.as_object_mut() {
        members.remove("x-name");
    }
}

fn each_part(operation: &mut Value, kind: &str, mut change: impl FnMut(&mut Value)) {
    match operation.get_mut(kind) {
        Some(Value::Object(parts)) => parts.values_mut().for_each(&mut change),
        Some(Value::Array(parts)) => parts.iter_mut().for_each(&mut change),
        _ => {}
    }
}
