//! A page of a search: matches, with their messages and sessions. What Postgres compares is
//! bounded, so of a match that it cannot be sure of the text is compared here.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ranked::{Match, Matches, matches};
use super::vocabulary::widen;
use super::windows::Window;
use crate::search::Query;
use crate::store::messages::MessageRow;
use crate::store::page::PAGE_BYTES;
use crate::store::sessions::{SessionFilter, SessionRow};
use crate::store::{Store, StoreError};

/// How often a page is filled up after texts did not match what their documents did. What is then
/// still missing is for the next page.
const MOST_ROUNDS: usize = 4;

/// Which messages are searched.
#[derive(Clone, Debug, Default)]
pub struct SearchFilter {
    /// Only these agents'; `None` is all agents'.
    pub agents: Option<Vec<String>>,
    /// Only of these sessions, by our ids.
    pub sessions: Option<Vec<Uuid>>,
    /// Only this source's.
    pub source: Option<String>,
    /// Only by these roles, in lower case.
    pub roles: Option<Vec<String>>,
    /// Only of sessions of this room, status, opening, silence and flags; its other members have no
    /// effect.
    pub about: Option<SessionFilter>,
    /// Only later than this.
    pub after: Option<DateTime<Utc>>,
    /// Only earlier than this.
    pub before: Option<DateTime<Utc>>,
}

/// Where a match stands among all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchPlace {
    /// Its time.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
    /// How well it matches.
    pub score: f32,
    /// The matches that it was ranked among.
    pub window: Window,
    /// Parts of words were looked for.
    pub widened: bool,
}

/// A message that matches.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// How well it matches.
    pub score: f32,
    /// The message.
    pub message: MessageRow,
    /// Its session.
    pub session: SessionRow,
}

/// Why matches may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incomplete {
    /// The index is being rebuilt.
    Rebuild,
    /// More words hold a part of a word than are looked for.
    ManyWords,
    /// More messages came late into what the page before was ranked among than are read again.
    ManyLate,
}

/// A part of what was found.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// What was looked for in the end, for the highlights.
    pub query: Query,
    /// No message has all of the words, so parts of words were looked for.
    pub widened: bool,
    /// The matches, in order.
    pub hits: Vec<SearchHit>,
    /// Where the next page begins; `None` where nothing is left.
    pub next: Option<SearchPlace>,
    /// Why matches may be missing.
    pub incomplete: BTreeSet<Incomplete>,
}

/// What a page of a search is to hold.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest<'a> {
    /// Which messages.
    pub filter: &'a SearchFilter,
    /// The time.
    pub now: DateTime<Utc>,
    /// Where the page before ended.
    pub after: Option<SearchPlace>,
    /// Most matches.
    pub limit: usize,
}

impl Store {
    /// Finds what matches, from a place on.
    ///
    /// Where nothing matches as it was written, parts of words are looked for.
    pub async fn search(
        &self,
        query: &Query,
        request: SearchRequest<'_>,
    ) -> Result<SearchPage, StoreError> {
        let widened = request.after.is_some_and(|place| place.widened);
        let as_written = if widened {
            None
        } else {
            let page = self.page(query.clone(), false, request).await?;
            if request.after.is_some() || page.next.is_some() || !page.hits.is_empty() {
                return Ok(page);
            }
            Some(page)
        };
        let mut lane = self.search_lanes.take().await?;
        let wider = widen(&mut lane, query, request.filter).await?;
        lane.give_back();
        match as_written {
            Some(page) if !wider.found => Ok(page),
            _ => {
                let mut page = self.page(wider.query, true, request).await?;
                page.incomplete.extend(wider.cut.then_some(Incomplete::ManyWords));
                Ok(page)
            }
        }
    }

