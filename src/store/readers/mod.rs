//! Readers: login roles that may read the schema `analytics_v1` of this database and nothing else.
//!
//! `PostgreSQL` has roles by the cluster, and rights by the database: a reader of this database is a
//! login role with a right to use the schema here. So databases of one cluster do not disturb each
//! other, and nothing about readers is stored in a table.

mod create;
mod password;
mod reach;
mod remove;

use sqlx::query_as;

use crate::store::{Store, StoreError};

pub use password::{Password, Verifier};

/// Comment of the roles that we create. Others, made by hand, are listed and never dropped.
const MARK: &str = "verbatim reader";
/// Role without any rights whose members may connect over TCP to the private server.
pub const NETWORK_ROLE: &str = "verbatim_readers";
/// Relations that every reader may read.
pub const VIEWS: [&str; 7] =
    ["activity_15m", "agents", "events", "messages", "sessions", "turns", "visits"];
/// Relations with what was said.
pub const TEXT_VIEWS: [&str; 1] = ["message_texts"];
/// SQLSTATE of a privilege that is missing.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// Connections of one reader at once. A BI tool pools as many.
const MOST_CONNECTIONS: u8 = 5;

/// Name of a reader. It needs no quotes in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderName(String);

impl ReaderName {
    /// Longest name that `PostgreSQL` does not cut.
    const LONGEST: usize = 63;

    /// Checks a name: lower case letters, digits, `_` and `-`, starting with a letter.
    pub fn parse(name: &str) -> Result<Self, InvalidReaderName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= Self::LONGEST
            && name.bytes().all(allowed)
            // Reserved by PostgreSQL, and for the role of all readers.
            && !name.starts_with("pg_")
            && ![NETWORK_ROLE, "public", "none"].contains(&name);
        if valid { Ok(Self(name.to_owned())) } else { Err(InvalidReaderName(name.to_owned())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name that a reader cannot have.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid name for a reader: {0:?}. A name has up to 63 lower case letters, digits, _ and -, and \
     starts with a letter"
)]
pub struct InvalidReaderName(String);

/// Reader to be created.
#[derive(Clone, Debug)]
pub struct NewReader<'a> {
    /// Its name.
    pub name: &'a ReaderName,
    /// What the server checks its password by.
    pub verifier: &'a Verifier,
    /// It may read what was said.
    pub with_text: bool,
    /// The server is the private one, which is ours alone.
    pub is_private: bool,
}

/// Place at which a reader connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderPlace {
    /// Name of the database.
    pub database: String,
    /// Addresses on which the server listens, comma-separated; empty without any.
    pub addresses: String,
    /// Its port.
    pub port: String,
    /// The reader may create temporary tables, as every role of the database may.
    pub has_temporary_tables: bool,
}

/// Role that may read the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderRow {
    /// Its name.
    pub name: String,
    /// It may read what was said.
    pub with_text: bool,
    /// Its connections to this database.
    pub connections: i64,
    /// Most connections that it may have; negative without a limit.
    pub connection_limit: i32,
    /// It was created by [`Store::create_reader`].
    pub is_ours: bool,
}

/// Reason that a reader was not created or dropped.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A role has the name.
    #[error(
        "role {0:?} exists already. Roles belong to the whole PostgreSQL server, whatever the \
         database: choose another name"
    )]
    Exists(String),
    /// No role of the name can read this database.
    #[error("no reader {0:?} in this database; `verbatim readers list` shows those that there are")]
    NotFound(String),
    /// Somebody else made the role.
    #[error(
        "role {0:?} was not created by verbatim, so it is not dropped: revoke its rights on schema \
         analytics_v1 instead"
    )]
    NotOurs(String),
    /// Our role lacks a privilege.
    #[error(
        "the database's role lacks the privilege to do this. As an administrator, run in this \
         database:\n\n{sql}"
    )]
    NotAllowed {
        /// The statements.
        sql: String,
    },
    /// Everybody may do more in this database than a reader is to.
    #[error(
        "a new role of this database can do more than read the schema analytics_v1: {}. Revoke that \
         from PUBLIC first",
        .0.join(", ")
    )]
    TooMuch(Vec<String>),
    /// The rights that were granted have no effect.
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
    /// Lists the roles that may read the schema.
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
            MARK,
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
    fn a_name_needs_no_quotes_anywhere() {
        for valid in ["grafana", "a", "team-2_bi", &"a".repeat(63)] {
            assert_eq!(ReaderName::parse(valid).unwrap().as_str(), valid);
        }
        for invalid in
            ["", "Grafana", "2bi", "-a", "a b", "a\"b", "ä", "pg_read", "public", &"a".repeat(64)]
        {
            let error = ReaderName::parse(invalid).unwrap_err().to_string();
            assert!(error.starts_with("invalid name for a reader"), "{error}");
        }
        assert!(ReaderName::parse(NETWORK_ROLE).is_err());
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
