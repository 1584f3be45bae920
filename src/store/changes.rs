//! Reads changes in the order of the journal: each key with its row.
//!
//! A read does a bounded amount of work whatever the filter is. It may return few rows or none, but
//! always returns the position it reached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::query;
use uuid::Uuid;

use super::agent_journal::Key;
use super::journal::{Entry, Erasure, Place};
use super::messages::MessageRow;
use super::page::{AFTER_ALL, BEFORE_ALL};
use super::sessions::{SessionRow, select_sessions};
use super::{Position, Store, StoreError};

/// Numbers of entries fetched one after another until there are enough keys: a full entry has more
/// keys than fit on a page, one of a quiet hour has two.
const STEPS: [u32; 5] = [2, 8, 32, 128, 512];
/// Most keys examined if a filter may exclude most of them. Each costs a lookup in the index of
/// sessions.
const MAX_KEYS: usize = 10_000;

/// Filter of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only these agents; `None` is all agents.
    pub agents: Option<Vec<String>>,
    /// Only this source.
    pub source: Option<String>,
    /// Only sessions with this ID, the sender's or ours.
    pub session: Option<String>,
    /// The caller's key is bound to agents: duration and reach of the read must not depend on other
    /// agents.
    pub bound: bool,
}

impl ChangeFilter {
    /// Reports whether a change of an agent passes, from a source, of a session by our ID and the
    /// sender's. The erasure of an agent passes every filter on its sources and sessions: its
    /// sessions are deleted, so nobody can know any more which it had.
    #[must_use]
    pub fn accepts(
        &self,
        agent_id: &str,
        source: Option<&str>,
        session: Option<(Uuid, &str)>,
    ) -> bool {
        let agents = self.agents.as_ref();
        agents.is_none_or(|agents| agents.iter().any(|wanted| wanted == agent_id))
            && (self.source.as_deref()).is_none_or(|wanted| source.is_none_or(|it| it == wanted))
            && self.session.as_deref().is_none_or(|wanted| {
                session
                    .is_none_or(|(id, senders)| senders == wanted || Some(id) == self.session_id())
            })
    }

    /// Reports whether an erasure passes.
    fn accepts_erasure(&self, erasure: &Erasure) -> bool {
        let session = erasure.session.as_ref();
        self.accepts(
            &erasure.agent_id,
            session.map(|session| session.source.as_str()),
            session.map(|session| (session.id, session.session_id.as_str())),
        )
    }

    /// Reports whether everything passes.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns our session ID, if the text can be one.
    #[must_use]
    pub fn session_id(&self) -> Option<Uuid> {
        self.session.as_deref().and_then(|text| Uuid::try_parse(text).ok())
    }
}

/// Limits of one read.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Most items.
    pub items: usize,
    /// Most bytes of messages. One message may exceed it, so every read makes progress.
    pub bytes: i64,
}

/// Change in the journal.
#[derive(Clone, Debug)]
pub enum Change {
    /// New or changed session, in its present state.
    Session(Arc<SessionRow>),
    /// New message, with its session.
    Message(Arc<SessionRow>, MessageRow),
    /// Erasure.
    Erasure(Erasure),
}

/// Page of changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Changes in the order of the journal, each with the position after it.
    pub items: Vec<(Position<Place>, Change)>,
    /// Position that the read reached.
    pub reached: Position<Place>,
    /// More changes follow.
    pub more: bool,
}

/// Keys to examine.
struct Keys {
    keys: Vec<(Position<Place>, Key)>,
    more: bool,
    /// Position reached once all keys are examined and no more follow, if it is known and after the
    /// last key.
    end: Option<Position<Place>>,
}

