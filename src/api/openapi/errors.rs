//! What can go wrong, as the document tells it: a problem (RFC 9457) for each code.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;

use crate::problem::{Code, Problem};

/// A request's id.
const REQUEST_ID: &str = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64";

/// Codes by status.
pub(super) type Codes = BTreeMap<u16, Vec<Code>>;

/// The problem's schema, beside that of its `code`.
pub(super) fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What is wrong, and what to do about it (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "description": "`urn:verbatim:problem:` and the code." },
            "title": { "type": "string", "description": "The same for every problem of this code." },
            "status": { "type": "integer", "description": "The answer's status." },
            "detail": { "type": "string", "description": "What is wrong here, and what to do." },
            "code": { "$ref": "#/components/schemas/Code" },
            "request_id": { "type": "string", "description": "What the log says more under." },
            "field": { "type": "string", "description": "Of a delivery: the field at fault." },
            "outcome": { "type": "string", "description": "Of a delivery: what it is." },
            "sessions": {
                "type": "array",
                "description": "With `ambiguous_session`: those that are meant perhaps.",
                "items": {
                    "type": "object",
                    "required": ["id", "agent_id", "source"],
                    "properties": {
                        "id": { "type": "string", "format": "uuid" },
                        "agent_id": { "type": "string" },
                        "source": { "type": "string" },
                    },
                },
            },
        },
    })
}

/// The schema of `code`: every one there is.
pub(super) fn codes() -> Value {
    serde_json::to_value(Code::schema()).unwrap_or_default()
}

/// What goes wrong on every route like this one.
pub(super) fn of_route(path: &str, operation: &Value) -> Codes {
    let mut codes = Codes::new();
    let mut may = |code: Code| codes.entry(code.status().as_u16()).or_default().push(code);
    let has_key = operation["security"].as_array().is_some_and(|all| !all.is_empty());
    if !has_key || path.starts_with("/webhook") {
        return codes;
    }
    for code in [
        Code::MissingCredentials,
        Code::InvalidKey,
        Code::Forbidden,
        Code::RateLimited,
        Code::Internal,
        Code::Unavailable,
    ] {
        may(code);
    }
    if path.starts_with("/v1/") {
        may(Code::InvalidParameter);
        let mut params = operation["parameters"].as_array().into_iter().flatten();
        if params.any(|param| param["name"] == "cursor") {
            may(Code::InvalidCursor);
        }
        if path.contains('{') {
            may(Code::NotFound);
        }
        if path.starts_with("/v1/sessions/{") {
            may(Code::AmbiguousSession);
        }
    }
    codes
}

/// The codes that an annotation names in place of a description: `conflict unreadable_delivery`.
pub(super) fn named(description: &str) -> Option<Vec<Code>> {
    let code = |word: &str| serde_json::from_value(Value::from(word)).ok();
    let codes: Option<Vec<Code>> = description.split(' ').map(code).collect();
    codes.filter(|codes| !codes.is_empty())
}

/// What these codes share by name: `InvalidKeyOrForbidden`.
pub(super) fn name(codes: &[Code]) -> String {
    codes.iter().map(|code| format!("{code:?}")).collect::<Vec<_>>().join("Or")
}

/// The answer that tells one of these codes.
pub(super) fn response(codes: &[Code]) -> Value {
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| {
            let problem = Problem::new(*code, detail(*code));
            let body = serde_json::to_value(problem.body(REQUEST_ID)).unwrap_or_default();
            let word = body["code"].as_str().unwrap_or_default().to_owned();
            (word, json!({ "summary": code.title(), "value": body }))
        })
        .collect();
    let titles: Vec<_> = codes.iter().map(|code| code.title()).collect();
    let mut headers = Map::new();
    let text = json!({ "type": "string" });
    if codes.iter().any(|code| code.status().as_u16() == 401) {
        let challenge = "How to send a key.";
        headers
            .insert("WWW-Authenticate".into(), json!({ "description": challenge, "schema": text }));
    }
    if codes.iter().any(|code| [429, 503].contains(&code.status().as_u16())) {
        let seconds = json!({ "type": "integer", "minimum": 0 });
        let when = "When to come back, in seconds.";
        headers.insert("Retry-After".into(), json!({ "description": when, "schema": seconds }));
    }
    json!({
        "description": format!("{}.", titles.join("; or: ")),
        "headers": headers,
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": examples,
        } },
    })
}

/// An example of each.
fn detail(code: Code) -> &'static str {
    match code {
        Code::InvalidSignature => "The signature does not match any secret of this source.",
        Code::MissingCredentials => {
            "Send an API key, as `Authorization: Bearer <key>` or as `X-API-Key: <key>`."
        }
        Code::InvalidKey => "This key has expired.",
        Code::Forbidden => "This key lacks the scope `read`.",
        Code::NotFound => "There is no such session.",
        Code::MethodNotAllowed => "PUT is not possible here. Possible: GET, HEAD.",
        Code::AmbiguousSession => {
            "Several sessions have this id: say which with `agent_id` (and `source`), or ask with \
             its own `id`."
        }
        Code::Conflict => "Only what is in quarantine can be retried; this is `stored`.",
        Code::InvalidParameter => "`limit` is a whole number from 1 to 500.",
        Code::InvalidCursor => "The cursor belongs to other filters; begin again without it.",
        Code::TooManyBuckets => {
            "An answer has 5000 rows at the most, groups included. `bucket=hour` fits."
        }
        Code::PayloadTooLarge => {
            "A delivery has 1048576 bytes at most; VERBATIM_MAX_BODY raises the limit."
        }
        Code::RequestTimeout => "The body was not complete after 30 seconds; nothing was stored.",
        Code::UnreadableDelivery => {
            "The field data.session_id: it is missing. The bytes are kept in quarantine."
        }
        Code::RateLimited => {
            "These credentials are missing or wrong, and so were many others from this address; \
             the first answers and the log say what is wrong."
        }
        Code::NotDurable => "The delivery was not stored; send it again.",
        Code::Unavailable => "The service cannot answer this now; try again shortly.",
        Code::Internal => "The log tells more under this request id.",
    }
}
