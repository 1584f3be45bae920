//! Where a credential is configured, for those who tell where to look: never what it is.

use std::path::PathBuf;

use super::ServeArgs;

/// Where a setting was found, if it is set at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In its environment variable.
    Environment,
    /// In this TOML file.
    File(PathBuf),
}

/// Where the credentials of the default source and the API key are configured.
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
    /// The environment beats the file, unless it is empty.
    pub(super) fn of(args: &ServeArgs) -> Self {
        let origin = |variable: Option<&String>| match &args.database.config {
            Some(file) if variable.is_none_or(|text| text.trim().is_empty()) => {
                Origin::File(file.clone())
            }
            _ => Origin::Environment,
        };
        Self {
            webhook_secrets: origin(args.webhook_secret.as_ref()),
            webhook_headers: origin(args.webhook_header.as_ref()),
            api_key: origin(args.api_key.as_ref()),
        }
    }
}
