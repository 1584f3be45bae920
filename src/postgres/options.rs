//! Connection options of an external database and of the private one.

use std::str::FromStr as _;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::home::Home;
use super::name::NAME;

/// Application name in `pg_stat_activity`.
const APPLICATION_NAME: &str = "verbatim";

/// Parses the URL of an external database.
pub(super) fn external(url: &SecretString) -> anyhow::Result<PgConnectOptions> {
    named(url, "DATABASE_URL")
}

/// Parses the URL in a setting.
pub(super) fn named(url: &SecretString, setting: &str) -> anyhow::Result<PgConnectOptions> {
    // The parser's message does not quote the URL, which contains a password.
    let options = PgConnectOptions::from_str(url.expose_secret()).with_context(|| {
        format!("{setting} is not a URL such as postgres://user:password@host:5432/database")
    })?;
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(APPLICATION_NAME),
    })
}

/// Returns the options of the private database.
pub(super) fn private(home: &Home) -> PgConnectOptions {
    // PG… variables of the environment are meant for other databases: every relevant option is set.
    PgConnectOptions::new_without_pgpass()
        .socket(home.socket_folder())
        .port(5432)
        .username(NAME)
        .database(NAME)
        .ssl_mode(PgSslMode::Disable)
        .application_name(APPLICATION_NAME)
}
