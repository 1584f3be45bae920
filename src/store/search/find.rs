//! Finds messages: the newest matches are ranked, best first; then those before them, and so on.
//!
//! Ranking all matches of a common word would take minutes. So matches are taken newest first, a
//! few hundred at a time, these are ranked among themselves, and a cursor says which of them it
//! stands in. What is rarer than that is ranked as a whole.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::windows::Window;
use crate::search::{Query, agent_mark};
use crate::store::lanes::Lane;
use crate::store::messages::MessageRow;
use crate::store::sessions::SessionRow;
use crate::store::{Rows, Store, StoreError};

/// Most matches that are ranked together.
const RANKED: i64 = 500;
/// So many are enough to rank, several pages of them: older ones are not looked for as well.
const ENOUGH: usize = 100;
/// Most matches of a window that is read again: more than those may have come late, by clocks that
/// are behind.
const MOST_IN_WINDOW: i64 = 10_000;
/// A word that so many messages hold is looked for in all of them at once.
const FEW_DOCUMENTS: i64 = 1_000;
/// Most agents whose marks narrow a search; of more the rows are looked at.
const MOST_MARKS: usize = 100;
/// Most words of the vocabulary that are looked for beside a part of a word: those that were said
/// first. Whatever is said meanwhile, the next page looks for the same ones; the most frequent ones
/// would change, and a cursor that carried them would tell of other agents' words.
const MOST_HOLDERS: i64 = 50;
/// Messages are hardly from later than this; clocks that are wrong say otherwise.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// Which messages are searched.
#[derive(Clone, Debug, Default)]
pub struct SearchFilter {
    /// Only these agents'; `None` is all agents'.
    pub agents: Option<Vec<String>>,
    /// Only this source's.
    pub source: Option<String>,
    /// Only by this role.
    pub role: Option<String>,
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
    /// Where it stands.
    pub place: SearchPlace,
    /// The message.
    pub message: MessageRow,
    /// Its session.
    pub session: SessionRow,
}

/// A part of what was found.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// What was looked for in the end, for the highlights.
    pub query: Query,
    /// The matches, in order.
    pub hits: Vec<SearchHit>,
    /// There are more, for which the page had no room.
    pub more: bool,
}

/// What all windows of a search have in common.
struct Search<'a> {
    matching: String,
    ranking: String,
    /// Words have many others in their place. How near to each other these stand says little, and
    /// takes ten times as long to reckon as how often there are some.
    wide: bool,
    filter: &'a SearchFilter,
    /// The time of the latest message that can be found.
    latest: DateTime<Utc>,
    /// The same, unless a clock was wrong: where to begin.
    newest: DateTime<Utc>,
    /// No more messages than this match.
    at_most: i64,
}

#[derive(Clone, Copy, Debug)]
struct Match {
    session_id: Uuid,
    at: DateTime<Utc>,
    id: Uuid,
    score: f32,
}

impl Match {
    /// The best first, and of these the newest.
    fn before(&self, score: f32, at: DateTime<Utc>, id: Uuid) -> std::cmp::Ordering {
        score.total_cmp(&self.score).then((at, id).cmp(&(self.at, self.id)))
    }
}

impl Store {
    /// What matches, from a place on.
    ///
    /// Where nothing matches as it was written, parts of words are looked for.
    pub async fn search(
        &self,
        query: &Query,
        filter: &SearchFilter,
        now: DateTime<Utc>,
        after: Option<SearchPlace>,
        limit: u32,
    ) -> Result<SearchPage, StoreError> {
        let mut query = query.clone();
        let mut widened = after.is_some_and(|place| place.widened);
        let mut lane = self.search_lanes.take().await?;
        if widened {
            query = widen(&mut lane, &query).await?;
        }
        let mut found = matches(&mut lane, &query, filter, now, after, limit).await?;
        if found.is_empty() && after.is_none() {
            let wider = widen(&mut lane, &query).await?;
            if wider != query {
                (query, widened) = (wider, true);
                found = matches(&mut lane, &query, filter, now, None, limit).await?;
            }
        }
        lane.give_back();
        let Rows { rows: hits, more } = self.fetch(&found, filter, widened).await?;
        Ok(SearchPage { query, hits, more })
    }

