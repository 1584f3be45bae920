//! `GET /v1/search`: messages that match, best first.

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::answers::reads::read_alone;
use crate::api::query::cursor::Key;
use crate::api::query::invalid::invalid;
use crate::api::query::list;
use crate::api::query::list::ListRequest;
use crate::api::query::parameters::{InZone, OneWayPaging};
use crate::api::query::read::And;
use crate::api::query::time::Time;
use crate::api::query::words::{OneOf, Word as _};
use crate::api::resources::session_words::{FlagWords, OpenedByWord, flag_names};
use crate::api::views::search::{Matches, PassedOver, ReadQuery, Reason, SearchMatch};
use crate::api::{ApiState, Caller};
use crate::domain::Roles;
use crate::domain::session::{SilenceLimits, Status};
use crate::problem::Problem;
use crate::problem::responses::{ApiErrors, Errors, InvalidCursor};
use crate::search::Query;
use crate::store::keys::Scope;
use crate::store::search::{SearchFilter, SearchPage, SearchPlace, SearchRequest, Window};
use crate::store::sessions::SessionFilter;
use crate::store::{Order, Position};

/// Query and filters of a search.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// Words, "phrases", -exclusions and prefixes*, in any language: up to 1,000 letters and 32 terms,
    /// with at least one wanted word. A quotation mark without a closing one lasts to the end, and a star
    /// that does not follow two letters of a word is ignored; the answer's `query` reports both.
    #[param(example = "opening hours")]
    q: Option<String>,
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Only this session: the sender's id, or ours.
    #[param(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
    /// Delivered by this source.
    #[param(example = "default")]
    source: Option<String>,
    /// Only this role, in any case; `assistant` is every word for the assistant.
    #[param(example = "user")]
    role: Option<String>,
    /// Later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    after: Option<Time>,
    /// Earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    before: Option<Time>,
    /// Of sessions in this room.
    #[param(example = "room-5f3c1a")]
    room_name: Option<String>,
    /// Of sessions with this status now.
    #[param(value_type = Option<Status>, example = "live")]
    status: Option<OneOf<Status>>,
    /// Of sessions with this first event.
    #[param(inline, example = "room.join")]
    opened_by: Option<OpenedByWord>,
    /// Of sessions with a join or an assistant message, and without a user message; `false` is all
    /// others.
    #[param(example = true)]
    silent: Option<bool>,
    /// Of sessions with one of these completeness flags; may repeat, or have commas between.
    #[param(inline, example = json!(["no_join"]))]
    #[serde(default)]
    flag: FlagWords,
}

/// Messages that match, best first.
#[utoipa::path(get, path = "/v1/search", tag = "Conversations",
    params(OneWayPaging, InZone, SearchQuery),
    responses((status = 200, description = "Matches.", body = Matches),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["read"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let (And(_, asked), (), list) = list::read_with::<
        OneWayPaging,
        And<InZone, SearchQuery>,
        (),
        Place,
    >(&req, Order::Desc, &caller, &state)
    .await?;
    let query = query(asked.q.as_deref())?;
    let (query, asked) = (&query, &asked);
    let answer = read_alone(&state, &req, list.before(), |state| {
        read(req.uri(), &caller, asked, query, list.read_from(&state), state)
    });
    Ok(answer.await?.into())
}

/// Reads a page of matches.
async fn read(
    uri: &Uri,
    caller: &Caller,
    asked: &SearchQuery,
    query: &Query,
    list: ListRequest<Place>,
    state: web::Data<ApiState>,
) -> Result<Answer, Problem> {
    let agents = caller.visible_of(asked.agent_id.clone());
    let sessions = match &asked.session_id {
        Some(name) => Some(state.store.sessions_named(name, agents.as_deref()).await?),
        None => None,
    };
    let filter = SearchFilter {
        agents,
        sessions,
        source: asked.source.clone(),
        roles: asked.role.as_deref().map(|role| state.store.roles().named(role).into_owned()),
        about: asked.about(&state),
        after: asked.after.map(Time::utc),
        before: asked.before.map(Time::utc),
    };
    let now = state.clock.now();
    let after = list.after().map(|position| position.key.clone().at(position.at));
    let request = SearchRequest { filter: &filter, now, after, limit: list.limit() };
    let found = state.store.search(query, request).await?;
    let next = found.next.map(|place| list.seal(&Position { at: place.at, key: Place(place) }));
    let (uri, silence, roles) = (uri.clone(), state.silence, state.store.roles().clone());
    // Off the worker: it may be megabytes of text.
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
    page::linked_answer(uri, &body, next.as_deref())
}

impl SearchQuery {
    /// Returns the filter on the sessions of messages, if there is one.
    fn about(&self, state: &ApiState) -> Option<SessionFilter> {
        let now = state.clock.now();
        let flags = flag_names(self.flag.clone());
        let any = self.room_name.is_some()
            || self.status.is_some()
            || self.opened_by.is_some()
            || self.silent.is_some()
            || flags.is_some();
        any.then(|| SessionFilter {
            // The filters on messages cover agents and source.
            source: self.source.clone(),
            room_name: self.room_name.clone(),
            status: self.status.map(|OneOf(status)| status),
            live_since: state.silence.live_since(now),
            open_since: state.silence.open_since(now),
            opened_by: self.opened_by.map(|OneOf(event)| event.word()),
            silent: self.silent,
            flags,
            ..SessionFilter::default()
        })
    }
}

fn query(text: Option<&str>) -> Result<Query, Problem> {
    let text = text.ok_or_else(|| {
        invalid(
            "q",
            "is missing: say what to look for, as in `?q=refund` or `?q=\"refund policy\"`",
        )
    })?;
    Query::parse(text).map_err(|error| invalid("q", &error.to_string()))
}

/// Start of a page, in a cursor.
#[derive(Clone, Debug, PartialEq)]
struct Place(SearchPlace);

impl Place {
    /// Adds the time, which the cursor has itself.
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
    // Postgres must be able to read the time of a forged cursor.
    (1..=9999).contains(&at.year()).then_some(((at, Uuid::from_bytes(*id)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn place_is_read_as_it_was_written() {
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
        fn invented_place_is_read_or_rejected(bytes: Vec<u8>) {
            let _ = Place::read(bytes);
        }
    }
}
