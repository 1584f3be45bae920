//! Settings of alerts: rules, and receivers of notifications.

use anyhow::{Context as _, anyhow, ensure};
use secrecy::ExposeSecret as _;
use url::Url;

use super::credentials::{self, Secrets};
use super::file_only::FileAlert;
use super::text::setting;
use crate::alerts::{Draft, MAX_ALERTS, Rule, SigningKey};

/// Limit on the secrets that sign one notification: the new one, and those it replaces.
const MAX_SECRETS: usize = 4;

/// Alert, with the receiver of its notifications.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// Condition under which it fires.
    pub rule: Rule,
    /// Receiver of its notifications.
    pub receiver: Receiver,
}

/// Receiver of notifications. `Debug` prints only the host, since the URL may contain a token.
#[derive(Clone)]
pub struct Receiver {
    /// URL that notifications are posted to.
    pub url: Url,
    /// Keys that sign them; several during a rotation.
    pub keys: Vec<SigningKey>,
}

impl Receiver {
    /// Returns the URL's host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("host", &self.host()).finish_non_exhaustive()
    }
}

/// Receiver of alerts that name none, as far as it is configured.
struct DefaultReceiver {
    url: Option<Url>,
    keys: Vec<SigningKey>,
}

/// Returns the alerts of the file.
pub(super) fn resolve(
    url: Option<ReceiverUrl>,
    secrets: &Secrets,
    file: &[FileAlert],
) -> anyhow::Result<Vec<AlertSettings>> {
    let default = DefaultReceiver { url: url.map(|url| url.0), keys: keys(secrets)? };
    ensure!(
        file.len() <= MAX_ALERTS,
        "{} alerts are configured: the limit is {MAX_ALERTS}",
        file.len()
    );
    let mut alerts: Vec<AlertSettings> = Vec::new();
    for written in file {
        let rule = Rule::new(&draft(written))?;
        ensure!(
            alerts.iter().all(|known| known.rule.name != rule.name),
            "alert {:?} is configured twice: give one of them another name",
            rule.name
        );
        let receiver = receiver(written, &default);
        let receiver = receiver.with_context(|| format!("alert {:?}", rule.name))?;
        alerts.push(AlertSettings { rule, receiver });
    }
    Ok(alerts)
}

fn draft(alert: &FileAlert) -> Draft {
    let alert = alert.clone();
    Draft {
        name: alert.name,
        metric: alert.metric,
        stat: alert.stat,
        window: alert.window,
        agents: alert.agents,
        above: alert.above,
        below: alert.below,
        above_normal: alert.above_normal,
        below_normal: alert.below_normal,
        weeks: alert.weeks,
        tz: alert.tz,
        hold: alert.hold,
    }
}

fn receiver(alert: &FileAlert, default: &DefaultReceiver) -> anyhow::Result<Receiver> {
    let own = credentials::read("secrets", alert.secrets.as_ref(), alert.secrets_file.as_deref())?;
    let own = own.map(|own| keys(&own)).transpose()?;
    let url = match &alert.url {
        Some(text) => parse_url(text).map_err(|error| anyhow!("`url` {error}"))?,
        None => default.url.clone().context("neither `url` nor `alert_url` is set")?,
    };
    let keys = own.unwrap_or_else(|| default.keys.clone());
    ensure!(
        !keys.is_empty(),
        "neither `secrets` nor `alert_secrets` is set: generate one with `echo \
         \"whsec_$(openssl rand -base64 32)\"`, and configure it at the receiver, too"
    );
    Ok(Receiver { url, keys })
}

fn keys(secrets: &Secrets) -> anyhow::Result<Vec<SigningKey>> {
    let secrets = &secrets.0;
    ensure!(
        secrets.len() <= MAX_SECRETS,
        "{} alert secrets are configured: the limit is {MAX_SECRETS}",
        secrets.len()
    );
    secrets.iter().map(|secret| Ok(SigningKey::parse(secret.expose_secret())?)).collect()
}

