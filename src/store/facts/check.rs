//! Compares facts with the stored rows. Changes nothing.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::sessions::SessionFact;
use super::windows::Windows;
use super::{FactRules, messages, presence, rows, sessions, visits};
use crate::analytics::facts::{MessageFact, SessionTotals};

/// Sessions that are read at once.
const BATCH_SESSIONS: i64 = 100;
/// One snapshot for the whole check.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// True if facts are maintained under the rules of the check. If false, nothing else was
    /// compared.
    pub same_rules: bool,
    /// Sessions that were compared.
    pub sessions: usize,
    /// Sessions that were skipped: the follower has not processed their latest changes.
    pub pending: usize,
    /// Sessions whose facts differ from the stored rows.
    pub different: Vec<Uuid>,
    /// Deleted sessions that still have facts.
    pub orphaned: Vec<Uuid>,
    /// Number of rows of `activity` or `reply_gaps` that differ from the sums of facts.
    pub wrong_sums: usize,
}

impl CheckReport {
    /// Returns true if all facts and sums are correct.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.same_rules
            && self.different.is_empty()
            && self.orphaned.is_empty()
            && self.wrong_sums == 0
    }
}

/// Recomputes the facts of every session in one snapshot, and compares them with the stored ones.
pub async fn check(
    connection: &mut PgConnection,
    rules: &FactRules,
) -> Result<CheckReport, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let position = sqlx::query!("SELECT seq, settings FROM facts_position")
        .fetch_one(&mut *transaction)
        .await?;
    let mut report =
        CheckReport { same_rules: position.settings == rules.fingerprint(), ..Default::default() };
    if !report.same_rules {
        transaction.rollback().await?;
        return Ok(report);
    }
    let pending = pending(&mut transaction, position.seq).await?;
    report.pending = pending.len();
    let mut after = Uuid::nil();
    loop {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2",
            after,
            BATCH_SESSIONS,
        )
        .fetch_all(&mut *transaction)
        .await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        let ids: Vec<Uuid> = ids.into_iter().filter(|id| !pending.contains(id)).collect();
        compare(&mut transaction, rules, &ids, &mut report).await?;
    }
    report.orphaned = orphaned(&mut transaction).await?;
    report.orphaned.retain(|id| !pending.contains(id));
    report.wrong_sums = wrong_sums(&mut transaction).await?;
    transaction.rollback().await?;
    Ok(report)
}

/// Returns the sessions that the journal names after a position.
async fn pending(connection: &mut PgConnection, seq: i64) -> Result<BTreeSet<Uuid>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        r#"SELECT DISTINCT UNNEST(session_ids) AS "id!" FROM journal WHERE seq > $1"#,
        seq,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().collect())
}

async fn compare(
    connection: &mut PgConnection,
    rules: &FactRules,
    ids: &[Uuid],
    report: &mut CheckReport,
) -> Result<(), sqlx::Error> {
    let sessions = sessions::read(connection, ids).await?;
    let presences = presence::read(connection, ids).await?;
    let presence_facts = presence::read_facts(connection, ids).await?;
    let joins = presence::joins_of(&presences);
    let mut windows = Windows::whole(&sessions);
    let computed = messages::compute(connection, rules, &sessions, &mut windows, &joins).await?;
    let stored = rows::read(connection, &windows).await?;
    let facts = sessions::read_facts(connection, ids).await?;
    let mut events = sessions::read_events(connection, ids).await?;
    let wrong_visits = visits::different(connection, ids).await?;
    for (id, session) in &sessions {
        let of_session = |facts: &rows::Facts| {
            let all = facts.range((*id, chrono::DateTime::<chrono::Utc>::MIN_UTC, Uuid::nil())..);
            let mut all: Vec<MessageFact> = all
                .take_while(|((session, _, _), _)| session == id)
                .map(|(_, fact)| fact.clone())
                .collect();
            all.sort_unstable_by_key(|fact| (fact.occurred_at, fact.tie));
            all
        };
        let messages = of_session(&computed);
        let present = |presences: &presence::Presences| {
            let all = presences.range((*id, Uuid::nil())..=(*id, Uuid::max()));
            all.map(|(key, presence)| (*key, *presence)).collect::<Vec<_>>()
        };
        let totals = SessionTotals::of(&messages);
        let fact = SessionFact::of(session, totals, events.remove(id));
        let same = messages == of_session(&stored)
            && present(&presences) == present(&presence_facts)
            && facts.get(id) == Some(&fact)
            && !wrong_visits.contains(id);
        report.different.extend((!same).then_some(*id));
    }
    report.sessions += sessions.len();
    Ok(())
}

/// Returns the sessions that have facts and no row.
async fn orphaned(connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT session_id AS "session_id!"
         FROM (
             SELECT session_id FROM session_facts
             UNION
             SELECT session_id FROM message_facts
             UNION
             SELECT session_id FROM presence_facts
             UNION
             SELECT session_id FROM visit_facts
         ) AS f
         WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.id = f.session_id)
         ORDER BY session_id"#,
    )
    .fetch_all(connection)
    .await
}

/// Counts the rows of `activity` and `reply_gaps` that differ from the sums of facts. Facts and
/// sums change in one transaction, so pending sessions are compared, too.
async fn wrong_sums(connection: &mut PgConnection) -> Result<usize, sqlx::Error> {
    // A row without any sum is optional.
    let wrong = sqlx::query_scalar!(
        r#"WITH stored AS (
             SELECT * FROM activity WHERE sessions <> 0 OR messages <> 0 OR visits <> 0
         ),
         computed AS (SELECT * FROM activity_of_facts('-infinity', 'infinity')),
         stored_gaps AS (SELECT * FROM reply_gaps WHERE bins <> '{}'),
         computed_gaps AS (SELECT * FROM reply_gaps_of_facts('-infinity', 'infinity'))
         SELECT count(*) AS "wrong!"
         FROM (
             SELECT level, agent_id, starts_at, source
             FROM ((TABLE stored EXCEPT TABLE computed)
                 UNION ALL (TABLE computed EXCEPT TABLE stored)) AS sums
             UNION
             SELECT level, agent_id, starts_at, source
             FROM ((TABLE stored_gaps EXCEPT TABLE computed_gaps)
                 UNION ALL (TABLE computed_gaps EXCEPT TABLE stored_gaps)) AS gaps
         ) AS different"#,
    )
    .fetch_one(connection)
    .await?;
    Ok(usize::try_from(wrong).unwrap_or(usize::MAX))
}
