//! Secrets that `serve` makes on its first start, so that the webhook is never open to everybody.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Secret, Settings};

/// Which credentials are not configured but kept in the data folder, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// The secret of the default source.
    pub webhook_secret: Option<PathBuf>,
    /// An API key with every scope.
    pub api_key: Option<PathBuf>,
    /// The key was made by this start.
    pub is_first_start: bool,
}

impl Settings {
    /// Gives the default source a secret, and the service an admin key, where the default source
    /// has no credentials. Both are made once and kept in the data folder.
    ///
    /// A key that was made then stays valid until another one is configured, also once the source
    /// has credentials: whoever secures the webhook does not mean to lock out the readers.
    pub fn complete(&mut self) -> anyhow::Result<Generated> {
        let mut generated = Generated::default();
        let folder = self.database.data_dir.clone();
        let default = self.sources.first_mut().filter(|source| source.is_open());
        let is_open = default.is_some();
        if let Some(default) = default {
            self.database.make_data_dir()?;
            let kept = folder.canonicalize()?.join("webhook-secret");
            default.secrets.push(read_or_make(&kept, "whsec_")?.0);
            generated.webhook_secret = Some(kept);
        }
        if self.api_key.is_none() {
            let kept = folder.canonicalize().unwrap_or(folder).join("api-key");
            self.api_key = if is_open {
                let (key, is_new) = read_or_make(&kept, "vb_")?;
                generated.is_first_start = is_new;
                Some(key)
            } else {
                read(&kept)?
            };
            generated.api_key = self.api_key.is_some().then_some(kept);
        }
        Ok(generated)
    }
}

/// `None` where there is none, or an empty one, which is what a crash may have left: nobody can
/// have used it.
fn read(path: &Path) -> anyhow::Result<Option<Secret>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Returns a secret, and whether it was made just now.
fn read_or_make(path: &Path, prefix: &str) -> anyhow::Result<(Secret, bool)> {
    if let Some(secret) = read(path)? {
        return Ok((secret, false));
    }
    let secret = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    write(path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((Secret::new(secret), true))
}

/// Beside its place first, so that it is never there in part.
fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    // The name must outlive a power cut, too: somebody may have copied the secret by then.
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::ServeArgs;

    /// Settings as they are without an environment, on this data folder.
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
    fn a_key_that_was_made_stays_valid_until_another_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut first = settings(&data, None, None);
        let made = first.complete().unwrap();
        assert!(made.webhook_secret.is_some() && made.is_first_start);
        assert!(!settings(&data, None, None).complete().unwrap().is_first_start);

        let mut secured = settings(&data, Some("s"), None);
        let kept = secured.complete().unwrap();
        assert_eq!((kept.webhook_secret, kept.api_key), (None, made.api_key));
        assert!(secured.api_key.is_some());
        assert_eq!(secured.api_key, first.api_key);

        let mut keyed = settings(&data, Some("s"), Some("mine"));
        assert_eq!(keyed.complete().unwrap(), Generated::default());
        assert_eq!(keyed.api_key.unwrap().expose(), "mine");
    }

    #[test]
    fn no_key_is_made_for_a_webhook_that_has_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut settings = settings(&data, Some("s"), None);
        assert_eq!(settings.complete().unwrap(), Generated::default());
        assert!(settings.api_key.is_none() && !data.exists());
    }

    #[test]
    fn a_first_start_closes_the_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (by_secrets, by_itself) = (folder.path().join("one"), folder.path().join("other"));
        settings(&by_secrets, None, None).complete().unwrap();
        settings(&by_itself, None, None).database.make_data_dir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&by_secrets), mode(&by_itself));
        assert_eq!(mode(&by_secrets) & 0o066, 0, "others see nothing");
    }
}
