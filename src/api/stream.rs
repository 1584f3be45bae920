//! `GET /v1/stream`: what comes, as server-sent events.
//!
//! The body is made when the connection has room for it, out of what all listeners share: a reader
//! that takes nothing costs no memory, and one that is left behind is told so and cut off.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::changes::{Row, read_position, write_position};
use super::held::{FREE_BYTES, Held};
use super::params::Params;
use super::sessions::visible;
use super::watch::{Ended, KEY_CHECK, Watch};
use super::{ApiState, Caller, CursorKeys, HeldAnswers};
use crate::clock::Clock;
use crate::domain::Roles;
use crate::domain::json_line::escape_separators;
use crate::domain::session::SilenceLimits;
use crate::gate::{KeyId, Share};
use crate::live::{Event, Joined, Listener, NotJoined, Render, Start, Told};
use crate::problem::{Code, Problem};
use crate::store::Position;
use crate::store::changes::ChangeFilter;
use crate::store::journal::Place;
use crate::store::keys::Scope;

const PARAMS: [&str; 3] = ["agent_id", "session_id", "last_event_id"];
/// How long nothing is sent at the most. Proxies close connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes that are handed to a connection at once, which it copies: there may be thousands.
const PIECE_BYTES: usize = 16 << 10;
/// How soon a client is to come back after the connection ended, in milliseconds.
const RETRY_MS: u32 = 2_000;
/// When to come back where there are too many listeners.
const FULL_RETRY_SECONDS: u32 = 10;

/// How an event is written, for all who listen.
#[must_use]
pub fn event_text(
    roles: Roles,
    silence: SilenceLimits,
    clock: Clock,
    cursors: CursorKeys,
) -> Render {
    Box::new(move |position, change| {
        let row = Row::new(change, &roles, silence, clock.now());
        let id = id_line(&cursors, position);
        let mut text = format!(
            "event: {}
{id}data: ",
            row.kind()
        );
        // It is of strings and numbers, which always serialise.
        text.push_str(&escape_separators(&row.to_json().unwrap_or_default()));
        text.push_str("\n\n");
        text.into()
    })
}

/// An event of the stream; the fields are those of the text format.
#[expect(dead_code, reason = "it stands in the document alone")]
#[derive(utoipa::ToSchema)]
struct StreamEvent {
    /// `session`, `message`, `erasure` or `gap`.
    event: String,
    /// Where to go on after it, by `Last-Event-ID`.
    id: String,
    /// JSON: what `/v1/changes` tells of it; of a gap its `reason`.
    data: String,
    /// With the first one: how soon to come back after the connection ended, in milliseconds.
    retry: Option<u32>,
}

/// What comes from now on, or after the last event that the client has.
#[utoipa::path(get, path = "/v1/stream", tag = "Conversations",
    params(
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat."),
        ("session_id" = Option<String>, Query, description = "Of this session alone."),
        ("last_event_id" = Option<String>, Query, description = "As the header, for clients that cannot set one."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has.")),
    responses((status = 200, description = "Events: `session`, `message`, `erasure` and `gap`, each with an id.",
        body = StreamEvent, content_type = "text/event-stream",
        example = json!({ "event": "message", "id": "AZmaLD8LfVGcVTocjg8rZA",
            "data": "{\"role\":\"user\",\"message\":\"Hello\"}" }))),
    security(("key" = ["read"])))]
