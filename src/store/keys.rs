//! API keys: what they are made of, and which there are. Only a key's SHA-256 is kept.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::page::{Order, PageRequest};
use super::{Store, StoreError};

/// How every key of ours begins, so that a scanner for leaked secrets can know one.
pub const KEY_PREFIX: &str = "vb_";
/// Longest that a key can be said to be valid: beyond any use, and far from the ends of Postgres'
/// calendar.
pub const LONGEST_LIFETIME: Duration = Duration::from_hours(24 * 366 * 100);
/// Random bytes in a key.
const KEY_BYTES: usize = 32;

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Scope {
    /// Agents, sessions, messages, search, stream.
    Read,
    /// Figures without any text.
    Analytics,
    /// Everything as a file.
    Export,
    /// Erasing for good.
    Erase,
    /// All of it, keys and deliveries too.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Analytics, Self::Export, Self::Erase, Self::Admin];

    /// As it is written.
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

    /// The scope that is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// The SHA-256 of a key: what stands for it everywhere but in its owner's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }
}

/// Makes a key from 256 random bits.
#[must_use]
pub fn generate_key() -> String {
    generate(KEY_PREFIX)
}

/// Returns a prefix and 256 random bits as text.
pub(super) fn generate(prefix: &str) -> String {
    let bytes: [u8; KEY_BYTES] = rand::random();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether a text has the shape of a key that [`generate_key`] makes.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    has_shape(text, KEY_PREFIX)
}

/// Returns true for a text of the shape that [`generate`] makes with this prefix.
pub(super) fn has_shape(text: &str, prefix: &str) -> bool {
    const CHARACTERS: usize = (KEY_BYTES * 8).div_ceil(6);
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == CHARACTERS
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// A key to be kept.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: &'a str,
    /// What stands for it.
    pub hash: KeyHash,
    /// What it allows.
    pub scopes: &'a [Scope],
    /// The agents that it is bound to, each of which is kept once; `None` is every agent.
    pub agent_ids: Option<&'a [String]>,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// When it stops to be valid.
    pub expires_at: Option<DateTime<Utc>>,
    /// The key that makes it; `None` is the one of the settings, or the command line.
    pub made_by: Option<Uuid>,
}

/// A key as it is kept.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its id.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The agents that it is bound to; `None` is every agent.
    pub agent_ids: Option<Vec<String>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops to be valid.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The key that made it, as far as it is known and may be seen.
    pub made_by: Option<Uuid>,
}

/// Agents' ids in order, each once: a query that meets one twice would find its rows twice.
#[must_use]
pub fn each_once(mut agent_ids: Vec<String>) -> Vec<String> {
    agent_ids.sort_unstable();
    agent_ids.dedup();
    agent_ids
}

/// A part of the list of keys. Keys are made by hand: there are few enough of them to sort.
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
    /// A part of the list of keys, by when they were made; only of those that are bound to none but
    /// the `visible` agents.
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

    /// All keys, newest first.
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

    /// The key with this hash.
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

    /// Returns those of these hashes that a valid key, a browser session or a sign-in link has.
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
        // A hash of another length is none that a key of ours has.
        Ok(found.into_iter().filter_map(|hash| hash.try_into().ok().map(KeyHash)).collect())
    }

    /// Notes that a key was used, unless that was noted after `stale`: several processes may
    /// each want to.
    pub async fn touch_key(
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
