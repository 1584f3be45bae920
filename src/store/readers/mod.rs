//! Readers: login roles that can read the schema `analytics_v1` of this database and nothing else.
//!
//! `PostgreSQL` roles belong to a cluster, rights to a database: a reader of this database is a
//! login role with a right to use the schema here. So databases of a cluster do not affect each
//! other, and no table stores readers.

mod create;
mod password;
mod remove;
mod rights;

use sqlx::query_as;

use crate::store::{Store, StoreError};

pub use password::{Password, Verifier};

/// Comment of the roles that Verbatim creates. Roles created by hand are listed and never dropped.
const ROLE_COMMENT: &str = "verbatim reader";
/// Role without rights, whose members may connect over TCP to the private server.
pub const NETWORK_ROLE: &str = "verbatim_readers";
/// Relations that every reader can read.
pub const VIEWS: [&str; 7] =
    ["activity_15m", "agents", "events", "messages", "sessions", "turns", "visits"];
/// Relations with texts of messages.
pub const TEXT_VIEWS: [&str; 1] = ["message_texts"];
/// SQLSTATE of a missing privilege.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// Most concurrent connections of one reader, enough for the pool of a BI tool.
const MAX_CONNECTIONS: u8 = 5;

/// Name of a reader. It needs no quotes in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderName(String);

impl ReaderName {
    /// Longest name that `PostgreSQL` does not truncate.
    const LONGEST: usize = 63;

    /// Checks a name: lower case letters, digits, `_` and `-`, starting with a letter.
    pub fn parse(name: &str) -> Result<Self, InvalidReaderName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= Self::LONGEST
            && name.bytes().all(allowed)
            // Reserved by PostgreSQL, and the role of all readers.
            && !name.starts_with("pg_")
            && ![NETWORK_ROLE, "public", "none"].contains(&name);
        if valid { Ok(Self(name.to_owned())) } else { Err(InvalidReaderName(name.to_owned())) }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name that a reader cannot have.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid reader name {0:?}: use up to 63 lower case letters, digits, _ and -, starting with a \
     letter"
)]
pub struct InvalidReaderName(String);

/// New reader.
#[derive(Clone, Debug)]
pub struct NewReader<'a> {
    /// Name of the role.
    pub name: &'a ReaderName,
    /// Password verifier that the server stores.
    pub verifier: &'a Verifier,
    /// Grants the texts of messages.
    pub with_text: bool,
    /// The server is the private one, without other applications.
    pub is_private: bool,
}

/// Connection parameters of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderPlace {
    /// Database name.
    pub database: String,
    /// Addresses on which the server listens, comma-separated; may be empty.
    pub addresses: String,
    /// Port of the server.
    pub port: String,
    /// The reader can create temporary tables, like every role of the database.
    pub has_temporary_tables: bool,
}

/// Role that can read the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderRow {
    /// Name of the role.
    pub name: String,
    /// It can read the texts of messages.
    pub with_text: bool,
    /// Present connections to this database.
    pub connections: i64,
    /// Most connections; negative without a limit.
    pub connection_limit: i32,
    /// [`Store::create_reader`] created it.
    pub is_ours: bool,
}

/// Reason why a reader was not created or dropped.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A role with this name exists.
    #[error(
        "role {0:?} already exists. Roles belong to the whole PostgreSQL server and not to one \
         database: choose another name"
    )]
    Exists(String),
    /// No role with this name can read this database.
    #[error("no reader {0:?} in this database; `verbatim readers list` lists the readers")]
    NotFound(String),
    /// Verbatim did not create the role.
    #[error(
        "role {0:?} was not created by verbatim and is not dropped: revoke its rights on schema \
         analytics_v1 instead"
    )]
    NotOurs(String),
    /// Verbatim's role lacks a privilege.
    #[error(
        "permission denied for verbatim's database role. As an administrator, run in this \
         database:\n\n{sql}"
    )]
    NotAllowed {
        /// Statements for an administrator.
        sql: String,
    },
    /// PUBLIC has more rights in this database than a reader should have.
    #[error(
        "a new role of this database can do more than read schema analytics_v1: {}. Revoke these \
         rights from PUBLIC first",
        .0.join(", ")
    )]
    TooMuch(Vec<String>),
    /// The granted rights have no effect.
    #[error(
        "the role would lack rights on {0}: connect as the owner of the database and of schema \
         analytics_v1"
    )]
    TooLittle(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ReaderError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Lists the roles that can read the schema.
    pub async fn list_readers(&self) -> Result<Vec<ReaderRow>, StoreError> {
        let rows = query_as!(
            ReaderRow,
            r#"
            SELECT
                r.rolname::text AS "name!",
                has_table_privilege(r.oid, 'analytics_v1.message_texts', 'SELECT')
                    AS "with_text!",
                (
                    SELECT count(*)
                    FROM pg_stat_activity AS a
                    WHERE a.usesysid = r.oid AND a.datname = current_database()
                ) AS "connections!",
                r.rolconnlimit AS "connection_limit!",
                COALESCE(shobj_description(r.oid, 'pg_authid') = $1, false) AS "is_ours!"
            FROM pg_namespace AS n
            CROSS JOIN LATERAL aclexplode(n.nspacl) AS granted
            JOIN pg_roles AS r ON r.oid = granted.grantee
            WHERE n.nspname = 'analytics_v1'
                AND granted.privilege_type = 'USAGE'
                AND r.oid <> n.nspowner
                AND (r.rolcanlogin OR shobj_description(r.oid, 'pg_authid') = $1)
            ORDER BY r.rolname
            "#,
            ROLE_COMMENT,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}

/// Quotes an identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_name_needs_no_quotes() {
        for valid in ["grafana", "a", "team-2_bi", &"a".repeat(63)] {
            assert_eq!(ReaderName::parse(valid).unwrap().as_str(), valid);
        }
        for invalid in
            ["", "Grafana", "2bi", "-a", "a b", "a\"b", "ä", "pg_read", "public", &"a".repeat(64)]
        {
            let error = ReaderName::parse(invalid).unwrap_err().to_string();
            assert!(error.starts_with("invalid reader name"), "{error}");
        }
        assert!(ReaderName::parse(NETWORK_ROLE).is_err());
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
