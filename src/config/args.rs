//! Settings that command line, environment and TOML file can have, each declared once.
//!
//! A flag and a key of the file have the member's name, unless an attribute renames one of them.

use std::path::PathBuf;

use clap::Args;
use merge::Merge;
use secrecy::SecretString;
use serde::Deserialize;

use super::ack::Ack;
use super::address::Address;
use super::alerts::ReceiverUrl;
use super::cors::CorsOrigins;
use super::credentials::{HeaderLines, Secrets, environment};
use super::limits::{InboxQuota, MaxBody};
use super::log_format::LogFormat;
use super::proxies::TrustedProxies;
use super::replica::MaxLag;
use super::retention::AgeLimit;
use super::silence::Silence;
use super::text::Listed;
use super::visits::VisitGap;
use crate::domain::Roles;
use crate::redact::Redaction;

/// Options of every command that uses the data.
#[derive(Args, Clone, Debug, Default, Deserialize)]
pub struct DatabaseArgs {
    /// TOML file with settings [default: none]
    #[arg(long, env = "VERBATIM_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Data folder: inbox, private database, generated secrets [default: ./data]
    #[arg(long, env = "VERBATIM_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Your own Postgres [default: a private one in the data folder]. Prefer the environment
    /// variable: other users can read a command line
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// File with the URL of your own Postgres, such as a mounted secret
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// Standby of your own Postgres, which the API reads from while it is at most `read-max-lag`
    /// behind [default: none]
    #[arg(long, env = "VERBATIM_READ_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub read_database_url: Option<SecretString>,
    /// File with the URL of the standby, such as a mounted secret
    #[arg(long, env = "VERBATIM_READ_DATABASE_URL_FILE", value_name = "FILE")]
    pub read_database_url_file: Option<PathBuf>,
}

