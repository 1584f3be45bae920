//! Sources that may deliver, and the credentials that each requires.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use super::credentials::{self, Written};
use super::file::{File, FileSource};
use super::{Secret, ServeArgs};
use crate::domain::SourceName;
use crate::redact::{Kind, Redaction};

/// Source and its credentials. Without a secret or header, `serve` generates a secret for the
/// default source, and refuses to start for any other.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Name in `/webhook/{name}`.
    pub name: SourceName,
    /// Secrets, any of which may sign a delivery: several during a rotation.
    pub secrets: Vec<Secret>,
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
    pub value: Secret,
}

impl SourceSettings {
    /// Returns true if a delivery needs no credentials.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.secrets.is_empty() && self.headers.is_empty()
    }
}

/// Returns the default source from environment or file, then the file's further sources.
pub(super) fn resolve(args: &ServeArgs, file: &File) -> anyhow::Result<Vec<SourceSettings>> {
    let secrets = listed(
        "VERBATIM_WEBHOOK_SECRET",
        args.webhook_secret.as_deref().map(credentials::secrets),
        args.webhook_secret_file.as_ref(),
        credentials::secrets,
    )?;
    let secrets = match secrets {
        Some(secrets) => secrets,
        None => listed(
            "webhook_secrets",
            file.webhook_secrets.clone(),
            file.webhook_secrets_file.as_ref(),
            credentials::secrets,
        )?
        .unwrap_or_default(),
    };
    let headers = listed(
        "VERBATIM_WEBHOOK_HEADER",
        args.webhook_header.as_deref().map(credentials::headers),
        args.webhook_header_file.as_ref(),
        credentials::headers,
    )?;
    let headers = match headers {
        Some(headers) => headers,
        None => listed(
            "webhook_headers",
            file.webhook_headers.clone(),
            file.webhook_headers_file.as_ref(),
            credentials::headers,
        )?
        .unwrap_or_default(),
    };
    let default = SourceSettings {
        redaction: redaction(args.redact.as_deref(), file.redact.as_deref())?,
        ..source(
            SourceName::default(),
            secrets,
            &headers,
            file.strict_timestamps.unwrap_or_default(),
        )?
    };
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

/// Reads the credentials that are set in one place, if any.
fn listed(
    name: &str,
    value: Option<Vec<Secret>>,
    file: Option<&PathBuf>,
    parse: fn(&str) -> Vec<Secret>,
) -> anyhow::Result<Option<Vec<Secret>>> {
    let value = value.filter(|listed| !listed.is_empty());
    Written { name, value, file }.read(parse)
}

/// Reads the secrets and headers of a further source.
fn credentials_of(source: &FileSource) -> anyhow::Result<(Vec<Secret>, Vec<Secret>)> {
    let read = |name, value: &Vec<Secret>, file: &Option<PathBuf>, parse| {
        let read = listed(name, Some(value.clone()), file.as_ref(), parse);
        read.with_context(|| format!("source {}", source.name)).map(Option::unwrap_or_default)
    };
    Ok((
        read("secrets", &source.secrets, &source.secrets_file, credentials::secrets)?,
        read("headers", &source.headers, &source.headers_file, credentials::headers)?,
    ))
}

fn source(
    name: SourceName,
    secrets: Vec<Secret>,
    headers: &[Secret],
    strict_timestamps: bool,
) -> anyhow::Result<SourceSettings> {
    let secrets: Vec<Secret> =
        secrets.into_iter().filter(|secret| !secret.expose().trim().is_empty()).collect();
    for secret in &secrets {
        credentials::check_secret(secret).with_context(|| format!("source {name}"))?;
    }
    let headers = headers
        .iter()
        .filter(|line| !line.expose().trim().is_empty())
        .map(|line| header(line).with_context(|| format!("source {name}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
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

/// Parses the default source's redaction: comma-separated in the environment, or the file's list.
fn redaction(text: Option<&str>, file: Option<&[Kind]>) -> anyhow::Result<Redaction> {
    let Some(text) = text else { return Ok(file.unwrap_or_default().iter().copied().collect()) };
    let kinds = text.split(',').map(str::trim).filter(|kind| !kind.is_empty());
    let parse = |kind| {
        Kind::parse(kind)
            .with_context(|| format!("redact must list email, phone or card, not {kind:?}"))
    };
    kinds.map(parse).collect()
}

fn header(line: &Secret) -> anyhow::Result<RequiredHeader> {
    // No message may quote the line: its value is a secret.
    let Some((name, value)) = line.expose().split_once(':') else {
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
    Ok(RequiredHeader { name, value: Secret::new(value.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_can_list_several_secrets_and_headers() {
        let args = ServeArgs {
            webhook_secret: Some("one, two,".into()),
            webhook_header: Some("X-Webhook-Secret: a\nAuthorization: Bearer b:c".into()),
            ..ServeArgs::default()
        };
        let sources = resolve(&args, &File::default()).unwrap();
        let secrets: Vec<_> = sources[0].secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets, ["one", "two"]);
        let headers: Vec<_> =
            sources[0].headers.iter().map(|h| (h.name.as_str(), h.value.expose())).collect();
        assert_eq!(headers, [("x-webhook-secret", "a"), ("authorization", "Bearer b:c")]);
    }

    #[test]
    fn further_source_without_credentials_is_rejected() {
        let file: File = toml::from_str("[[sources]]\nname = \"kiosk\"").unwrap();
        let error = resolve(&ServeArgs::default(), &file).unwrap_err().to_string();
        assert!(error.contains("kiosk has neither a secret nor a header"), "{error}");
    }

    #[test]
    fn source_that_is_configured_twice_is_rejected() {
        let file: File =
            toml::from_str("[[sources]]\nname = \"default\"\nsecrets = [\"s\"]").unwrap();
        let error = resolve(&ServeArgs::default(), &file).unwrap_err().to_string();
        assert!(error.contains("configured twice"), "{error}");
    }

    #[test]
    fn error_does_not_quote_the_header_line() {
        let args = ServeArgs { webhook_header: Some("hunter2".into()), ..ServeArgs::default() };
        let error = resolve(&args, &File::default()).unwrap_err();
        assert!(!format!("{error:#} {error:?}").contains("hunter2"));
    }
}
