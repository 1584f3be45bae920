//! The oracle: compares the database with the ledger. It reads the tables, and shares no code with
//! the service.

use std::collections::{HashMap, HashSet};

use anyhow::bail;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::delivery::{Content, Event, Sha};
use super::ledger::{Entry, Ledger};

/// Examples of each fault in a message.
const EXAMPLES: usize = 3;

/// Name of the finding for lost deliveries.
const LOST: &str = "answered 200 and lost";

/// Findings of the oracle.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Answered 200, and not stored.
    pub(crate) lost: usize,
    /// Lost deliveries.
    pub(crate) missing: Vec<Sha>,
    /// Stored more than once.
    pub(crate) doubled: usize,
    /// Texts of the findings, with the first examples of each.
    wrong: Vec<String>,
}

impl Verdict {
    /// Fails if there is any finding.
    pub(crate) fn ensure_clean(&self) -> anyhow::Result<()> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        bail!("{}", self.wrong.join("; "))
    }

    /// Fails if there is any finding except losses: damage by the suite can cost answered
    /// deliveries.
    pub(crate) fn ensure_clean_except_losses(&self) -> anyhow::Result<()> {
        let wrong: Vec<&str> =
            self.wrong.iter().map(String::as_str).filter(|what| !what.contains(LOST)).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        bail!("{}", wrong.join("; "))
    }

    fn add(&mut self, what: &str, found: &[String]) -> usize {
        if !found.is_empty() {
            let examples = found.iter().take(EXAMPLES).cloned().collect::<Vec<_>>().join(", ");
            self.wrong.push(format!("{} {what}: {examples}", found.len()));
        }
        found.len()
    }
}

/// A row of the log of deliveries.
#[derive(sqlx::FromRow)]
struct Logged {
    id: Uuid,
    source: String,
    generation: Option<String>,
    event_type: Option<String>,
    outcome: String,
    sha: Vec<u8>,
}

impl Logged {
    /// Returns true if source, contract and type are those of the content.
    fn matches(&self, content: &Content) -> bool {
        self.source == content.source()
            && self.generation.as_deref() == Some(content.contract.generation())
            && self.event_type.as_deref() == Some(content.event_type)
    }
}

/// A message, a join or another event, with its session if it has one.
#[derive(sqlx::FromRow)]
struct StoredEvent {
    delivery_id: Uuid,
    session_id: Option<String>,
    agent_id: Option<String>,
    event_type: String,
    /// Only of messages.
    role: Option<String>,
    /// Text of a message, or reason of an end.
    text: Option<String>,
}

impl StoredEvent {
    /// Returns true if the event is that of the content.
    fn matches(&self, content: &Content) -> bool {
        let (role, text) = match &content.event {
            Event::Message { role, message } => (Some(*role), Some(message)),
            Event::End { reason } => (None, Some(reason)),
            Event::Join | Event::Account | Event::Unknown => (None, None),
            // A test delivery must be in the log only.
            Event::Test => return false,
        };
        self.role.as_deref() == role
            && self.text.as_ref() == text
            && self.event_type == content.event_type
            && self.session_id == content.session_id
            && self.agent_id.as_ref() == Some(&content.agent_id)
    }
}

/// Compares log, events and figures with the ledger.
pub(crate) async fn check(database: &mut PgConnection, ledger: &Ledger) -> anyhow::Result<Verdict> {
    let entries = ledger.entries();
    let mut verdict = Verdict::default();
    let logged = check_log(database, &entries, &mut verdict).await?;
    check_events(database, &entries, &logged, &mut verdict).await?;
    let miscounted = miscounted(database).await?;
    verdict.add("miscounted", &miscounted);
    Ok(verdict)
}

