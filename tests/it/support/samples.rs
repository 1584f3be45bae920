//! The sender's deliveries, in every generation of its contract.

/// One delivery of each kind, except for the dashboard's test.
pub(crate) const SAMPLES: [&str; 9] = [
    include_str!("../../payloads/a-room-join.json"),
    include_str!("../../payloads/a-chat-push.json"),
    include_str!("../../payloads/a-session-end.json"),
    include_str!("../../payloads/b-room-join.json"),
    include_str!("../../payloads/b-chat-push.json"),
    include_str!("../../payloads/c-chat-push.json"),
    include_str!("../../payloads/d-room-join.json"),
    include_str!("../../payloads/d-chat-push.json"),
    include_str!("../../payloads/account-agent-ready.json"),
];
