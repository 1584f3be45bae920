//! Adds to the document what holds for all routes: names of operations, ways to send a key, IDs in
//! paths, and headers. Equal parts become shared components.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::{examples, webhook};

/// Methods of paths.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Returns the whole document.
pub(super) fn complete(routes: OpenApi) -> Value {
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    name_pages(&mut document);
    document["components"]["securitySchemes"] = security_schemes();
    webhook::describe(&mut document);
    let parts = document.clone();
    each_operation(&mut document, |method, path, operation| {
        operation["operationId"] = Value::from(name(method, path));
        parameters(path, operation);
        security(operation);
        headers(&parts, operation);
        examples_of_bodies(&parts, operation);
    });
    share(&mut document, "responses", |response| response["x-name"].as_str().map(str::to_owned));
    share(&mut document, "parameters", |parameter| parameter["name"].as_str().map(str::to_owned));
    document
}

/// Calls a function with each operation, its method and path.
fn each_operation(document: &mut Value, mut change: impl FnMut(&str, &str, &mut Value)) {
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method) {
                change(method, path, operation);
            }
        }
    }
}

/// Returns the name of an operation in generated clients and links: `get_sessions_session_id`.
fn name(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| !word.is_empty() && *word != "v1");
    words.fold(method.to_owned(), |name, word| format!("{name}_{word}"))
}

/// Renames `Page_Message` to `MessagePage`.
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

/// Returns the ways to authenticate.
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
            "description": "The same key, where a proxy uses `Authorization`.",
        },
        "browser_session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-verbatim_session",
            "description": "Cookie that `POST /v1/browser-session` sets; without HTTPS its name is \
                `verbatim_session`. A key in a header takes precedence. A request that changes \
                something and has the cookie needs `Sec-Fetch-Site: same-origin` or the `Origin` of \
                this service.",
        },
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "X-bitHuman-Signature",
            "description": "For the webhook: `sha256=` and the hexadecimal HMAC-SHA256 of the body \
                under the source's secret; with `X-bitHuman-Timestamp` of `{timestamp}.{body}`. A \
                source can require other headers instead, or as well, such as `Authorization: \
                Bearer` and `X-API-Key`.",
        },
    })
}

/// Adds the ways to send a key with one of the scopes, and the scopes to the description.
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

/// Adds the IDs of the path, and the header of a conditional request.
fn parameters(path: &str, operation: &mut Value) {
    let mut all = match operation["parameters"].take() {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let ids = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    for (id, _) in ids {
        let (description, example) = about_id(id, path);
        all.retain(|param| param["name"] != id || param["in"] != "path");
        all.push(json!({
            "name": id, "in": "path", "required": true, "description": description,
            "schema": { "type": "string", "minLength": 1 }, "example": example,
        }));
    }
    if operation["responses"].get("304").is_some() {
        all.push(json!({
            "name": "If-None-Match", "in": "header", "schema": { "type": "string" },
            "description": "`ETag` of an earlier answer; the answer is 304 if it has not changed.",
            "example": "\"kE8Qv0m2Yw1nJ4rT6uXz9A\"",
        }));
    }
    for param in all.iter_mut().filter(|param| param["in"] == "query") {
        limit_text(&mut param["schema"]);
    }
    let Some(members) = operation.as_object_mut() else { return };
    members.remove("parameters");
    if !all.is_empty() {
        members.insert("parameters".into(), all.into());
    }
}

/// Returns the description and an example of an ID in a path.
fn about_id(id: &str, path: &str) -> (&'static str, &'static str) {
    const UUID: &str = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64";
    match id {
        "agent_id" => ("The sender's code for the agent.", "A80HVD8577"),
        "session_id" => {
            ("The sender's id of the session, or our own `id` of it.", "A80HVD8577_5f3c1a")
        }
        "source" => ("A source's name, as in the settings.", "default"),
        "name" => ("Its name, of 1 to 100 characters.", "dashboard"),
        _ if path.starts_with("/v1/keys") => ("The key's `id`.", UUID),
        _ => ("Its `id`.", UUID),
    }
}

/// Adds the limits of every text in a query: it is not empty, and without U+0000.
fn limit_text(schema: &mut Value) {
    let list = schema["type"] == "array";
    let one = if list { &mut schema["items"] } else { schema };
    let is_plain = one.get("pattern").is_none() && one.get("enum").is_none();
    if one["type"] == "string" && is_plain {
        one["minLength"] = json!(1);
        one["pattern"] = json!("^[^\\u0000]+$");
    }
}

/// Adds the headers of all answers, of tagged ones, and of pages.
fn headers(document: &Value, operation: &mut Value) {
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    let is_tagged = responses.contains_key("304");
    for (status, response) in responses {
        let header = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
        let mut headers = match response["headers"].take() {
            Value::Object(headers) => headers,
            _ => Map::new(),
        };
        headers.insert("X-Request-Id".into(), header("ID under which the log has more."));
        if is_tagged && matches!(status.as_str(), "200" | "304") {
            headers.insert("ETag".into(), header("Tag of these bytes, for `If-None-Match`."));
        }
        let schema = &response["content"]["application/json"]["schema"]["$ref"];
        let page = schema.as_str().and_then(|path| document.pointer(path.strip_prefix('#')?));
        if page.is_some_and(|page| page["properties"].get("next_cursor").is_some()) {
            headers.insert("Link".into(), header("The next page, as `rel=\"next\"`."));
        }
        if status == "304" {
            response["description"] =
                json!("The answer that `If-None-Match` names is still valid.");
        }
        response["headers"] = headers.into();
        if response["content"].is_null()
            && let Some(members) = response.as_object_mut()
        {
            members.remove("content");
        }
    }
}

/// Adds an example of each body that has none.
fn examples_of_bodies(document: &Value, operation: &mut Value) {
    let complete = |content: &mut Value| {
        for media in content.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if media.get("example").is_none()
                && media.get("examples").is_none()
                && let Some(example) = examples::of(document, &media["schema"])
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

/// Moves parts that several operations share into the components.
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
    for (text, (name, _)) in uses.into_iter().filter(|(_, (_, count))| *count > 1) {
        // Different parts can have the same name, such as `id`.
        let numbered =
            (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}_{number}") });
        let Some(free) = numbered.into_iter().find(|name| !shared.contains_key(name)) else {
            continue;
        };
        let mut part: Value = serde_json::from_str(&text).unwrap_or_default();
        remove_name(&mut part);
        shared.insert(free.clone(), part);
        names.insert(text, free);
    }
    each_operation(document, |_, _, operation| {
        each_part(operation, kind, |part| match names.get(&part.to_string()) {
            Some(name) => *part = json!({ "$ref": format!("#/components/{kind}/{name}") }),
            None => remove_name(part),
        });
    });
    document["components"][kind] = shared.into();
}

fn remove_name(part: &mut Value) {
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
