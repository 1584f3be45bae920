//! The TOML file, and errors in it by line and key.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect as keys;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::args::{DatabaseArgs, ServeArgs};
use super::file_only::FileOnly;

/// The TOML file. An unknown key is an error that names it.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// Settings that can be given by flag or variable, too.
    pub(super) args: ServeArgs,
    /// The other settings.
    pub(super) only: FileOnly,
}

/// Reason for rejecting the file.
#[derive(Debug)]
pub(super) struct Fault {
    /// Position in bytes.
    start: usize,
    message: String,
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        Self { start, message: error.message().to_owned() }
    }
}

impl File {
    /// Reads the file. Without a path, returns the empty file.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&text).map_err(|Fault { start, message }| {
            let line = text[..start].matches('\n').count() + 1;
            let message = explain(&text, start, &message);
            anyhow::anyhow!("{} line {line}: {message}", path.display())
        })
    }

    /// Parses the file's text.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let mut table = DeTable::parse(text)?;
        trim_table(table.get_mut());
        // serde's `flatten` would lose the positions, so each struct reads its keys from the table.
        let known = [keys::<ServeArgs>(), keys::<DatabaseArgs>(), keys::<FileOnly>()].concat();
        let mut written = table.get_ref().keys();
        if let Some(key) = written.find(|key| !known.contains(&key.get_ref().as_ref())) {
            let (name, known) = (key.get_ref(), known.join("`, `"));
            let message = format!("unknown field `{name}`, expected one of `{known}`");
            return Err(Fault { start: key.span().start, message });
        }
        Ok(Self {
            args: ServeArgs { database: part(&table)?, ..part(&table)? },
            only: part(&table)?,
        })
    }
}

/// Reads the keys that a struct has.
fn part<'de, T: Deserialize<'de>>(table: &Spanned<DeTable<'de>>) -> Result<T, toml::de::Error> {
    T::deserialize(toml::Deserializer::from(table.clone()))
}

/// Trims every string, and removes those that are empty then: in a file that is generated from
/// variables, an unset variable leaves an empty string.
fn trim_table(table: &mut DeTable<'_>) {
    let all = std::mem::take(table).into_iter();
    *table = all.filter_map(|(key, value)| Some((key, trimmed(value)?))).collect();
}

/// Trims the strings in `value`. Returns `None` if nothing is left of it.
fn trimmed(mut value: Spanned<DeValue<'_>>) -> Option<Spanned<DeValue<'_>>> {
    match value.get_mut() {
        DeValue::String(text) => {
            *text = text.trim().to_owned().into();
            return (!text.is_empty()).then_some(value);
        }
        DeValue::Array(values) => {
            let all = std::mem::replace(values, DeArray::new()).into_iter();
            *values = all.filter_map(trimmed).collect();
        }
        DeValue::Table(table) => trim_table(table),
        _ => {}
    }
    Some(value)
}

/// Describes the error at `start` without the value, which may be a secret. (The parser's message
/// quotes the line, and serde's part of it quotes a value of the wrong type.)
fn explain(text: &str, start: usize, message: &str) -> String {
    let key = key_before(text, start);
    // A setting's own parser quotes no secret, and its message continues the setting's name.
    if message.starts_with("must ") {
        let setting = key.map_or("a value".into(), |key| key.replace('_', "-"));
        return format!("{setting} {message}");
    }
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
    let setting = key.map_or("a value".into(), |key| format!("`{key}`"));
    format!("{setting} does not fit, expected {expected}")
}

/// Returns the key of the value at `start`. An element of a list on a separate line has none.
fn key_before(text: &str, start: usize) -> Option<&str> {
    let before = text[..start].rsplit('\n').next()?;
    let key = before.split_once('=')?.0.trim();
    let is_key = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    key.bytes().all(is_key).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file_only::{FileAlert, FileSource};

    #[test]
    fn packaged_file_names_every_setting() {
        let packaged = include_str!("../../deploy/debian/verbatim.toml");
        let is_setting =
            |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
        let settings: Vec<&str> =
            packaged.lines().filter(is_setting).map(|line| &line[1..]).collect();
        let text = settings.join("\n");
        File::parse(&text).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let known = [keys::<ServeArgs>(), keys::<DatabaseArgs>(), keys::<FileOnly>()].concat();
        assert_eq!(sorted(known), sorted(named(&table)));
        for (list, known) in [("sources", keys::<FileSource>()), ("alerts", keys::<FileAlert>())] {
            let entries = table[list].as_array().unwrap().iter();
            let named = entries.flat_map(|entry| named(entry.as_table().unwrap()));
            assert_eq!(sorted(known.to_vec()), sorted(named.collect()), "{list}");
        }
        // Every line is a comment, so the file changes nothing.
        assert!(packaged.parse::<toml::Table>().unwrap().is_empty());
    }

    fn named(table: &toml::Table) -> Vec<&str> {
        table.keys().map(String::as_str).collect()
    }

    fn sorted(mut keys: Vec<&str>) -> Vec<&str> {
        keys.sort_unstable();
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
            ("alert_url = 'ftp://a/hunter2'", "line 1: alert-url must be a URL such as".into()),
            ("api_key = 'a'\nlive_for = ' 5x '", "line 2: live-for must be a duration".into()),
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
