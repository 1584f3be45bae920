//! Lists: what every one of them can be asked, and how it is answered.

use actix_web::HttpRequest;
use actix_web::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Answer;
use super::cursor::{Fingerprint, Key, NotOpened, Sealer};
use super::cursor_keys::OpenError;
use super::params::Params;
use super::reads::Origin;
use super::{ApiState, Caller};
use crate::problem::Problem;
use crate::store::keys::Scope;
use crate::store::{Order, PageRequest, Position};

/// What every list can be asked.
pub(super) const LIST_PARAMS: [&str; 3] = ["limit", "cursor", "order"];
/// What may change from page to page: it is no filter.
const CHANGEABLE: [&str; 5] = ["limit", "cursor", "order", "include", "around"];

/// Sets cursors of pages that were read from a standby apart: see `docs/design/replica.md`.
const ON_STANDBY: &str = "read from a standby";

/// Rows on a page where nothing is said.
const DEFAULT_LIMIT: u32 = 50;
/// Most rows on a page.
const MAX_LIMIT: u32 = 500;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The rows, in the list's order.
    data: Vec<T>,
    /// What to ask for the next part with; `null` at the end, where there is one.
    next_cursor: Option<String>,
    /// There is a next part now.
    has_more: bool,
}

/// Who may ask for a list, and what it can be asked.
pub(super) struct Listing {
    /// What the caller's key must allow.
    pub(super) scope: Scope,
    /// Every parameter that it knows.
    pub(super) params: &'static [&'static str],
    /// Those of them that may repeat.
    pub(super) repeatable: &'static [&'static str],
    /// Which way it runs where nothing is said.
    pub(super) order: Order,
}

impl Listing {
    /// Reads what a caller asks for.
    pub(super) async fn read<K: Key + Clone>(
        &self,
        req: &HttpRequest,
        caller: &Caller,
        state: &ApiState,
    ) -> Result<(Params, ListRequest<K>), Problem> {
        caller.require(self.scope)?;
        let params = Params::parse(req, self.params, self.repeatable)?;
        let list = ListRequest::parse(req, &params, self.order, caller, state).await?;
        Ok((params, list))
    }
}

/// A list as it was asked for.
#[derive(Clone)]
pub(super) struct ListRequest<K> {
    limit: u32,
    order: Order,
    after: Option<Position<K>>,
    /// The server that the page before was read from.
    before: Option<Origin>,
    /// The server that this page is read from.
    origin: Origin,
    fingerprint: Fingerprint,
    sealer: Sealer,
}

/// Key of a row on a page that was read from a standby.
struct OnStandby<K> {
    run: u64,
    key: K,
}

impl<K: Key> Key for OnStandby<K> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.run.to_be_bytes());
        self.key.write(out);
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (run, key) = bytes.split_first_chunk()?;
        Some(Self { run: u64::from_be_bytes(*run), key: K::read(key.to_vec())? })
    }
}

/// A position, and the server that its page was read from.
async fn open<K: Key>(
    state: &ApiState,
    fingerprint: &Fingerprint,
    cursor: &str,
) -> Result<(Position<K>, Origin), Problem> {
    match state.cursors.open(fingerprint, cursor).await {
        Ok(position) => return Ok((position, Origin::Primary)),
        Err(OpenError::Invalid(NotOpened::Invalid)) => {}
        Err(error) => return Err(error.into()),
    }
    let fingerprint = fingerprint.clone().and(ON_STANDBY);
    let Position { at, key } = state.cursors.open(&fingerprint, cursor).await?;
    let OnStandby { run, key } = key;
    Ok((Position { at, key }, Origin::Standby(run)))
}

impl<K: Key + Clone> ListRequest<K> {
    async fn parse(
        req: &HttpRequest,
        params: &Params,
        default_order: Order,
        caller: &Caller,
        state: &ApiState,
    ) -> Result<Self, Problem> {
        let limit = limit(params)?;
        let order = params
            .choice("order", &[("asc", Order::Asc), ("desc", Order::Desc)])?
            .unwrap_or(default_order);
        let fingerprint = fingerprint(req.uri().path(), params, order).seen_by(caller.agents());
        let after = match params.text("cursor") {
            Some(text) => Some(open(state, &fingerprint, text).await?),
            None => None,
        };
        let (after, before) = after.unzip();
        let sealer = state.cursors.sealer().await?;
        Ok(Self { limit, order, after, before, origin: Origin::Primary, fingerprint, sealer })
    }

    /// The same list, whose page is read from the server of a state.
    pub(super) fn read_from(&self, state: &ApiState) -> Self {
        Self { origin: state.servers.origin(), ..self.clone() }
    }

