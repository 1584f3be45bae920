//! Settings: each declared once for flags, environment and TOML file ([`args`]; [`file_only`] for
//! those of the file alone), parsed to its final type, and completed by defaults ([`Settings`]).
//!
//! Precedence: flag, environment variable, file, default.

mod ack;
mod address;
mod alerts;
mod args;
mod cors;
mod credentials;
mod data_dir;
mod file;
mod file_only;
mod generated;
mod limits;
mod log_format;
mod origin;
mod proxies;
mod rejected;
mod replica;
mod retention;
mod roles;
mod silence;
mod sources;
mod text;
mod tls;
mod visits;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;

pub use ack::Ack;
pub use alerts::{AlertSettings, Receiver};
pub use args::{DatabaseArgs, ServeArgs};
pub use cors::CorsOrigins;
pub use credentials::{read_file as read_credential, tidied};
pub use generated::Generated;
pub use log_format::LogFormat;
pub use origin::{Origin, Origins};
pub use rejected::rejected;
pub use replica::ReplicaSettings;
pub use retention::{AgeLimits, RetentionRules, oldest};
pub use sources::{RequiredHeader, SourceSettings};
pub use text::Listed;
pub use tls::TlsSettings;

use address::Address;
use file::File;
use origin::Places;

use crate::domain::Roles;
use crate::domain::session::SilenceLimits;
use crate::domain::visits::VisitGaps;

/// Checked settings of `serve`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate of HTTPS; `None` is plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Limit on open connections.
    pub max_connections: usize,
    /// Data folder and database.
    pub database: DatabaseSettings,
    /// Standby that the read API uses, if one is configured.
    pub replica: Option<ReplicaSettings>,
    /// Sources that may deliver, the default source first.
    pub sources: Vec<SourceSettings>,
    /// An API key with every scope.
    pub api_key: Option<SecretString>,
    /// Places where the default source's credentials and the key are configured.
    pub origins: Origins,
    /// Commit that precedes a 200.
    pub ack: Ack,
    /// Limit on a delivery's body, in bytes.
    pub max_body_bytes: usize,
    /// Limit on the inbox's size on disk, in bytes.
    pub inbox_quota_bytes: u64,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may read the API in a browser.
    pub cors_origins: CorsOrigins,
    /// Silence after which a session is idle, and after which it has ended.
    pub silence: SilenceLimits,
    /// Silence after which a visit has ended, by agent.
    pub visit_gaps: VisitGaps,
    /// Roles that mark a message as the assistant's.
    pub roles: Roles,
    /// Retention of conversations and of the log of deliveries.
    pub keep: RetentionRules,
    /// Alerts, with the receivers of their notifications.
    pub alerts: Vec<AlertSettings>,
    /// Migrate the schema at start.
    pub migrate: bool,
    /// Format of log lines.
    pub log_format: LogFormat,
}

/// Data folder and database.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Data folder: inbox, private database, generated secrets.
    pub data_dir: PathBuf,
    /// URL of the operator's database; `None` is a private one in the data folder.
    pub url: Option<SecretString>,
    /// URL of a standby of that database.
    pub read_url: Option<SecretString>,
    /// TCP address at which readers reach the private database. Only `serve` sets it.
    pub postgres_listen: Option<SocketAddr>,
}

impl DatabaseSettings {
    /// Reads the settings from flags, environment and file.
    pub fn resolve(args: &DatabaseArgs) -> anyhow::Result<Self> {
        let file = File::read(args.config.as_deref())?;
        Self::merge(args, &file.args.database)
    }

