//! The oracle: holds the database against the ledger. It reads the tables themselves, and shares
//! no code with the service.

use std::collections::{HashMap, HashSet};

use anyhow::bail;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::delivery::{Event, Sha};
use super::ledger::{Entry, Ledger};

/// As many examples of each fault are shown.
const EXAMPLES: usize = 3;

/// What is said of deliveries that are lost.
const LOST: &str = "answered 200 and lost";

/// What it found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Answered 200, and not stored.
    pub(crate) lost: usize,
    /// Stored more than once.
    pub(crate) doubled: usize,
    /// In words, the first few of each kind.
    wrong: Vec<String>,
}

impl Verdict {
    /// An error where anything is wrong.
    pub(crate) fn hold(&self) -> anyhow::Result<()> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        bail!("{}", self.wrong.join("; "))
    }

    /// The same, where damage of the suite's own may have cost deliveries that were answered.
    pub(crate) fn hold_but_lost(&self) -> anyhow::Result<()> {
        let wrong: Vec<&str> =
            self.wrong.iter().map(String::as_str).filter(|what| !what.contains(LOST)).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        bail!("{}", wrong.join("; "))
    }

    fn note(&mut self, what: &str, found: &[String]) -> usize {
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
    outcome: String,
    sha: Vec<u8>,
}

/// A message or a join, with its session.
#[derive(sqlx::FromRow)]
struct Told {
    delivery_id: Uuid,
    session_id: String,
    /// Null for a join.
    role: Option<String>,
    message: Option<String>,
}

/// Checks everything.
pub(crate) async fn check(database: &mut PgConnection, ledger: &Ledger) -> anyhow::Result<Verdict> {
    let entries = ledger.entries();
    let mut verdict = Verdict::default();
    let logged = check_log(database, &entries, &mut verdict).await?;
    check_events(database, &entries, &logged, &mut verdict).await?;
    let miscounted = miscounted(database).await?;
    verdict.note("miscounted", &miscounted);
    Ok(verdict)
}

/// The log: which deliveries it calls stored, by their ids.
async fn check_log(
    database: &mut PgConnection,
    entries: &HashMap<Sha, Entry>,
    verdict: &mut Verdict,
) -> anyhow::Result<HashMap<Uuid, Sha>> {
    let rows: Vec<Logged> =
        sqlx::query_as("SELECT id, source, outcome, sha256(body) AS sha FROM deliveries")
            .fetch_all(database)
            .await?;
    let (mut stored, mut ids) = (HashMap::<Sha, usize>::new(), HashMap::new());
    let (mut strangers, mut outcomes) = (Vec::new(), Vec::new());
    for row in rows {
        let sha: Sha = row.sha.as_slice().try_into()?;
        match entries.get(&sha) {
            None => strangers.push(format!("{} ({})", row.id, row.outcome)),
            Some(entry) if entry.source != row.source => {
                strangers.push(format!("{} in source {}", row.id, row.source));
            }
            Some(_) => match row.outcome.as_str() {
                "stored" => {
                    *stored.entry(sha).or_default() += 1;
                    ids.insert(row.id, sha);
                }
                "duplicate" => {}
                other => outcomes.push(format!("{} is {other}", row.id)),
            },
        }
    }
    verdict.note("stored that were never sent", &strangers);
    verdict.note("with a wrong outcome", &outcomes);
    let lost: Vec<String> = entries
        .iter()
        .filter(|(sha, entry)| entry.answered && !stored.contains_key(*sha))
        .map(|(sha, _)| hex::encode(&sha[..8]))
        .collect();
    verdict.lost = verdict.note(LOST, &lost);
    let doubled: Vec<String> = stored
        .iter()
        .filter(|&(_, &count)| count > 1)
        .map(|(sha, count)| format!("{} {count} times", hex::encode(&sha[..8])))
        .collect();
    verdict.doubled = verdict.note("stored more than once", &doubled);
    Ok(ids)
}

/// Messages and joins: one for each delivery that the log calls stored, saying what it said.
async fn check_events(
    database: &mut PgConnection,
    entries: &HashMap<Sha, Entry>,
    logged: &HashMap<Uuid, Sha>,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let told: Vec<Told> = sqlx::query_as(
        "SELECT m.delivery_id, s.sender_session_id AS session_id, m.role, m.message
         FROM messages m LEFT JOIN sessions s ON s.id = m.session_id
         UNION ALL
         SELECT j.delivery_id, s.sender_session_id, NULL, NULL
         FROM joins j LEFT JOIN sessions s ON s.id = j.session_id",
    )
    .fetch_all(database)
    .await?;
    let (mut seen, mut doubled, mut wrong) = (HashSet::new(), Vec::new(), Vec::new());
    for one in told {
        let id = one.delivery_id;
        let Some((sha, entry)) = logged.get(&id).and_then(|sha| Some((sha, entries.get(sha)?)))
        else {
            wrong.push(format!("{id} tells of a delivery that the log does not call stored"));
            continue;
        };
        if !seen.insert(*sha) {
            doubled.push(id.to_string());
        }
        let same = match &entry.event {
            Event::Join => one.role.is_none(),
            Event::Said { role, message } => {
                one.role.as_deref() == Some(role) && one.message.as_ref() == Some(message)
            }
        };
        if !same || one.session_id != entry.session_id {
            wrong.push(format!("{id} differs from what was sent"));
        }
    }
    let missing: Vec<String> = logged
        .iter()
        .filter(|(_, sha)| !seen.contains(*sha))
        .map(|(id, _)| id.to_string())
        .collect();
    verdict.lost += verdict.note("logged as stored and not there", &missing);
    verdict.doubled += verdict.note("told more than once", &doubled);
    verdict.note("wrong", &wrong);
    Ok(())
}

/// Sessions and agents whose figures are not those of their messages.
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
