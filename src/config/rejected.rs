//! Errors of flags and variables.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_aux::serde_introspection::serde_introspect as keys;

use super::args::ServeArgs;

/// Describes the value of a flag or variable that the setting's parser rejected. clap's own message
/// quotes the value, which may be a secret.
#[must_use]
pub fn rejected(error: &clap::Error) -> Option<anyhow::Error> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let setting = flag.trim_start_matches('-').split(' ').next()?;
    let is_setting = keys::<ServeArgs>().contains(&setting.replace('-', "_").as_str());
    let is_rejected = is_setting && error.kind() == ErrorKind::ValueValidation;
    is_rejected
        .then(|| error.source().map(|reason| anyhow::anyhow!("{setting} {reason}")))
        .flatten()
}

#[cfg(test)]
mod tests {
    use clap::builder::{OsStr, Resettable};
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn invalid_value_is_reported_by_the_name_of_its_setting() {
        let command = ServeArgs::augment_args(Command::new("serve"));
        let command = command.mut_args(|arg| arg.env(Resettable::<OsStr>::Reset));
        for (flag, value) in [
            ("listen", "5432"),
            ("postgres-listen", "127.0.0.1"),
            ("read-max-lag", "10"),
            ("max-body", "65MiB"),
            ("inbox-quota", "x"),
            ("trusted-proxies", "10.0.0"),
            ("cors-origin", "null"),
            ("live-for", "5x"),
            ("ended-after", "5x"),
            ("visit-gap", "0s"),
            ("assistant-roles", "user"),
            ("keep-messages", "23h"),
            ("keep-deliveries", "ever"),
            ("redact", "names"),
            ("alert-url", "ftp://example.com/hunter2"),
        ] {
            let line = ["serve".to_owned(), format!("--{flag}"), value.to_owned()];
            let error = rejected(&command.clone().try_get_matches_from(line).unwrap_err());
            let error = error.unwrap().to_string();
            assert!(error.starts_with(&format!("{flag} must ")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
