//! Ranked matches: the newest window, best first, then the window before it, and so on.
//!
//! Ranking all matches of a common word would take minutes. So a few hundred of the newest matches
//! form a window and are ranked among themselves, and a cursor contains its window. Rarer words are
//! ranked as a whole.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::filter::SearchFilter;
use super::place::SearchPlace;
use super::vocabulary::{Estimates, estimate};
use super::windows::Window;
use crate::search::{Query, agent_mark};
use crate::store::StoreError;
use crate::store::read_pool::PooledConnection;
use crate::store::sessions::SessionFilter;

/// Most documents that are ranked together.
const RANKED: i64 = 500;
/// Matches that are enough to rank, several pages: older ones are not searched then.
const ENOUGH: usize = 100;
/// Most documents of a window that is read again. It may have grown by late messages of senders
/// whose clock is behind.
const MAX_IN_WINDOW: i64 = 10_000;
/// Most documents of a word that is searched in one query over all times.
const FEW_DOCUMENTS: i64 = 1_000;
/// Most agents whose marks narrow a search; with more, rows are filtered instead.
const MAX_MARKS: usize = 100;

/// Matching message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub(super) session_id: Uuid,
    pub(super) at: DateTime<Utc>,
    pub(super) id: Uuid,
    /// The message has several documents.
    pub(super) long: bool,
    pub(super) score: f32,
}

impl Match {
    /// Orders by score, best first, then by time, newest first.
    fn before(&self, score: f32, at: DateTime<Utc>, id: Uuid) -> Ordering {
        score.total_cmp(&self.score).then((at, id).cmp(&(self.at, self.id)))
    }
}

/// Matches after a place, each with the window that it was ranked in.
#[derive(Default)]
pub(super) struct Matches {
    pub(super) found: Vec<(Match, Window)>,
    /// A window has more documents than are read again.
    pub(super) cut: bool,
    /// Some documents are missing or have another version.
    pub(super) stale: bool,
}

/// Parts of a search that all windows share.
struct Search<'a> {
    matching: String,
    ranking: String,
    in_a_row: Option<String>,
    filter: &'a SearchFilter,
    estimates: Estimates,
}

/// Matching messages, and the number of their documents.
struct Documents {
    matches: Vec<Match>,
    documents: usize,
}

/// Finds the matches after a place.
pub(super) async fn matches(
    pooled: &mut PooledConnection<'_>,
    query: &Query,
    filter: &SearchFilter,
    now: DateTime<Utc>,
    after: Option<SearchPlace>,
    limit: usize,
) -> Result<Matches, StoreError> {
    let mut all = Matches::default();
    let no_agent = filter.agents.as_ref().is_some_and(Vec::is_empty);
    let no_session = filter.sessions.as_ref().is_some_and(Vec::is_empty);
    if no_agent || no_session {
        return Ok(all);
    }
    let (estimates, stale) = estimate(pooled, query, filter, now).await?;
    all.stale = stale;
    let Some(estimates) = estimates else { return Ok(all) };
    let search = Search {
        matching: query.matching(),
        ranking: query.ranking(),
        in_a_row: query.in_a_row(),
        filter,
        estimates,
    };
    let mut rest = Window::between(filter.after, filter.before);
    rest.to = rest.to.min((search.estimates.latest, Uuid::max()));
    if let Some(SearchPlace { at, id, score, window, .. }) = after {
        let again = in_window(pooled, &search, window, MAX_IN_WINDOW).await?;
        all.cut = is_full(&again, MAX_IN_WINDOW);
        let behind = again.matches.into_iter().filter(|one| one.before(score, at, id).is_gt());
        all.found.extend(behind.map(|one| (one, window)));
        rest.to = window.from;
    }
    let can_match = search.estimates.at_most > 0 || filter.sessions.is_some();
    while all.found.len() < limit && !rest.is_empty() && can_match {
        let (matches, window) = newest(pooled, &search, rest).await?;
        all.found.extend(matches.into_iter().map(|one| (one, window)));
        rest.to = window.from;
    }
    all.found.truncate(limit);
    Ok(all)
}

