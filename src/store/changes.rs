//! What came or changed, in the order of the journal: each key with the row that it names.
//!
//! A reading does a bounded amount of work whatever the filter is: it may show few rows or none,
//! but it always says how far it got.

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

/// How many entries are fetched, time after time, until there are enough keys: a full entry has
/// more keys than a page has room for, and one of a quiet hour has two.
const STEPS: [u32; 5] = [2, 8, 32, 128, 512];
/// Most keys that are looked at where a filter may leave most of them out. Each costs one look at
/// the index of sessions.
const MOST_KEYS: usize = 10_000;

/// Which changes are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only these agents'; `None` is all.
    pub agents: Option<Vec<String>>,
    /// Only this source's.
    pub source: Option<String>,
    /// Only of the sessions that this names: the sender's id, or ours.
    pub session: Option<String>,
    /// The caller's key is bound to agents: the reading takes as long, and comes as far, whatever
    /// other agents say.
    pub bound: bool,
}

impl ChangeFilter {
    /// Whether it lets something through: an agent's, from a source, about a session by our id and
    /// the sender's. What is about all that an agent has concerns whoever follows any of it: its
    /// sessions are gone, so that nobody can tell any more which it had.
    #[must_use]
    pub fn lets_through(
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

    /// The same of an erasure.
    fn tells_of(&self, erasure: &Erasure) -> bool {
        let session = erasure.session.as_ref();
        self.lets_through(
            &erasure.agent_id,
            session.map(|session| session.source.as_str()),
            session.map(|session| (session.id, session.session_id.as_str())),
        )
    }

    /// It lets everything through.
    fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Our id of the session, where it can be one.
    #[must_use]
    pub fn session_id(&self) -> Option<Uuid> {
        self.session.as_deref().and_then(|text| Uuid::try_parse(text).ok())
    }
}

/// How much one reading may bring.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Items.
    pub items: usize,
    /// Bytes of their messages. One message may pass it, so that there is always some progress.
    pub bytes: i64,
}

/// Something that came or changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A session is new or has changed: as it is now.
    Session(Arc<SessionRow>),
    /// A message is new; with its session.
    Message(Arc<SessionRow>, MessageRow),
    /// Something was erased for good.
    Erasure(Erasure),
}

/// A part of all changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// In the journal's order, each with the position behind it.
    pub items: Vec<(Position<Place>, Change)>,
    /// How far this reading got.
    pub reached: Position<Place>,
    /// There is more behind it.
    pub more: bool,
}

/// Keys to be looked at.
struct Keys {
    keys: Vec<(Position<Place>, Key)>,
    more: bool,
    /// How far a reading gets that has looked at all of them, and there are no more; where it is
    /// known, and lies behind the last one.
    end: Option<Position<Place>>,
}

impl Store {
    /// The changes after a position, or from the first that is kept; `None` where the position is
    /// not known here, or what followed it is no longer kept.
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
                Key::Erasure(erasure) => filter.tells_of(erasure),
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
                    // It was erased meanwhile.
                    None => None,
                    Some(None) => {
                        // No room for it: the next reading begins with it.
                        return Ok(Some(Changes {
                            reached: behind(&items, after),
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

    /// The same of some agents alone, by what is known of the journal by agent.
    async fn keys_of_agents(
        &self,
        agents: &[String],
        after: Option<&Position<Place>>,
        filter: &ChangeFilter,
        items: usize,
    ) -> Result<Option<Keys>, StoreError> {
        let narrow = filter.source.is_some() || filter.session.is_some();
        let enough = if narrow { MOST_KEYS.max(items) } else { items };
        let found = self.items_of_agents(agents, after, enough).await?;
        Ok(found.map(|found| {
            let end = Some(found.end).filter(|end| Some(end.key) > after.map(|after| after.key));
            Keys { keys: found.keys, more: found.more, end }
        }))
    }

    /// What to look at: enough for a page, or as much as one reading may where a filter leaves
    /// some out.
    async fn keys_after(
        &self,
        after: Option<&Position<Place>>,
        filter: &ChangeFilter,
        items: usize,
    ) -> Result<Option<Keys>, StoreError> {
        let enough = if filter.is_open() { items } else { MOST_KEYS.max(items) };
        let mut keys = Vec::new();
        // The entry of the position is fetched along, since it may have been read in part, and to
        // see that it is the same.
        let mut from = after.map_or(0, |after| after.key.seq);
        for (round, step) in STEPS.into_iter().enumerate() {
            let stretch = self.stretch(from, step).await?;
            if round == 0 && !goes_on(after, &stretch.entries) {
                return Ok(None);
            }
            let last = stretch.entries.last().map_or(from, |entry| entry.seq);
            for entry in stretch.entries {
                let read = after.filter(|after| after.key.seq == entry.seq);
                let skip = read.map_or(0, |after| after.key.items as usize);
                keys.extend(entry.keys().skip(skip));
            }
            if keys.len() >= enough || !stretch.more {
                let more = stretch.more || keys.len() > enough;
                keys.truncate(enough);
                return Ok(Some(Keys { keys, more, end: None }));
            }
            from = last.saturating_add(1);
        }
        Ok(Some(Keys { keys, more: true, end: None }))
    }

    /// The sessions that the keys name, as far as the filter lets them through.
    async fn sessions_of(
        &self,
        keys: &[(Position<Place>, Key)],
        filter: &ChangeFilter,
    ) -> Result<HashMap<Uuid, Arc<SessionRow>>, StoreError> {
        let ids: HashSet<Uuid> = keys.iter().filter_map(|(_, key)| key.session_id()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut lane = self.lanes.take().await?;
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
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
        Ok(rows.into_iter().map(|row| (row.id, Arc::new(row))).collect())
    }

    /// The messages among the keys, by their places, which count from one. `None` stands for those
    /// that there is no room for.
    async fn messages_of(
        &self,
        keys: &[(Position<Place>, Key)],
        bytes: i64,
    ) -> Result<HashMap<i64, Option<MessageRow>>, StoreError> {
        let mut of = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (place, (_, key)) in (1_i64..).zip(keys) {
            if let Key::Message(key) = key {
                of.0.push(place);
                of.1.push(key.session_id);
                of.2.push(key.occurred_at);
                of.3.push(key.id);
            }
        }
        if of.0.is_empty() {
            return Ok(HashMap::new());
        }
        let mut lane = self.lanes.take().await?;
        // Each key is looked up in its own partition; the outer bounds tell which there are.
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
            &of.0,
            &of.1,
            &of.2,
            &of.3,
            bytes,
            of.2.iter().min().copied().unwrap_or(BEFORE_ALL),
            of.2.iter().max().copied().unwrap_or(AFTER_ALL),
        )
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
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
    /// What it names, in the order that positions count: a session comes before its messages, so
    /// that whoever keeps both always has what a message belongs to.
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

/// Whether the entries go on from the position, with nothing lost in between.
fn goes_on(after: Option<&Position<Place>>, entries: &[Entry]) -> bool {
    let first = entries.first();
    match after {
        None => true,
        Some(after) if after.key.seq == 0 => first.is_none_or(|first| first.seq == 1),
        Some(after) => {
            first.is_some_and(|first| first.seq == after.key.seq && first.received_at == after.at)
        }
    }
}

/// The position behind the last item, or else where the reading began.
fn behind(items: &[(Position<Place>, Change)], after: Option<&Position<Place>>) -> Position<Place> {
    let last = items.last().map(|(position, _)| position);
    last.or(after).cloned().unwrap_or(Position::START)
}
