//! Credentials as written: as a value, or in a separate file, as Docker and Kubernetes mount them.
//! No message here quotes one.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// Limit on a credential's file, in bytes: a wrong path must not fill the memory.
const LARGEST_FILE_BYTES: u64 = 64 << 10;

/// Credential that a variable's or a file's text contains.
pub(super) trait Credential: for<'a> From<&'a str> {
    /// Returns the credential without white space around it; `None` if nothing is left.
    fn trimmed(&self) -> Option<Self>;
}

impl Credential for SecretString {
    fn trimmed(&self) -> Option<Self> {
        trimmed(self.expose_secret()).map(Self::from)
    }
}

/// Credentials: in a text one per line, and separated by commas, too, if `COMMAS`; in the TOML file
/// a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Credentials<const COMMAS: bool>(pub(super) Vec<SecretString>);

/// Secrets, any of which is valid.
pub(super) type Secrets = Credentials<true>;
/// Required headers, `Name: value`.
pub(super) type HeaderLines = Credentials<false>;

impl<const COMMAS: bool> Credentials<COMMAS> {
    fn listed<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self(texts.filter_map(trimmed).map(SecretString::from).collect())
    }
}

impl<const COMMAS: bool> From<&str> for Credentials<COMMAS> {
    fn from(text: &str) -> Self {
        Self::listed(text.split(|c| matches!(c, '\n' | '\r') || COMMAS && c == ','))
    }
}

impl<const COMMAS: bool> Credential for Credentials<COMMAS> {
    fn trimmed(&self) -> Option<Self> {
        let trimmed = Self::listed(self.0.iter().map(SecretString::expose_secret));
        (!trimmed.0.is_empty()).then_some(trimmed)
    }
}

/// Returns the credential that `value` or the file contains. `name` is the setting of the value;
/// the setting of the file has `_file` appended.
pub(super) fn read<T: Credential>(
    name: &str,
    value: Option<&T>,
    file: Option<&Path>,
) -> anyhow::Result<Option<T>> {
    let suffix = if name.ends_with(|c: char| c.is_uppercase()) { "_FILE" } else { "_file" };
    match (value.and_then(T::trimmed), file) {
        (Some(_), Some(_)) => bail!("{name} and {name}{suffix} are both set: remove one of them"),
        (None, Some(file)) => {
            let text = read_file(file).with_context(|| format!("{name}{suffix}"))?;
            Ok(Some(T::from(&text)))
        }
        (value, None) => Ok(value),
    }
}

/// Reads a credential from a file.
pub fn read_file(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file);
    let opened = opened.with_context(|| format!("cannot read {}", file.display()))?;
    opened
        .take(LARGEST_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(
        text.len() as u64 <= LARGEST_FILE_BYTES,
        "{} is larger than {LARGEST_FILE_BYTES} bytes, so it is not a credential",
        file.display()
    );
    // Some editors write a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim();
    ensure!(!text.is_empty(), "{} is empty", file.display());
    Ok(text.to_owned())
}

/// Returns the credential of an environment variable; `None` if it is unset or empty.
pub(super) fn environment<T: Credential>(name: &str) -> Option<T> {
    let text = std::env::var_os(name)?;
    trimmed(&text.to_string_lossy()).map(T::from)
}

/// Trims a text; `None` if nothing is left.
fn trimmed(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}

/// Returns a variable's trimmed value if it differs from `value` or is empty: an empty variable
/// counts as not set.
#[must_use]
pub fn tidied(value: &OsStr) -> Option<String> {
    let text = value.to_str()?;
    let trimmed = text.trim();
    (trimmed.is_empty() || trimmed != text).then(|| trimmed.to_owned())
}

/// Rejects an API key that no request can send.
pub(super) fn check_api_key(key: &SecretString) -> anyhow::Result<()> {
    ensure!(
        key.expose_secret().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "the API key (VERBATIM_API_KEY, api_key) contains a line break, another control character \
         or one outside ASCII, which no request can send: generate one with `openssl rand -hex 32`"
    );
    Ok(())
}

/// Rejects a webhook secret that no sender can sign with.
pub(super) fn check_secret(secret: &SecretString) -> anyhow::Result<()> {
    ensure!(
        !secret
            .expose_secret()
            .contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER),
        "a webhook secret contains a control character or is not UTF-8: copy it again from the \
         sender's settings"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn written(value: Option<&str>, file: Option<&PathBuf>) -> anyhow::Result<Option<String>> {
        let value = value.map(SecretString::from);
        let found = read("VERBATIM_API_KEY", value.as_ref(), file.map(PathBuf::as_path))?;
        Ok(found.map(|found: SecretString| found.expose_secret().to_owned()))
    }

    #[test]
    fn credential_is_a_value_or_a_file_and_not_both() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "\u{feff}\u{a0} hunter2\r\n\n").unwrap();
        assert_eq!(written(None, Some(&file)).unwrap().as_deref(), Some("hunter2"));
        assert_eq!(written(Some("mine"), None).unwrap().as_deref(), Some("mine"));
        assert_eq!(written(None, None).unwrap(), None);
        let both = format!("{:#}", written(Some("hunter2"), Some(&file)).unwrap_err());
        assert!(both.contains("VERBATIM_API_KEY_FILE are both set"), "{both}");
        assert!(!both.contains("hunter2"), "{both}");
    }

    #[test]
    fn file_without_a_credential_is_rejected_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let error = |bytes: Option<&[u8]>| {
            if let Some(bytes) = bytes {
                std::fs::write(&file, bytes).unwrap();
            }
            let error = format!("{:#}", written(None, Some(&file)).unwrap_err());
            assert!(error.contains("VERBATIM_API_KEY_FILE") && error.contains("/key"), "{error}");
            error
        };
        error(None);
        assert!(error(Some(b" \n")).contains("is empty"));
        assert!(error(Some(&vec![b'x'; 65_537])).contains("larger than 65536 bytes"));
        error(Some(b"\xff\xfe"));
    }

    #[test]
    fn key_that_no_request_can_send_is_rejected_and_not_quoted() {
        for key in ["hunter2\nhunter3", "hünter2", "hunter2\u{200b}", "hunter2\0"] {
            let error = check_api_key(&key.into()).unwrap_err().to_string();
            assert!(error.contains("VERBATIM_API_KEY") && !error.contains("ter2"), "{error}");
        }
        assert!(check_api_key(&"a-key_0.~:/+=".into()).is_ok());
        assert!(check_secret(&"a\u{7}b".into()).is_err());
        assert!(check_secret(&"whsec ü".into()).is_ok());
    }

    #[test]
    fn secrets_are_separated_by_commas_or_lines() {
        let listed = |text| {
            Secrets::from(text).0.iter().map(|s| s.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(listed(" one,two\r\nthree\n\n,\n"), ["one", "two", "three"]);
        assert!(listed(" \n,").is_empty());
    }

    #[test]
    fn white_space_around_a_variable_is_removed() {
        let tidied = |text: &str| tidied(OsStr::new(text));
        assert_eq!(tidied("as it is"), None);
        assert_eq!(tidied("a\n").as_deref(), Some("a"));
        assert_eq!(tidied(" \r\n").as_deref(), Some(""));
        assert_eq!(tidied("").as_deref(), Some(""));
    }
}
