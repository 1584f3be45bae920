//! Credentials as written: as a value, or in a separate file, as Docker and Kubernetes mount them.
//! No message here quotes one.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::Secret;

/// Limit on a credential's file, in bytes: a wrong path must not fill the memory.
const LARGEST_FILE_BYTES: u64 = 64 << 10;

/// Credential in one of the places where it can be set.
pub(super) struct Written<'a, T> {
    /// The setting's name there. The setting for a file has `_file` appended.
    pub(super) name: &'a str,
    /// The value.
    pub(super) value: Option<T>,
    /// File that contains the value.
    pub(super) file: Option<&'a PathBuf>,
}

impl<T> Written<'_, T> {
    /// Returns the credential, if it is set here; `parse` parses a file's text.
    pub(super) fn read(self, parse: impl Fn(&str) -> T) -> anyhow::Result<Option<T>> {
        let Self { name, value, file } = self;
        let suffix = if name.ends_with(|c: char| c.is_uppercase()) { "_FILE" } else { "_file" };
        match (value, file) {
            (Some(_), Some(_)) => {
                bail!("{name} and {name}{suffix} are both set: remove one of them")
            }
            (None, Some(file)) => {
                let text = read_file(file).with_context(|| format!("{name}{suffix}"))?;
                Ok(Some(parse(&text)))
            }
            (value, None) => Ok(value),
        }
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

/// Returns the trimmed value of an environment variable; `None` if it is unset or empty.
pub(super) fn environment(name: &str) -> Option<String> {
    trimmed(&std::env::var_os(name)?.to_string_lossy())
}

/// Trims a text; `None` if nothing is left.
pub(super) fn trimmed(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns a variable's trimmed value if it differs from `value` or is empty: an empty variable
/// counts as not set.
#[must_use]
pub fn tidied(value: &OsStr) -> Option<String> {
    let text = value.to_str()?;
    let trimmed = text.trim();
    (trimmed.is_empty() || trimmed != text).then(|| trimmed.to_owned())
}

/// Splits secrets at commas and line breaks.
pub(super) fn secrets(text: &str) -> Vec<Secret> {
    text.split([',', '\n', '\r']).filter_map(trimmed).map(Secret::new).collect()
}

/// Splits required headers at line breaks.
pub(super) fn headers(text: &str) -> Vec<Secret> {
    text.lines().filter_map(trimmed).map(Secret::new).collect()
}

/// Rejects an API key that no request can send.
pub(super) fn api_key(key: String) -> anyhow::Result<Secret> {
    ensure!(
        key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "the API key (VERBATIM_API_KEY, api_key) contains a line break, another control character \
         or one outside ASCII, which no request can send: generate one with `openssl rand -hex 32`"
    );
    Ok(Secret::new(key))
}

/// Rejects a webhook secret that no sender can sign with.
pub(super) fn check_secret(secret: &Secret) -> anyhow::Result<()> {
    ensure!(
        !secret.expose().contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER),
        "a webhook secret contains a control character or is not UTF-8: copy it again from the \
         sender's settings"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Option<&str>, file: Option<&PathBuf>) -> anyhow::Result<Option<String>> {
        let value = value.map(str::to_owned);
        Written { name: "VERBATIM_API_KEY", value, file }.read(str::to_owned)
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
            let error = api_key(key.to_owned()).unwrap_err().to_string();
            assert!(error.contains("VERBATIM_API_KEY") && !error.contains("ter2"), "{error}");
        }
        assert_eq!(api_key("a-key_0.~:/+=".to_owned()).unwrap().expose(), "a-key_0.~:/+=");
        assert!(check_secret(&Secret::new("a\u{7}b".to_owned())).is_err());
        assert!(check_secret(&Secret::new("whsec ü".to_owned())).is_ok());
    }

    #[test]
    fn secrets_are_separated_by_commas_or_lines() {
        let listed = |text| secrets(text).iter().map(|s| s.expose().to_owned()).collect::<Vec<_>>();
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
