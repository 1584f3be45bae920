//! Places where credentials are configured, for messages that name the place and not the value.

use std::path::{Path, PathBuf};

use super::credentials::{self, Credential};

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

/// Settings of each place. A credential and its file are one setting, so they cannot be merged one
/// by one as the others are.
pub(super) struct Places<'a, A> {
    /// Settings of command line and environment.
    pub(super) args: &'a A,
    /// Settings of the TOML file.
    pub(super) file: &'a A,
    /// Path of the TOML file.
    pub(super) config: Option<&'a Path>,
}

impl<A> Places<'_, A> {
    /// Reads the credential with these names, as a variable and as a key of the file, and returns
    /// it with its place. `of` returns its value and its file in one place.
    pub(super) fn read<T: Credential>(
        &self,
        [variable, key]: [&str; 2],
        of: impl Fn(&A) -> (Option<&T>, Option<&PathBuf>),
    ) -> anyhow::Result<(Option<T>, Origin)> {
        let in_the_file = self.config.map_or(Origin::Environment, |path| Origin::File(path.into()));
        for (name, place, origin) in
            [(variable, self.args, Origin::Environment), (key, self.file, in_the_file.clone())]
        {
            let (value, file) = of(place);
            if let Some(found) = credentials::read(name, value, file.map(PathBuf::as_path))? {
                return Ok((Some(found), file.cloned().map_or(origin, Origin::SecretFile)));
            }
        }
        Ok((None, in_the_file))
    }
}
