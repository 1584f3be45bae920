//! Compares facts with what is stored, and changes nothing.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::sessions::SessionFact;
use super::windows::Windows;
use super::{FactRules, presence, rows, said, sessions};
use crate::analytics::facts::{MessageFact, SessionTotals};

/// Sessions that are read at once.
const BATCH_SESSIONS: i64 = 100;
/// One snapshot for all of it.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Whether facts are kept under the rules of the check. Where they are not, nothing else was
    /// compared.
    pub same_rules: bool,
    /// Sessions that were compared.
    pub sessions: usize,
    /// Sessions that were not: the follower has yet to come to what is new in them.
    pub pending: usize,
    /// Sessions whose facts differ from what is stored.
    pub different: Vec<Uuid>,
    /// Sessions that are gone, and have facts.
    pub orphaned: Vec<Uuid>,
    /// Rows of `activity` or `reply_gaps` that are not the sums of facts.
    pub wrong_sums: usize,
}

impl CheckReport {
    /// Returns whether all facts are right.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.same_rules
            && self.different.is_empty()
            && self.orphaned.is_empty()
            && self.wrong_sums == 0
    }
}

/// Computes the facts of every session anew, all of it at one moment, and compares.
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

/// Sessions that the journal names after a position.
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
    let computed = said::compute(connection, rules, &sessions, &mut windows, &joins).await?;
    let stored = rows::read(connection, &windows).await?;
    let facts = sessions::read_facts(connection, ids).await?;
    let mut events = sessions::read_events(connection, ids).await?;
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
            && facts.get(id) == Some(&fact);
        report.different.extend((!same).then_some(*id));
    }
    report.sessions += sessions.len();
    Ok(())
}

/// Sessions that have facts and no row.
async fn orphaned(connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT session_id AS "session_id!"
         FROM (
             SELECT session_id FROM session_facts
             UNION
             SELECT session_id FROM message_facts
             UNION
             SELECT session_id FROM presence_facts
         ) AS f
         WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.id = f.session_id)
         ORDER BY session_id"#,
    )
    .fetch_all(connection)
    .await
}

/// Counts the rows of `activity` and `reply_gaps` that differ from the sums of facts. Facts and their sums change
/// together, so that those of sessions that are not yet reflected are compared, too.
async fn wrong_sums(connection: &mut PgConnection) -> Result<usize, sqlx::Error> {
    // What sums up to nothing may have a row, and need not.
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
