//! Settings: as written in flags and environment ([`args`]) and in the TOML file ([`mod@file`]), and
//! checked ([`Settings`]).
//!
//! Precedence: flag, environment variable, file, default.

mod ack;
mod alerts;
mod args;
mod cors;
mod credentials;
mod data_dir;
mod file;
mod generated;
mod limits;
mod log_format;
mod origin;
mod proxies;
mod replica;
mod retention;
mod secret;
mod sources;
mod tls;
mod visits;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use anyhow::Context as _;
use ipnet::IpNet;

pub use ack::Ack;
pub use alerts::{AlertSettings, Receiver};
pub use args::{DatabaseArgs, ServeArgs};
pub use cors::CorsOrigins;
pub use credentials::{read_file as read_credential, tidied};
pub use generated::Generated;
pub use log_format::LogFormat;
pub use origin::{Origin, Origins};
pub use replica::ReplicaSettings;
pub use retention::{AgeLimits, RetentionRules, oldest};
pub use secret::Secret;
pub use sources::{RequiredHeader, SourceSettings};
pub use tls::TlsSettings;

use credentials::Written;
use file::File;

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
    pub api_key: Option<Secret>,
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
    pub url: Option<Secret>,
    /// URL of a standby of that database.
    pub read_url: Option<Secret>,
    /// TCP address at which readers reach the private database. Only `serve` sets it.
    pub postgres_listen: Option<SocketAddr>,
}

impl DatabaseSettings {
    /// Reads the settings from flags, environment and file.
    pub fn resolve(args: &DatabaseArgs) -> anyhow::Result<Self> {
        let file = File::read(args.config.as_deref())?;
        Self::merge(args, &file)
    }

    fn merge(args: &DatabaseArgs, file: &File) -> anyhow::Result<Self> {
        // An empty variable counts as not set: the file's value applies.
        let url = |name, url: &Option<String>, file| {
            let value = url.as_deref().and_then(credentials::trimmed);
            Written { name, value, file }.read(str::to_owned)
        };
        let given = url("DATABASE_URL", &args.database_url, args.database_url_file.as_ref())?;
        let primary = match given {
            Some(given) => Some(given),
            None => url("database_url", &file.database_url, file.database_url_file.as_ref())?,
        };
        let (name, by_file) = ("VERBATIM_READ_DATABASE_URL", args.read_database_url_file.as_ref());
        let standby = match url(name, &args.read_database_url, by_file)? {
            Some(given) => Some(given),
            None => {
                let by_file = file.read_database_url_file.as_ref();
                url("read_database_url", &file.read_database_url, by_file)?
            }
        };
        anyhow::ensure!(
            standby.is_none() || primary.is_some(),
            "read-database-url needs your own Postgres, since the private one has no standby: set \
             DATABASE_URL to the primary"
        );
        Ok(Self {
            data_dir: args
                .data_dir
                .clone()
                .or_else(|| file.data_dir.clone())
                .unwrap_or_else(|| PathBuf::from("./data")),
            url: primary.map(Secret::new),
            read_url: standby.map(Secret::new),
            postgres_listen: None,
        })
    }

    /// Sets the address for readers, which only the private database can have.
    fn listening(self, address: Option<&str>) -> anyhow::Result<Self> {
        let Some(address) = address else { return Ok(self) };
        anyhow::ensure!(
            self.url.is_none(),
            "postgres-listen applies to the private PostgreSQL only, but a database URL is set: \
             readers connect to that database directly"
        );
        let address = resolve_address("postgres-listen", address)?;
        anyhow::ensure!(address.port() != 0, "postgres-listen needs a port such as 5432");
        Ok(Self { postgres_listen: Some(address), ..self })
    }
}

