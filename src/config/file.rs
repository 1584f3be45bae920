//! Settings as written in the TOML file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use super::ack::Ack;
use super::log_format::LogFormat;
use super::secret::Secret;
use crate::alerts::Amount;
use crate::redact::Kind;

/// The TOML file. An unknown key is an error that names it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) postgres_listen: Option<String>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) max_connections: Option<usize>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) database_url: Option<String>,
    pub(super) database_url_file: Option<PathBuf>,
    pub(super) read_database_url: Option<String>,
    pub(super) read_database_url_file: Option<PathBuf>,
    pub(super) read_max_lag: Option<String>,
    pub(super) webhook_secrets: Option<Vec<Secret>>,
    pub(super) webhook_secrets_file: Option<PathBuf>,
    pub(super) webhook_headers: Option<Vec<Secret>>,
    pub(super) webhook_headers_file: Option<PathBuf>,
    pub(super) strict_timestamps: Option<bool>,
    pub(super) api_key: Option<String>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) ack: Option<Ack>,
    pub(super) max_body: Option<String>,
    pub(super) inbox_quota: Option<String>,
    pub(super) trusted_proxies: Option<Vec<String>>,
    pub(super) cors_origin: Option<Vec<String>>,
    pub(super) live_for: Option<String>,
    pub(super) ended_after: Option<String>,
    pub(super) visit_gap: Option<String>,
    pub(super) assistant_roles: Option<Vec<String>>,
    pub(super) keep_messages: Option<String>,
    pub(super) keep_deliveries: Option<String>,
    pub(super) redact: Option<Vec<Kind>>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) alert_url: Option<String>,
    pub(super) alert_secrets: Option<Vec<Secret>>,
    pub(super) alert_secrets_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) alerts: Vec<FileAlert>,
    #[serde(default)]
    pub(super) sources: Vec<FileSource>,
    /// By agent ID.
    #[serde(default)]
    pub(super) agents: BTreeMap<String, FileAgent>,
}

/// Settings of one agent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAgent {
    pub(super) visit_gap: Option<String>,
}

/// A further source, at `POST /webhook/{name}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSource {
    pub(super) name: String,
    #[serde(default)]
    pub(super) secrets: Vec<Secret>,
    pub(super) secrets_file: Option<PathBuf>,
    /// Required headers, as `Name: value`.
    #[serde(default)]
    pub(super) headers: Vec<Secret>,
    pub(super) headers_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) strict_timestamps: bool,
    pub(super) keep_messages: Option<String>,
    pub(super) keep_deliveries: Option<String>,
    #[serde(default)]
    pub(super) redact: Vec<Kind>,
}

/// Alert, with the receiver of its notifications.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAlert {
    pub(super) name: String,
    pub(super) metric: String,
    pub(super) stat: Option<String>,
    pub(super) window: Option<String>,
    #[serde(default)]
    pub(super) agents: Vec<String>,
    pub(super) above: Option<Amount>,
    pub(super) below: Option<Amount>,
    pub(super) above_normal: Option<f64>,
    pub(super) below_normal: Option<f64>,
    pub(super) weeks: Option<u32>,
    pub(super) tz: Option<String>,
    #[serde(rename = "for")]
    pub(super) hold: Option<String>,
    pub(super) url: Option<String>,
    pub(super) secrets: Option<Vec<Secret>>,
    pub(super) secrets_file: Option<PathBuf>,
}

impl File {
    /// Reads the file. Without a path, returns the empty file.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let trimmed = toml::from_str::<toml::Table>(&text).ok().and_then(|mut table| {
            trim_table(&mut table);
            Self::deserialize(table).ok()
        });
        if let Some(file) = trimmed {
            return Ok(file);
        }
        // Parse the untrimmed text again, for the line of the error.
        toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text[..start].matches('\n').count() + 1;
            let message = explain(&text, start, error.message());
            anyhow::anyhow!("{} line {line}: {message}", path.display())
        })
    }
}

/// Trims every string, and removes those that are empty then: in a file that is generated from
/// variables, an unset variable leaves an empty string.
fn trim_table(table: &mut toml::Table) {
    table.retain(|_, value| trim_value(value));
}

/// Trims the strings in `value`. Returns false if nothing is left of it.
fn trim_value(value: &mut toml::Value) -> bool {
    match value {
        toml::Value::String(text) => {
            *text = text.trim().to_owned();
            !text.is_empty()
        }
        toml::Value::Array(values) => {
            values.retain_mut(trim_value);
            true
        }
        toml::Value::Table(table) => {
            trim_table(table);
            true
        }
        _ => true,
    }
}