/// Finds the newest matches of a window, ranked, and the part of the window that they cover.
async fn newest(
    pooled: &mut PooledConnection<'_>,
    search: &Search<'_>,
    window: Window,
) -> Result<(Vec<Match>, Window), StoreError> {
    let mut found = Documents { matches: Vec::new(), documents: 0 };
    let mut from = window.from;
    if search.estimates.at_most <= FEW_DOCUMENTS {
        found = in_window(pooled, search, window, RANKED).await?;
    } else {
        let mut windows = window.split(search.estimates.newest);
        while found.documents < ENOUGH
            && let Some(part) = windows.next(found.documents, ENOUGH, search.estimates.at_most)
        {
            let room = RANKED - i64::try_from(found.documents).unwrap_or(RANKED);
            let more = in_window(pooled, search, part, room).await?;
            found.matches.extend(more.matches);
            found.documents += more.documents;
            from = part.from;
        }
    }
    let full = is_full(&found, RANKED);
    let mut found = found.matches;
    let places = || found.iter().map(|one| (one.at, one.id));
    // The window ends with the newest match: later arrivals do not belong to it.
    let ranked = places().max().map_or(window, |newest| window.up_to(newest));
    let from = places().min().filter(|_| full).unwrap_or(from);
    found.sort_unstable_by(|one, other| other.before(one.score, one.at, one.id).reverse());
    Ok((found, Window { from, ..ranked }))
}

fn is_full(found: &Documents, most: i64) -> bool {
    i64::try_from(found.documents).is_ok_and(|documents| documents >= most)
}

/// Finds the newest matches of a window, ranked. A message of several documents has the score of
/// the first one that matches, however many are read.
async fn in_window(
    pooled: &mut PooledConnection<'_>,
    search: &Search<'_>,
    window: Window,
    most: i64,
) -> Result<Documents, StoreError> {
    let mut matches = match &search.filter.sessions {
        None => by_terms(pooled, search, window, most).await?,
        Some(sessions) => in_sessions(pooled, search, window, most, sessions).await?,
    };
    let documents = matches.len();
    let mut known = HashSet::with_capacity(documents);
    matches.retain(|one| known.insert((one.session_id, one.at, one.id)));
    matches.sort_unstable_by(|one, other| other.before(one.score, one.at, one.id).reverse());
    Ok(Documents { matches, documents })
}

/// Selects the newest documents of a window, ranked, that `$by` finds and `$about` accepts. The
/// text queries are parsed in subqueries, once instead of for every row.
macro_rules! documents {
    (
        $by:tt, $about:tt,
        $pooled:ident, $search:ident, $matching:ident, $window:ident, $most:ident $(, $more:expr)*
    ) => {
        query_as!(
            Match,
            r#"
            SELECT
                session_id,
                occurred_at AS at,
                id,
                parts > 1 AS "long!",
                (
                    ts_rank(terms, (SELECT $2::text::tsquery), 1)
                    * CASE WHEN terms @@ (SELECT $11::text::tsquery) THEN 2 ELSE 1 END
                )::real AS "score!"
            FROM (
                SELECT *
                FROM search_parts
                WHERE "# + $by + r#"
                    AND terms @@ (SELECT $1::text::tsquery)
                    AND (occurred_at, id) >= ($3, $4)
                    AND (occurred_at, id) < ($5, $6)
                    AND ($7::text[] IS NULL OR agent_id = ANY ($7))
                    AND ($8::text IS NULL OR source = $8)
                    AND ($9::text[] IS NULL OR lower(role COLLATE "C") = ANY ($9))
                    AND ("# + $about + r#")
                ORDER BY occurred_at DESC, id DESC, part
                LIMIT $10
            ) AS newest
            "#,
            $matching,
            $search.ranking,
            $window.from.0,
            $window.from.1,
            $window.to.0,
            $window.to.1,
            $search.filter.agents.as_deref(),
            $search.filter.source.as_deref(),
            $search.filter.roles.as_deref(),
            $most,
            $search.in_a_row.as_deref()
            $(, $more)*
        )
        .fetch_all($pooled.connection()?)
        .await
    };
}