/// Options of `verbatim serve`.
#[derive(Args, Clone, Debug, Default, Deserialize, Merge)]
#[merge(strategy = merge::option::overwrite_none)]
pub struct ServeArgs {
    #[command(flatten)]
    #[serde(skip)]
    #[merge(skip)]
    #[expect(missing_docs, reason = "clap would print it")]
    pub database: DatabaseArgs,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "VERBATIM_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<Address>,
    /// TCP address at which readers (see `verbatim readers`) reach the private PostgreSQL
    /// [default: none]
    #[arg(long, env = "VERBATIM_POSTGRES_LISTEN", value_name = "HOST:PORT")]
    pub postgres_listen: Option<Address>,
    /// Longest lag at which the standby is still used [default: 10s]
    #[arg(long, env = "VERBATIM_READ_MAX_LAG", value_name = "DURATION")]
    pub read_max_lag: Option<MaxLag>,
    /// Certificate chain in PEM, for HTTPS instead of HTTP. Reloaded when the file changes
    #[arg(long, env = "VERBATIM_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, env = "VERBATIM_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Limit on open connections; further ones wait [default: 10000]
    #[arg(long, env = "VERBATIM_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Commit that precedes a 200 [default: inbox]
    #[arg(long, env = "VERBATIM_ACK", value_enum)]
    pub ack: Option<Ack>,
    /// Limit on a delivery's body [default: 1MiB]
    #[arg(long, env = "VERBATIM_MAX_BODY", value_name = "SIZE")]
    pub max_body: Option<MaxBody>,
    /// Limit on the inbox's size on disk [default: 4GiB]
    #[arg(long, env = "VERBATIM_INBOX_QUOTA", value_name = "SIZE")]
    pub inbox_quota: Option<InboxQuota>,
    /// Proxies whose X-Forwarded-For is trusted: addresses or networks, comma-separated
    /// [default: none]
    #[arg(long, env = "VERBATIM_TRUSTED_PROXIES", value_name = "LIST")]
    pub trusted_proxies: Option<Listed<TrustedProxies>>,
    /// Origins whose pages may read the API in a browser, such as `https://app.example.com`,
    /// comma-separated, or * for all [default: none]
    #[arg(long, env = "VERBATIM_CORS_ORIGIN", value_name = "LIST")]
    pub cors_origin: Option<Listed<CorsOrigins>>,
    /// Time after its last event during which a session is live [default: 2m]
    #[arg(long, env = "VERBATIM_LIVE_FOR", value_name = "DURATION")]
    pub live_for: Option<Silence>,
    /// Silence after which a session has ended [default: 30m]
    #[arg(long, env = "VERBATIM_ENDED_AFTER", value_name = "DURATION")]
    pub ended_after: Option<Silence>,
    /// Silence after which a new visit begins, for kiosks that keep one session [default: 5m]
    #[arg(long, env = "VERBATIM_VISIT_GAP", value_name = "DURATION")]
    pub visit_gap: Option<VisitGap>,
    /// Roles that mark a message as the assistant's, comma-separated
    /// [default: agent,ai,avatar,bot,chatbot,model]
    #[arg(long, env = "VERBATIM_ASSISTANT_ROLES", value_name = "WORDS")]
    pub assistant_roles: Option<Listed<Roles>>,
    /// Age at which conversations are deleted, in whole days, or `forever` [default: forever]
    #[arg(long, env = "VERBATIM_KEEP_MESSAGES", value_name = "DURATION")]
    pub keep_messages: Option<AgeLimit>,
    /// Age at which the log of deliveries is deleted, raw bytes included, in whole days, or
    /// `forever` [default: 30d]
    #[arg(long, env = "VERBATIM_KEEP_DELIVERIES", value_name = "DURATION")]
    pub keep_deliveries: Option<AgeLimit>,
    /// Personal data to replace in deliveries of the default source before they are stored: email,
    /// phone, card, comma-separated [default: none]
    #[arg(long, env = "VERBATIM_REDACT", value_name = "KINDS")]
    pub redact: Option<Listed<Redaction>>,
    /// Receiver of notifications, for alerts without a `url` [default: none]
    #[arg(long, env = "VERBATIM_ALERT_URL", value_name = "URL", hide_env_values = true)]
    pub alert_url: Option<ReceiverUrl>,
    /// Do not migrate the database's schema at start
    #[arg(long)]
    #[serde(skip)]
    #[merge(skip)]
    pub no_migrate: bool,
    /// Format of log lines [default: pretty]
    #[arg(long, env = "VERBATIM_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// File with the webhook's secrets, separated by commas or line breaks
    #[arg(long, env = "VERBATIM_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    #[serde(rename = "webhook_secrets_file")]
    pub webhook_secret_file: Option<PathBuf>,
    /// File with the webhook's required headers, one `Name: value` per line
    #[arg(long, env = "VERBATIM_WEBHOOK_HEADER_FILE", value_name = "FILE")]
    #[serde(rename = "webhook_headers_file")]
    pub webhook_header_file: Option<PathBuf>,
    /// File with the API key that has every scope
    #[arg(long, env = "VERBATIM_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// File with the secrets that sign alert notifications, separated by commas or line breaks
    #[arg(long, env = "VERBATIM_ALERT_SECRET_FILE", value_name = "FILE")]
    #[serde(rename = "alert_secrets_file")]
    pub alert_secret_file: Option<PathBuf>,

    // No flags for secrets: other users can read a command line.
    /// Secrets of the default source.
    #[arg(skip = environment("VERBATIM_WEBHOOK_SECRET"))]
    #[serde(rename = "webhook_secrets")]
    pub webhook_secret: Option<Secrets>,
    /// Headers that the default source requires.
    #[arg(skip = environment("VERBATIM_WEBHOOK_HEADER"))]
    #[serde(rename = "webhook_headers")]
    pub webhook_header: Option<HeaderLines>,
    /// API key that has every scope.
    #[arg(skip = environment("VERBATIM_API_KEY"))]
    pub api_key: Option<SecretString>,
    /// Secrets that sign alert notifications.
    #[arg(skip = environment("VERBATIM_ALERT_SECRET"))]
    #[serde(rename = "alert_secrets")]
    pub alert_secret: Option<Secrets>,
}

impl ServeArgs {
    /// Returns these settings and, for those that are not set, the file's. Those of the database stay
    /// unchanged.
    pub(super) fn or(mut self, file: Self) -> Self {
        // An empty list of these counts as not set.
        self.trusted_proxies.take_if(|listed| listed.0.0.is_empty());
        self.cors_origin.take_if(|listed| listed.0 == CorsOrigins::None);
        self.merge(file);
        self
    }
}
