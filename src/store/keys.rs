//! API keys: generation, scopes and storage. Only a key's SHA-256 is stored.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::page::{Order, PageRequest};
use super::{Store, StoreError};

/// Prefix of all keys, by which scanners recognise leaked ones.
pub const KEY_PREFIX: &str = "vb_";
/// Longest lifetime of a key: beyond any use, and far from the ends of Postgres' calendar.
pub const MAX_LIFETIME: Duration = Duration::from_hours(24 * 366 * 100);
/// Random bytes in a key.
const KEY_BYTES: usize = 32;

/// Permission of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Scope {
    /// Agents, sessions, messages, search, stream.
    Read,
    /// Figures without texts.
    Analytics,
    /// Exports.
    Export,
    /// Erasures.
    Erase,
    /// Everything, including keys and deliveries.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Analytics, Self::Export, Self::Erase, Self::Admin];

    /// Returns the name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Analytics => "analytics",
            Self::Export => "export",
            Self::Erase => "erase",
            Self::Admin => "admin",
        }
    }

    /// Parses a name in the API.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// SHA-256 of a key, which represents it everywhere outside its owner's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Hashes a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }
}

/// Generates a key from 256 random bits.
#[must_use]
pub fn generate_key() -> String {
    generate(KEY_PREFIX)
}

/// Generates a text from a prefix and 256 random bits.
pub(super) fn generate(prefix: &str) -> String {
    let bytes: [u8; KEY_BYTES] = rand::random();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Reports whether a text has the form of a key from [`generate_key`].
#[must_use]
pub fn has_key_form(text: &str) -> bool {
    has_shape(text, KEY_PREFIX)
}

/// Reports whether a text has the form of [`generate`] with this prefix.
pub(super) fn has_shape(text: &str, prefix: &str) -> bool {
    const CHARACTERS: usize = (KEY_BYTES * 8).div_ceil(6);
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == CHARACTERS
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// New key.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// Key ID, by which it is revoked.
    pub id: Uuid,
    /// Name given by its owner.
    pub name: &'a str,
    /// Hash of the key.
    pub hash: KeyHash,
    /// Scopes.
    pub scopes: &'a [Scope],
    /// Agents that it is bound to, stored without duplicates; `None` is every agent.
    pub agent_ids: Option<&'a [String]>,
    /// Current time.
    pub created_at: DateTime<Utc>,
    /// End of validity.
    pub expires_at: Option<DateTime<Utc>>,
    /// Key that creates it; `None` is the key in the settings, or the command line.
    pub made_by: Option<Uuid>,
}

/// Stored key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Key ID.
    pub id: Uuid,
    /// Name given by its owner.
    pub name: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Agents that it is bound to; `None` is every agent.
    pub agent_ids: Option<Vec<String>>,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// End of validity.
    pub expires_at: Option<DateTime<Utc>>,
    /// Time of revocation.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Time of its last use, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Key that created it, if known and visible to the caller.
    pub made_by: Option<Uuid>,
}

/// Sorts agent IDs and removes duplicates: a query with a duplicate would return its rows twice.
#[must_use]
pub fn each_once(mut agent_ids: Vec<String>) -> Vec<String> {
    agent_ids.sort_unstable();
    agent_ids.dedup();
    agent_ids
}

/// Lists keys. They are created by hand, so they are few enough to sort.
macro_rules! page_of_keys {
    ($order:tt, $beyond:tt, $store:ident, $visible:ident, $page:ident) => {{
        let (start_at, start_id) = $page.start();
        query_as!(
            KeyRow,
            r#"
            SELECT
                id,
                name,
                scopes,
                agent_ids,
                created_at,
                expires_at,
                revoked_at,
                last_used_at,
                (
                    SELECT m.id
                    FROM api_keys AS m
                    WHERE m.id = api_keys.made_by
                        AND ($1::text[] IS NULL OR m.agent_ids <@ $1)
                ) AS made_by
            FROM api_keys
            WHERE ($1::text[] IS NULL OR agent_ids <@ $1)
                AND (created_at, id) "#
                + $beyond
                + r#" ($2, $3)
            ORDER BY created_at "#
                + $order
                + r#", id "#
                + $order
                + r#"
            LIMIT $4
            "#,
            $visible,
            start_at,
            start_id,
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

impl Store {
    /// Lists keys by time of creation; only keys bound to `visible` agents and no others.
    pub async fn page_keys(
        &self,
        visible: Option<&[String]>,
        page: &PageRequest,
    ) -> Result<Vec<KeyRow>, StoreError> {
        let rows = match page.order {
            Order::Desc => page_of_keys!("DESC", "<", self, visible, page),
            Order::Asc => page_of_keys!("ASC", ">", self, visible, page),
        };
        Ok(rows?)
    }

    /// Returns all keys, newest first.
    pub async fn list_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows = query_as!(
            KeyRow,
            r#"
            SELECT
                id,
                name,
                scopes,
                agent_ids,
                created_at,
                expires_at,
                revoked_at,
                last_used_at,
                made_by
            FROM api_keys
            ORDER BY created_at DESC, id DESC
            "#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    /// Finds a key by its hash.
    pub async fn find_key(&self, hash: KeyHash) -> Result<Option<KeyRow>, StoreError> {
        let row = query_as!(
            KeyRow,
            r#"
            SELECT
                id,
                name,
                scopes,
                agent_ids,
                created_at,
                expires_at,
                revoked_at,
                last_used_at,
                made_by
            FROM api_keys
            WHERE key_sha256 = $1
            "#,
            &hash.0[..]
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row)
    }

    /// Returns the hashes that belong to an unrevoked key, a browser session or a sign-in link.
    pub async fn find_key_hashes(&self, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, StoreError> {
        let wanted: Vec<_> = hashes.iter().map(|hash| hash.0.to_vec()).collect();
        let found = query_scalar!(
            r#"
            WITH wanted AS MATERIALIZED (SELECT DISTINCT unnest($1::bytea[]) AS hash)
            SELECT hash AS "hash!"
            FROM wanted
            JOIN api_keys ON key_sha256 = hash
            WHERE revoked_at IS NULL
            UNION ALL
            SELECT hash
            FROM wanted
            JOIN browser_sessions ON token_sha256 = hash
            UNION ALL
            SELECT hash
            FROM wanted
            JOIN sign_in_links ON token_sha256 = hash
            "#,
            &wanted
        )
        .fetch_all(&self.pool)
        .await?;
        // Keys have no hash of another length.
        Ok(found.into_iter().filter_map(|hash| hash.try_into().ok().map(KeyHash)).collect())
    }

    /// Records the use of a key, unless a use after `stale` is recorded already, possibly by
    /// another process.
    pub async fn record_key_use(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        stale: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        query!(
            r#"
            UPDATE api_keys
            SET last_used_at = $2
            WHERE id = $1
                AND (last_used_at IS NULL OR last_used_at <= $3)
            "#,
            id,
            at,
            stale
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
