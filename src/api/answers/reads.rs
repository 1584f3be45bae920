//! Choice of the server for an answer: the standby if there is one, it is not too far behind, and it has
//! the changes that the caller needs; else the primary. `docs/design/replica.md` has the reasons.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::answers::answer::Answer;
use crate::api::answers::needs::{LogPosition, Needs, Origin, POSITION, WAIT, prefers_wait};
use crate::api::{ApiState, Caller};
use crate::jobs::replica::{Readable, Replica};
use crate::problem::{Code, Problem};

/// Preferences that an answer follows.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

impl ApiState {
    /// Returns the same state with the store of a standby.
    fn on(&self, standby: &Readable) -> web::Data<Self> {
        let servers = self.servers.on(standby);
        web::Data::new(Self { store: standby.store.clone(), servers, ..self.clone() })
    }
}

/// Reads an answer that equal requests may share: see [`SharedReads`](super::answer::SharedReads).
/// `reading` reads from the store of its state.
pub(crate) async fn read_shared<R>(
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
        return state.reads.answer(req, caller.agents(), Needs::default(), read).await;
    };
    let needs = Needs::read(req, &state.cursors, page).await;
    let replica = replica.clone();
    let read = move || route(replica.clone(), servers.clone(), needs, reading.clone());
    state.reads.answer(req, caller.agents(), needs, read).await
}

/// Reads an answer for one caller. `reading` reads from the store of its state.
pub(crate) async fn read_alone<R, T>(
    state: &web::Data<ApiState>,
    req: &HttpRequest,
    page: Option<Origin>,
    reading: impl Fn(web::Data<ApiState>) -> R,
) -> Result<T, Problem>
where
    R: Future<Output = Result<T, Problem>>,
{
    let Some(replica) = &state.servers.replica else { return reading(state.clone()).await };
    // Boxed: without a standby no request carries the room of three reads.
    let routed = async {
        let needs = Needs::read(req, &state.cursors, page).await;
        route(replica.clone(), state.clone(), needs, reading).await
    };
    Box::pin(routed).await
}

/// Reads from the standby if it has the needed changes; else, or after a failure, from the primary.
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
            // The standby was stopped, promoted, or does not answer any more.
            () = replica.lost(standby.run) => None,
        };
        match read {
            // The primary may have a row that the standby lacks.
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

/// Returns true for problems that the primary would answer, too.
fn is_final(problem: &Problem) -> bool {
    !matches!(problem.code(), Code::Unavailable | Code::Internal)
}

/// Confirms in an answer that it follows `Prefer: wait`.
pub(crate) fn confirm_preference(req: &HttpRequest, answer: &mut HttpResponse) {
    if is_of_api(req, answer) && prefers_wait(req.headers()) {
        answer.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static(WAIT));
    }
}

/// Adds the position of a change to its answer, if there is a standby.
pub(crate) async fn add_position(req: &HttpRequest, answer: &mut HttpResponse) {
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

/// Returns the position of everything that is committed by now; `None` without a standby, or where it
/// is not known.
async fn position(state: &ApiState) -> Option<HeaderValue> {
    let found = state.servers.replica.as_ref()?.position().await?;
    LogPosition { system: found.system, lsn: found.inserted }.seal(&state.cursors).await
}
