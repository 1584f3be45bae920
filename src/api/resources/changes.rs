//! `GET /v1/changes`: every new and changed row, in an order that never skips one.

use crate::api::query::read::read;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::answers::page;
use crate::api::query::cursor::{Fingerprint, Key, Sealer};
use crate::api::query::cursor_keys::OpenError;
use crate::api::query::parameters::{PlainLimit, limit_of};
use crate::api::views::change::{Item, Row};
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::problem::responses::{ApiErrors, Errors};
use crate::problem::{Code, Problem};
use crate::store::Position;
use crate::store::changes::{ChangeFilter, Changes, Most};
use crate::store::journal::Place;
use crate::store::keys::Scope;

/// Bytes of messages on a page, beyond which it is shorter than its limit.
const PAGE_BYTES: i64 = 8 << 20;
/// Longest time in which a request of a bound key brings the journal by agent up to date; the next
/// request continues. It takes that long only if no such key has read for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Parameters of the feed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// Items on a page.
    #[param(inline, example = 50)]
    limit: Option<PlainLimit>,
    /// The `next_cursor` of the page before; from the beginning without.
    #[param(example = "AZmaLD8LfVGcVTocjg8rZA")]
    after: Option<String>,
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Only this source.
    #[param(example = "default")]
    source: Option<String>,
}

/// Rows that are new or changed after a position.
#[utoipa::path(get, path = "/v1/changes", tag = "Conversations",
    params(ChangesQuery),
    responses((status = 200, description = "What came or changed, in the order of commits.", body = Page<Item>),
        Errors<ApiErrors>),
    security(("key" = ["read"]), ("key" = ["export"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&[Scope::Read, Scope::Export])?;
    let query: ChangesQuery = read(&req)?;
    let most = Most { items: limit_of(query.limit) as usize, bytes: PAGE_BYTES };
    let filter = ChangeFilter {
        agents: caller.visible_of(query.agent_id),
        source: query.source,
        session: None,
        bound: caller.is_bound(),
    };
    if filter.bound && !state.store.follow_journal(PATIENCE).await? {
        let cause = anyhow::anyhow!("the journal by agent is being brought up to date");
        return Err(Problem::unavailable(cause));
    }
    let after = match &query.after {
        Some(text) => Some(read_position(&state, text).await?.ok_or_else(unknown_position)?),
        None => None,
    };
    let sealer = state.cursors.sealer().await?;
    let changes = state.store.changes(after.as_ref(), &filter, most).await?;
    let Changes { items, reached, more } = changes.ok_or_else(unknown_position)?;
    let now = state.clock.now();
    let data = items.iter().map(|(position, change)| {
        let row = Row::new(change, state.store.roles(), state.silence, now);
        let seq = (!filter.bound).then_some(position.key.seq);
        Item { kind: row.kind(), seq, row }
    });
    Ok(page::endless_answer(req.uri(), data.collect(), write_position(&sealer, &reached), more)?
        .into())
}

fn unknown_position() -> Problem {
    Problem::new(
        Code::InvalidCursor,
        "`after` is damaged, of another database, or so old that what followed it is no longer \
         kept. Take it as it stands in `next_cursor`; where that does not help, load everything \
         anew, without `after`.",
    )
}

/// Writes a position. It is the same for this feed and the stream, with any filter, so one can continue
/// where the other ended. It depends on messages of all agents, so no two are equal.
pub(crate) fn write_position(sealer: &Sealer, position: &Position<Place>) -> String {
    sealer.seal_fresh(&fingerprint(), position)
}

/// Reads a position. Does not check that it is one of this journal.
pub(crate) async fn read_position(
    state: &ApiState,
    text: &str,
) -> Result<Option<Position<Place>>, Problem> {
    match state.cursors.open(&fingerprint(), text).await {
        Ok(position) => Ok(Some(position)),
        Err(OpenError::Invalid(_)) => Ok(None),
        Err(OpenError::Keys(problem)) => Err(problem),
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::new("journal")
}

impl Key for Place {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.items.to_be_bytes());
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (seq, items) = bytes.split_at_checked(size_of::<i64>())?;
        Some(Self {
            seq: i64::from_be_bytes(seq.try_into().ok()?),
            items: u32::from_be_bytes(items.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cursor_keys::CursorKey;
    use chrono::DateTime;

    #[test]
    fn a_position_comes_back_as_it_went() {
        let at = DateTime::from_timestamp_micros(1_790_607_253_000_007).unwrap();
        let position = Position { at, key: Place { seq: 7_000_000_000, items: 1_999 } };
        let sealer = Sealer::new(&[CursorKey::generate(at)]).unwrap();
        for position in [position, Position::START] {
            let text = write_position(&sealer, &position);
            assert_eq!(sealer.open(&fingerprint(), &text), Ok(position));
        }
    }
}
