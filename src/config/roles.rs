//! Roles that mark a message as the assistant's.

use anyhow::anyhow;

use crate::domain::Roles;

impl TryFrom<Vec<String>> for Roles {
    type Error = anyhow::Error;

    fn try_from(listed: Vec<String>) -> anyhow::Result<Self> {
        Self::new(listed.iter().map(String::as_str)).map_err(|error| {
            anyhow!(
                "must list the roles that mark the assistant's messages, such as agent,bot: {error}"
            )
        })
    }
}