impl Store {
    /// Reads the changes after a position, or from the first retained one; `None` if the position
    /// is unknown, or its successors are no longer retained.
    pub async fn changes(
        &self,
        after: Option<&Position<Place>>,
        filter: &ChangeFilter,
        most: Most,
    ) -> Result<Option<Changes>, StoreError> {
        let found = match &filter.agents {
            Some(agents) if filter.bound => {
                self.keys_of_agents(agents, after, filter, most.items).await?
            }
            _ => self.keys_after(after, filter, most.items).await?,
        };
        let Some(Keys { keys, mut more, end }) = found else { return Ok(None) };
        let sessions = self.sessions_of(&keys, filter).await?;
        let mut reached = after.cloned().unwrap_or(Position::START);
        let mut wanted = Vec::new();
        for (position, key) in keys {
            if wanted.len() == most.items {
                more = true;
                break;
            }
            reached = position.clone();
            let shown = match &key {
                Key::Session(id) => sessions.contains_key(id),
                Key::Message(key) => sessions.contains_key(&key.session_id),
                Key::Erasure(erasure) => filter.accepts_erasure(erasure),
            };
            if shown {
                wanted.push((position, key));
            }
        }
        if let Some(end) = end.filter(|_| !more) {
            reached = end;
        }
        let mut texts = self.messages_of(&wanted, most.bytes).await?;
        let mut items = Vec::with_capacity(wanted.len());
        for (place, (position, key)) in (1_i64..).zip(wanted) {
            let change = match key {
                Key::Session(id) => sessions.get(&id).cloned().map(Change::Session),
                Key::Message(key) => match texts.remove(&place) {
                    Some(Some(row)) => {
                        let session = sessions.get(&key.session_id).cloned();
                        session.map(|session| Change::Message(session, row))
                    }
                    // Erased meanwhile.
                    None => None,
                    Some(None) => {
                        // No room: the next read begins with it.
                        return Ok(Some(Changes {
                            reached: position_after(&items, after),
                            items,
                            more: true,
                        }));
                    }
                },
                Key::Erasure(erasure) => Some(Change::Erasure(erasure)),
            };
            items.extend(change.map(|change| (position, change)));
        }
        Ok(Some(Changes { items, reached, more }))
    }

    /// Returns the keys of some agents, from the journal by agent.
    async fn keys_of_agents(
        &self,
        agents: &[String],
        after: Option<&Position<Place>>,
        filter: &ChangeFilter,
        items: usize,
    ) -> Result<Option<Keys>, StoreError> {
        let narrow = filter.source.is_some() || filter.session.is_some();
        let enough = if narrow { MAX_KEYS.max(items) } else { items };
        let found = self.items_of_agents(agents, after, enough).await?;
        Ok(found.map(|found| {
            let end = Some(found.end).filter(|end| Some(end.key) > after.map(|after| after.key));
            Keys { keys: found.keys, more: found.more, end }
        }))
    }

    /// Returns the keys to examine: enough for a page, or as many as one read may examine with a
    /// filter.
    async fn keys_after(
        &self,
        after: Option<&Position<Place>>,
        filter: &ChangeFilter,
        items: usize,
    ) -> Result<Option<Keys>, StoreError> {
        let enough = if filter.is_empty() { items } else { MAX_KEYS.max(items) };
        let mut keys = Vec::new();
        // The entry of the position is fetched again: it may have been read in part, and its time
        // must match.
        let mut from = after.map_or(0, |after| after.key.seq);
        for (round, step) in STEPS.into_iter().enumerate() {
            let page = self.read_entries(from, step).await?;
            if round == 0 && !continues(after, &page.entries) {
                return Ok(None);
            }
            let last = page.entries.last().map_or(from, |entry| entry.seq);
            for entry in page.entries {
                let read = after.filter(|after| after.key.seq == entry.seq);
                let skip = read.map_or(0, |after| after.key.items as usize);
                keys.extend(entry.keys().skip(skip));
            }
            if keys.len() >= enough || !page.more {
                let more = page.more || keys.len() > enough;
                keys.truncate(enough);
                return Ok(Some(Keys { keys, more, end: None }));
            }
            from = last.saturating_add(1);
        }
        Ok(Some(Keys { keys, more: true, end: None }))
    }

