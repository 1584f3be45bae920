//! `GET /v1/stream`: new rows as server-sent events.
//!
//! The body is made when the connection has room for it, from events that all listeners share. A reader
//! that stops reading costs no memory; one that is too far behind gets a comment, and the stream ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::api::answers::held::{FREE_BYTES, Held, HeldAnswers};
use crate::api::auth::watch::{Ended, KEY_CHECK, Watch};
use crate::api::query::cursor_keys::CursorKeys;
use crate::api::query::read::read;
use crate::api::resources::changes::{read_position, write_position};
use crate::api::views::change::Row;
use crate::api::views::stream::StreamEvent;
use crate::api::{ApiState, Caller};
use crate::clock::Clock;
use crate::domain::Roles;
use crate::domain::json_line::escape_separators;
use crate::domain::session::SilenceLimits;
use crate::ingress::{KeyId, Share};
use crate::live::{Event, Joined, Listener, Next, NotJoined, Render, Start};
use crate::problem::responses::{ApiErrors, Errors};
use crate::problem::{Code, Problem};
use crate::store::Position;
use crate::store::changes::ChangeFilter;
use crate::store::journal::Place;
use crate::store::keys::Scope;

/// Longest time without a byte. Proxies close connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes that a connection gets at once, and copies: there may be thousands of connections.
const PIECE_BYTES: usize = 16 << 10;
/// Time after which a client reconnects, in milliseconds.
const RETRY_MS: u32 = 2_000;
/// Seconds to wait before the next attempt, with too many listeners.
const FULL_RETRY_SECONDS: u32 = 10;

/// Returns the function that writes an event for all listeners.
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
        // Strings and numbers always serialise.
        text.push_str(&escape_separators(&row.to_json().unwrap_or_default()));
        text.push_str("\n\n");
        text.into()
    })
}

/// Parameters of the stream.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Only this session.
    #[param(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
    /// The id of the last event that the client has, for clients that cannot set the header.
    #[param(example = "AZmaLD8LfVGcVTocjg8rZA")]
    last_event_id: Option<String>,
}

/// Events from now on, or after the last one that the client has.
#[utoipa::path(get, path = "/v1/stream", tag = "Conversations",
    params(StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, example = "AZmaLD8LfVGcVTocjg8rZA",
            description = "The id of the last event that the client has.")),
    responses((status = 200, description = "Events: `session`, `message`, `erasure` and `gap`, each with an id.",
        body = StreamEvent, content_type = "text/event-stream",
        example = json!({ "event": "message", "id": "AZmaLD8LfVGcVTocjg8rZA",
            "data": "{\"role\":\"user\",\"message\":\"Hello\"}" })),
        Errors<ApiErrors>),
    security(("key" = ["read"])))]
