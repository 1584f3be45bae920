//! Creates a reader: the role, its limits and its rights, in one transaction.

use std::fmt::Write as _;

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, PgConnection, query, query_scalar};

use super::{
    INSUFFICIENT_PRIVILEGE, MAX_CONNECTIONS, NETWORK_ROLE, NewReader, ROLE_COMMENT, ReaderError,
    ReaderPlace, TEXT_VIEWS, VIEWS, quoted,
};
use crate::store::Store;

/// SQLSTATE of a role that exists already.
const DUPLICATE_OBJECT: &str = "42710";
/// Default settings of a reader's sessions. They guard against mistakes: a session can change them.
const SETTINGS: [(&str, &str); 5] = [
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "'30s'"),
    // An open transaction blocks migrations.
    ("idle_in_transaction_session_timeout", "'60s'"),
    ("lock_timeout", "'5s'"),
    ("search_path", "analytics_v1"),
];
/// Most temporary files of one session. A reader cannot change it, and only a superuser can set it.
const TEMP_FILE_LIMIT: &str = "'1GB'";

/// Properties of the database and of our role.
struct DatabaseInfo {
    database: String,
    may_create_roles: bool,
    may_limit_files: bool,
}

impl Store {
    /// Creates a reader, and returns its connection parameters.
    pub async fn create_reader(&self, new: &NewReader<'_>) -> Result<ReaderPlace, ReaderError> {
        let mut transaction = self.pool.begin().await?;
        let database_info = database_info(&mut transaction).await?;
        if role_exists(&mut transaction, new.name.as_str()).await? {
            return Err(ReaderError::Exists(new.name.as_str().to_owned()));
        }
        if !database_info.may_create_roles {
            return Err(not_allowed(new, &database_info));
        }
        if new.is_private {
            create_network_role(&mut transaction).await?;
        }
        for statement in statements(new, &database_info, new.verifier.as_str()) {
            // Names are quoted, and everything else is a constant or base64.
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await;
            if let Err(error) = done {
                return Err(explain(error, new, &database_info));
            }
        }
        let has_temporary_tables = super::rights::check(&mut transaction, new).await?;
        let place = query!(
            r#"SELECT
                 current_setting('listen_addresses') AS "addresses!",
                 current_setting('port') AS "port!""#
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(ReaderPlace {
            database: database_info.database,
            addresses: place.addresses,
            port: place.port,
            has_temporary_tables,
        })
    }
}

async fn database_info(connection: &mut PgConnection) -> Result<DatabaseInfo, ReaderError> {
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
    Ok(DatabaseInfo {
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

async fn create_network_role(connection: &mut PgConnection) -> Result<(), ReaderError> {
    if !role_exists(&mut *connection, NETWORK_ROLE).await? {
        let sql = format!("CREATE ROLE {NETWORK_ROLE} NOLOGIN");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    }
    Ok(())
}

/// Returns the statements that create a reader.
fn statements(new: &NewReader<'_>, database_info: &DatabaseInfo, password: &str) -> Vec<String> {
    let (role, database) = (quoted(new.name.as_str()), quoted(&database_info.database));
    let views = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| format!("analytics_v1.{name}")).collect();
        format!("GRANT SELECT ON {} TO {role}", names.join(", "))
    };
    let mut all = vec![
        format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{password}' CONNECTION LIMIT {MAX_CONNECTIONS}"
        ),
        format!("COMMENT ON ROLE {role} IS '{ROLE_COMMENT}'"),
    ];
    for (setting, value) in SETTINGS {
        all.push(format!("ALTER ROLE {role} IN DATABASE {database} SET {setting} = {value}"));
    }
    if database_info.may_limit_files {
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
        // The private server has only our database, so no other application loses a right.
        all.push(format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"));
    }
    all
}

fn not_allowed(new: &NewReader<'_>, database_info: &DatabaseInfo) -> ReaderError {
    let statements = statements(new, database_info, "choose a password");
    let mut sql = String::new();
    for statement in statements {
        // Writing to a string does not fail.
        let _ = writeln!(sql, "{statement};");
    }
    ReaderError::NotAllowed { sql }
}

fn explain(error: sqlx::Error, new: &NewReader<'_>, database_info: &DatabaseInfo) -> ReaderError {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    match code.as_ref() {
        INSUFFICIENT_PRIVILEGE => not_allowed(new, database_info),
        DUPLICATE_OBJECT => ReaderError::Exists(new.name.as_str().to_owned()),
        _ => error.into(),
    }
}