    /// Reads the sessions of the keys that pass the filter.
    async fn sessions_of(
        &self,
        keys: &[(Position<Place>, Key)],
        filter: &ChangeFilter,
    ) -> Result<HashMap<Uuid, Arc<SessionRow>>, StoreError> {
        let ids: HashSet<Uuid> = keys.iter().filter_map(|(_, key)| key.session_id()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = select_sessions!(
            r#"
            WHERE id = ANY ($1)
                AND ($2::text[] IS NULL OR agent_id = ANY ($2))
                AND ($3::text IS NULL OR source = $3)
                AND ($4::text IS NULL OR sender_session_id = $4 OR id = $5)
            "#,
            &ids.into_iter().collect::<Vec<_>>(),
            filter.agents.as_deref(),
            filter.source.as_deref(),
            filter.session.as_deref(),
            filter.session_id(),
        )
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, Arc::new(row))).collect())
    }

    /// Reads the messages of the keys, by place from one. Messages that do not fit are `None`.
    async fn messages_of(
        &self,
        keys: &[(Position<Place>, Key)],
        bytes: i64,
    ) -> Result<HashMap<i64, Option<MessageRow>>, StoreError> {
        let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (place, (_, key)) in (1_i64..).zip(keys) {
            if let Key::Message(key) = key {
                columns.0.push(place);
                columns.1.push(key.session_id);
                columns.2.push(key.occurred_at);
                columns.3.push(key.id);
            }
        }
        if columns.0.is_empty() {
            return Ok(HashMap::new());
        }
        // Each key is looked up in its own partition; the outer bounds select the partitions.
        let rows = query!(
            r#"
            SELECT
                place AS "place!",
                id AS "id!",
                role AS "role!",
                CASE WHEN before < $5 THEN message END AS message,
                occurred_at AS "occurred_at!",
                sent_at,
                received_at AS "received_at!",
                altered AS "altered!",
                undated AS "undated!"
            FROM (
                SELECT
                    k.place,
                    m.*,
                    sum(octet_length(m.message)) OVER (ORDER BY k.place)
                        - octet_length(m.message) AS before
                FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::uuid[])
                    AS k (place, session_id, occurred_at, id)
                JOIN messages AS m USING (session_id, occurred_at, id)
                WHERE m.occurred_at BETWEEN $6 AND $7
            ) AS named
            "#,
            &columns.0,
            &columns.1,
            &columns.2,
            &columns.3,
            bytes,
            columns.2.iter().min().copied().unwrap_or(BEFORE_ALL),
            columns.2.iter().max().copied().unwrap_or(AFTER_ALL),
        )
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
        let rows = rows.into_iter().map(|row| {
            let message = row.message.map(|message| MessageRow {
                id: row.id,
                role: row.role,
                message,
                occurred_at: row.occurred_at,
                sent_at: row.sent_at,
                received_at: row.received_at,
                altered: row.altered,
                undated: row.undated,
            });
            (row.place, message)
        });
        Ok(rows.collect())
    }
}

impl Entry {
    /// Returns the keys in the order that positions count. A session precedes its messages, so a
    /// client that stores both always has the session of a message.
    fn keys(self) -> impl Iterator<Item = (Position<Place>, Key)> {
        let (seq, at) = (self.seq, self.received_at);
        let erasure = self.erasure.map(Key::Erasure);
        let keys = self.sessions.into_iter().map(Key::Session);
        let keys = keys.chain(self.messages.into_iter().map(Key::Message)).chain(erasure);
        (1_u32..)
            .zip(keys)
            .map(move |(items, key)| (Position { at, key: Place { seq, items } }, key))
    }
}

impl Key {
    fn session_id(&self) -> Option<Uuid> {
        match self {
            Self::Session(id) => Some(*id),
            Self::Message(key) => Some(key.session_id),
            Self::Erasure(_) => None,
        }
    }
}

/// Reports whether the entries continue from the position without a gap.
fn continues(after: Option<&Position<Place>>, entries: &[Entry]) -> bool {
    let first = entries.first();
    match after {
        None => true,
        Some(after) if after.key.seq == 0 => first.is_none_or(|first| first.seq == 1),
        Some(after) => {
            first.is_some_and(|first| first.seq == after.key.seq && first.received_at == after.at)
        }
    }
}

/// Returns the position after the last item, or the start of the read.
fn position_after(
    items: &[(Position<Place>, Change)],
    after: Option<&Position<Place>>,
) -> Position<Place> {
    let last = items.last().map(|(position, _)| position);
    last.or(after).cloned().unwrap_or(Position::START)
}
