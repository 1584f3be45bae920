//! Analytics queries, and equivalent queries of the tables in plain SQL.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use verbatim::domain::Roles;
use verbatim::domain::visits::VisitGaps;
use verbatim::jobs::facts::rebuild;
use verbatim::store::facts::FactRules;

use super::measure::Query;

/// Time zones, used in turn so that not all answers are shared.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"];
/// Runs of each plain SQL query. The median is printed.
const RUNS: usize = 3;

/// Computes the facts of all messages.
pub(crate) async fn compute_facts(options: &PgConnectOptions) -> anyhow::Result<()> {
    let start = Instant::now();
    let rules = FactRules::of(&VisitGaps::default(), &Roles::default());
    let rebuilt = rebuild(options.clone(), &rules).await?;
    let mut connection = options.connect().await?;
    // A rebuild writes facts by session; the follower of a live service writes them by arrival.
    sqlx::raw_sql("CLUSTER session_facts USING session_facts_by_start")
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
    eprintln!("{rebuilt:?} within {:.0?}", start.elapsed());
    Ok(())
}

fn paths(query: &str) -> Vec<String> {
    ZONES.iter().map(|zone| format!("/v1/analytics/{query}&tz={zone}")).collect()
}

/// Returns the queries, each with the nearest equivalent in plain SQL.
pub(crate) fn queries() -> Vec<(Query, &'static str)> {
    let of =
        |name, target_ms, query: &str, sql| (Query { name, target_ms, paths: paths(query) }, sql);
    vec![
        of(
            "figures: 90 days by hour",
            100,
            "timeseries?period=last_90d&bucket=hour&metric=sessions&metric=messages",
            "SELECT date_trunc('hour', occurred_at, 'Europe/Berlin'), count(*),
                 count(DISTINCT session_id)
             FROM messages WHERE occurred_at > now() - interval '90 days' GROUP BY 1",
        ),
        of(
            "figures: 90 days by week and agent",
            300,
            "timeseries?period=last_90d&bucket=week&metric=messages&group_by=agent",
            "SELECT date_trunc('week', m.occurred_at, 'Europe/Berlin'), s.agent_id, count(*)
             FROM messages AS m JOIN sessions AS s ON s.id = m.session_id
             WHERE m.occurred_at > now() - interval '90 days' GROUP BY 1, 2",
        ),
        of(
            "figures: summary of 30 days, counts and rates",
            150,
            "summary?period=last_30d&compare=previous&metric=sessions&metric=visits&metric=messages\
             &metric=turns&metric=engagement_rate&metric=silent_rate&metric=single_turn_rate\
             &metric=session_duration&metric=messages_per_session",
            "SELECT occurred_at > now() - interval '30 days', count(*), count(DISTINCT session_id),
                 count(*) FILTER (WHERE role = 'user')
             FROM messages WHERE occurred_at > now() - interval '60 days' GROUP BY 1",
        ),
        of(
            "figures: summary of 30 days, every metric",
            150,
            "summary?period=last_30d&compare=previous",
            "SELECT now_, count(*), count(DISTINCT session_id),
                 percentile_cont(0.9) WITHIN GROUP (ORDER BY gap)
             FROM (
                 SELECT occurred_at > now() - interval '30 days' AS now_, session_id,
                     extract(epoch FROM occurred_at - lag(occurred_at)
                         OVER (PARTITION BY session_id ORDER BY occurred_at)) AS gap
                 FROM messages WHERE occurred_at > now() - interval '60 days'
             ) AS m GROUP BY 1",
        ),
        of(
            "figures: percentiles of 90 days by day, of sessions",
            300,
            "timeseries?period=last_90d&bucket=day&metric=session_duration&stat=p90",
            "SELECT date_trunc('day', started_at, 'Europe/Berlin'),
                 percentile_cont(0.9) WITHIN GROUP (
                     ORDER BY extract(epoch FROM last_activity_at - started_at))
             FROM sessions WHERE started_at > now() - interval '90 days' GROUP BY 1",
        ),
        of(
            "figures: percentiles of 90 days by day, of replies",
            300,
            "timeseries?period=last_90d&bucket=day&metric=reply_gap&stat=p90",
            "SELECT date_trunc('day', occurred_at, 'Europe/Berlin'),
                 percentile_cont(0.9) WITHIN GROUP (ORDER BY gap)
             FROM (
                 SELECT occurred_at, role, extract(epoch FROM occurred_at - lag(occurred_at)
                     OVER (PARTITION BY session_id ORDER BY occurred_at)) AS gap
                 FROM messages WHERE occurred_at > now() - interval '90 days'
             ) AS m WHERE role = 'assistant' GROUP BY 1",
        ),
        of(
            "figures: heatmap of 90 days",
            200,
            "heatmap?period=last_90d&metric=messages",
            "SELECT extract(isodow FROM occurred_at AT TIME ZONE 'Europe/Berlin'),
                 extract(hour FROM occurred_at AT TIME ZONE 'Europe/Berlin'), count(*)
             FROM messages WHERE occurred_at > now() - interval '90 days' GROUP BY 1, 2",
        ),
    ]
}

/// Runs each plain SQL query alone, and prints its time.
pub(crate) async fn compare(
    options: &PgConnectOptions,
    queries: &[(Query, &'static str)],
    medians: &[Duration],
) -> anyhow::Result<()> {
    let mut connection = options.connect().await?;
    println!("| query | p50 ms | plain SQL, alone, ms | ratio |");
    println!("| --- | --- | --- | --- |");
    for ((query, sql), median) in queries.iter().zip(medians) {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            sqlx::raw_sql(AssertSqlSafe(*sql)).fetch_all(&mut connection).await?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let plain = times[RUNS / 2].as_secs_f64() * 1e3;
        let median = median.as_secs_f64() * 1e3;
        println!("| {} | {median:.1} | {plain:.0} | {:.1} |", query.name(), plain / median);
    }
    println!();
    connection.close().await?;
    Ok(())
}
