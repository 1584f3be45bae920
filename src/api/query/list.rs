//! Page of a list: its limit, order and cursor.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::cursor::{Fingerprint, Key, NotOpened, Sealer};
use super::cursor_keys::OpenError;
use super::parameters::{PageQuery, Paging};
use super::read::{And, Filters, Query, read_filters};
use crate::api::answers::needs::Origin;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::store::{Order, PageRequest, Position};

/// Keeps cursors of pages that were read from a standby apart: see `docs/design/replica.md`.
const ON_STANDBY: &str = "read from a standby";

/// Page of a list that a request asks for.
#[derive(Clone)]
pub(crate) struct ListRequest<K> {
    limit: u32,
    order: Order,
    after: Option<Position<K>>,
    /// The server that the page before was read from.
    before: Option<Origin>,
    /// The server that this page is read from.
    origin: Origin,
    list: Arc<List>,
    fingerprint: Fingerprint,
    sealer: Sealer,
}

/// List that a cursor belongs to.
struct List {
    path: String,
    filters: Filters,
    /// Agents that the caller sees; `None` is every agent.
    visible: Option<Vec<String>>,
}

impl List {
    /// Returns the checksum of the list in an order.
    fn fingerprint(&self, order: Order) -> Fingerprint {
        let order = match order {
            Order::Asc => "asc",
            Order::Desc => "desc",
        };
        let print = Fingerprint::new(&self.path).and(order);
        let filters = self.filters.iter();
        let print = filters.fold(print, |print, (name, value)| print.and(name).and(value));
        print.seen_by(self.visible.as_deref())
    }
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

/// Opens a cursor: returns its position, and the server that its page was read from.
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

/// Reads the query of a list: its page, and the filters `F`, which the cursor's checksum covers.
pub(crate) async fn read<F: Query, K: Key + Clone>(
    req: &HttpRequest,
    default_order: Order,
    caller: &Caller,
    state: &ApiState,
) -> Result<(F, ListRequest<K>), Problem> {
    let (filters, (), list) =
        read_with::<Paging, F, (), K>(req, default_order, caller, state).await?;
    Ok((filters, list))
}

/// Reads the query of a list with parameters `O` that may change from page to page: they select what
/// is shown of the rows.
pub(crate) async fn read_with<P, F, O, K>(
    req: &HttpRequest,
    default_order: Order,
    caller: &Caller,
    state: &ApiState,
) -> Result<(F, O, ListRequest<K>), Problem>
where
    P: PageQuery + Query,
    F: Query,
    O: Query,
    K: Key + Clone,
{
    let (query, And(page, options), filters) = read_filters::<F, And<P, O>>(req)?;
    let list = List {
        path: req.uri().path().to_owned(),
        filters,
        visible: caller.agents().map(<[_]>::to_vec),
    };
    let list = ListRequest::open(&page, list, default_order, state).await?;
    Ok((query, options, list))
}

impl<K: Key + Clone> ListRequest<K> {
    async fn open(
        page: &impl PageQuery,
        list: List,
        default_order: Order,
        state: &ApiState,
    ) -> Result<Self, Problem> {
        let (limit, order) = (page.limit(), page.order().unwrap_or(default_order));
        let fingerprint = list.fingerprint(order);
        let after = match page.cursor() {
            Some(text) => Some(open(state, &fingerprint, text).await?),
            None => None,
        };
        let (after, before) = after.unzip();
        let (origin, list) = (Origin::Primary, Arc::new(list));
        let sealer = state.cursors.sealer().await?;
        Ok(Self { limit, order, after, before, origin, list, fingerprint, sealer })
    }

    /// Returns the same list, read from the server of a state.
    pub(crate) fn read_from(&self, state: &ApiState) -> Self {
        Self { origin: state.servers.origin(), ..self.clone() }
    }

    /// Returns the request to the store: one row more than is shown, which shows whether there are more.
    pub(crate) fn page(&self) -> PageRequest<K> {
        PageRequest { after: self.after.clone(), order: self.order, limit: self.limit + 1 }
    }

    /// Returns true for the first page.
    pub(crate) fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// Removes the row that is not shown, and returns the cursor of the next page.
    pub(crate) fn cut<R>(
        &self,
        rows: &mut Vec<R>,
        position: impl Fn(&R) -> Position<K>,
    ) -> Option<String> {
        self.cut_short(rows, false, position)
    }

    /// Does the same for a page that may end before its limit, with `more` rows after it.
    pub(crate) fn cut_short<R>(
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

    /// Returns the cursor of the page after a position.
    pub(crate) fn seal(&self, position: &Position<K>) -> String {
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

    /// Returns the order of the list.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Returns the cursor of the same list in the other order, after a position.
    pub(crate) fn seal_back(&self, position: &Position<K>) -> String {
        self.seal_for(&self.list.fingerprint(self.order.reversed()), position)
    }

    /// Returns the server that the page before was read from; `None` for the first page.
    pub(crate) fn before(&self) -> Option<Origin> {
        self.before
    }

    /// Returns the most rows that are shown.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Returns the end of the page before.
    pub(crate) fn after(&self) -> Option<&Position<K>> {
        self.after.as_ref()
    }
}