pub(crate) async fn listen(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let query: StreamQuery = read(&req)?;
    let filter = ChangeFilter {
        agents: caller.visible_of(query.agent_id),
        source: None,
        session: query.session_id,
        bound: caller.is_bound(),
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Tells proxies not to buffer events.
        .insert_header(("X-Accel-Buffering", "no"));
    if req.method() == Method::HEAD {
        // The server would omit the body, and wait for its end.
        return Ok(response.finish());
    }
    // An invalid ID is answered with a gap, not rejected: a browser would repeat it for ever.
    let last = match last_event_id(&req, query.last_event_id.as_deref()) {
        Some(id) => Some(read_position(&state, id).await?),
        None => None,
    };
    // Loads the keys, so that events have IDs.
    state.cursors.sealer().await?;
    let start = last.clone().flatten().map_or(Start::Now, Start::After);
    let Joined { listener, gap } = state.live.join(caller.key_id(), filter, start).await?;
    let gap = gap || last.is_some_and(|position| position.is_none());
    let watch = Watch::new(&caller, &state, &[Scope::Read]);
    let (cursors, held) = (state.cursors.clone(), state.held.clone());
    let body = Body::new(listener, gap, cursors, watch, held, caller.key_id());
    Ok(response.streaming(body.into_stream()))
}

/// Returns the ID of the last event that the client has. Clients that cannot set headers use the query;
/// a browser that reconnects sets the header, which is newer.
fn last_event_id<'a>(req: &'a HttpRequest, in_query: Option<&'a str>) -> Option<&'a str> {
    let header = req.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    header.filter(|id| !id.is_empty()).or(in_query)
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

/// Joins events; a single one is shared by all its listeners.
fn joined(events: &[Arc<Event>]) -> Bytes {
    match events {
        [event] => event.text.clone(),
        _ => events.iter().map(|event| &*event.text).collect::<Vec<_>>().concat().into(),
    }
}

/// Returns the first bytes: the position, so that the client can continue without any event, and a gap
/// if it missed events.
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

/// Returns the line with the position. The keys are known before anybody listens.
fn id_line(cursors: &CursorKeys, position: &Position<Place>) -> String {
    let id = cursors.known().map(|sealer| write_position(&sealer, position));
    id.map(|id| format!("id: {id}\n")).unwrap_or_default()
}

/// Rest of large events, and the room that they take.
struct Rest(Bytes, Room);

enum Room {
    /// Of an event that other listeners may hold as well.
    Shared(#[expect(dead_code, reason = "held, not read")] Arc<Held>),
    /// Of events that were read for this listener alone.
    Own(#[expect(dead_code, reason = "held, not read")] Share<KeyId>),
}

/// Body of a stream.
struct Body {
    listener: Listener,
    cursors: CursorKeys,
    /// First bytes.
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
            // Without a comment: the client drops an incomplete event.
            self.watch.check_key().await.ok()?;
            return Some(self.go_on(rest));
        }
        loop {
            if self.watch.check_key().await == Err(Ended::KeyEnded) {
                return Some(self.end("key no longer valid"));
            }
            match self.listener.next(Instant::now() + KEY_CHECK).await {
                Ok(Next::Events(events)) => return Some(self.begin(joined(&events))),
                Ok(Next::Own(events, room)) => {
                    return Some(self.go_on(Rest(joined(&events), Room::Own(room))));
                }
                Ok(Next::Nothing) => {}
                // The database is away: there are no events.
                Err(_) => tokio::time::sleep(KEY_CHECK).await,
                Ok(Next::TooSlow) => {
                    return Some(self.end("reader too slow; reconnect with Last-Event-ID"));
                }
                Ok(Next::Lost) => {
                    return Some(self.end("journal replaced; reconnect with Last-Event-ID"));
                }
                Ok(Next::Stopping) => {
                    return Some(self.end("service stopping; reconnect with Last-Event-ID"));
                }
            }
            if self.wrote_at.elapsed() >= HEARTBEAT {
                // With the position, so that filtered rows are not read again.
                let id = id_line(&self.cursors, self.listener.position());
                return Some(format!(": still here\n{id}\n").into());
            }
        }
    }

    /// Sends shared events. Large ones are held, if there is room.
    fn begin(&mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= FREE_BYTES {
            return bytes;
        }
        match self.held.hold(self.key, &bytes) {
            Ok(held) => self.go_on(Rest(bytes, Room::Shared(held))),
            Err(_) => self.end("no memory for this reader; reconnect with Last-Event-ID"),
        }
    }

    /// Sends the next piece.
    fn go_on(&mut self, Rest(mut bytes, room): Rest) -> Bytes {
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        self.rest = (!bytes.is_empty()).then_some(Rest(bytes, room));
        piece
    }

    /// Ends the stream with a comment.
    fn end(&mut self, why: &str) -> Bytes {
        self.over = true;
        format!(": {why}\n\n").into()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use secrecy::SecretString;
    use tokio::sync::watch;

    use super::*;
    use crate::api::KeyCache;
    use crate::lifecycle::Lifecycle;
    use crate::live::Live;
    use crate::store::Store;

    #[tokio::test(start_paused = true)]
    async fn stream_without_events_sends_heartbeats_and_ends_with_the_service() {
        // No database: there are no events.
        let nobody: crate::postgres::Connector =
            "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
        let store = Store::new(crate::postgres::read_pool(nobody));
        let (clock, life) = (Clock::system(), Lifecycle::new());
        let (_commits, committed) = watch::channel(());
        let cursors = CursorKeys::new(store.clone(), clock.clone());
        let render =
            event_text(Roles::default(), SilenceLimits::default(), clock.clone(), cursors.clone());
        let (room, held) = (crate::ingress::Shares::new(1 << 20), HeldAnswers::default());
        let stream = Live::start(store.clone(), render, room, committed, &life);
        let key_cache = KeyCache::new(store, clock.clone(), &[SecretString::from("key")]);
        let listener = stream.join_without_query(None).unwrap();
        let watch = Watch::of_key(key_cache, "key", life.clone(), clock);
        let body = Body::new(listener, false, cursors, watch, held, None).into_stream();
        let mut body = std::pin::pin!(body.map(|bytes| String::from_utf8(bytes.unwrap().into())));

        let began = Instant::now();
        // Without a database there are no keys, and no IDs.
        assert_eq!(body.next().await.unwrap().unwrap(), "retry: 2000\n\n");
        for beat in 1..4 {
            assert_eq!(body.next().await.unwrap().unwrap(), ": still here\n\n");
            // The key is checked once a second.
            let passed = began.elapsed();
            assert!(passed >= HEARTBEAT * beat && passed < (HEARTBEAT + KEY_CHECK * 2) * beat);
        }
        life.stop();
        assert!(body.next().await.unwrap().unwrap().starts_with(": service stopping"));
        assert!(body.next().await.is_none());
    }
}
