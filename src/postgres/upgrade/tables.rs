//! Rows: creates the old database's partitions, copies and compares every table, sets sequences.

use anyhow::{Context as _, bail, ensure};
use bytesize::ByteSize;
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::inventory::STATE_SCHEMA;
use super::report::Report;

/// Bytes sent to the new server at once. Single rows would need a system call each.
const CHUNK_BYTES: usize = 256 << 10;

/// Partitions, and the statements that create them.
const PARTITIONS: &str = "
SELECT c.oid::pg_catalog.regclass::text,
       format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)%s;
               ALTER TABLE %2$s ATTACH PARTITION %1$s %4$s',
              c.oid::pg_catalog.regclass, i.inhparent::pg_catalog.regclass,
              ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
              pg_catalog.pg_get_expr(c.relpartbound, c.oid))
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
 WHERE c.relkind = 'r' AND c.relispartition
 ORDER BY 1";

/// Tables with rows, the largest first; their stored columns; and whether the binary form of all
/// column types is the same in every version.
const TABLES: &str = "
SELECT c.oid::pg_catalog.regclass::text,
       (SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attname)
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
       (SELECT coalesce(bool_and(t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace), true)
          FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
       pg_catalog.pg_table_size(c.oid)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r'
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'verbatim_upgrade')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.deptype = 'e' AND d.objid = c.oid
                      AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
 ORDER BY 4 DESC, 1";