    fn merge(args: &DatabaseArgs, file: &DatabaseArgs) -> anyhow::Result<Self> {
        let places = Places { args, file, config: args.config.as_deref() };
        let (url, _) = places.read(["DATABASE_URL", "database_url"], |args| {
            (args.database_url.as_ref(), args.database_url_file.as_ref())
        })?;
        let names = ["VERBATIM_READ_DATABASE_URL", "read_database_url"];
        let (read_url, _) = places.read(names, |args| {
            (args.read_database_url.as_ref(), args.read_database_url_file.as_ref())
        })?;
        anyhow::ensure!(
            read_url.is_none() || url.is_some(),
            "read-database-url needs your own Postgres, since the private one has no standby: set \
             DATABASE_URL to the primary"
        );
        let data_dir = args.data_dir.as_ref().or(file.data_dir.as_ref());
        let data_dir = data_dir.cloned().unwrap_or_else(|| PathBuf::from("./data"));
        Ok(Self { data_dir, url, read_url, postgres_listen: None })
    }

    /// Sets the address for readers, which only the private database can have.
    fn listening(self, address: Option<&Address>) -> anyhow::Result<Self> {
        let Some(address) = address else { return Ok(self) };
        anyhow::ensure!(
            self.url.is_none(),
            "postgres-listen applies to the private PostgreSQL only, but a database URL is set: \
             readers connect to that database directly"
        );
        let address = address.resolve("postgres-listen")?;
        anyhow::ensure!(address.port() != 0, "postgres-listen needs a port such as 5432");
        Ok(Self { postgres_listen: Some(address), ..self })
    }
}

impl Settings {
    /// Reads the settings from flags, environment and file.
    pub fn resolve(args: ServeArgs) -> anyhow::Result<Self> {
        let config = args.database.config.clone();
        let File { args: file, only } = File::read(config.as_deref())?;
        let places = Places { args: &args, file: &file, config: config.as_deref() };
        let names = ["VERBATIM_WEBHOOK_SECRET", "webhook_secrets"];
        let (secrets, webhook_secrets) = places.read(names, |args| {
            (args.webhook_secret.as_ref(), args.webhook_secret_file.as_ref())
        })?;
        let names = ["VERBATIM_WEBHOOK_HEADER", "webhook_headers"];
        let (headers, webhook_headers) = places.read(names, |args| {
            (args.webhook_header.as_ref(), args.webhook_header_file.as_ref())
        })?;
        let (key, api_key) = places.read(["VERBATIM_API_KEY", "api_key"], |args| {
            (args.api_key.as_ref(), args.api_key_file.as_ref())
        })?;
        let names = ["VERBATIM_ALERT_SECRET", "alert_secrets"];
        let (alert_secrets, _) = places
            .read(names, |args| (args.alert_secret.as_ref(), args.alert_secret_file.as_ref()))?;
        key.iter().try_for_each(credentials::check_api_key)?;
        let database = DatabaseSettings::merge(&args.database, &file.database)?;

        let args = args.or(file);
        let database = database.listening(args.postgres_listen.as_ref())?;
        let max_lag = args.read_max_lag.unwrap_or_default().0;
        let redaction = args.redact.unwrap_or_default().0;
        Ok(Self {
            listen: args.listen.unwrap_or_default().resolve("listen")?,
            tls: TlsSettings::resolve(args.tls_cert, args.tls_key)?,
            max_connections: limits::max_connections(args.max_connections)?,
            replica: database.read_url.clone().map(|url| ReplicaSettings { url, max_lag }),
            database,
            sources: sources::resolve(
                secrets.unwrap_or_default(),
                &headers.unwrap_or_default(),
                redaction,
                &only,
            )?,
            api_key: key,
            origins: Origins { webhook_secrets, webhook_headers, api_key },
            ack: args.ack.unwrap_or_default(),
            max_body_bytes: args.max_body.unwrap_or_default().0,
            inbox_quota_bytes: args.inbox_quota.unwrap_or_default().0,
            trusted_proxies: args.trusted_proxies.unwrap_or_default().0.0,
            cors_origins: args.cors_origin.unwrap_or_default().0,
            silence: silence::limits(args.live_for, args.ended_after)?,
            visit_gaps: visits::gaps(args.visit_gap.unwrap_or_default(), &only.agents)?,
            roles: args.assistant_roles.unwrap_or_default().0,
            keep: RetentionRules::resolve(args.keep_messages, args.keep_deliveries, &only.sources)?,
            alerts: alerts::resolve(
                args.alert_url,
                &alert_secrets.unwrap_or_default(),
                &only.alerts,
            )?,
            migrate: !args.no_migrate,
            log_format: args.log_format.unwrap_or_default(),
        })
    }
}

