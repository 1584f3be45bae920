//! Page of a search: matches with their messages and sessions. Postgres compares a bounded part of
//! a long text, so uncertain matches are compared with the text here.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::filter::SearchFilter;
use super::place::SearchPlace;
use super::ranked::{Match, Matches, matches};
use super::vocabulary::widen;
use super::windows::Window;
use crate::search::Query;
use crate::store::messages::MessageRow;
use crate::store::page::PAGE_BYTES;
use crate::store::sessions::SessionRow;
use crate::store::{Store, StoreError};

/// Most attempts to fill a page after texts did not match although their documents did. The next
/// page has the rest.
const MAX_ROUNDS: usize = 4;

/// Matching message.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// Score of the match.
    pub score: f32,
    /// The message.
    pub message: MessageRow,
    /// Its session.
    pub session: SessionRow,
}

/// Reason why matches may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incomplete {
    /// The index is being rebuilt.
    Rebuild,
    /// More words contain a part of a word than the search includes.
    ManyWords,
    /// More messages arrived late in the previous page's window than are read again.
    ManyLate,
}

/// Page of search results.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// The query that was searched in the end, for the highlights.
    pub query: Query,
    /// No message has all of the words, so the search was for parts of words.
    pub widened: bool,
    /// The matches, in order.
    pub hits: Vec<SearchHit>,
    /// Start of the next page; `None` at the end.
    pub next: Option<SearchPlace>,
    /// Reasons why matches may be missing.
    pub incomplete: BTreeSet<Incomplete>,
}

/// Request for a page of a search.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest<'a> {
    /// Messages to search.
    pub filter: &'a SearchFilter,
    /// Current time.
    pub now: DateTime<Utc>,
    /// End of the previous page.
    pub after: Option<SearchPlace>,
    /// Most matches.
    pub limit: usize,
}

impl Store {
    /// Finds matches after a place.
    ///
    /// If nothing matches the words as written, searches for parts of words.
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
        let mut pooled = self.search_pool.take().await?;
        let wider = widen(&mut pooled, query, request.filter).await?;
        drop(pooled);
        match as_written {
            Some(page) if !wider.found => Ok(page),
            _ => {
                let mut page = self.page(wider.query, true, request).await?;
                page.incomplete.extend(wider.cut.then_some(Incomplete::ManyWords));
                Ok(page)
            }
        }
    }

    /// Reads a page of matches.
    async fn page(
        &self,
        query: Query,
        widened: bool,
        request: SearchRequest<'_>,
    ) -> Result<SearchPage, StoreError> {
        let SearchRequest { filter, now, after, limit } = request;
        let (mut hits, mut next, mut incomplete) = (Vec::new(), after, BTreeSet::new());
        for _ in 0..MAX_ROUNDS {
            let room = limit - hits.len();
            let mut pooled = self.search_pool.take().await?;
            let Matches { mut found, cut, stale } =
                matches(&mut pooled, &query, filter, now, next, room + 1).await?;
            drop(pooled);
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

    /// Reads matches up to the size of a page, and compares the texts of uncertain ones. Returns
    /// how many were examined, and the hits. Matches deleted meanwhile are no hits.
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
                // No room: the next page begins with it.
                Some(None) => break,
                None => {}
            }
            examined += 1;
        }
        Ok((examined, compare(query, hits, unsure).await?))
    }

    /// Finds the visible sessions that a filter names, by our ID or the sender's. A session with
    /// this ID of ours wins, as in a path.
    pub async fn sessions_named(
        &self,
        name: &str,
        visible: Option<&[String]>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let id = Uuid::try_parse(name).ok();
        let ids = sqlx::query_scalar!(
            "SELECT id
            FROM sessions
            WHERE (sender_session_id = $1 OR id = $2)
                AND ($3::text[] IS NULL OR agent_id = ANY ($3))",
            name,
            id,
            visible
        )
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(match id.filter(|id| ids.contains(id)) {
            Some(id) => vec![id],
            None => ids,
        })
    }
}

/// Removes uncertain hits whose text does not match. Runs on a blocking thread: the texts can have
/// megabytes.
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
