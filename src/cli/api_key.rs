//! API key that a client command sends: from a flag, an environment variable, or a file.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::config::read_credential;

/// Options for the API key.
#[derive(Debug, clap::Args)]
pub(super) struct ApiKey {
    /// API key with the scope that the command needs. Prefer the environment variable: other users
    /// can read a command line
    #[arg(
        long,
        env = "VERBATIM_API_KEY",
        hide_env_values = true,
        required_unless_present = "key_file"
    )]
    key: Option<SecretString>,
    /// File with the API key, such as a mounted secret
    #[arg(long, env = "VERBATIM_API_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl ApiKey {
    pub(super) fn read(self) -> anyhow::Result<SecretString> {
        match (self.key, self.key_file) {
            (Some(key), _) => Ok(key),
            (None, Some(file)) => Ok(SecretString::from(read_credential(&file)?)),
            (None, None) => anyhow::bail!("no API key: set VERBATIM_API_KEY or --key-file"),
        }
    }
}
