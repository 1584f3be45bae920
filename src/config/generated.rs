//! Secrets that `serve` makes on its first start, so that the webhook is never open to everybody.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Secret, Settings};

/// Where what was made is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The secret of the default source.
    pub webhook_secret: PathBuf,
    /// An API key with every scope.
    pub api_key: PathBuf,
}

impl Settings {
    /// Gives the default source a secret, and the service an admin key, where the default source
    /// has no credentials. Both are made once and kept in the data folder.
    pub fn complete(&mut self) -> anyhow::Result<Option<Generated>> {
        let folder = self.database.data_dir.clone();
        let Some(default) = self.sources.first_mut().filter(|source| source.is_open()) else {
            return Ok(None);
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the data folder {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let kept = Generated {
            webhook_secret: folder.join("webhook-secret"),
            api_key: folder.join("api-key"),
        };
        default.secrets.push(read_or_make(&kept.webhook_secret, "whsec_")?);
        if self.api_key.is_none() {
            self.api_key = Some(read_or_make(&kept.api_key, "vb_")?);
        }
        Ok(Some(kept))
    }
}

fn read_or_make(path: &Path, prefix: &str) -> anyhow::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim().to_owned())),
        // An empty one is what a crash may have left: nobody can have used it.
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    }
    let secret = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    write(path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Secret::new(secret))
}

/// Beside its place first, so that it is never there in part.
fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(beside, path)
}