/// Reads the assistant's roles for a command that has no other setting of `serve`.
pub fn assistant_roles(args: &DatabaseArgs, flag: Option<Listed<Roles>>) -> anyhow::Result<Roles> {
    let file = File::read(args.config.as_deref())?;
    Ok(flag.or(file.args.assistant_roles).unwrap_or_default().0)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn empty_database_url_does_not_override_the_file() {
        let file = File::parse("database_url = 'postgres://of-the-file/v'").unwrap();
        let of = |text: Option<&str>, file: &File| {
            let args =
                DatabaseArgs { database_url: text.map(Into::into), ..DatabaseArgs::default() };
            let settings = DatabaseSettings::merge(&args, &file.args.database).unwrap();
            settings.url.map(|url| url.expose_secret().to_owned())
        };
        let of_the_file = Some("postgres://of-the-file/v".to_owned());
        assert_eq!(of(Some(""), &file), of_the_file);
        assert_eq!(of(Some(" "), &file), of_the_file);
        assert_eq!(of(None, &file), of_the_file);
        assert_eq!(of(Some("postgres://mine/v\n"), &file), Some("postgres://mine/v".into()));
        assert_eq!(of(Some(""), &File::default()), None);
    }

    #[test]
    fn only_the_private_database_has_an_address_for_readers() {
        let resolve = |address: &str, url: Option<&str>| {
            let database =
                DatabaseArgs { database_url: url.map(Into::into), ..DatabaseArgs::default() };
            let postgres_listen = Some(address.parse()?);
            let args = ServeArgs { database, postgres_listen, ..ServeArgs::default() };
            Settings::resolve(args).map(|settings| settings.database.postgres_listen)
        };
        let expected = SocketAddr::from(([127, 0, 0, 1], 5432));
        assert_eq!(resolve("127.0.0.1:5432", None).unwrap(), Some(expected));
        for wrong in ["", "5432", "127.0.0.1"] {
            let error = wrong.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with("must be host:port "), "{error}");
        }
        let error = resolve("127.0.0.1:0", None).unwrap_err().to_string();
        assert!(error.starts_with("postgres-listen "), "{error}");
        let error = resolve("127.0.0.1:5432", Some("postgres://db/v")).unwrap_err().to_string();
        assert!(error.contains("a database URL is set"), "{error}");
    }

    #[test]
    fn unset_settings_have_their_defaults() {
        let settings = Settings::resolve(ServeArgs::default()).unwrap();
        assert_eq!(settings.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(settings.database.data_dir, PathBuf::from("./data"));
        assert!(settings.database.url.is_none() && settings.tls.is_none());
        assert!(settings.database.postgres_listen.is_none());
        assert_eq!(settings.max_connections, 10_000);
        assert_eq!(settings.max_body_bytes, 1 << 20);
        assert_eq!(settings.inbox_quota_bytes, 4 << 30);
        assert_eq!(settings.ack, Ack::Inbox);
        assert_eq!(settings.silence.live_for, std::time::Duration::from_mins(2));
        assert_eq!(settings.silence.ended_after, std::time::Duration::from_mins(30));
        assert_eq!(settings.log_format, LogFormat::Pretty);
        assert!(settings.migrate && settings.trusted_proxies.is_empty());
        assert!(settings.api_key.is_none() && settings.sources[0].is_open());
        assert!(settings.alerts.is_empty());
    }
}
