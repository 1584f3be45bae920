//! Sources: who may deliver, and what each must show.

use anyhow::{Context as _, bail, ensure};

use super::Secret;
use super::raw::File;
use crate::domain::SourceName;
use crate::redact::{Kind, Redaction};

/// One source and its credentials. With neither secret nor header, it is not yet open: `serve`
/// makes a secret for the default source and refuses to start with such a further one.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Its name, as in `/webhook/{name}`.
    pub name: SourceName,
    /// Any one of them may have signed; several while one is rotated.
    pub secrets: Vec<Secret>,
    /// Every name among them must be there with its value; where a name has several, with any of
    /// them: one is being rotated.
    pub headers: Vec<RequiredHeader>,
    /// Refuse a delivery whose signed timestamp is missing or more than five minutes off.
    pub strict_timestamps: bool,
    /// What is replaced in its deliveries before they are kept.
    pub redaction: Redaction,
}

/// A header that a delivery must carry.
#[derive(Clone, Debug)]
pub struct RequiredHeader {
    /// In lower case.
    pub name: String,
    /// What it must say.
    pub value: Secret,
}

impl SourceSettings {
    /// There is nothing that a delivery must show.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.secrets.is_empty() && self.headers.is_empty()
    }
}

/// The default source from environment or file, then the file's further ones.
pub(super) fn resolve(
    secrets: Option<String>,
    headers: Option<String>,
    redact: Option<&str>,
    file: &File,
) -> anyhow::Result<Vec<SourceSettings>> {
    let secrets = match secrets.filter(|text| !text.trim().is_empty()) {
        Some(text) => text.split(',').map(|one| Secret::new(one.trim().to_owned())).collect(),
        None => file.webhook_secrets.clone().unwrap_or_default(),
    };
    let headers = match headers.filter(|text| !text.trim().is_empty()) {
        Some(text) => text.lines().map(|line| Secret::new(line.to_owned())).collect(),
        None => file.webhook_headers.clone().unwrap_or_default(),
    };
    let default = SourceSettings {
        redaction: redaction(redact, file.redact.as_deref())?,
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
            "the source {name} is configured twice (source \"default\" is the one of the \
             top-level settings)"
        );
        let settings =
            source(name, further.secrets.clone(), &further.headers, further.strict_timestamps)?;
        ensure!(
            !settings.is_open(),
            "the source {} has neither a secret nor a header: anybody could deliver to it. Give \
             it `secrets` or `headers`",
            further.name
        );
        let redaction = further.redact.iter().copied().collect();
        sources.push(SourceSettings { redaction, ..settings });
    }
    Ok(sources)
}

fn source(
    name: SourceName,
    secrets: Vec<Secret>,
    headers: &[Secret],
    strict_timestamps: bool,
) -> anyhow::Result<SourceSettings> {
    let secrets: Vec<Secret> =
        secrets.into_iter().filter(|secret| !secret.expose().is_empty()).collect();
    let headers = headers
        .iter()
        .filter(|line| !line.expose().trim().is_empty())
        .map(|line| header(line).with_context(|| format!("source {name}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(
        !strict_timestamps || !secrets.is_empty(),
        "source {name}: strict_timestamps needs a secret, since only a signature vouches for a \
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

/// What the default source asks for: comma-separated in the environment, else in the file.
fn redaction(text: Option<&str>, file: Option<&[Kind]>) -> anyhow::Result<Redaction> {
    let Some(text) = text else { return Ok(file.unwrap_or_default().iter().copied().collect()) };
    let kinds = text.split(',').map(str::trim).filter(|kind| !kind.is_empty());
    let parse = |kind| {
        Kind::parse(kind)
            .with_context(|| format!("redact is some of email, phone and card, and not {kind:?}"))
    };
    kinds.map(parse).collect()
}

fn header(line: &Secret) -> anyhow::Result<RequiredHeader> {
    // No message here may quote the line: its value is a secret.
    let Some((name, value)) = line.expose().split_once(':') else {
        bail!("a required header is written `Name: value`, and one has no colon");
    };
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    ensure!(
        !name.is_empty() && name.bytes().all(is_token),
        "a required header's name holds a character that no header name may hold"
    );
    ensure!(!value.is_empty(), "the required header {name} has no value");
    Ok(RequiredHeader { name, value: Secret::new(value.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_secrets_and_headers_come_from_the_environment() {
        let sources = resolve(
            Some("one, two,".into()),
            Some("X-Webhook-Secret: a\nAuthorization: Bearer b:c".into()),
            None,
            &File::default(),
        )
        .unwrap();
        let secrets: Vec<_> = sources[0].secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets, ["one", "two"]);
        let headers: Vec<_> =
            sources[0].headers.iter().map(|h| (h.name.as_str(), h.value.expose())).collect();
        assert_eq!(headers, [("x-webhook-secret", "a"), ("authorization", "Bearer b:c")]);
    }

    #[test]
    fn a_further_source_without_credentials_is_refused() {
        let file: File = toml::from_str("[[sources]]\nname = \"kiosk\"").unwrap();
        let error = resolve(None, None, None, &file).unwrap_err().to_string();
        assert!(error.contains("kiosk has neither a secret nor a header"), "{error}");
    }

    #[test]
    fn a_source_is_configured_once() {
        let file: File =
            toml::from_str("[[sources]]\nname = \"default\"\nsecrets = [\"s\"]").unwrap();
        let error = resolve(None, None, None, &file).unwrap_err().to_string();
        assert!(error.contains("configured twice"), "{error}");
    }

    #[test]
    fn an_error_never_quotes_a_header_line() {
        let error = resolve(None, Some("hunter2".into()), None, &File::default()).unwrap_err();
        assert!(!format!("{error:#} {error:?}").contains("hunter2"));
    }
}
