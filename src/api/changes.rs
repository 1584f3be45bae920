//! `GET /v1/changes`: every row that came or changed, in an order that never skips one.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::cursor::{Fingerprint, Key, Sealer};
use super::cursor_keys::OpenError;
use super::list::{self, Page, limit};
use super::messages::Message;
use super::params::Params;
use super::session::Session;
use super::sessions::visible;
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::domain::Roles;
use crate::domain::session::SilenceLimits;
use crate::problem::{Code, Problem};
use crate::store::Position;
use crate::store::changes::{Change, ChangeFilter, Changes, Most};
use crate::store::journal::{Erasure, ErasureKind, Place};
use crate::store::keys::Scope;

const PARAMS: [&str; 4] = ["limit", "after", "agent_id", "source"];
/// Bytes of messages on a page, beyond which it is shorter than its limit.
const PAGE_BYTES: i64 = 8 << 20;
/// Longest that a request of a bound key brings the journal by agent up to date; later ones go on.
/// It takes that long only where nobody with such a key has read for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// An item of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(super) struct Item<'a> {
    /// `session`, `message` or `erasure`; the member of that name holds it.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Which transaction brought it: they count up in the order of their commits. Not for keys that
    /// are bound to agents, whom the numbers would tell how much others say.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(flatten)]
    row: Row<'a>,
}

/// What came or changed, as the other endpoints show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Row<'a> {
    /// A session that is new or has changed, as it is now.
    Session(Box<Session<'a>>),
    /// A message that is new.
    Message(Message<'a>),
    /// What was erased for good.
    Erasure(Erased<'a>),
}

/// What is gone for good.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Erased<'a> {
    /// The id of the receipt; where it was over age, an id of its own.
    id: Uuid,
    /// Erased was a `session`, or an `agent` with all its sessions; `retention` is a session that
    /// was over age.
    #[schema(value_type = String)]
    kind: ErasureKind,
    /// Whose.
    agent_id: &'a str,
    /// Which session; `null` where it is all of the agent's.
    session: Option<ErasedSession<'a>>,
    /// When.
    at: Timestamp,
    /// Where only what was said in the session before this time was over age: that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Timestamp>,
}

/// By what an erased session was known.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedSession<'a> {
    /// Ours.
    id: Uuid,
    /// The sender's id.
    session_id: &'a str,
    /// The source that delivered it.
    source: &'a str,
}

impl<'a> Row<'a> {
    /// What a change means at `now`.
    pub(super) fn new(
        change: &'a Change,
        roles: &Roles,
        silence: SilenceLimits,
        now: DateTime<Utc>,
    ) -> Self {
        match change {
            Change::Session(row) => Self::Session(Box::new(Session::new(row, silence, now))),
            Change::Message(session, row) => {
                let message = Message::new(row, &session.session_id, &session.agent_id, roles);
                Self::Message(message.of_session(session.id))
            }
            Change::Erasure(erasure) => Self::Erasure(Erased::from(erasure)),
        }
    }

    /// The object alone, in one line.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Session(session) => serde_json::to_string(session),
            Self::Message(message) => serde_json::to_string(message),
            Self::Erasure(erased) => serde_json::to_string(erased),
        }
    }

    /// The name of its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Message(_) => "message",
            Self::Erasure(_) => "erasure",
        }
    }
}

impl<'a> From<&'a Erasure> for Erased<'a> {
    fn from(erasure: &'a Erasure) -> Self {
        let session = erasure.session.as_ref().map(|erased| ErasedSession {
            id: erased.id,
            session_id: &erased.session_id,
            source: &erased.source,
        });
        Self {
            id: erasure.id,
            kind: erasure.kind,
            agent_id: &erasure.agent_id,
            session,
            at: Timestamp(erasure.at),
            before: erasure.before.map(Timestamp),
        }
    }
}

/// What came or changed after a position.
#[utoipa::path(get, path = "/v1/changes", tag = "Conversations",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Items on a page."),
        ("after" = Option<String>, Query, example = "AZmaLD8LfVGcVTocjg8rZA", description = "The `next_cursor` of the page before; from the beginning without."),
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat."),
        ("source" = Option<String>, Query, description = "Delivered by this source.")),
    responses((status = 200, description = "What came or changed, in the order of commits.", body = Page<Item>)),
    security(("key" = ["read"]), ("key" = ["export"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&[Scope::Read, Scope::Export])?;
    let params = Params::parse(&req, &PARAMS, &["agent_id"])?;
    let most = Most { items: limit(&params)? as usize, bytes: PAGE_BYTES };
    let filter = ChangeFilter {
        agents: visible(&caller, params.texts("agent_id")),
        source: params.text("source").map(str::to_owned),
        session: None,
        bound: caller.is_bound(),
    };
    if filter.bound && !state.store.follow_journal(PATIENCE).await? {
        let cause = anyhow::anyhow!("the journal by agent is being brought up to date");
        return Err(Problem::unavailable(cause));
    }
    let after = match params.text("after") {
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
    Ok(list::endless_answer(req.uri(), data.collect(), write_position(&sealer, &reached), more)?
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

/// A position as callers see it: the same for this feed and for the stream, whatever the filter,
/// so that one can go on where the other ended. It depends on what all agents say, so no two are
/// equal.
pub(super) fn write_position(sealer: &Sealer, position: &Position<Place>) -> String {
    sealer.seal_fresh(&fingerprint(), position)
}

/// The position that a text stands for, if any. Whether it is one of this journal is another
/// question.
pub(super) async fn read_position(
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
