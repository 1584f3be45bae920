//! Secrets that `serve` generates on its first start, so that the webhook is never open to all.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use super::Settings;

/// Files of the credentials that are not configured but generated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Secret of the default source.
    pub webhook_secret: Option<PathBuf>,
    /// API key with every scope.
    pub api_key: Option<PathBuf>,
    /// True if this start generated the key.
    pub is_first_start: bool,
}

impl Settings {
    /// Generates a secret for the default source and an API key with every scope, if the default
    /// source has no credentials. Both are stored in the data folder and read from there later.
    ///
    /// A generated key stays valid until another one is configured, even after the source gets
    /// credentials: securing the webhook must not lock out the API's clients.
    pub fn complete(&mut self) -> anyhow::Result<Generated> {
        let mut generated = Generated::default();
        let folder = self.database.data_dir.clone();
        let default = self.sources.first_mut().filter(|source| source.is_open());
        let is_open = default.is_some();
        if let Some(default) = default {
            self.database.create_data_dir()?;
            let file = folder.canonicalize()?.join("webhook-secret");
            default.secrets.push(read_or_generate(&file, "whsec_")?.0);
            generated.webhook_secret = Some(file);
        }
        if self.api_key.is_none() {
            let file = folder.canonicalize().unwrap_or(folder).join("api-key");
            self.api_key = if is_open {
                let (key, is_new) = read_or_generate(&file, "vb_")?;
                generated.is_first_start = is_new;
                Some(key)
            } else {
                read(&file)?
            };
            generated.api_key = self.api_key.is_some().then_some(file);
        }
        Ok(generated)
    }
}

/// Reads a secret. Returns `None` if the file is missing or empty: a crash may have left an empty
/// file, whose secret nobody has used.
fn read(path: &Path) -> anyhow::Result<Option<SecretString>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| SecretString::from(text)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Returns the file's secret, or a new one and true.
fn read_or_generate(path: &Path, prefix: &str) -> anyhow::Result<(SecretString, bool)> {
    if let Some(secret) = read(path)? {
        return Ok((secret, false));
    }
    let secret = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    write(path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((SecretString::from(secret), true))
}

/// Writes the secret to another file and renames it, so that `path` never has a part of it.
fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    // The name must survive a power cut, too: the secret may have been copied by then.
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::ServeArgs;

    /// Returns settings with this data folder and without an environment.
    fn settings(data_dir: &Path, secret: Option<&str>, key: Option<&str>) -> Settings {
        let mut settings = Settings::resolve(ServeArgs {
            webhook_secret: secret.map(Into::into),
            api_key: key.map(Into::into),
            ..ServeArgs::default()
        })
        .unwrap();
        settings.database.data_dir = data_dir.to_owned();
        settings
    }

    #[test]
    fn generated_key_stays_valid_until_another_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut first = settings(&data, None, None);
        let generated = first.complete().unwrap();
        assert!(generated.webhook_secret.is_some() && generated.is_first_start);
        assert!(!settings(&data, None, None).complete().unwrap().is_first_start);

        let mut secured = settings(&data, Some("s"), None);
        let later = secured.complete().unwrap();
        assert_eq!((later.webhook_secret, later.api_key), (None, generated.api_key));
        assert!(secured.api_key.is_some());
        let exposed = |settings: Settings| settings.api_key.unwrap().expose_secret().to_owned();
        assert_eq!(exposed(secured), exposed(first));

        let mut keyed = settings(&data, Some("s"), Some("mine"));
        assert_eq!(keyed.complete().unwrap(), Generated::default());
        assert_eq!(exposed(keyed), "mine");
    }

    #[test]
    fn no_key_is_generated_if_the_webhook_has_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut settings = settings(&data, Some("s"), None);
        assert_eq!(settings.complete().unwrap(), Generated::default());
        assert!(settings.api_key.is_none() && !data.exists());
    }

    #[test]
    fn first_start_creates_a_private_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (with_secrets, empty) = (folder.path().join("one"), folder.path().join("other"));
        settings(&with_secrets, None, None).complete().unwrap();
        settings(&empty, None, None).database.create_data_dir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&with_secrets), mode(&empty));
        assert_eq!(mode(&with_secrets) & 0o066, 0, "others can neither read nor write");
    }
}
