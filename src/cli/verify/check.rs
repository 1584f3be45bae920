//! One session: what the ledger says against what the API says.

use anyhow::ensure;

use super::api::Api;
use super::expected::{Conversation, Fingerprint, Place};

/// What is wrong, over some sessions.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// In the ledger, and not to be read back: where the ledger has them.
    pub(super) missing: Vec<Place>,
    /// To be read back more than once: how many too many, and in which session.
    pub(super) doubled: u64,
    pub(super) doubled_in: Vec<String>,
    /// Sessions whose `message_count` is not the number of their messages, and how.
    pub(super) miscounted: Vec<String>,
}

impl Findings {
    /// Takes over another session's.
    pub(super) fn add(&mut self, other: Self) {
        self.missing.extend(other.missing);
        self.doubled += other.doubled;
        self.doubled_in.extend(other.doubled_in);
        self.miscounted.extend(other.miscounted);
    }

    /// Nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.doubled == 0 && self.miscounted.is_empty()
    }
}

/// Reads a session back.
pub(super) async fn check(api: &Api, expected: Conversation) -> anyhow::Result<Findings> {
    let Conversation { agent_id, session_id, join, messages } = expected;
    let Some(session) = api.session(&agent_id, &session_id).await? else {
        let missing = join.into_iter().chain(messages.into_iter().map(|(_, place)| place));
        return Ok(Findings { missing: missing.collect(), ..Findings::default() });
    };
    let mut found = read_back(api, &agent_id, &session_id).await?;
    let mut findings = Findings::default();
    if session.opened_by != "room.join" {
        findings.missing.extend(join);
    }
    let count = found.len() as u64;
    if session.message_count != count {
        let says = session.message_count;
        findings.miscounted.push(format!(
            "session {session_id} of {agent_id} says {says} messages and has {count}"
        ));
    }
    compare(&messages, &mut found, &mut findings);
    if findings.doubled > 0 {
        let times = findings.doubled;
        findings.doubled_in.push(format!("session {session_id} of {agent_id}: {times}"));
    }
    Ok(findings)
}

/// Every message of a session, page by page.
async fn read_back(
    api: &Api,
    agent_id: &str,
    session_id: &str,
) -> anyhow::Result<Vec<Fingerprint>> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let (messages, next) = api.messages(agent_id, session_id, cursor.as_deref()).await?;
        found.extend(messages.into_iter().map(|message| {
            Fingerprint::of(&message.role, &message.message, message.timestamp.timestamp_micros())
        }));
        if next.is_none() {
            return Ok(found);
        }
        ensure!(next != cursor, "the pages of session {session_id:?} go round in a circle");
        cursor = next;
    }
}

/// `expected` is ordered, and holds nothing twice.
fn compare(
    expected: &[(Fingerprint, Place)],
    found: &mut Vec<Fingerprint>,
    findings: &mut Findings,
) {
    found.sort_unstable();
    let all = found.len();
    found.dedup();
    findings.doubled += (all - found.len()) as u64;
    let lost = expected.iter().filter(|(message, _)| found.binary_search(message).is_err());
    findings.missing.extend(lost.map(|(_, place)| *place));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_must_be_there_once_and_more_messages_may_be() {
        let of = |text: &str| Fingerprint::of("user", text, 0);
        let mut expected = vec![(of("one"), 1), (of("two"), 2), (of("three"), 3)];
        expected.sort_unstable();
        let mut found = vec![of("extra"), of("three"), of("one"), of("one"), of("one")];
        let mut findings = Findings::default();
        compare(&expected, &mut found, &mut findings);
        assert_eq!((findings.missing, findings.doubled), (vec![2], 2));
    }
}