    /// Fills a page.
    async fn page(
        &self,
        query: Query,
        widened: bool,
        request: SearchRequest<'_>,
    ) -> Result<SearchPage, StoreError> {
        let SearchRequest { filter, now, after, limit } = request;
        let (mut hits, mut next, mut incomplete) = (Vec::new(), after, BTreeSet::new());
        for _ in 0..MOST_ROUNDS {
            let room = limit - hits.len();
            let mut lane = self.search_lanes.take().await?;
            let Matches { mut found, cut, stale } =
                matches(&mut lane, &query, filter, now, next, room + 1).await?;
            lane.give_back();
            incomplete.extend(cut.then_some(Incomplete::ManyLate));
            incomplete.extend(stale.then_some(Incomplete::Rebuild));
            let more = found.len() > room;
            found.truncate(room);
            let read = found.len();
            let (examined, new) = self.fetch(&query, &found, filter).await?;
            hits.extend(new);
            if let Some((one, window)) = examined.checked_sub(1).map(|last| found[last]) {
                let Match { at, id, score, .. } = one;
                next = Some(SearchPlace { at, id, score, window, widened });
            }
            if examined == read && !more {
                next = None;
                break;
            }
            let bytes: usize = hits.iter().map(|hit: &SearchHit| hit.message.message.len()).sum();
            let full = i64::try_from(bytes).is_ok_and(|bytes| bytes > PAGE_BYTES / 2);
            if hits.len() == limit || examined < read || full {
                break;
            }
        }
        Ok(SearchPage { query, widened, hits, next, incomplete })
    }

    /// Reads matches, as many as there is room for, and compares the texts of those that Postgres
    /// could not be sure of. Returns how many were looked at, and those that are hits; one that is
    /// gone by now is none.
    async fn fetch(
        &self,
        query: &Query,
        found: &[(Match, Window)],
        filter: &SearchFilter,
    ) -> Result<(usize, Vec<SearchHit>), StoreError> {
        let keys: Vec<_> = found.iter().map(|(one, _)| (one.session_id, one.at, one.id)).collect();
        let mut messages = self.messages_by_key(&keys).await?;
        let mut ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let sessions = self.sessions_by_id(&ids, filter.agents.as_deref()).await?;
        let (mut examined, mut hits, mut unsure) = (0, Vec::with_capacity(found.len()), Vec::new());
        for (one, _) in found {
            match messages.remove(&(one.session_id, one.at, one.id)) {
                Some(Some(message)) => {
                    if let Some(session) = sessions.get(&one.session_id).cloned() {
                        unsure.push(query.needs_text(one.long));
                        hits.push(SearchHit { score: one.score, message, session });
                    }
                }
                // No room for it: the next page begins with it.
                Some(None) => break,
                None => {}
            }
            examined += 1;
        }
        Ok((examined, compare(query, hits, unsure).await?))
    }

    /// Finds the sessions that a filter names, by our id or the sender's, within what a caller may
    /// see. One of that id of ours wins, as it does in a path.
    pub async fn sessions_named(
        &self,
        name: &str,
        visible: Option<&[String]>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let id = Uuid::try_parse(name).ok();
        let mut lane = self.lanes.take().await?;
        let ids = sqlx::query_scalar!(
            "SELECT id
            FROM sessions
            WHERE (sender_session_id = $1 OR id = $2)
                AND ($3::text[] IS NULL OR agent_id = ANY ($3))",
            name,
            id,
            visible
        )
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
        Ok(match id.filter(|id| ids.contains(id)) {
            Some(id) => vec![id],
            None => ids,
        })
    }
}

/// Leaves out those of the unsure whose text does not match: megabytes of text at the most, which
/// other tasks need not wait for.
async fn compare(
    query: &Query,
    mut hits: Vec<SearchHit>,
    unsure: Vec<bool>,
) -> Result<Vec<SearchHit>, StoreError> {
    if !unsure.contains(&true) {
        return Ok(hits);
    }
    let query = query.clone();
    let compared = tokio::task::spawn_blocking(move || {
        let mut unsure = unsure.into_iter();
        hits.retain(|hit| {
            !unsure.next().unwrap_or_default() || query.matches(&hit.message.message)
        });
        hits
    });
    Ok(compared.await.map_err(|_| sqlx::Error::WorkerCrashed)?)
}
