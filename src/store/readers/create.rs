//! Creates a reader: the role, its limits and its rights, all or nothing.

use std::fmt::Write as _;

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, PgConnection, query, query_scalar};

use super::{
    INSUFFICIENT_PRIVILEGE, MARK, MOST_CONNECTIONS, NETWORK_ROLE, NewReader, ReaderError,
    ReaderPlace, TEXT_VIEWS, VIEWS, quoted,
};
use crate::store::Store;

/// SQLSTATE of a role that exists.
const DUPLICATE_OBJECT: &str = "42710";
/// Settings with which a reader's sessions start. They guard against mistakes: a session can change
/// them.
const SETTINGS: [(&str, &str); 5] = [
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "'30s'"),
    // A transaction that is left open keeps migrations waiting.
    ("idle_in_transaction_session_timeout", "'60s'"),
    ("lock_timeout", "'5s'"),
    ("search_path", "analytics_v1"),
];
/// Files for sorting, of one session. A reader cannot change it, and only a superuser can set it.
const TEMP_FILE_LIMIT: &str = "'1GB'";

/// What the database says of itself.
struct About {
    database: String,
    may_create_roles: bool,
    may_limit_files: bool,
}

impl Store {
    /// Creates a reader, and returns where it connects.
    pub async fn create_reader(&self, new: &NewReader<'_>) -> Result<ReaderPlace, ReaderError> {
        let mut transaction = self.pool.begin().await?;
        let about = about(&mut transaction).await?;
        if role_exists(&mut transaction, new.name.as_str()).await? {
            return Err(ReaderError::Exists(new.name.as_str().to_owned()));
        }
        if !about.may_create_roles {
            return Err(not_allowed(new, &about));
        }
        if new.is_private {
            make_network_role(&mut transaction).await?;
        }
        for statement in statements(new, &about, new.verifier.as_str()) {
            // Names are quoted, and all else is a constant or base64.
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await;
            if let Err(error) = done {
                return Err(explain(error, new, &about));
            }
        }
        let has_temporary_tables = super::reach::check(&mut transaction, new).await?;
        let place = query!(
            r#"SELECT
                 current_setting('listen_addresses') AS "addresses!",
                 current_setting('port') AS "port!""#
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(ReaderPlace {
            database: about.database,
            addresses: place.addresses,
            port: place.port,
            has_temporary_tables,
        })
    }
}

async fn about(connection: &mut PgConnection) -> Result<About, ReaderError> {
    let row = query!(
        r#"SELECT
             current_database()::text AS "database!",
             (rolsuper OR rolcreaterole) AS "may_create_roles!",
             has_parameter_privilege('temp_file_limit', 'SET') AS "may_limit_files!"
         FROM pg_roles
         WHERE rolname = current_user"#
    )
    .fetch_one(connection)
    .await?;
    Ok(About {
        database: row.database,
        may_create_roles: row.may_create_roles,
        may_limit_files: row.may_limit_files,
    })
}

async fn role_exists(connection: &mut PgConnection, name: &str) -> Result<bool, ReaderError> {
    let found = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text) AS "exists!""#,
        name
    );
    Ok(found.fetch_one(connection).await?)
}

async fn make_network_role(connection: &mut PgConnection) -> Result<(), ReaderError> {
    if !role_exists(&mut *connection, NETWORK_ROLE).await? {
        let sql = format!("CREATE ROLE {NETWORK_ROLE} NOLOGIN");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    }
    Ok(())
}

/// Returns the statements that make a reader.
fn statements(new: &NewReader<'_>, about: &About, password: &str) -> Vec<String> {
    let (role, database) = (quoted(new.name.as_str()), quoted(&about.database));
    let views = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| format!("analytics_v1.{name}")).collect();
        format!("GRANT SELECT ON {} TO {role}", names.join(", "))
    };
    let mut all = vec![
        format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{password}' CONNECTION LIMIT {MOST_CONNECTIONS}"
        ),
        format!("COMMENT ON ROLE {role} IS '{MARK}'"),
    ];
    for (setting, value) in SETTINGS {
        all.push(format!("ALTER ROLE {role} IN DATABASE {database} SET {setting} = {value}"));
    }
    if about.may_limit_files {
        all.push(format!(
            "ALTER ROLE {role} IN DATABASE {database} SET temp_file_limit = {TEMP_FILE_LIMIT}"
        ));
    }
    all.extend([
        format!("GRANT CONNECT ON DATABASE {database} TO {role}"),
        format!("GRANT USAGE ON SCHEMA analytics_v1 TO {role}"),
        views(&VIEWS),
        format!("GRANT EXECUTE ON FUNCTION analytics_v1.buckets TO {role}"),
    ]);
    if new.with_text {
        all.push(views(&TEXT_VIEWS));
    }
    if new.is_private {
        all.push(format!("GRANT {NETWORK_ROLE} TO {role}"));
        // The database is ours alone, so nobody else's rights are at stake.
        all.push(format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"));
    }
    all
}

fn not_allowed(new: &NewReader<'_>, about: &About) -> ReaderError {
    let statements = statements(new, about, "choose a password");
    let mut sql = String::new();
    for statement in statements {
        // Writing to a string does not fail.
        let _ = writeln!(sql, "{statement};");
    }
    ReaderError::NotAllowed { sql }
}

fn explain(error: sqlx::Error, new: &NewReader<'_>, about: &About) -> ReaderError {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    match code.as_ref() {
        INSUFFICIENT_PRIVILEGE => not_allowed(new, about),
        DUPLICATE_OBJECT => ReaderError::Exists(new.name.as_str().to_owned()),
        _ => error.into(),
    }
}
