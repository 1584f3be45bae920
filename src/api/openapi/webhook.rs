//! The webhook in the document: its body, which is the sender's, and its second address.

use serde_json::{Value, json};

/// Describes what the annotation at the handler cannot.
pub(super) fn describe(document: &mut Value) {
    document["components"]["schemas"]["WebhookDelivery"] = delivery();
    let item = &mut document["paths"]["/webhook/{source}"];
    let operation = &mut item["post"];
    operation["security"] = json!([{ "signature": [] }]);
    operation["requestBody"] = json!({
        "required": true,
        "description": "What the sender has to tell, at most 1 MiB unless set otherwise. Whatever \
            its `Content-Type`, it is read as JSON.",
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/WebhookDelivery" },
            "examples": {
                "message": { "summary": "Something was said", "value": message() },
                "join": { "summary": "A conversation begins", "value": join() },
                "test": { "summary": "The dashboard's Test button", "value": { "event_type": "test" } },
            },
        } },
    });
    let mut default = item.clone();
    default["post"]["summary"] = json!("Takes a delivery of the source `default`.");
    document["paths"]["/webhook"] = default;
}

fn message() -> Value {
    json!({
        "event_type": "chat.push", "agent_id": "A80HVD8577", "timestamp": 1_790_607_253.895_697,
        "data": {
            "session_id": "A80HVD8577_5f3c1a", "role": "user",
            "message": "What are your opening hours?", "timestamp": 1_790_607_253.5,
        },
    })
}

fn join() -> Value {
    json!({
        "event_type": "room.join", "agent_id": "A80HVD8577", "timestamp": 1_790_607_240.25,
        "data": {
            "room_name": "room-5f3c1a", "participant_count": 2, "session_id": "A80HVD8577_5f3c1a",
        },
    })
}

/// As today's sender writes it. Older spellings are read, too, and are not promised.
fn delivery() -> Value {
    let id = |what: &str| {
        json!({
            "description": what,
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "number" }],
        })
    };
    let about = |data: Value, required: &[&str], event: &str, what: &str| {
        json!({
            "type": "object",
            "description": what,
            "required": ["event_type", "agent_id", "data"],
            "properties": {
                "event_type": { "type": "string", "const": event },
                "agent_id": id("Whose conversation."),
                "timestamp": { "description": "When it was sent, in Unix seconds. What makes no sense as a time is ignored." },
                "data": { "type": "object", "required": required, "properties": data },
            },
        })
    };
    let said = json!({
        "session_id": id("The conversation."),
        "role": { "type": "string", "minLength": 1, "description": "Who: `user` or `assistant`." },
        "message": { "type": "string", "description": "What." },
        "timestamp": { "description": "When, in Unix seconds; it orders the conversation." },
    });
    let joined = json!({
        "session_id": id("The conversation."),
        "room_name": { "description": "The room." },
        "participant_count": { "description": "How many are there." },
    });
    json!({
        "description": "Any event of the sender's. What is not known is kept as it is.",
        "anyOf": [
            about(said, &["session_id", "role", "message"], "chat.push", "Something was said."),
            about(joined, &["session_id"], "room.join", "A conversation begins."),
            {
                "type": "object",
                "description": "Any other event: a test, one of the account, or one to come.",
                "required": ["event_type"],
                "properties": { "event_type": {
                    "type": "string", "minLength": 1,
                    "not": { "enum": [
                        "chat.push", "chat_push", "room.join", "room_join", "session.end", "session_end",
                    ] },
                } },
            },
        ],
    })
}