/// Number of rows and the sum of the digests of their texts, which does not depend on the order.
const DIGEST: &str = "
SELECT count(*)::text || ' ' || coalesce(sum(('x' || encode(substr(sha256(convert_to(
         ROW(%COLUMNS%)::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint::numeric), 0)::text
  FROM ONLY %TABLE%";

/// Statements that set sequences to the old values.
const SEQUENCES: &str = "
SELECT format('SELECT pg_catalog.setval(%L, %s, %L)',
              format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value),
              last_value IS NOT NULL)
  FROM pg_catalog.pg_sequences WHERE schemaname !~ '^pg_'";

/// Table to copy.
#[derive(Debug, sqlx::FromRow)]
struct Table(String, Option<String>, bool, i64);

/// Creates the old database's partitions, and drops others, which are empty.
pub(super) async fn make_partitions(
    old: &mut PgConnection,
    new: &mut PgConnection,
) -> anyhow::Result<()> {
    let wanted: Vec<(String, String)> = sqlx::query_as(PARTITIONS).fetch_all(old).await?;
    let there: Vec<(String, String)> = sqlx::query_as(PARTITIONS).fetch_all(&mut *new).await?;
    for (name, _) in &there {
        if !wanted.iter().any(|(wanted, _)| wanted == name) {
            run(new, format!("DROP TABLE {name}")).await?;
        }
    }
    for (name, statements) in wanted {
        if !there.iter().any(|(there, _)| *there == name) {
            run(new, statements).await.with_context(|| format!("cannot create {name}"))?;
        }
    }
    Ok(())
}

/// Copies every table that was not copied yet. Each table is copied atomically with the comparison
/// of its digest.
pub(super) async fn copy(
    old: &mut PgConnection,
    new: &mut PgConnection,
    report: &Report,
) -> anyhow::Result<()> {
    let tables: Vec<Table> = sqlx::query_as(TABLES).fetch_all(&mut *old).await?;
    let done: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT name FROM {STATE_SCHEMA}.tables")))
            .fetch_all(&mut *new)
            .await?;
    let all: i64 = tables.iter().map(|table| table.3).sum();
    let mut copied = 0;
    for (place, table) in tables.iter().enumerate() {
        copied += table.3;
        if done.contains(&table.0) {
            continue;
        }
        let digest = copy_table(old, new, table)
            .await
            .with_context(|| format!("cannot copy the table {}", table.0))?;
        let rows = digest.split(' ').next().unwrap_or_default();
        report.line(&format!(
            "copied {} ({rows} rows); {} of {} tables, {} of {}",
            table.0,
            place + 1,
            tables.len(),
            ByteSize(copied.unsigned_abs()).display().iec(),
            ByteSize(all.unsigned_abs()).display().iec(),
        ));
    }
    for statement in sqlx::query_scalar::<_, String>(SEQUENCES).fetch_all(old).await? {
        run(new, statement).await?;
    }
    Ok(())
}

async fn copy_table(
    old: &mut PgConnection,
    new: &mut PgConnection,
    table: &Table,
) -> anyhow::Result<String> {
    let Table(name, columns, is_binary, _) = table;
    let columns = columns.as_deref().unwrap_or_default();
    let mut transaction = new.begin().await?;
    run(&mut transaction, format!("TRUNCATE {name}")).await?;
    let format = if *is_binary { "binary" } else { "text" };
    let mut rows =
        old.copy_out_raw(&format!("COPY {name} ({columns}) TO STDOUT (FORMAT {format})")).await?;
    // The table is truncated in this transaction, so rows can be frozen and need no later vacuum.
    let into = format!("COPY {name} ({columns}) FROM STDIN (FORMAT {format}, FREEZE)");
    let mut sink = transaction.copy_in_raw(&into).await?;
    let mut chunk = Vec::with_capacity(2 * CHUNK_BYTES);
    while let Some(row) = rows.try_next().await? {
        chunk.extend_from_slice(&row);
        if chunk.len() >= CHUNK_BYTES {
            sink.send(&*chunk).await?;
            chunk.clear();
        }
    }
    sink.send(&*chunk).await?;
    sink.finish().await?;
    drop(rows);
    let digest = DIGEST.replace("%COLUMNS%", columns).replace("%TABLE%", name);
    let (was, is) = tokio::try_join!(
        sqlx::query_scalar::<_, String>(AssertSqlSafe(digest.clone())).fetch_one(&mut *old),
        sqlx::query_scalar::<_, String>(AssertSqlSafe(digest)).fetch_one(&mut *transaction),
    )?;
    ensure!(was == is, "rows and digest are {is} in the new cluster, and {was} in the old one");
    let insert = format!("INSERT INTO {STATE_SCHEMA}.tables VALUES ($1, $2)");
    sqlx::query(AssertSqlSafe(insert)).bind(name).bind(&is).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(is)
}

/// Returns the state of the old database, which every writing transaction changes.
pub(super) async fn state(old: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar("SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text")
        .fetch_one(old)
        .await
}

/// Creates the upgrade's tables in the new database, if they are missing, and records the copied
/// state of the old one. Returns `false` if another state was recorded.
pub(super) async fn record_state(new: &mut PgConnection, state: &str) -> anyhow::Result<bool> {
    run(
        new,
        format!(
            "CREATE SCHEMA IF NOT EXISTS {STATE_SCHEMA};
             CREATE TABLE IF NOT EXISTS {STATE_SCHEMA}.state (copied text PRIMARY KEY);
             CREATE TABLE IF NOT EXISTS {STATE_SCHEMA}.tables (name text PRIMARY KEY, digest text);
             INSERT INTO {STATE_SCHEMA}.state SELECT '{state}'
              WHERE NOT EXISTS (SELECT FROM {STATE_SCHEMA}.state)"
        ),
    )
    .await?;
    let copied: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT copied FROM {STATE_SCHEMA}.state")))
            .fetch_all(new)
            .await?;
    match &*copied {
        [one] => Ok(one == state),
        _ => bail!("the new database has {} recorded states of the upgrade", copied.len()),
    }
}

/// Drops the upgrade's tables, and updates the planner's statistics.
pub(super) async fn finish(new: &mut PgConnection) -> anyhow::Result<()> {
    run(new, format!("DROP SCHEMA {STATE_SCHEMA} CASCADE")).await?;
    run(new, "ANALYZE".to_owned()).await
}

async fn run(connection: &mut PgConnection, statements: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await?;
    Ok(())
}