/// Describes the error at `start` without the value, which may be a secret. (The parser's message
/// quotes the line, and serde's part of it quotes a value of the wrong type.)
fn explain(text: &str, start: usize, message: &str) -> String {
    let quoting = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !quoting.iter().any(|beginning| message.starts_with(beginning)) {
        return message.to_owned();
    }
    // The value itself may contain ", expected ", so search from the end.
    let expected = match message.rsplit_once(", expected ") {
        Some((_, "a sequence")) => "a list, such as [\"…\", \"…\"]",
        Some((_, expected)) => expected,
        None => "another value",
    };
    let before = text[..start].rsplit('\n').next().unwrap_or_default();
    let key = before.split('=').next().unwrap_or_default().trim();
    let is_key = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    // An element of a list on a separate line has no key before it.
    if before.contains('=') && key.bytes().all(is_key) {
        format!("`{key}` does not fit, expected {expected}")
    } else {
        format!("a value does not fit, expected {expected}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the keys that a struct expects.
    fn expected_keys<T: serde::de::DeserializeOwned>() -> std::collections::BTreeSet<String> {
        let error = toml::from_str::<T>("no_such_key = 1").err().unwrap().to_string();
        let (_, expected) = error.split_once("expected one of ").unwrap();
        expected.lines().next().unwrap().split(", ").map(|key| key.replace('`', "")).collect()
    }

    #[test]
    fn packaged_file_names_every_setting() {
        let packaged = include_str!("../../deploy/debian/verbatim.toml");
        let is_setting =
            |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
        let settings: Vec<&str> =
            packaged.lines().filter(is_setting).map(|line| &line[1..]).collect();
        let table: toml::Table = settings.join("\n").parse().unwrap();
        File::deserialize(table.clone()).unwrap();
        let keys = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
        assert!(expected_keys::<File>().into_iter().eq(sorted(keys(&table))));
        for (list, expected) in
            [("sources", expected_keys::<FileSource>()), ("alerts", expected_keys::<FileAlert>())]
        {
            let entries = table[list].as_array().unwrap();
            let named = entries.iter().flat_map(|entry| keys(entry.as_table().unwrap())).collect();
            assert!(expected.into_iter().eq(sorted(named)), "{list}");
        }
        // Every line is a comment, so the file changes nothing.
        assert!(packaged.parse::<toml::Table>().unwrap().is_empty());
    }

    fn sorted(mut keys: Vec<String>) -> Vec<String> {
        keys.sort();
        keys.dedup();
        keys
    }

    #[test]
    fn value_of_the_wrong_type_is_reported_by_line_and_key_and_not_quoted() {
        let strings = "a list, such as";
        for (text, expected) in [
            (
                "webhook_secrets = \"hunter2\"",
                format!("line 1: `webhook_secrets` does not fit, expected {strings}"),
            ),
            (
                "\nwebhook_headers = 'hunter2: x, expected hunter2'",
                format!("line 2: `webhook_headers` does not fit, expected {strings}"),
            ),
            (
                "webhook_secrets = [\n  'one',\n  20202\n]",
                "line 3: a value does not fit, expected a string".into(),
            ),
            (
                "webhook_secrets = [20202]",
                "line 1: `webhook_secrets` does not fit, expected a string".into(),
            ),
            ("api_key = 20202", "line 1: `api_key` does not fit, expected a string".into()),
            (
                "ack = 'hunter2'",
                "line 1: `ack` does not fit, expected `inbox` or `postgres`".into(),
            ),
            (
                "strict_timestamps = 'hunter2'",
                "line 1: `strict_timestamps` does not fit, expected a boolean".into(),
            ),
            (
                "[[sources]]\nname = 'a'\nsecrets = 'hunter2'",
                format!("line 3: `secrets` does not fit, expected {strings}"),
            ),
            (
                "[[sources]]\nname = 'a'\nheaders = 'hunter2=x'",
                format!("line 3: `headers` does not fit, expected {strings}"),
            ),
            (
                "[[sources]]\nname = 'a'\nsecrets = [{ hunter2 = 20202 }]",
                "line 3: `secrets` does not fit, expected a string".into(),
            ),
            ("webhook_secrets = hunter2", "line 1".into()),
            ("api_key = \"hunter2", "line 1".into()),
            ("api_key = 'a'\napi_key = 'hunter2'", "line 2".into()),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let error = File::read(Some(file.path())).unwrap_err();
            let all = format!("{error:#} {error:?}");
            assert!(all.contains(&expected), "{all}");
            assert!(!all.contains("hunter2") && !all.contains("20202"), "{all}");
        }
    }

    #[test]
    fn unknown_key_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "webhook_secret = 'hunter2'").unwrap();
        let error = File::read(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("line 1: unknown field `webhook_secret`"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