/// Selects documents with a filter on their sessions, which are read for each match.
macro_rules! documents_of_sessions {
    (
        $by:tt, $about:ident,
        $pooled:ident, $search:ident, $matching:ident, $window:ident, $most:ident $(, $more:expr)*
    ) => {
        documents!(
            $by,
            "NOT $12::boolean OR EXISTS (
                SELECT
                FROM sessions AS s
                WHERE s.id = search_parts.session_id
                    AND ($13::text IS NULL OR s.room_name = $13)
                    AND ($14::text IS NULL OR $14 = CASE
                        WHEN GREATEST(s.end_event_at, s.last_end_at) >= s.last_activity_at
                            OR s.last_activity_at <= $16 THEN 'ended'
                        WHEN s.last_activity_at <= $15 THEN 'idle'
                        ELSE 'live'
                    END)
                    AND ($17::text IS NULL OR $17 = CASE
                        WHEN s.joined_at IS NOT NULL THEN 'room.join'
                        WHEN s.message_count > 0 THEN 'chat.push'
                    END)
                    AND ($18::boolean IS NULL OR $18 = (
                        s.user_message_count = 0
                        AND (s.joined_at IS NOT NULL OR s.assistant_message_count > 0)
                    ))
                    AND ($19::text[] IS NULL OR EXISTS (
                        SELECT
                        FROM session_facts AS f
                        WHERE f.session_id = s.id
                            AND (
                                f.no_join AND 'no_join' = ANY ($19)
                                OR f.one_sided AND 'one_sided' = ANY ($19)
                                OR f.repeated_user_turn
                                    AND 'repeated_user_turn' = ANY ($19)
                                OR f.altered AND 'altered' = ANY ($19)
                                OR f.out_of_order AND 'out_of_order' = ANY ($19)
                                OR f.undated AND 'undated' = ANY ($19)
                            )
                    ))
            )",
            $pooled,
            $search,
            $matching,
            $window,
            $most,
            $about.is_some(),
            $about.and_then(|about| about.room_name.as_deref()),
            $about.and_then(SessionFilter::status),
            $about.map(|about| about.live_since),
            $about.map(|about| about.open_since),
            $about.and_then(|about| about.opened_by),
            $about.and_then(|about| about.silent),
            $about.and_then(|about| about.flags.as_deref())
            $(, $more)*
        )
    };
}

/// Finds documents by the index of terms.
async fn by_terms(
    pooled: &mut PooledConnection<'_>,
    search: &Search<'_>,
    window: Window,
    most: i64,
) -> Result<Vec<Match>, sqlx::Error> {
    let matching = search.matching_within(&window);
    let about = search.filter.about.as_ref();
    // Two queries, so a search without the filter keeps its plan.
    if about.is_none() {
        return documents!(
            "occurred_at BETWEEN $3 AND $5",
            "TRUE",
            pooled,
            search,
            matching,
            window,
            most
        );
    }
    documents_of_sessions!(
        "occurred_at BETWEEN $3 AND $5",
        about,
        pooled,
        search,
        matching,
        window,
        most
    )
}

/// Finds documents by their session.
async fn in_sessions(
    pooled: &mut PooledConnection<'_>,
    search: &Search<'_>,
    window: Window,
    most: i64,
    sessions: &[Uuid],
) -> Result<Vec<Match>, sqlx::Error> {
    let matching = search.matching.as_str();
    let about = search.filter.about.as_ref();
    documents_of_sessions!(
        "session_id = ANY ($20)",
        about,
        pooled,
        search,
        matching,
        window,
        most,
        sessions
    )
}

impl Search<'_> {
    /// Returns the text query with marks of agents and days, which narrow the index scan.
    fn matching_within(&self, window: &Window) -> String {
        let mut matching = self.matching.clone();
        let mut narrow = |marks: Vec<String>| {
            let marks: Vec<_> = marks.iter().map(|mark| format!("'{mark}'")).collect();
            let _ = write!(matching, " & ({})", marks.join(" | "));
        };
        if let Some(agents) = self.filter.agents.as_ref().filter(|agents| agents.len() <= MAX_MARKS)
        {
            narrow(agents.iter().map(|agent| agent_mark(agent)).collect());
        }
        if let Some(days) = window.day_marks() {
            narrow(days);
        }
        matching
    }
}