impl Settings {
    /// Reads the settings from flags, environment and file.
    pub fn resolve(args: ServeArgs) -> anyhow::Result<Self> {
        let file = File::read(args.database.config.as_deref())?;
        let origins = Origins::of(&args, &file);
        let sources = sources::resolve(&args, &file)?;
        let api_key = api_key(&args, &file)?;
        let max_body_bytes =
            limits::max_body_bytes(args.max_body.as_deref(), file.max_body.as_deref())?;
        let inbox_quota_bytes =
            limits::inbox_quota_bytes(args.inbox_quota.as_deref(), file.inbox_quota.as_deref())?;
        let silence = silence_limits(
            args.live_for.or(file.live_for.clone()),
            args.ended_after.or(file.ended_after.clone()),
        )?;
        let listen = args.listen.or(file.listen.clone()).unwrap_or("127.0.0.1:8080".into());
        let max_connections =
            limits::max_connections(args.max_connections.or(file.max_connections))?;
        let database = DatabaseSettings::merge(&args.database, &file)?
            .listening(args.postgres_listen.or(file.postgres_listen.clone()).as_deref())?;
        let max_lag = args.read_max_lag.as_deref().or(file.read_max_lag.as_deref());
        let replica = ReplicaSettings::resolve(database.read_url.as_ref(), max_lag)?;
        Ok(Self {
            listen: resolve_address("listen", &listen)?,
            replica,
            tls: TlsSettings::resolve(
                args.tls_cert.or(file.tls_cert.clone()),
                args.tls_key.or(file.tls_key.clone()),
            )?,
            max_connections,
            sources,
            api_key,
            origins,
            ack: args.ack.or(file.ack).unwrap_or_default(),
            max_body_bytes,
            inbox_quota_bytes,
            trusted_proxies: proxies::resolve(
                args.trusted_proxies.as_deref(),
                file.trusted_proxies.as_deref(),
            )?,
            cors_origins: CorsOrigins::resolve(
                args.cors_origin.as_deref(),
                file.cors_origin.as_deref(),
            )?,
            silence,
            visit_gaps: visits::gaps(
                args.visit_gap.as_deref().or(file.visit_gap.as_deref()),
                &file.agents,
            )?,
            roles: roles(args.assistant_roles.as_deref(), file.assistant_roles.as_deref())?,
            keep: RetentionRules::resolve(
                args.keep_messages.as_deref(),
                args.keep_deliveries.as_deref(),
                &file,
            )?,
            alerts: alerts::resolve(
                args.alert_url.as_deref(),
                args.alert_secret.as_deref(),
                args.alert_secret_file.as_ref(),
                &file,
            )?,
            migrate: !args.no_migrate,
            log_format: args.log_format.or(file.log_format).unwrap_or_default(),
            database,
        })
    }
}

fn api_key(args: &ServeArgs, file: &File) -> anyhow::Result<Option<Secret>> {
    let key = |name, key: &Option<String>, file| {
        let value = key.as_deref().and_then(credentials::trimmed);
        Written { name, value, file }.read(str::to_owned)
    };
    let given = key("VERBATIM_API_KEY", &args.api_key, args.api_key_file.as_ref())?;
    let key = match given {
        Some(given) => Some(given),
        None => key("api_key", &file.api_key, file.api_key_file.as_ref())?,
    };
    key.map(credentials::api_key).transpose()
}

fn resolve_address(name: &str, address: &str) -> anyhow::Result<SocketAddr> {
    let found = address.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.with_context(|| {
        format!("{name} must be host:port such as 127.0.0.1:8080, not {address:?}")
    })
}

/// Reads the assistant's roles for a command that has no other setting of `serve`.
pub fn assistant_roles(args: &DatabaseArgs, flag: Option<&str>) -> anyhow::Result<Roles> {
    let file = File::read(args.config.as_deref())?;
    roles(flag, file.assistant_roles.as_deref())
}

/// Parses the assistant's roles: comma-separated, or the file's list.
fn roles(flag: Option<&str>, file: Option<&[String]>) -> anyhow::Result<Roles> {
    let roles = match (flag, file) {
        (Some(roles), _) => Roles::new(roles.split(',')),
        (None, Some(roles)) => Roles::new(roles.iter().map(String::as_str)),
        (None, None) => return Ok(Roles::default()),
    };
    roles.context(
        "assistant-roles must list the roles that mark the assistant's messages, such as agent,bot",
    )
}

fn silence_limits(
    live_for: Option<String>,
    ended_after: Option<String>,
) -> anyhow::Result<SilenceLimits> {
    let duration = |text: Option<String>, default, name| {
        text.map_or(Ok(default), |text| {
            humantime::parse_duration(&text)
                .with_context(|| format!("{name} must be a duration such as 30m, not {text:?}"))
        })
    };
    let default = SilenceLimits::default();
    let limits = SilenceLimits {
        live_for: duration(live_for, default.live_for, "live-for")?,
        ended_after: duration(ended_after, default.ended_after, "ended-after")?,
    };
    anyhow::ensure!(
        limits.live_for <= limits.ended_after,
        "live-for must not be longer than ended-after"
    );
    // Nobody needs more than a year, and it keeps `now - limit` far from the calendar's ends.
    anyhow::ensure!(
        limits.ended_after <= std::time::Duration::from_hours(24 * 365),
        "ended-after must not be longer than a year"
    );
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_database_url_does_not_override_the_file() {
        let file: File = toml::from_str("database_url = 'postgres://of-the-file/v'").unwrap();
        let of = |text: Option<&str>, file: &File| {
            let args =
                DatabaseArgs { database_url: text.map(Into::into), ..DatabaseArgs::default() };
            DatabaseSettings::merge(&args, file).unwrap().url.map(|url| url.expose().to_owned())
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
            let postgres_listen = Some(address.to_owned());
            let args = ServeArgs { database, postgres_listen, ..ServeArgs::default() };
            Settings::resolve(args).map(|settings| settings.database.postgres_listen)
        };
        let expected = SocketAddr::from(([127, 0, 0, 1], 5432));
        assert_eq!(resolve("127.0.0.1:5432", None).unwrap(), Some(expected));
        for wrong in ["", "5432", "127.0.0.1", "127.0.0.1:0"] {
            let error = resolve(wrong, None).unwrap_err().to_string();
            assert!(error.starts_with("postgres-listen "), "{error}");
        }
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
