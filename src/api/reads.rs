//! The server that an answer is read from: the standby where there is one, it is not too far behind,
//! and the caller does not need more than it has; else the primary. One answer is read from one of
//! them alone. `docs/design/replica.md` has the reasons.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};

use super::answer::Answer;
use super::cursor::{Fingerprint, Key};
use super::cursor_keys::CursorKeys;
use super::{ApiState, Caller};
use crate::jobs::replica::{Readable, Replica};
use crate::postgres::Lsn;
use crate::problem::{Code, Problem};
use crate::store::Position;

/// Preferences of a client (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The preferences that an answer follows.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Where in the log of transactions a change lies: of an answer to a change, and of a request that
/// must see it.
const POSITION: HeaderName = HeaderName::from_static("verbatim-position");
/// The preference for an answer that has every change made before it.
const WAIT: &str = "wait";

/// The server that a page was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// The primary.
    #[default]
    Primary,
    /// This run of a standby.
    Standby(u64),
}

/// The servers that answers are read from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ReadServers {
    replica: Option<Replica>,
    /// The one that this answer is read from.
    origin: Origin,
    /// The standby has everything that was committed by then.
    complete_at: Option<DateTime<Utc>>,
}

impl ReadServers {
    /// The primary, and a standby where there is one.
    #[must_use]
    pub fn new(replica: Option<Replica>) -> Self {
        Self { replica, ..Self::default() }
    }

    /// The server that this answer is read from.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// The time up to which this answer has everything; `now` where it is read from the primary.
    pub(super) fn complete_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.complete_at.map_or(now, |at| at.min(now))
    }
}

/// Place in the log of transactions of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LogPosition {
    system: i64,
    lsn: Lsn,
}

impl Key for LogPosition {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.system.to_be_bytes());
        out.extend_from_slice(&self.lsn.0.to_be_bytes());
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (system, rest) = bytes.split_first_chunk()?;
        let (lsn, rest) = rest.split_first_chunk()?;
        let (system, lsn) = (i64::from_be_bytes(*system), i64::from_be_bytes(*lsn));
        rest.is_empty().then_some(Self { system, lsn: Lsn(lsn) })
    }
}

/// Changes that an answer must reflect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Needs {
    /// Every change made before.
    everything: bool,
    /// The changes up to here.
    position: Option<LogPosition>,
    /// What the page before it was read from.
    page: Option<Origin>,
}

impl Needs {
    /// Reads the needs of a request. `page` is the server that the page before it was read from,
    /// if there was one.
    async fn read(req: &HttpRequest, state: &ApiState, page: Option<Origin>) -> Self {
        let mut needs = Self { everything: prefers_wait(req.headers()), position: None, page };
        if let Some(token) = req.headers().get(POSITION) {
            needs.position = Box::pin(open(&state.cursors, token)).await;
            // One that nobody can read any more is as good as a wish for everything.
            needs.everything |= needs.position.is_none();
        }
        needs
    }

    fn are_met_by(&self, standby: &Readable) -> bool {
        let has_position = |position: LogPosition| {
            position.system == standby.system && position.lsn <= standby.replayed
        };
        !self.everything
            && self.position.is_none_or(has_position)
            && self.page.is_none_or(|page| page == Origin::Standby(standby.run))
    }
}

impl ApiState {
    /// The same, with answers from a standby.
    fn on(&self, standby: &Readable) -> web::Data<Self> {
        let servers = ReadServers {
            origin: Origin::Standby(standby.run),
            complete_at: Some(standby.complete_at),
            ..self.servers.clone()
        };
        web::Data::new(Self { store: standby.store.clone(), servers, ..self.clone() })
    }
}

/// Reads an answer that may be shared with others who ask the same and see the same: see
/// [`super::SharedReads`]. `reading` reads from the store of the state that it is given.
pub(super) async fn read_shared<R>(
    state: &web::Data<ApiState>,
    req: &HttpRequest,
    caller: &Caller,
    page: Option<Origin>,
    reading: impl Fn(web::Data<ApiState>) -> R + Clone + Send + Sync + 'static,
) -> Result<Answer, Problem>
where
    R: Future<Output = Result<Answer, Problem>> + Send + 'static,
{
    let servers = state.clone();
    let Some(replica) = &state.servers.replica else {
        let read = move || reading(servers.clone());
        return state.reads.answer(req, caller, Needs::default(), read).await;
    };
    let needs = Needs::read(req, state, page).await;
    let replica = replica.clone();
    let read = move || route(replica.clone(), servers.clone(), needs, reading.clone());
    state.reads.answer(req, caller, needs, read).await
}

