//! Comparison of one session in the ledger with the API.

use anyhow::ensure;

use super::api::Api;
use super::expected::{Conversation, Fingerprint, Place};

/// Faults of some sessions.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Places in the ledger of deliveries that the API does not have.
    pub(super) missing: Vec<Place>,
    /// Number of messages that the API has more than once, without the first of each.
    pub(super) duplicates: u64,
    /// Description of each session with duplicates.
    pub(super) duplicates_in: Vec<String>,
    /// Description of each session whose `message_count` is not the number of its messages.
    pub(super) miscounted: Vec<String>,
}

impl Findings {
    /// Adds the faults of other sessions.
    pub(super) fn add(&mut self, other: Self) {
        self.missing.extend(other.missing);
        self.duplicates += other.duplicates;
        self.duplicates_in.extend(other.duplicates_in);
        self.miscounted.extend(other.miscounted);
    }

    /// Returns true if there is no fault.
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.duplicates == 0 && self.miscounted.is_empty()
    }
}

/// Reads a session and compares it.
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
        let reported = session.message_count;
        findings.miscounted.push(format!(
            "session {session_id} of {agent_id} reports {reported} messages and has {count}"
        ));
    }
    compare(&messages, &mut found, &mut findings);
    if findings.duplicates > 0 {
        let duplicates = findings.duplicates;
        findings.duplicates_in.push(format!("session {session_id} of {agent_id}: {duplicates}"));
    }
    Ok(findings)
}

/// Reads every message of a session, page by page.
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
        ensure!(next != cursor, "the next cursor of session {session_id:?} is the same again");
        cursor = next;
    }
}

/// Compares messages. `expected` must be sorted, without duplicates.
fn compare(
    expected: &[(Fingerprint, Place)],
    found: &mut Vec<Fingerprint>,
    findings: &mut Findings,
) {
    found.sort_unstable();
    let all = found.len();
    found.dedup();
    findings.duplicates += (all - found.len()) as u64;
    let lost = expected.iter().filter(|(message, _)| found.binary_search(message).is_err());
    findings.missing.extend(lost.map(|(_, place)| *place));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expected_message_must_be_stored_once() {
        let of = |text: &str| Fingerprint::of("user", text, 0);
        let mut expected = vec![(of("one"), 1), (of("two"), 2), (of("three"), 3)];
        expected.sort_unstable();
        let mut found = vec![of("extra"), of("three"), of("one"), of("one"), of("one")];
        let mut findings = Findings::default();
        compare(&expected, &mut found, &mut findings);
        assert_eq!((findings.missing, findings.duplicates), (vec![2], 2));
    }
}
