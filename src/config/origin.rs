//! Places where credentials are configured, for messages that name the place and not the value.

use std::path::PathBuf;

use super::ServeArgs;
use super::file::File;

/// Place of a setting. For one that is not set, the place where it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its environment variable.
    Environment,
    /// This TOML file.
    File(PathBuf),
    /// This file, which contains nothing else.
    SecretFile(PathBuf),
}

/// Places of the default source's credentials and of the API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// `VERBATIM_WEBHOOK_SECRET` or `webhook_secrets`.
    pub webhook_secrets: Origin,
    /// `VERBATIM_WEBHOOK_HEADER` or `webhook_headers`.
    pub webhook_headers: Origin,
    /// `VERBATIM_API_KEY` or `api_key`.
    pub api_key: Origin,
}

impl Origins {
    /// Finds the places. The environment overrides the file, unless the variable is empty.
    pub(super) fn of(args: &ServeArgs, file: &File) -> Self {
        let origin = |variable: &Option<String>, own: &Option<PathBuf>, named: &Option<PathBuf>| {
            let is_set = variable.as_ref().is_some_and(|text| !text.trim().is_empty());
            match (own, &args.database.config, named) {
                _ if is_set => Origin::Environment,
                (Some(own), ..) => Origin::SecretFile(own.clone()),
                (None, Some(_), Some(named)) => Origin::SecretFile(named.clone()),
                (None, Some(config), None) => Origin::File(config.clone()),
                (None, None, _) => Origin::Environment,
            }
        };
        Self {
            webhook_secrets: origin(
                &args.webhook_secret,
                &args.webhook_secret_file,
                &file.webhook_secrets_file,
            ),
            webhook_headers: origin(
                &args.webhook_header,
                &args.webhook_header_file,
                &file.webhook_headers_file,
            ),
            api_key: origin(&args.api_key, &args.api_key_file, &file.api_key_file),
        }
    }
}