/// Checks the log. Returns the IDs of its deliveries, without duplicates.
async fn check_log(
    database: &mut PgConnection,
    entries: &HashMap<Sha, Entry>,
    verdict: &mut Verdict,
) -> anyhow::Result<HashMap<Uuid, Sha>> {
    let rows: Vec<Logged> = sqlx::query_as(
        "SELECT id, source, generation, event_type, outcome, sha256(body) AS sha FROM deliveries",
    )
    .fetch_all(database)
    .await?;
    let (mut stored, mut ids) = (HashMap::<Sha, usize>::new(), HashMap::new());
    let (mut strangers, mut misfiled, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let sha: Sha = row.sha.as_slice().try_into()?;
        match entries.get(&sha) {
            None => strangers.push(format!("{} ({})", row.id, row.outcome)),
            Some(entry) if !row.matches(&entry.content) => misfiled.push(format!(
                "{} as {:?} of generation {:?} in source {}",
                row.id, row.event_type, row.generation, row.source
            )),
            Some(entry) if row.outcome == entry.content.event.outcome() => {
                *stored.entry(sha).or_default() += 1;
                ids.insert(row.id, sha);
            }
            Some(_) if row.outcome == "duplicate" => {}
            Some(_) => outcomes.push(format!("{} is {}", row.id, row.outcome)),
        }
    }
    verdict.add("stored that were never sent", &strangers);
    verdict.add("logged as something else", &misfiled);
    verdict.add("with a wrong outcome", &outcomes);
    let is_lost = |(sha, entry): &(&Sha, &Entry)| entry.answered && !stored.contains_key(*sha);
    verdict.missing = entries.iter().filter(is_lost).map(|(sha, _)| *sha).collect();
    let lost: Vec<String> = verdict.missing.iter().map(|sha| hex::encode(&sha[..8])).collect();
    verdict.lost = verdict.add(LOST, &lost);
    let doubled: Vec<String> = stored
        .iter()
        .filter(|&(_, &count)| count > 1)
        .map(|(sha, count)| format!("{} {count} times", hex::encode(&sha[..8])))
        .collect();
    verdict.doubled = verdict.add("stored more than once", &doubled);
    Ok(ids)
}

/// Checks messages, joins and other events: one with the right content for each logged delivery,
/// and none for the Test button.
async fn check_events(
    database: &mut PgConnection,
    entries: &HashMap<Sha, Entry>,
    logged: &HashMap<Uuid, Sha>,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let stored: Vec<StoredEvent> = sqlx::query_as(
        "SELECT m.delivery_id, s.sender_session_id AS session_id, s.agent_id,
                'chat.push' AS event_type, m.role, m.message AS text
         FROM messages m LEFT JOIN sessions s ON s.id = m.session_id
         UNION ALL
         SELECT j.delivery_id, s.sender_session_id, s.agent_id, 'room.join', NULL, NULL
         FROM joins j LEFT JOIN sessions s ON s.id = j.session_id
         UNION ALL
         SELECT o.delivery_id, s.sender_session_id, o.agent_id, o.event_type, NULL, s.end_reason
         FROM other_events o LEFT JOIN sessions s ON s.id = o.session_id",
    )
    .fetch_all(database)
    .await?;
    let (mut seen, mut doubled, mut wrong) = (HashSet::new(), Vec::new(), Vec::new());
    for one in stored {
        let id = one.delivery_id;
        let Some((sha, entry)) = logged.get(&id).and_then(|sha| Some((sha, entries.get(sha)?)))
        else {
            wrong.push(format!("{id} belongs to a delivery that is not logged"));
            continue;
        };
        if !seen.insert(*sha) {
            doubled.push(id.to_string());
        }
        if !one.matches(&entry.content) {
            wrong.push(format!("{id} differs from what was sent"));
        }
    }
    let missing: Vec<String> = logged
        .iter()
        .filter(|(_, sha)| !seen.contains(*sha))
        .filter(|(_, sha)| entries.get(*sha).is_some_and(|one| one.content.event != Event::Test))
        .map(|(id, _)| id.to_string())
        .collect();
    verdict.lost += verdict.add("logged and not there", &missing);
    verdict.doubled += verdict.add("recorded more than once", &doubled);
    verdict.add("wrong", &wrong);
    Ok(())
}

/// Returns sessions and agents whose figures differ from their messages.
async fn miscounted(database: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT 'session ' || s.id
         FROM sessions s
         LEFT JOIN (
             SELECT session_id, count(*) AS all_of_them,
                    count(*) FILTER (WHERE role = 'user') AS user_s,
                    count(*) FILTER (WHERE role = 'assistant') AS assistant_s
             FROM messages GROUP BY session_id
         ) m ON m.session_id = s.id
         WHERE (s.message_count, s.user_message_count, s.assistant_message_count)
            <> (coalesce(m.all_of_them, 0), coalesce(m.user_s, 0), coalesce(m.assistant_s, 0))
         UNION ALL
         SELECT 'agent ' || coalesce(a.agent_id, s.agent_id)
         FROM agents a
         FULL JOIN (
             SELECT agent_id, count(*) AS sessions, sum(message_count) AS messages
             FROM sessions GROUP BY agent_id
         ) s ON s.agent_id = a.agent_id
         WHERE (a.session_count, a.message_count) IS DISTINCT FROM (s.sessions, s.messages)",
    )
    .fetch_all(database)
    .await?;
    Ok(rows)
}