    /// What the matches are, as far as there is room; one that is gone by now is left out.
    async fn fetch(
        &self,
        found: &[(Match, Window)],
        filter: &SearchFilter,
        widened: bool,
    ) -> Result<Rows<SearchHit>, StoreError> {
        let keys: Vec<_> = found.iter().map(|(one, _)| (one.session_id, one.at, one.id)).collect();
        let mut messages = self.messages_by_key(&keys).await?;
        let mut ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let sessions = self.sessions_by_id(&ids, filter.agents.as_deref()).await?;
        let mut hits = Vec::with_capacity(found.len());
        for (one, window) in found {
            let Match { session_id, at, id, score } = *one;
            match messages.remove(&(session_id, at, id)) {
                Some(Some(message)) => {
                    let place = SearchPlace { at, id, score, window: *window, widened };
                    let session = sessions.get(&session_id).cloned();
                    hits.extend(session.map(|session| SearchHit { place, message, session }));
                }
                // No room for it: the next page begins with it.
                Some(None) => return Ok(Rows { rows: hits, more: true }),
                None => {}
            }
        }
        Ok(Rows { rows: hits, more: false })
    }
}

/// The matches from a place on, each with the window that it was ranked in.
async fn matches(
    lane: &mut Lane<'_>,
    query: &Query,
    filter: &SearchFilter,
    now: DateTime<Utc>,
    after: Option<SearchPlace>,
    limit: u32,
) -> Result<Vec<(Match, Window)>, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found: Vec<(Match, Window)> = Vec::new();
    if filter.agents.as_ref().is_some_and(Vec::is_empty) {
        return Ok(found);
    }
    let Some(search) = prepare(lane, query, filter, now).await? else {
        return Ok(found);
    };
    let mut rest = Window::between(filter.after, filter.before);
    rest.to = rest.to.min((search.latest, Uuid::max()));
    if let Some(SearchPlace { at, id, score, window, .. }) = after {
        let again = in_window(lane, &search, window, MOST_IN_WINDOW).await?;
        let behind = again.into_iter().filter(|one| one.before(score, at, id).is_gt());
        found.extend(behind.map(|one| (one, window)));
        rest.to = window.from;
    }
    while found.len() < limit && !rest.is_empty() && search.at_most > 0 {
        let (matches, window) = newest(lane, &search, rest).await?;
        found.extend(matches.into_iter().map(|one| (one, window)));
        rest.to = window.from;
    }
    found.truncate(limit);
    Ok(found)
}

/// The newest matches of a window, ranked, and the part of it that they are all of.
async fn newest(
    lane: &mut Lane<'_>,
    search: &Search<'_>,
    window: Window,
) -> Result<(Vec<Match>, Window), StoreError> {
    let mut found: Vec<Match> = Vec::new();
    let mut from = window.from;
    if search.at_most <= FEW_DOCUMENTS {
        found = in_window(lane, search, window, RANKED).await?;
    } else {
        let mut stretches = window.stretches(search.newest);
        while found.len() < ENOUGH
            && let Some(stretch) = stretches.next(found.len(), ENOUGH, search.at_most)
        {
            let room = RANKED - i64::try_from(found.len()).unwrap_or(RANKED);
            found.extend(in_window(lane, search, stretch, room).await?);
            from = stretch.from;
        }
    }
    let places = || found.iter().map(|one| (one.at, one.id));
    // Later ones that come in meanwhile do not belong to it.
    let ranked = places().max().map_or(window, |newest| window.up_to(newest));
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= RANKED);
    let from = places().min().filter(|_| full).unwrap_or(from);
    found.sort_unstable_by(|one, other| other.before(one.score, one.at, one.id).reverse());
    Ok((found, Window { from, ..ranked }))
}

