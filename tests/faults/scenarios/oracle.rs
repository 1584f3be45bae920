//! A test of the oracle: it must find each kind of damage.

use anyhow::ensure;

use crate::load::Load;
use crate::oracle;
use crate::postgres;
use crate::world::{Expect, Setup, Trial};

/// Damage to the database, and the oracle's finding.
const BREAKS: [(&str, &str); 13] = [
    (
        "DELETE FROM deliveries WHERE id IN (SELECT delivery_id FROM messages LIMIT 1)",
        "answered 200 and lost",
    ),
    ("DELETE FROM messages WHERE id IN (SELECT id FROM messages LIMIT 1)", "and not there"),
    ("DELETE FROM joins WHERE id IN (SELECT id FROM joins LIMIT 1)", "and not there"),
    (
        "DELETE FROM other_events WHERE id IN
             (SELECT id FROM other_events WHERE event_type = 'avatar.waved' LIMIT 1)",
        "and not there",
    ),
    (
        "UPDATE other_events SET agent_id = 'another'
         WHERE id IN (SELECT id FROM other_events WHERE session_id IS NULL LIMIT 1)",
        "differs from what was sent",
    ),
    ("UPDATE sessions SET end_reason = end_reason || '.'", "differs from what was sent"),
    (
        "UPDATE deliveries SET outcome = 'stored'
         WHERE id IN (SELECT id FROM deliveries WHERE outcome = 'test' LIMIT 1)",
        "with a wrong outcome",
    ),
    (
        "UPDATE deliveries SET generation = 'b'
         WHERE id IN (SELECT id FROM deliveries WHERE generation = 'c' LIMIT 1)",
        "logged as something else",
    ),
    (
        "INSERT INTO messages SELECT session_id, occurred_at, gen_random_uuid(), delivery_id, role,
             message, sent_at, received_at, altered, undated FROM messages LIMIT 1",
        "recorded more than once",
    ),
    (
        "INSERT INTO deliveries SELECT gen_random_uuid(), received_at, source, generation,
             event_type, outcome, reason, session_id, agent_id, sender_delivery_id, signed, stale,
             test, body FROM deliveries LIMIT 1",
        "stored more than once",
    ),
    (
        "UPDATE deliveries SET body = set_byte(body, 30, (get_byte(body, 30) + 1) % 128)
         WHERE id IN (SELECT id FROM deliveries LIMIT 1)",
        "never sent",
    ),
    (
        "UPDATE messages SET message = message || '.'
         WHERE id IN (SELECT id FROM messages LIMIT 1)",
        "differs from what was sent",
    ),
    (
        "UPDATE sessions SET user_message_count = user_message_count + 1
         WHERE id IN (SELECT id FROM sessions LIMIT 1)",
        "miscounted",
    ),
];

/// Each damage is undone before the next one.
pub(crate) async fn finds(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    world.calm().await;
    load.stop().await;
    world.drained().await?;
    for (statement, finding) in BREAKS {
        let mut database = world.database().await?;
        postgres::run(&mut database, "BEGIN").await?;
        postgres::run(&mut database, statement).await?;
        let verdict = oracle::check(&mut database, &world.ledger).await?;
        postgres::run(&mut database, "ROLLBACK").await?;
        let found = verdict.ensure_clean().err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(
            found.contains(finding),
            "{statement}: the oracle reports {found:?}, not {finding:?}"
        );
    }
    world.log(&format!("found {} of {0} breaks", BREAKS.len()));
    world.judge(Expect::AllAnswered).await
}