    /// What to ask the store: one row more than is shown tells whether there are more.
    pub(super) fn page(&self) -> PageRequest<K> {
        PageRequest { after: self.after.clone(), order: self.order, limit: self.limit + 1 }
    }

    /// It is the first page that is asked for.
    pub(super) fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// Where the next page begins that goes on behind a position.
    pub(super) fn cursor(&self, reached: &Position<K>) -> String {
        self.seal(reached)
    }

    /// Takes the row off that is not shown, and says where the next page begins.
    pub(super) fn cut<R>(
        &self,
        rows: &mut Vec<R>,
        position: impl Fn(&R) -> Position<K>,
    ) -> Option<String> {
        self.cut_short(rows, false, position)
    }

    /// The same where a page may end before its limit, with `more` behind it.
    pub(super) fn cut_short<R>(
        &self,
        rows: &mut Vec<R>,
        more: bool,
        position: impl Fn(&R) -> Position<K>,
    ) -> Option<String> {
        let shown = self.limit as usize;
        let more = more || rows.len() > shown;
        rows.truncate(shown);
        rows.last().filter(|_| more).map(|last| self.seal(&position(last)))
    }

    /// The cursor of a page that begins behind a position.
    pub(super) fn seal(&self, position: &Position<K>) -> String {
        self.seal_for(&self.fingerprint, position)
    }

    fn seal_for(&self, fingerprint: &Fingerprint, position: &Position<K>) -> String {
        match self.origin {
            Origin::Primary => self.sealer.seal(fingerprint, position),
            Origin::Standby(run) => {
                let key = OnStandby { run, key: position.key.clone() };
                let fingerprint = fingerprint.clone().and(ON_STANDBY);
                self.sealer.seal(&fingerprint, &Position { at: position.at, key })
            }
        }
    }

    /// Which way the list runs.
    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Returns the cursor of the same list in the other order, from behind a position on.
    pub(super) fn seal_back(
        &self,
        path: &str,
        params: &Params,
        caller: &Caller,
        position: &Position<K>,
    ) -> String {
        let back = fingerprint(path, params, self.order.reversed()).seen_by(caller.agents());
        self.seal_for(&back, position)
    }

    /// The server that the page before was read from; `None` for the first page.
    pub(super) fn before(&self) -> Option<Origin> {
        self.before
    }

    /// Most rows that are shown.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Where the page before ended.
    pub(super) fn after(&self) -> Option<&Position<K>> {
        self.after.as_ref()
    }
}

/// A body that is a part of a list, with a link to the next.
pub(super) fn linked_answer<T: Serialize>(
    uri: &Uri,
    body: &T,
    next_cursor: Option<&str>,
) -> Result<Answer, Problem> {
    Answer::linked(body, next_cursor.map(|cursor| next_link(uri, "cursor", cursor)))
}

/// A part of a list, with a link to the next.
pub(super) fn answer<T: Serialize>(
    uri: &Uri,
    data: Vec<T>,
    next_cursor: Option<String>,
) -> Result<Answer, Problem> {
    let link = next_cursor.as_deref().map(|cursor| next_link(uri, "cursor", cursor));
    let has_more = next_cursor.is_some();
    Answer::linked(&Page { data, next_cursor, has_more }, link)
}

/// A part of a list without an end: it always says where to go on, and links there only while
/// there is something.
pub(super) fn endless_answer<T: Serialize>(
    uri: &Uri,
    data: Vec<T>,
    after: String,
    has_more: bool,
) -> Result<Answer, Problem> {
    let link = has_more.then(|| next_link(uri, "after", &after));
    Answer::linked(&Page { data, next_cursor: Some(after), has_more }, link)
}

/// How many rows a page is to have.
pub(super) fn limit(params: &Params) -> Result<u32, Problem> {
    let limit = params.number("limit", 1, MAX_LIMIT.into())?;
    Ok(limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT))
}

/// A query alone: relative to the request as its client sent it, so that it holds behind a proxy
/// that serves us under a path of its own.
fn next_link(uri: &Uri, name: &str, cursor: &str) -> String {
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty() && part.split('=').next() != Some(name));
    let mut link = "<?".to_owned();
    for part in kept {
        link.push_str(part);
        link.push('&');
    }
    link.push_str(name);
    link.push('=');
    link.push_str(cursor);
    link.push_str(">; rel=\"next\"");
    link
}

fn fingerprint(path: &str, params: &Params, order: Order) -> Fingerprint {
    let mut filters: Vec<_> =
        params.pairs().iter().filter(|(name, _)| !CHANGEABLE.contains(name)).collect();
    filters.sort_unstable();
    let order = match order {
        Order::Asc => "asc",
        Order::Desc => "desc",
    };
    filters
        .into_iter()
        .fold(Fingerprint::new(path).and(order), |print, (name, value)| print.and(name).and(value))
}
