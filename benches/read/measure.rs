//! Asks, and says how long the answers took and by which plans they came.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sqlx::PgPool;

use super::load::{AGENTS, chinese, word};
use super::talk::{Talk, ask_once};

/// Asked before the clock runs, so that Postgres has in memory what it would have in the long run.
const WARM_UP: Duration = Duration::from_secs(5);

/// What is asked, in turn, and within which time 99 of 100 answers are to come.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) target_ms: u32,
    pub(crate) paths: Vec<String>,
}

impl Question {
    pub(crate) fn name(&self) -> &str {
        self.name
    }
}

/// All of them.
pub(crate) async fn questions(pool: &PgPool, sessions: u64) -> anyhow::Result<Vec<Question>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT sender_session_id FROM sessions TABLESAMPLE SYSTEM (10) ORDER BY id LIMIT 2000",
    )
    .fetch_all(pool)
    .await?;
    anyhow::ensure!(!ids.is_empty(), "there are none of the {sessions} sessions");
    let agents: Vec<String> =
        sqlx::query_scalar("SELECT agent_id FROM agents ORDER BY agent_id").fetch_all(pool).await?;
    let search = |words: String| format!("/v1/search?q={}", encode(&words));
    // From words that half of all messages hold to those of a few hundred, in pairs of each with
    // each.
    let ranks = [3, 12, 40, 150, 600, 2_500, 9_000];
    let pairs = ranks.iter().flat_map(|one| ranks.iter().map(move |other| (*one, *other + 1)));
    let common = [0, 1, 2, 3, 5, 8];
    Ok(vec![
        Question {
            name: "a session's messages",
            target_ms: 10,
            paths: ids.iter().map(|id| format!("/v1/sessions/{id}/messages")).collect(),
        },
        Question {
            name: "an agent's sessions",
            target_ms: 10,
            paths: agents.iter().map(|id| format!("/v1/agents/{id}/sessions")).collect(),
        },
        Question {
            name: "two words",
            target_ms: 100,
            paths: pairs
                .map(|(one, other)| search(format!("{} {}", word(one), word(other))))
                .collect(),
        },
        Question {
            name: "two Chinese characters",
            target_ms: 150,
            paths: (0..60).map(|n| search(chinese(n * n * 8))).collect(),
        },
        Question {
            name: "two of the commonest words",
            target_ms: 100,
            paths: common.iter().map(|n| search(format!("{} {}", word(*n), word(n + 1)))).collect(),
        },
        Question {
            name: "a phrase",
            target_ms: 100,
            paths: (0..50).map(|n| search(format!("\"{} {}\"", word(n), word(n * 3)))).collect(),
        },
        Question {
            name: "a prefix",
            target_ms: 100,
            paths: (100..150).map(|n| search(format!("{}*", word(n * 7)))).collect(),
        },
        Question {
            name: "a part of a word",
            target_ms: 150,
            paths: ["terton", "elfo", "anchi", "orsol"].map(|n| search(n.into())).into(),
        },
        Question {
            name: "a common word of a small agent",
            target_ms: 100,
            paths: (150..AGENTS)
                .map(|n| format!("{}&agent_id=agent-{n}", search(word(n % 10))))
                .collect(),
        },
    ])
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Asks each for so long, and prints a line of a table. Returns the median times.
pub(crate) fn measure<'a>(
    address: SocketAddr,
    questions: impl IntoIterator<Item = &'a Question>,
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Vec<Duration>> {
    let mut medians = Vec::new();
    println!("| question | answers/s | p50 ms | p99 ms | max ms | aim, p99 ms | empty |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for question in questions {
        ask(address, question, connections, WARM_UP)?;
        let time = Duration::from_secs(seconds);
        let (latencies, empty) = ask(address, question, connections, time)?;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let ms = |micros: u64| micros as f64 / 1e3;
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.1} | {} | {empty} |",
            question.name,
            latencies.len() / seconds,
            ms(latencies.value_at_quantile(0.5)),
            ms(latencies.value_at_quantile(0.99)),
            ms(latencies.max()),
            question.target_ms,
        );
        medians.push(Duration::from_micros(latencies.value_at_quantile(0.5)));
    }
    println!();
    Ok(medians)
}

/// Latencies in microseconds, and how many answers held nothing.
fn ask(
    address: SocketAddr,
    question: &Question,
    connections: usize,
    time: Duration,
) -> anyhow::Result<(Histogram<u64>, usize)> {
    let (next, empty) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let end = Instant::now() + time;
    let one = || {
        let (mut talk, mut latencies) = (Talk::open(address)?, Histogram::<u64>::new(3)?);
        while Instant::now() < end {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let path = &question.paths[turn % question.paths.len()];
            let asked = Instant::now();
            let (status, body) = talk.ask(path)?;
            latencies.record(u64::try_from(asked.elapsed().as_micros())?)?;
            anyhow::ensure!(status == 200, "{path}: {status} {body}");
            if body.starts_with(r#"{"data":[]"#) {
                empty.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(latencies)
    };
    let mut all = Histogram::new(3)?;
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        for each in asking {
            all.add(&each.join().map_err(|_| anyhow::anyhow!("a thread ended"))??)?;
        }
        anyhow::Ok(())
    })?;
    Ok((all, empty.into_inner()))
}

/// Asks each question once while Postgres logs its plans, and prints them.
pub(crate) async fn explain(
    pool: &PgPool,
    address: SocketAddr,
    questions: &[Question],
    log: &Path,
) -> anyhow::Result<()> {
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_buffers = on",
    ] {
        let sql = format!("ALTER ROLE CURRENT_USER SET {setting}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await?;
    }
    // The service connects anew, and its new connections explain themselves.
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(pool)
    .await?;
    for question in questions {
        // The first may meet a connection that was cut; the second finds everything in memory.
        for _ in 0..20 {
            let _ = ask_once(address, &question.paths[question.paths.len() / 2]);
        }
        let from = std::fs::metadata(log)?.len();
        let path = &question.paths[question.paths.len() / 2];
        ask_once(address, path)?;
        let logged = std::fs::read(log)?;
        let logged = String::from_utf8_lossy(&logged[usize::try_from(from)?..]).into_owned();
        println!("### {}\n\n`{path}`\n\n```text\n{logged}```\n", question.name);
    }
    for setting in ["session_preload_libraries", "auto_explain.log_min_duration"] {
        let sql = format!("ALTER ROLE CURRENT_USER RESET {setting}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await?;
    }
    Ok(())
}
