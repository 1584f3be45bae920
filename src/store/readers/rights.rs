//! Checks the effective rights of a new reader, including those of PUBLIC.

use sqlx::{PgConnection, query, query_scalar};

use super::{NewReader, ReaderError};

/// Most rights that an error names.
const MAX_NAMED: i64 = 5;

/// Fails if the reader can read other tables, write or create anything, or lacks a right that it
/// needs. Returns whether it can create temporary tables.
pub(super) async fn check(
    connection: &mut PgConnection,
    new: &NewReader<'_>,
) -> Result<bool, ReaderError> {
    let role = new.name.as_str();
    // Relations of extensions are the same everywhere and contain nobody's data.
    let too_much = query_scalar!(
        r#"
        SELECT what AS "what!"
        FROM (
            SELECT format('access to %I.%I', n.nspname, c.relname) AS what
            FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
                AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                AND n.nspname !~ '^pg_(toast|temp)'
                AND (
                    has_table_privilege(
                        $1::text::name, c.oid,
                        'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
                    )
                    OR n.nspname <> 'analytics_v1' AND (
                        has_table_privilege($1::text::name, c.oid, 'SELECT')
                        OR has_any_column_privilege($1::text::name, c.oid, 'SELECT, INSERT, UPDATE')
                    )
                )
                AND NOT EXISTS (
                    SELECT
                    FROM pg_depend AS d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                )
            UNION ALL
            SELECT format('CREATE on schema %I', n.nspname)
            FROM pg_namespace AS n
            WHERE has_schema_privilege($1::text::name, n.oid, 'CREATE')
            UNION ALL
            SELECT 'CREATE on the database'
            WHERE has_database_privilege($1::text::name, current_database(), 'CREATE')
        ) AS found
        ORDER BY what
        LIMIT $2
        "#,
        role,
        MAX_NAMED,
    )
    .fetch_all(&mut *connection)
    .await?;
    if !too_much.is_empty() {
        return Err(ReaderError::TooMuch(too_much));
    }
    let rights = query!(
        r#"SELECT
             has_database_privilege($1::text::name, current_database(), 'CONNECT') AS "connect!",
             has_database_privilege($1::text::name, current_database(), 'TEMPORARY')
                 AS "temporary!",
             has_schema_privilege($1::text::name, 'analytics_v1', 'USAGE') AS "schema!",
             has_table_privilege($1::text::name, 'analytics_v1.sessions', 'SELECT') AS "views!",
             has_table_privilege($1::text::name, 'analytics_v1.message_texts', 'SELECT')
                 AS "texts!""#,
        role,
    )
    .fetch_one(connection)
    .await?;
    if !rights.connect {
        return Err(ReaderError::TooLittle("the database"));
    }
    if !rights.schema || !rights.views || rights.texts != new.with_text {
        return Err(ReaderError::TooLittle("the schema analytics_v1"));
    }
    Ok(rights.temporary)
}
