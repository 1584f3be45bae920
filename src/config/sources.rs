//! Sources that may deliver, and the credentials that each requires.

use anyhow::{Context as _, bail, ensure};
use secrecy::{ExposeSecret as _, SecretString};

use super::credentials::{self, HeaderLines, Secrets};
use super::file_only::{FileOnly, FileSource};
use crate::domain::SourceName;
use crate::redact::{Kind, Redaction};

/// Source and its credentials. Without a secret or header, `serve` generates a secret for the
/// default source, and refuses to start for any other.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Name in `/webhook/{name}`.
    pub name: SourceName,
    /// Secrets, any of which may sign a delivery: several during a rotation.
    pub secrets: Vec<SecretString>,
    /// Headers, each of which must be present. A name that is listed with several values, as during
    /// a rotation, may have any of them.
    pub headers: Vec<RequiredHeader>,
    /// Reject a delivery whose signed timestamp is missing or more than five minutes off.
    pub strict_timestamps: bool,
    /// Personal data to replace in deliveries before they are stored.
    pub redaction: Redaction,
}

/// A header that a delivery must carry.
#[derive(Clone, Debug)]
pub struct RequiredHeader {
    /// Name in lower case.
    pub name: String,
    /// Required value.
    pub value: SecretString,
}

impl SourceSettings {
    /// Returns true if a delivery needs no credentials.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.secrets.is_empty() && self.headers.is_empty()
    }
}

/// Returns the default source, then the file's further sources.
pub(super) fn resolve(
    secrets: Secrets,
    headers: &HeaderLines,
    redaction: Redaction,
    file: &FileOnly,
) -> anyhow::Result<Vec<SourceSettings>> {
    let default = source(SourceName::default(), secrets, headers, file.strict_timestamps)?;
    let default = SourceSettings { redaction, ..default };
    let mut sources = vec![default];
    for further in &file.sources {
        let name = SourceName::parse(&further.name)?;
        ensure!(
            sources.iter().all(|known| known.name != name),
            "source {name} is configured twice (the top-level settings are those of source \
             \"default\")"
        );
        let (secrets, headers) = credentials_of(further)?;
        let settings = source(name, secrets, &headers, further.strict_timestamps)?;
        ensure!(
            !settings.is_open(),
            "source {} has neither a secret nor a header, so anybody could deliver to it: add \
             `secrets` or `headers`",
            further.name
        );
        let redaction = further.redact.iter().copied().collect();
        sources.push(SourceSettings { redaction, ..settings });
    }
    Ok(sources)
}

/// Reads the secrets and headers of a further source.
fn credentials_of(source: &FileSource) -> anyhow::Result<(Secrets, HeaderLines)> {
    let FileSource { secrets, secrets_file, headers, headers_file, .. } = source;
    let read = || -> anyhow::Result<_> {
        let secrets = credentials::read("secrets", secrets.as_ref(), secrets_file.as_deref())?;
        let headers = credentials::read("headers", headers.as_ref(), headers_file.as_deref())?;
        Ok((secrets.unwrap_or_default(), headers.unwrap_or_default()))
    };
    read().with_context(|| format!("source {}", source.name))
}

fn source(
    name: SourceName,
    secrets: Secrets,
    headers: &HeaderLines,
    strict_timestamps: bool,
) -> anyhow::Result<SourceSettings> {
    let secrets = secrets.0;
    for secret in &secrets {
        credentials::check_secret(secret).with_context(|| format!("source {name}"))?;
    }
    let headers = headers.0.iter().map(header).collect::<anyhow::Result<Vec<_>>>();
    let headers = headers.with_context(|| format!("source {name}"))?;
    ensure!(
        !strict_timestamps || !secrets.is_empty(),
        "source {name}: strict_timestamps needs a secret, since only a signature protects the \
         timestamp"
    );
    Ok(SourceSettings {
        name,
        secrets,
        headers,
        strict_timestamps,
        redaction: Redaction::default(),
    })
}

impl TryFrom<Vec<String>> for Redaction {
    type Error = anyhow::Error;

    fn try_from(listed: Vec<String>) -> anyhow::Result<Self> {
        let kinds = listed.iter().map(|kind| kind.trim()).filter(|kind| !kind.is_empty());
        let parse = |kind| {
            Kind::parse(kind)
                .with_context(|| format!("must list email, phone or card, not {kind:?}"))
        };
        kinds.map(parse).collect()
    }
}

fn header(line: &SecretString) -> anyhow::Result<RequiredHeader> {
    // No message may quote the line: its value is a secret.
    let Some((name, value)) = line.expose_secret().split_once(':') else {
        bail!("required header has no colon: write `Name: value`");
    };
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    ensure!(
        !name.is_empty() && name.bytes().all(is_token),
        "required header has an invalid name: use letters, digits and hyphens"
    );
    ensure!(!value.is_empty(), "required header {name} has no value");
    ensure!(
        !value.contains(|c: char| c.is_control() && c != '\t'),
        "value of required header {name} contains a control character, which no delivery can send"
    );
    Ok(RequiredHeader { name, value: value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::File;
    use crate::config::{ServeArgs, Settings};

    fn further_sources(file: &str) -> anyhow::Result<Vec<SourceSettings>> {
        let File { only, .. } = File::parse(file).unwrap();
        resolve(Secrets::default(), &HeaderLines::default(), Redaction::default(), &only)
    }

    #[test]
    fn environment_can_list_several_secrets_and_headers() {
        let args = ServeArgs {
            webhook_secret: Some("one, two,".into()),
            webhook_header: Some("X-Webhook-Secret: a\nAuthorization: Bearer b:c".into()),
            ..ServeArgs::default()
        };
        let sources = Settings::resolve(args).unwrap().sources;
        let secrets: Vec<_> = sources[0].secrets.iter().map(SecretString::expose_secret).collect();
        assert_eq!(secrets, ["one", "two"]);
        let headers: Vec<_> =
            sources[0].headers.iter().map(|h| (h.name.as_str(), h.value.expose_secret())).collect();
        assert_eq!(headers, [("x-webhook-secret", "a"), ("authorization", "Bearer b:c")]);
    }

    #[test]
    fn further_source_without_credentials_is_rejected() {
        let error = further_sources("[[sources]]\nname = \"kiosk\"").unwrap_err().to_string();
        assert!(error.contains("kiosk has neither a secret nor a header"), "{error}");
    }

    #[test]
    fn source_that_is_configured_twice_is_rejected() {
        let error = further_sources("[[sources]]\nname = \"default\"\nsecrets = [\"s\"]");
        let error = error.unwrap_err().to_string();
        assert!(error.contains("configured twice"), "{error}");
    }

    #[test]
    fn error_does_not_quote_the_header_line() {
        let args = ServeArgs { webhook_header: Some("hunter2".into()), ..ServeArgs::default() };
        let error = Settings::resolve(args).unwrap_err();
        assert!(!format!("{error:#} {error:?}").contains("hunter2"));
    }
}
