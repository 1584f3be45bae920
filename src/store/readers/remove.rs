//! Drops a reader: closes its connections, and removes its rights and the role.

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, query_scalar};

use super::{INSUFFICIENT_PRIVILEGE, ReaderError, ReaderName, quoted};
use crate::store::Store;

impl Store {
    /// Drops a reader of this database that Verbatim created.
    pub async fn drop_reader(&self, name: &ReaderName) -> Result<(), ReaderError> {
        let readers = self.list_readers().await?;
        let Some(reader) = readers.into_iter().find(|reader| reader.name == name.as_str()) else {
            return Err(ReaderError::NotFound(name.as_str().to_owned()));
        };
        if !reader.is_ours {
            return Err(ReaderError::NotOurs(reader.name));
        }
        let role = quoted(name.as_str());
        // It must not connect again while its connections are closed.
        sqlx::raw_sql(AssertSqlSafe(format!("ALTER ROLE {role} NOLOGIN")))
            .execute(&self.pool)
            .await
            .map_err(|error| explain(error, &role))?;
        self.close_connections(name).await;
        let mut transaction = self.pool.begin().await?;
        let database = query_scalar!(r#"SELECT current_database()::text AS "name!""#)
            .fetch_one(&mut *transaction)
            .await?;
        let database = quoted(&database);
        // Names are quoted.
        sqlx::raw_sql(AssertSqlSafe(format!(
            "REVOKE ALL ON ALL TABLES IN SCHEMA analytics_v1 FROM {role};
             REVOKE ALL ON ALL FUNCTIONS IN SCHEMA analytics_v1 FROM {role};
             REVOKE ALL ON SCHEMA analytics_v1 FROM {role};
             REVOKE ALL ON DATABASE {database} FROM {role};
             DROP ROLE {role}"
        )))
        .execute(&mut *transaction)
        .await
        .map_err(|error| explain(error, &role))?;
        transaction.commit().await?;
        Ok(())
    }

    async fn close_connections(&self, name: &ReaderName) {
        let ended = query_scalar!(
            r#"SELECT pg_terminate_backend(pid) AS "ended!"
             FROM pg_stat_activity
             WHERE usename = $1::text"#,
            name.as_str()
        );
        if let Err(error) = ended.fetch_all(&self.pool).await {
            // Open connections cannot read anything after the rights are revoked.
            tracing::warn!(%error, reader = name.as_str(), "connections not closed");
        }
    }
}

fn explain(error: sqlx::Error, role: &str) -> ReaderError {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    if code == INSUFFICIENT_PRIVILEGE {
        let sql = format!("DROP OWNED BY {role};\nDROP ROLE {role};\n");
        return ReaderError::NotAllowed { sql };
    }
    error.into()
}
