//! Rights of a key.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::keys::{KeyRow, Scope, each_once};

/// Rights of a key.
#[derive(Debug)]
pub(crate) struct Grant {
    /// ID; `None` for the key of the settings.
    id: Option<Uuid>,
    /// Name; `None` for the key of the settings.
    name: Option<String>,
    scopes: Vec<Scope>,
    agents: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// Returns the grant of a key of the settings.
    pub(crate) fn of_settings() -> Arc<Self> {
        let scopes = vec![Scope::Admin];
        Arc::new(Self { id: None, name: None, scopes, agents: None, expires_at: None })
    }

    /// Returns a grant that expires, for a test.
    #[cfg(test)]
    pub(crate) fn of_test(scopes: Vec<Scope>, expires_at: DateTime<Utc>) -> Self {
        Self { id: None, name: None, scopes, agents: None, expires_at: Some(expires_at) }
    }

    /// Returns the name of the key; `None` is the key of the settings.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the scopes of the key.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Returns true if the key has a scope; `admin` includes all scopes.
    pub(crate) fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Returns the agents that the key is bound to; `None` is every agent.
    pub(crate) fn agents(&self) -> Option<&[String]> {
        self.agents.as_deref()
    }

    /// Returns the key's ID; `None` is the key of the settings.
    pub(crate) fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// Returns the end of the key's validity.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }
}

impl From<KeyRow> for Grant {
    fn from(row: KeyRow) -> Self {
        Self {
            id: Some(row.id),
            name: Some(row.name),
            // Scopes of a later version are ignored.
            scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
            // Earlier versions stored an agent as often as it was named.
            agents: row.agent_ids.map(each_once),
            expires_at: row.expires_at,
        }
    }
}