pub(super) async fn listen(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let params = Params::parse(&req, &PARAMS, &["agent_id"])?;
    let filter = ChangeFilter {
        agents: visible(&caller, params.texts("agent_id")),
        source: None,
        session: params.text("session_id").map(str::to_owned),
        bound: caller.is_bound(),
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy that collects an answer before it passes it on would hold events back.
        .insert_header(("X-Accel-Buffering", "no"));
    if req.method() == Method::HEAD {
        // The server would leave the body out, and wait for its end.
        return Ok(response.finish());
    }
    // An id that cannot be read is answered with a gap, not refused: a browser would come back
    // with it for ever.
    let last = match last_event_id(&req, &params) {
        Some(id) => Some(read_position(&state, id).await?),
        None => None,
    };
    // From here on the keys are known, and events have ids.
    state.cursors.sealer().await?;
    let start = last.clone().flatten().map_or(Start::Now, Start::After);
    let Joined { listener, gap } = state.live.join(caller.key_id(), filter, start).await?;
    let gap = gap || last.is_some_and(|position| position.is_none());
    let watch = Watch::new(&caller, &state, &[Scope::Read]);
    let (cursors, held) = (state.cursors.clone(), state.held.clone());
    let body = Body::new(listener, gap, cursors, watch, held, caller.key_id());
    Ok(response.streaming(body.into_stream()))
}

/// The last event that the client has, by its own word. Those that cannot set headers put it into
/// the query; a browser that comes back sets the header, which is newer.
fn last_event_id<'a>(req: &'a HttpRequest, params: &'a Params) -> Option<&'a str> {
    let header = req.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    header.filter(|id| !id.is_empty()).or_else(|| params.text("last_event_id"))
}

impl From<NotJoined> for Problem {
    fn from(error: NotJoined) -> Self {
        match error {
            NotJoined::Full => {
                Self::new(Code::Unavailable, "There are too many listeners; try again later.")
                    .retry_after(FULL_RETRY_SECONDS)
            }
            NotJoined::KeyFull => {
                let detail = "This key has as many listeners as one key may; end some of them, or \
                              use another key.";
                Self::new(Code::RateLimited, detail).retry_after(FULL_RETRY_SECONDS)
            }
            NotJoined::Store(error) => error.into(),
        }
    }
}

/// Events in one piece; one alone is shared with all who are sent it.
fn joined(events: &[Arc<Event>]) -> Bytes {
    match events {
        [event] => event.text.clone(),
        _ => events.iter().map(|event| &*event.text).collect::<Vec<_>>().concat().into(),
    }
}

/// What is sent at once: where the client stands, so that it can come back to it even if nothing
/// comes; and that it missed something, if it did.
fn opening(listener: &Listener, gap: bool, cursors: &CursorKeys) -> Bytes {
    let id = id_line(cursors, listener.position());
    let gap = if gap {
        "event: gap\ndata: {\"reason\":\"The last event is not known here, or what followed it is \
         no longer kept. This stream goes on with what comes now; load what is missing from \
         /v1/changes or /v1/sessions.\"}\n"
    } else {
        ""
    };
    format!("retry: {RETRY_MS}\n{id}{gap}\n").into()
}

/// The line that says where to go on. Nobody listens before the keys are known.
fn id_line(cursors: &CursorKeys, position: &Position<Place>) -> String {
    let id = cursors.known().map(|sealer| write_position(&sealer, position));
    id.map(|id| format!("id: {id}\n")).unwrap_or_default()
}

/// What is left of something large, and the room that all of it takes until then.
struct Rest(Bytes, Room);

enum Room {
    /// Of an event that others may hold as well.
    Shared(#[expect(dead_code, reason = "held, not read")] Arc<Held>),
    /// Of what was read for this reader alone.
    Own(#[expect(dead_code, reason = "held, not read")] Share<KeyId>),
}

/// A stream as it is sent.
struct Body {
    listener: Listener,
    cursors: CursorKeys,
    /// To be sent before all else.
    first: Option<Bytes>,
    rest: Option<Rest>,
    watch: Watch,
    held: HeldAnswers,
    key: KeyId,
    wrote_at: Instant,
    over: bool,
}

impl Body {
    fn new(
        listener: Listener,
        gap: bool,
        cursors: CursorKeys,
        watch: Watch,
        held: HeldAnswers,
        key: KeyId,
    ) -> Self {
        let (first, wrote_at) = (Some(opening(&listener, gap, &cursors)), Instant::now());
        Self { listener, cursors, first, rest: None, watch, held, key, wrote_at, over: false }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut body| async move {
            let bytes = body.next().await?;
            body.wrote_at = Instant::now();
            Some((Ok(bytes), body))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if let Some(rest) = self.rest.take() {
            // In the middle of an event nothing can be said: the client drops what is not whole.
            self.watch.check_key().await.ok()?;
            return Some(self.go_on(rest));
        }
        loop {
            if self.watch.check_key().await == Err(Ended::KeyEnded) {
                return Some(self.end("the key is no longer valid"));
            }
            match self.listener.next(Instant::now() + KEY_CHECK).await {
                Ok(Told::Events(events)) => return Some(self.begin(joined(&events))),
                Ok(Told::Own(events, room)) => {
                    return Some(self.go_on(Rest(joined(&events), Room::Own(room))));
                }
                Ok(Told::Nothing) => {}
                // The database is away: nothing can come.
                Err(_) => tokio::time::sleep(KEY_CHECK).await,
                Ok(Told::TooSlow) => {
                    return Some(self.end("this reader is too slow; come back with Last-Event-ID"));
                }
                Ok(Told::Lost) => return Some(self.end("what follows is lost; come back")),
                Ok(Told::Stopping) => {
                    return Some(self.end("the service stops; come back with Last-Event-ID"));
                }
            }
            if self.wrote_at.elapsed() >= HEARTBEAT {
                // With the position: what the filter left out need not be looked at again.
                let id = id_line(&self.cursors, self.listener.position());
                return Some(format!(": still here\n{id}\n").into());
            }
        }
    }

    /// Sends what came out of what all share. Something large is held, as long as there is room.
    fn begin(&mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= FREE_BYTES {
            return bytes;
        }
        match self.held.hold(self.key, &bytes) {
            Ok(held) => self.go_on(Rest(bytes, Room::Shared(held))),
            Err(_) => self.end("there is no room for this reader; come back with Last-Event-ID"),
        }
    }

    /// Sends the next piece.
    fn go_on(&mut self, Rest(mut bytes, room): Rest) -> Bytes {
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        self.rest = (!bytes.is_empty()).then_some(Rest(bytes, room));
        piece
    }

    /// The last words.
    fn end(&mut self, why: &str) -> Bytes {
        self.over = true;
        format!(": {why}\n\n").into()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::sync::watch;

    use super::*;
    use crate::api::Keyring;
    use crate::config::Secret;
    use crate::lifecycle::Lifecycle;
    use crate::live::Live;
    use crate::store::Store;

    #[tokio::test(start_paused = true)]
    async fn a_stream_on_which_nothing_comes_says_that_it_is_there_and_ends_with_the_service() {
        // Nobody listens there: nothing can come.
        let nobody: crate::postgres::Connector =
            "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
        let store = Store::new(crate::postgres::read_pool(nobody));
        let (clock, life) = (Clock::system(), Lifecycle::new());
        let (_commits, committed) = watch::channel(());
        let cursors = CursorKeys::new(store.clone(), clock.clone());
        let render = event_text(
            Roles::default(),
            SilenceLimits::default(),
            clock.clone(),
            cursors.clone(),
        );
        let (room, held) = (crate::gate::Shares::new(1 << 20), HeldAnswers::default());
        let stream = Live::start(store.clone(), render, room, committed, &life);
        let keyring = Keyring::new(store, clock.clone(), &[Secret::new("key".into())]);
        let listener = stream.join_unasked(None).unwrap();
        let watch = Watch::of_key(keyring, "key", life.clone(), clock);
        let body = Body::new(listener, false, cursors, watch, held, None).into_stream();
        let mut body = std::pin::pin!(body.map(|bytes| String::from_utf8(bytes.unwrap().into())));

        let began = Instant::now();
        // Without a database there are no keys, and so no ids.
        assert_eq!(body.next().await.unwrap().unwrap(), "retry: 2000\n\n");
        for beat in 1..4 {
            assert_eq!(body.next().await.unwrap().unwrap(), ": still here\n\n");
            // Looked at once a second.
            let passed = began.elapsed();
            assert!(passed >= HEARTBEAT * beat && passed < (HEARTBEAT + KEY_CHECK * 2) * beat);
        }
        life.stop();
        assert!(body.next().await.unwrap().unwrap().starts_with(": the service stops"));
        assert!(body.next().await.is_none());
    }
}
