//! `GET /v1/search`: messages that match, best first.

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::cursor::Key;
use super::list::{self, ListRequest, Listing};
use super::messages::Message;
use super::openapi::{InZone, Time};
use super::params::{Params, invalid};
use super::reads::read_alone;
use super::session::Session;
use super::sessions::visible;
use super::{ApiState, Caller, sessions};
use crate::domain::Roles;
use crate::domain::session::{SilenceLimits, Status};
use crate::problem::Problem;
use crate::search::{Forgiven, Highlights, Piece, Query, highlight};
use crate::store::keys::Scope;
use crate::store::search::{
    Incomplete, SearchFilter, SearchHit, SearchPage, SearchPlace, SearchRequest, Window,
};
use crate::store::sessions::SessionFilter;
use crate::store::{Order, Position};

const MATCHES: Listing = Listing {
    scope: Scope::Read,
    params: &[
        "q",
        "limit",
        "cursor",
        "agent_id",
        "session_id",
        "source",
        "role",
        "after",
        "before",
        "tz",
        "room_name",
        "status",
        "opened_by",
        "silent",
        "flag",
    ],
    repeatable: &["agent_id", "flag"],
    order: Order::Desc,
};

/// Messages that match, and how the query was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Matches<'a> {
    /// The matches, best first.
    data: Vec<SearchMatch<'a>>,
    /// What to ask for the next part with; `null` at the end.
    next_cursor: Option<String>,
    /// There may be a next part.
    has_more: bool,
    /// How the query was read.
    query: ReadQuery,
    /// Everything that matches is found, on this page and those that follow.
    complete: bool,
    /// Why matches may be missing; empty where `complete` is true.
    incomplete: Vec<Reason>,
}

/// How a query was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadQuery {
    /// The words, phrases, exclusions and prefixes that were looked for.
    read_as: String,
    /// What was passed over.
    forgiven: Vec<PassedOver>,
    /// No message has all of the words, so words that hold them were looked for.
    parts_of_words: bool,
}

/// What was passed over in a query.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PassedOver {
    /// A quotation mark without its other one: the phrase goes on to the end.
    UnclosedQuote,
    /// A star elsewhere than behind two letters of a word.
    StrayStar,
}

/// Why matches may be missing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// The index is being rebuilt, newest messages first: `/readyz` says how far.
    IndexRebuild,
    /// More than 1,000 words hold the parts of words that were looked for.
    ManyWords,
    /// Thousands of messages came late into what the page before was ranked among.
    ManyLate,
}

impl From<Forgiven> for PassedOver {
    fn from(forgiven: Forgiven) -> Self {
        match forgiven {
            Forgiven::UnclosedQuote => Self::UnclosedQuote,
            Forgiven::StrayStar => Self::StrayStar,
        }
    }
}

impl From<Incomplete> for Reason {
    fn from(incomplete: Incomplete) -> Self {
        match incomplete {
            Incomplete::Rebuild => Self::IndexRebuild,
            Incomplete::ManyWords => Self::ManyWords,
            Incomplete::ManyLate => Self::ManyLate,
        }
    }
}

/// A message that matches.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SearchMatch<'a> {
    /// The message.
    message: Message<'a>,
    /// Its session.
    session: Session<'a>,
    /// A piece of the message, cut into what was found and what lies between; plain text, as it
    /// stands there.
    highlights: Vec<Piece>,
    /// The message goes on before or behind the highlights: `start` of the first one and `end` of
    /// the last one say where.
    excerpt: bool,
    /// How well it matches. It orders the matches of one search, and means nothing beyond.
    score: f32,
}

impl<'a> SearchMatch<'a> {
    fn new(
        hit: &'a SearchHit,
        query: &Query,
        roles: &Roles,
        silence: SilenceLimits,
        now: DateTime<Utc>,
    ) -> Self {
        let SearchHit { session, message, .. } = hit;
        let Highlights { pieces, excerpt } = highlight(&message.message, query);
        Self {
            message: Message::new(message, &session.session_id, &session.agent_id, roles),
            session: Session::new(session, silence, now),
            highlights: pieces,
            excerpt,
            score: hit.score,
        }
    }
}

