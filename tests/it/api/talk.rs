//! Conversations as the sender reports them, written as the drain writes them.

use std::borrow::Cow;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use uuid::Uuid;
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SessionId, SourceName};
use verbatim::store::ingest::{self, write};

use super::app::{TestApi, at};

/// The deliveries of one conversation, in the order in which they are added.
pub(crate) struct Conversation<'a> {
    agent: &'a str,
    session: &'a str,
    source: SourceName,
    arrivals: Vec<Arrival>,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(agent: &'a str, session: &'a str) -> Self {
        Self { agent, session, source: SourceName::default(), arrivals: Vec::new() }
    }

    pub(crate) fn from(source: &str, agent: &'a str, session: &'a str) -> Self {
        Self { source: SourceName::parse(source).unwrap(), ..Self::new(agent, session) }
    }

    /// Adds a `room.join`, `second` seconds after [`super::app::now`].
    pub(crate) fn join(self, second: i64) -> Self {
        self.join_room(second, None)
    }

    pub(crate) fn join_room(self, second: i64, room: Option<&str>) -> Self {
        let data = json!({ "session_id": self.session, "room_name": room });
        self.add(second, second, &json!({ "event_type": "room.join", "data": data }), true)
    }

    /// Adds a message that arrives at once.
    pub(crate) fn message(self, second: i64, role: &str, text: &str) -> Self {
        self.arrive(second, second, role, text)
    }

    /// Adds a message that arrives at another time.
    pub(crate) fn arrive(self, second: i64, received: i64, role: &str, text: &str) -> Self {
        let data = json!({ "session_id": self.session, "role": role, "message": text });
        self.add(second, received, &json!({ "event_type": "chat.push", "data": data }), true)
    }

    /// Adds a message without a time.
    pub(crate) fn undated_message(self, received: i64, role: &str, text: &str) -> Self {
        let data = json!({ "session_id": self.session, "role": role, "message": text });
        self.add(received, received, &json!({ "event_type": "chat.push", "data": data }), false)
    }

    /// Adds the sender's end of the conversation.
    pub(crate) fn end(self, second: i64) -> Self {
        let body = json!({
            "event": "session_end", "sessionId": self.session,
            "session": { "endReason": "user_disconnect" },
        });
        self.add(second, second, &body, true)
    }

    fn add(mut self, second: i64, received: i64, body: &Value, dated: bool) -> Self {
        let mut body = body.clone();
        body["agent_id"] = self.agent.into();
        if dated {
            body["timestamp"] = at(second).timestamp().into();
        }
        self.arrivals.push(Arrival {
            id: DeliveryId::new(at(received)),
            received_at: at(received),
            source: self.source.clone(),
            evidence: Evidence::default(),
            body: body.to_string().into(),
        });
        self
    }

    /// Returns our ID of it.
    pub(crate) fn id(&self) -> Uuid {
        SessionId::of(&self.source, self.agent, self.session).0
    }

    /// Stores it, and returns our ID.
    pub(crate) async fn store(self, api: &TestApi) -> Uuid {
        let row = |arrival| ingest::Row { arrival, read: Cow::Owned(decode(arrival)) };
        let rows: Vec<_> = self.arrivals.iter().map(row).collect();
        let mut connection = api.database.options().connect().await.unwrap();
        write(&mut connection, &rows).await.unwrap();
        self.id()
    }
}
