//! Measures the time of queries, and prints their plans.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sqlx::PgPool;

use super::load::{AGENTS, chinese, word};
use super::talk::{Client, get_once};

/// Length of the warm-up, which loads into memory what Postgres would have there in the long run.
const WARM_UP: Duration = Duration::from_secs(5);

/// A query: its paths, used in turn, and the target for 99 of 100 answers.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) target_ms: u32,
    pub(crate) paths: Vec<String>,
}

impl Query {
    pub(crate) fn name(&self) -> &str {
        self.name
    }
}

/// Returns the queries, except those for figures.
pub(crate) async fn queries(pool: &PgPool, sessions: u64) -> anyhow::Result<Vec<Query>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT sender_session_id FROM sessions TABLESAMPLE SYSTEM (10) ORDER BY id LIMIT 2000",
    )
    .fetch_all(pool)
    .await?;
    anyhow::ensure!(!ids.is_empty(), "there are none of the {sessions} sessions");
    let agents: Vec<String> =
        sqlx::query_scalar("SELECT agent_id FROM agents ORDER BY agent_id").fetch_all(pool).await?;
    let search = |words: String| format!("/v1/search?q={}", encode(&words));
    // Pairs of words, from those in half of all messages to those in a few hundred.
    let ranks = [3, 12, 40, 150, 600, 2_500, 9_000];
    let pairs = ranks.iter().flat_map(|one| ranks.iter().map(move |other| (*one, *other + 1)));
    let common = [0, 1, 2, 3, 5, 8];
    Ok(vec![
        Query {
            name: "a session's messages",
            target_ms: 10,
            paths: ids.iter().map(|id| format!("/v1/sessions/{id}/messages")).collect(),
        },
        Query {
            name: "an agent's sessions",
            target_ms: 10,
            paths: agents.iter().map(|id| format!("/v1/agents/{id}/sessions")).collect(),
        },
        Query {
            name: "two words",
            target_ms: 100,
            paths: pairs
                .map(|(one, other)| search(format!("{} {}", word(one), word(other))))
                .collect(),
        },
        Query {
            name: "two Chinese characters",
            target_ms: 150,
            paths: (0..60).map(|n| search(chinese(n * n * 8))).collect(),
        },
        Query {
            name: "two of the commonest words",
            target_ms: 100,
            paths: common.iter().map(|n| search(format!("{} {}", word(*n), word(n + 1)))).collect(),
        },
        Query {
            name: "a phrase",
            target_ms: 100,
            paths: (0..50).map(|n| search(format!("\"{} {}\"", word(n), word(n * 3)))).collect(),
        },
        Query {
            name: "a prefix",
            target_ms: 100,
            paths: (100..150).map(|n| search(format!("{}*", word(n * 7)))).collect(),
        },
        Query {
            name: "a part of a word",
            target_ms: 150,
            paths: ["terton", "elfo", "anchi", "orsol"].map(|n| search(n.into())).into(),
        },
        Query {
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

/// Measures each query for this time, and prints a line of a table. Returns the median times.
pub(crate) fn measure<'a>(
    address: SocketAddr,
    queries: impl IntoIterator<Item = &'a Query>,
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Vec<Duration>> {
    let mut medians = Vec::new();
    println!("| query | answers/s | p50 ms | p99 ms | max ms | aim, p99 ms | empty |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for query in queries {
        run_query(address, query, connections, WARM_UP)?;
        let time = Duration::from_secs(seconds);
        let (latencies, empty) = run_query(address, query, connections, time)?;
        #[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
        let ms = |micros: u64| micros as f64 / 1e3;
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.1} | {} | {empty} |",
            query.name,
            latencies.len() / seconds,
            ms(latencies.value_at_quantile(0.5)),
            ms(latencies.value_at_quantile(0.99)),
            ms(latencies.max()),
            query.target_ms,
        );
        medians.push(Duration::from_micros(latencies.value_at_quantile(0.5)));
    }
    println!();
    Ok(medians)
}

/// Returns the latencies in microseconds, and the number of empty answers.
fn run_query(
    address: SocketAddr,
    query: &Query,
    connections: usize,
    time: Duration,
) -> anyhow::Result<(Histogram<u64>, usize)> {
    let (next, empty) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let end = Instant::now() + time;
    let one = || {
        let (mut client, mut latencies) = (Client::open(address)?, Histogram::<u64>::new(3)?);
        while Instant::now() < end {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let path = &query.paths[turn % query.paths.len()];
            let sent = Instant::now();
            let (status, body) = client.get(path)?;
            latencies.record(u64::try_from(sent.elapsed().as_micros())?)?;
            anyhow::ensure!(status == 200, "{path}: {status} {body}");
            if body.starts_with(r#"{"data":[]"#) {
                empty.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(latencies)
    };
    let mut all = Histogram::new(3)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        for each in threads {
            all.add(&each.join().map_err(|_| anyhow::anyhow!("a thread ended"))??)?;
        }
        anyhow::Ok(())
    })?;
    Ok((all, empty.into_inner()))
}

/// Runs each query once while Postgres logs its plans, and prints them.
pub(crate) async fn explain(
    pool: &PgPool,
    address: SocketAddr,
    queries: &[Query],
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
    // The service reconnects, and the new connections log their plans.
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(pool)
    .await?;
    for query in queries {
        // The first query may use a closed connection, and later ones find everything in memory.
        for _ in 0..20 {
            let _ = get_once(address, &query.paths[query.paths.len() / 2]);
        }
        let from = std::fs::metadata(log)?.len();
        let path = &query.paths[query.paths.len() / 2];
        get_once(address, path)?;
        let logged = std::fs::read(log)?;
        let logged = String::from_utf8_lossy(&logged[usize::try_from(from)?..]).into_owned();
        println!("### {}\n\n`{path}`\n\n```text\n{logged}```\n", query.name);
    }
    for setting in ["session_preload_libraries", "auto_explain.log_min_duration"] {
        let sql = format!("ALTER ROLE CURRENT_USER RESET {setting}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await?;
    }
    Ok(())
}
