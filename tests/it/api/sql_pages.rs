//! Pages about SQL: the reference of the views, and queries for other programs.

use std::fmt::Write as _;
use std::path::Path;

use sqlx::{AssertSqlSafe, PgConnection};

use super::sql::{columns, world};
use crate::support::database::TestDatabase;
use crate::support::reader::connect_as_reader;

/// Number of queries on each page.
const QUERIES: usize = 5;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the queries of a page, each with the heading above it.
fn queries(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut heading, mut inside) = ("", false);
    for line in page.lines() {
        match line {
            "```sql" => {
                inside = true;
                found.push((heading.to_owned(), String::new()));
            }
            "```" => inside = false,
            _ if inside => writeln!(found.last_mut().unwrap().1, "{line}").unwrap(),
            _ => heading = line.strip_prefix("## ").unwrap_or(heading),
        }
    }
    found
}

/// Replaces the variables and macros of Grafana and Metabase.
fn expanded(query: &str) -> String {
    let (from, to) = ("'2026-10-01T00:00:00Z'", "'2026-11-06T00:00:00Z'");
    let mut sql = query
        .replace("$__timeFrom()", from)
        .replace("$__timeTo()", to)
        .replace("'$bucket'", "'day'")
        .replace("'$tz'", "'Europe/Berlin'")
        .replace("{{tz}}", "'Europe/Berlin'")
        // The test's data is of another time.
        .replace("now()", "'2026-11-06T00:00:00Z'::timestamptz");
    while let Some((head, rest)) = sql.clone().split_once("$__timeFilter(") {
        let (column, tail) = rest.split_once(')').unwrap();
        sql = format!("{head}{column} BETWEEN {from} AND {to}{tail}");
    }
    assert!(!sql.contains('$') && !sql.contains("{{"), "an unknown variable: {sql}");
    sql
}

#[actix_web::test]
async fn queries_of_the_pages_run_as_a_reader() {
    let api = world().await;
    let mut reader = connect_as_reader(&api.database, false).await;
    for name in ["grafana", "metabase", "superset", "duckdb", "pandas"] {
        let queries = queries(&page(&format!("setup/{name}.md")));
        assert_eq!(queries.len(), QUERIES, "{name}");
        for (heading, query) in queries {
            let rows = sqlx::raw_sql(AssertSqlSafe(expanded(&query)))
                .fetch_all(&mut reader)
                .await
                .unwrap_or_else(|error| panic!("{name}, {heading}: {error}"));
            assert!(!rows.is_empty(), "{name}, {heading}: no rows");
        }
    }
}

/// Returns the content of `docs/reference/sql-views.md`.
async fn reference(connection: &mut PgConnection) -> String {
    let views: Vec<(String, String)> = sqlx::query_as(
        "SELECT relname::text, obj_description(oid, 'pg_class')
         FROM pg_class WHERE relnamespace = 'analytics_v1'::regnamespace ORDER BY relname",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let function: String = sqlx::query_scalar(
        "SELECT obj_description(oid, 'pg_proc') FROM pg_proc
         WHERE pronamespace = 'analytics_v1'::regnamespace",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let columns = columns(connection).await;
    let mut page = "# SQL views\n\nMade from the comments in the database by `make sql-views`. \
        Schema `analytics_v1`, for [readers](../setup/readers.md): views and columns are only ever \
        added. Figures are defined in [the metrics catalogue](metrics-catalog.md).\n\n"
        .to_owned();
    writeln!(
        page,
        "## `buckets(\"from\", \"to\", bucket, tz, week_starts)`\n\n{function}\n\n\
         `bucket` is `minute`, `15m`, `hour`, `day`, `week` or `month`; `tz` is `UTC` and \
         `week_starts` is `monday` where they are left out. At most 50,000 rows.\n\n\
         ```text\nSELECT b.start, b.end, count(s.id)\n\
         FROM analytics_v1.buckets('2026-10-01', '2026-11-01', 'day', 'Europe/Berlin') AS b\n\
         LEFT JOIN analytics_v1.sessions AS s ON s.started_at >= b.start AND s.started_at < b.end\n\
         GROUP BY b.start, b.end\n```"
    )
    .unwrap();
    for (view, comment) in views {
        writeln!(page, "\n## `{view}`\n\n{comment}\n\n| column | type | |\n| --- | --- | --- |")
            .unwrap();
        for (_, column, kind, comment) in columns.iter().filter(|column| column.0 == view) {
            let kind = kind.replace("timestamp with time zone", "timestamptz");
            let comment = comment.as_deref().unwrap_or_default();
            writeln!(page, "| `{column}` | `{kind}` | {comment} |").unwrap();
        }
    }
    page
}

#[tokio::test]
async fn reference_of_the_views_matches_the_database() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let page_now = reference(&mut connection).await;
    if std::env::var_os("RENEW_SQL_VIEWS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/sql-views.md");
        std::fs::write(path, &page_now).unwrap();
    }
    let committed = page("reference/sql-views.md");
    assert!(committed == page_now, "docs/reference/sql-views.md: run `make sql-views`");
}