setting! {
    /// URL of a receiver.
    #[derive(Clone)]
    ReceiverUrl(Url) = parse_url
}

impl std::fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiverUrl").field("host", &self.0.host_str()).finish_non_exhaustive()
    }
}

/// Parses a URL. No message quotes it: its path may contain a token.
fn parse_url(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.filter(|url| matches!(url.scheme(), "https" | "http"));
    let url = url.context("must be a URL such as https://example.com/hooks/verbatim")?;
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "must not contain a user name or a password: remove them, the signature authenticates"
    );
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::File;
    use crate::config::{ServeArgs, Settings};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ALERT: &str = "[[alerts]]\nname = 'a'\nmetric = 'quiet'\nabove = '10m'\n";

    fn parse(text: &str) -> anyhow::Result<Vec<AlertSettings>> {
        let File { args, only } = File::parse(text).unwrap();
        resolve(args.alert_url, &args.alert_secret.unwrap_or_default(), &only.alerts)
    }

    fn default_receiver() -> String {
        format!("alert_url = 'https://example.com/token-1'\nalert_secrets = ['{SECRET}']\n")
    }

    #[test]
    fn alert_has_the_default_receiver_or_its_own() {
        let own = format!("url = 'http://10.0.0.7:9000/'\nsecrets = ['{SECRET}', '{SECRET}']\n");
        let second = ALERT.replace("'a'", "'b'");
        let alerts = parse(&format!("{}{ALERT}{second}{own}", default_receiver())).unwrap();
        let receivers: Vec<_> = alerts
            .iter()
            .map(|alert| {
                (alert.rule.name.as_str(), alert.receiver.host(), alert.receiver.keys.len())
            })
            .collect();
        assert_eq!(receivers, [("a", "example.com", 1), ("b", "10.0.0.7", 2)]);
        let printed = format!("{alerts:?}");
        assert!(!printed.contains("token-1") && !printed.contains("MfKQ"), "{printed}");
    }

    #[test]
    fn environment_overrides_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}{ALERT}", default_receiver())).unwrap();
        let mut args = ServeArgs {
            alert_url: Some("http://localhost:1/x".parse().unwrap()),
            alert_secret: Some(Secrets::from(&*format!("{SECRET},{SECRET}"))),
            ..ServeArgs::default()
        };
        args.database.config = Some(file.path().to_owned());
        let alerts = Settings::resolve(args).unwrap().alerts;
        assert_eq!(alerts[0].receiver.host(), "localhost");
        assert_eq!(alerts[0].receiver.keys.len(), 2);
    }

    #[test]
    fn invalid_alerts_are_rejected_and_no_secret_is_quoted() {
        let with = |more: &str| format!("{}{ALERT}{more}", default_receiver());
        let many: String =
            (0..=MAX_ALERTS).map(|number| ALERT.replace("'a'", &format!("'a{number}'"))).collect();
        for (text, message) in [
            (ALERT.to_owned(), "alert \"a\": neither `url` nor `alert_url` is set"),
            (
                format!("alert_url = 'https://a/'\n{ALERT}"),
                "alert \"a\": neither `secrets` nor `alert_secrets` is set",
            ),
            (with("url = 'ftp://example.com/hunter2'"), "alert \"a\": `url` must be a URL such as"),
            (with("url = 'example.com/hunter2'"), "`url` must be a URL such as"),
            (with("url = 'https://me:hunter2@example.com/'"), "a user name or a password"),
            (with("secrets = ['whsec_hunter2']"), "alert \"a\": a secret of alerts"),
            (with(ALERT), "alert \"a\" is configured twice"),
            (with("tz = 'Berlin'"), "alert \"a\": `tz` is a time zone"),
            (
                format!("{}{many}", default_receiver()),
                "101 alerts are configured: the limit is 100",
            ),
            (with(&format!("secrets = {:?}", [SECRET; 5])), "the limit is 4"),
            (with("secrets = ['x']\nsecrets_file = '/no/such'"), "are both set"),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(message), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