/// The newest matches between two places, ranked.
///
/// The texts are read as queries in subqueries of their own, once rather than for every row.
async fn in_window(
    lane: &mut Lane<'_>,
    search: &Search<'_>,
    window: Window,
    most: i64,
) -> Result<Vec<Match>, StoreError> {
    let filter = search.filter;
    let mut found = query_as!(
        Match,
        r#"
        SELECT
            session_id,
            occurred_at AS at,
            id,
            CASE
                WHEN $11 THEN ts_rank(terms, (SELECT $2::text::tsquery), 1)
                ELSE ts_rank_cd(terms, (SELECT $2::text::tsquery), 1)
            END AS "score!"
        FROM (
            SELECT *
            FROM search_documents
            WHERE terms @@ (SELECT $1::text::tsquery)
                AND occurred_at BETWEEN $3 AND $5
                AND (occurred_at, id) >= ($3, $4)
                AND (occurred_at, id) < ($5, $6)
                AND ($7::text[] IS NULL OR agent_id = ANY ($7))
                AND ($8::text IS NULL OR source = $8)
                AND ($9::text IS NULL OR role = $9)
            ORDER BY occurred_at DESC, id DESC
            LIMIT $10
        ) AS newest
        "#,
        search.matching_within(&window),
        search.ranking,
        window.from.0,
        window.from.1,
        window.to.0,
        window.to.1,
        filter.agents.as_deref(),
        filter.source.as_deref(),
        filter.role.as_deref(),
        most,
        search.wide
    )
    .fetch_all(lane.connection())
    .await?;
    found.sort_unstable_by(|one, other| other.before(one.score, one.at, one.id).reverse());
    Ok(found)
}

/// What is to be known before the words are looked for.
async fn prepare<'a>(
    lane: &mut Lane<'_>,
    query: &Query,
    filter: &'a SearchFilter,
    now: DateTime<Utc>,
) -> Result<Option<Search<'a>>, StoreError> {
    let (places, words) = query.required();
    let row = sqlx::query!(
        r#"
        SELECT
            newest_at,
            (
                SELECT min(part.documents)
                FROM (
                    SELECT sum(COALESCE(search_words.documents, 0))::bigint AS documents
                    FROM unnest($1::int[], $2::text[]) AS required (place, word)
                    LEFT JOIN search_words USING (word)
                    GROUP BY required.place
                ) AS part
            ) AS at_most
        FROM search_position
        "#,
        &places,
        &words
    )
    .fetch_one(lane.connection())
    .await?;
    Ok(row.newest_at.map(|latest| Search {
        matching: query.matching(),
        ranking: query.ranking(),
        wide: query.is_wide(),
        filter,
        latest,
        newest: latest.min(now + AHEAD),
        at_most: row.at_most.unwrap_or(i64::MAX),
    }))
}

/// The query with words that hold its words beside them.
async fn widen(lane: &mut Lane<'_>, query: &Query) -> Result<Query, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT part AS "part!", holder.word
        FROM unnest($1::text[]) AS part
        CROSS JOIN LATERAL (
            SELECT word
            FROM search_words
            WHERE word LIKE '%' || part || '%'
                AND word <> part
                AND char_length(word) >= 3
            ORDER BY first_seq NULLS FIRST, word
            LIMIT $2
        ) AS holder
        "#,
        &query.partial(),
        MOST_HOLDERS
    )
    .fetch_all(lane.connection())
    .await?;
    let mut holders: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        holders.entry(row.part).or_default().push(row.word);
    }
    Ok(query.widened(&holders))
}

impl Search<'_> {
    /// What is to match, with marks that let the index pass over the rest.
    fn matching_within(&self, window: &Window) -> String {
        let mut matching = self.matching.clone();
        let mut narrow = |marks: Vec<String>| {
            let marks: Vec<_> = marks.iter().map(|mark| format!("'{mark}'")).collect();
            let _ = write!(matching, " & ({})", marks.join(" | "));
        };
        if let Some(agents) =
            self.filter.agents.as_ref().filter(|agents| agents.len() <= MOST_MARKS)
        {
            narrow(agents.iter().map(|agent| agent_mark(agent)).collect());
        }
        if let Some(days) = window.day_marks() {
            narrow(days);
        }
        matching
    }
}