/// Messages that match, best first.
#[utoipa::path(get, path = "/v1/search", tag = "Conversations",
    params(InZone,
        ("q" = String, Query, description = "Words, \"phrases\", -exclusions and prefixes*, in any \
            language: up to 1,000 letters and 32 terms, one of them a word that is wanted. A \
            quotation mark without its other one goes on to the end, and a star elsewhere than \
            behind two letters of a word is passed over; the answer's `query` says so."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Matches on a page."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat."),
        ("session_id" = Option<String>, Query, description = "Of this session alone: the sender's id, or ours."),
        ("source" = Option<String>, Query, description = "Delivered by this source."),
        ("role" = Option<String>, Query, description = "Said by this role alone, in any case; \
            `assistant` is every word for the assistant."),
        ("after" = Option<Time>, Query, description = "Later than this."),
        ("before" = Option<Time>, Query, description = "Earlier than this."),
        ("room_name" = Option<String>, Query, description = "Of sessions in this room."),
        ("status" = Option<Status>, Query, description = "Of sessions with this status now."),
        ("opened_by" = Option<String>, Query, description = "Of sessions that were first known by this."),
        ("silent" = Option<bool>, Query, description = "Of sessions with a join or an assistant message, \
            and without a user message; `false` is all others."),
        ("flag" = Vec<String>, Query, description = "Of sessions with one of these completeness flags; \
            may repeat, or have commas between.")),
    responses((status = 200, description = "Matches.", body = Matches)),
    security(("key" = ["read"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = MATCHES.read::<Place>(&req, &caller, &state).await?;
    let query = query(&params)?;
    let (query, params) = (&query, &params);
    let answer = read_alone(&state, &req, list.before(), |state| {
        read(req.uri(), &caller, params, query, list.read_from(&state), state)
    });
    Ok(answer.await?.into())
}

/// Reads a page of matches.
async fn read(
    uri: &Uri,
    caller: &Caller,
    params: &Params,
    query: &Query,
    list: ListRequest<Place>,
    state: web::Data<ApiState>,
) -> Result<Answer, Problem> {
    let agents = visible(caller, params.texts("agent_id"));
    let sessions = match params.text("session_id") {
        Some(name) => Some(state.store.sessions_named(name, agents.as_deref()).await?),
        None => None,
    };
    let filter = SearchFilter {
        agents,
        sessions,
        source: params.text("source").map(str::to_owned),
        roles: params.text("role").map(|role| state.store.roles().named(role).into_owned()),
        about: about(params, &state)?,
        after: params.time("after")?,
        before: params.time("before")?,
    };
    let now = state.clock.now();
    let after = list.after().map(|position| position.key.clone().at(position.at));
    let request = SearchRequest { filter: &filter, now, after, limit: list.limit() };
    let found = state.store.search(query, request).await?;
    let next = found.next.map(|place| list.seal(&Position { at: place.at, key: Place(place) }));
    let (uri, silence, roles) = (uri.clone(), state.silence, state.store.roles().clone());
    // Megabytes of text at the most, which other requests need not wait for.
    let answer = web::block(move || answer(&uri, &found, next, &roles, silence, now));
    answer.await.map_err(Problem::internal)?
}

fn answer(
    uri: &Uri,
    found: &SearchPage,
    next_cursor: Option<String>,
    roles: &Roles,
    silence: SilenceLimits,
    now: DateTime<Utc>,
) -> Result<Answer, Problem> {
    let show = |hit| SearchMatch::new(hit, &found.query, roles, silence, now);
    let next = next_cursor.clone();
    let body = Matches {
        data: found.hits.iter().map(show).collect(),
        has_more: next_cursor.is_some(),
        next_cursor,
        query: ReadQuery {
            read_as: found.query.read_as(),
            forgiven: found.query.forgiven().map(PassedOver::from).collect(),
            parts_of_words: found.widened,
        },
        complete: found.incomplete.is_empty(),
        incomplete: found.incomplete.iter().copied().map(Reason::from).collect(),
    };
    list::linked_answer(uri, &body, next.as_deref())
}

/// Reads the filters on the sessions of messages, where there are any.
fn about(params: &Params, state: &ApiState) -> Result<Option<SessionFilter>, Problem> {
    let is_there = |name: &&str| params.text(name).is_some();
    let any = ["room_name", "status", "opened_by", "silent", "flag"].iter().any(is_there);
    any.then(|| sessions::filter(params, state, None)).transpose()
}

fn query(params: &Params) -> Result<Query, Problem> {
    let text = params.text("q").ok_or_else(|| {
        invalid(
            "q",
            "is missing: say what to look for, as in `?q=refund` or `?q=\"refund policy\"`",
        )
    })?;
    Query::parse(text).map_err(|error| invalid("q", &error.to_string()))
}

/// Where a page begins, as a cursor holds it.
#[derive(Clone, Debug, PartialEq)]
struct Place(SearchPlace);

impl Place {
    /// The time stands in the cursor itself.
    fn at(self, at: DateTime<Utc>) -> SearchPlace {
        SearchPlace { at, ..self.0 }
    }
}

impl Key for Place {
    fn write(&self, out: &mut Vec<u8>) {
        let SearchPlace { id, score, window, widened, .. } = self.0;
        out.push(widened.into());
        out.extend_from_slice(&score.to_be_bytes());
        out.extend_from_slice(id.as_bytes());
        for (at, id) in [window.from, window.to] {
            out.extend_from_slice(&at.timestamp_micros().to_be_bytes());
            out.extend_from_slice(id.as_bytes());
        }
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (widened, rest) = bytes.split_first()?;
        let (score, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (from, rest) = bound(rest)?;
        let (to, rest) = bound(rest)?;
        rest.is_empty().then_some(Self(SearchPlace {
            at: DateTime::UNIX_EPOCH,
            id: Uuid::from_bytes(*id),
            score: f32::from_be_bytes(*score),
            window: Window { from, to },
            widened: *widened != 0,
        }))
    }
}

/// A time and an id: one end of a window.
type Bound = (DateTime<Utc>, Uuid);

fn bound(bytes: &[u8]) -> Option<(Bound, &[u8])> {
    use chrono::Datelike as _;
    let (micros, rest) = bytes.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
    // Whatever a forged cursor holds, Postgres must be able to read it.
    (1..=9999).contains(&at.year()).then_some(((at, Uuid::from_bytes(*id)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_place_comes_back_as_it_went() {
        let at = |micros| DateTime::from_timestamp_micros(micros).unwrap();
        let place = Place(SearchPlace {
            at: DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(7),
            score: 0.125,
            window: Window {
                from: (at(-62_135_596_800_000_000), Uuid::nil()),
                to: (at(1_790_607_253_000_007), Uuid::max()),
            },
            widened: true,
        });
        let mut bytes = Vec::new();
        place.write(&mut bytes);
        assert_eq!(Place::read(bytes), Some(place));
    }

    proptest! {
        #[test]
        fn whatever_is_made_up_is_read_or_refused(bytes: Vec<u8>) {
            let _ = Place::read(bytes);
        }
    }
}