/// Reads an answer for one caller. `reading` reads from the store of the state that it is given.
pub(super) async fn read_alone<R, T>(
    state: &web::Data<ApiState>,
    req: &HttpRequest,
    page: Option<Origin>,
    reading: impl Fn(web::Data<ApiState>) -> R,
) -> Result<T, Problem>
where
    R: Future<Output = Result<T, Problem>>,
{
    let Some(replica) = &state.servers.replica else { return reading(state.clone()).await };
    // Boxed: without a standby no request carries the room of three readings.
    let routed = async {
        let needs = Needs::read(req, state, page).await;
        route(replica.clone(), state.clone(), needs, reading).await
    };
    Box::pin(routed).await
}

/// Reads from the standby where it has what is needed, and else, or where that fails, from the
/// primary.
async fn route<R, T>(
    replica: Replica,
    state: web::Data<ApiState>,
    needs: Needs,
    reading: impl Fn(web::Data<ApiState>) -> R,
) -> Result<T, Problem>
where
    R: Future<Output = Result<T, Problem>>,
{
    if let Some(standby) = replica.readable().filter(|standby| needs.are_met_by(standby)) {
        let read = tokio::select! {
            read = reading(state.on(&standby)) => Some(read),
            // It was stopped or promoted meanwhile, or says nothing any more.
            () = replica.lost(standby.run) => None,
        };
        match read {
            // What is not there may have come a moment ago: the primary knows.
            Some(Err(problem)) if problem.code() == Code::NotFound => {}
            Some(Err(problem)) if !is_final(&problem) => {
                replica.reads.repeat();
                let cause = problem.cause().map(|cause| format!("{cause:#}"));
                tracing::debug!(cause, "read failed on the standby; repeated on the primary");
            }
            Some(read) => {
                replica.reads.read_standby();
                return read;
            }
            None => replica.reads.repeat(),
        }
    }
    replica.reads.read_primary();
    reading(state.clone()).await
}

/// True for what the primary would answer, too.
fn is_final(problem: &Problem) -> bool {
    !matches!(problem.code(), Code::Unavailable | Code::Internal)
}

/// Says in an answer that it was read as `Prefer: wait` asks.
pub(super) fn confirm_preference(req: &HttpRequest, answer: &mut HttpResponse) {
    if is_of_api(req, answer) && prefers_wait(req.headers()) {
        answer.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static(WAIT));
    }
}

/// Adds the position of a change to its answer, where there is a standby.
pub(super) async fn add_position(req: &HttpRequest, answer: &mut HttpResponse) {
    if is_of_api(req, answer)
        && let Some(state) = req.app_data::<web::Data<ApiState>>()
        && let Some(position) = position(state).await
    {
        answer.headers_mut().insert(POSITION, position);
    }
}

fn is_of_api(req: &HttpRequest, answer: &HttpResponse) -> bool {
    let is_good = answer.status().is_success() || answer.status().is_redirection();
    is_good && req.path().starts_with("/v1/")
}

/// The position of everything that is committed by now; `None` where it does not matter or is not
/// known. It depends on what others write, so it is sealed, and no two are equal.
async fn position(state: &ApiState) -> Option<HeaderValue> {
    let replica = state.servers.replica.as_ref()?;
    let found = replica.position().await?;
    let key = LogPosition { system: found.system, lsn: found.inserted };
    let sealer = state.cursors.sealer().await.ok()?;
    let position = Position { at: DateTime::UNIX_EPOCH, key };
    HeaderValue::try_from(sealer.seal_fresh(&fingerprint(), &position)).ok()
}

async fn open(cursors: &CursorKeys, token: &HeaderValue) -> Option<LogPosition> {
    let opened = cursors.open(&fingerprint(), token.to_str().ok()?.trim()).await;
    opened.ok().map(|position| position.key)
}

fn fingerprint() -> Fingerprint {
    Fingerprint::new("position in the log")
}

/// True where the client prefers to wait rather than to miss something.
fn prefers_wait(headers: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|preference| {
            let name = preference.split([';', '=']).next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case(WAIT)
        })
    };
    headers.get_all(PREFER).any(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_to_wait_is_found_among_others() {
        let prefers = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            prefers_wait(&headers)
        };
        for yes in [&["wait"][..], &["Wait=10"], &["respond-async, wait = 5"], &["a=b", "wait;x=1"]]
        {
            assert!(prefers(yes), "{yes:?}");
        }
        for no in [&[][..], &["waiting"], &["respond-async"], &["a=wait"]] {
            assert!(!prefers(no), "{no:?}");
        }
    }

    #[test]
    fn a_position_comes_back_as_it_went() {
        let position = LogPosition { system: i64::MIN, lsn: Lsn(0x0123_4567_89ab) };
        let mut bytes = Vec::new();
        position.write(&mut bytes);
        assert_eq!(LogPosition::read(bytes.clone()), Some(position));
        bytes.push(0);
        assert_eq!(LogPosition::read(bytes), None);
    }
}
