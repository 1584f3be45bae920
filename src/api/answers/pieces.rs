//! Large answers, sent in pieces.

use std::sync::Arc;

use actix_web::body::{BodySize, BoxBody, MessageBody as _, SizedStream};
use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use futures_util::stream::Stream;

use crate::api::answers::compress::compress;
use crate::api::answers::held::{FREE_BYTES, Held, next_piece};
use crate::api::auth::watch::{Ended, Watch};
use crate::api::{ApiState, Caller};

/// Compresses an answer as its client asks, holds it where it is large, and sends it in pieces.
pub(crate) async fn hold_large_answer(req: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    // A compressed answer takes less room. Boxed, so that it takes no room in every request's future.
    let answer = Box::pin(compress(req, answer)).await;
    let is_large = match answer.body().size() {
        BodySize::Sized(bytes) => bytes > FREE_BYTES as u64,
        BodySize::None | BodySize::Stream => false,
    };
    // The server omits the body of HEAD.
    if !is_large || req.method() == Method::HEAD {
        return answer;
    }
    let (answer, body) = answer.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return answer.set_body(body),
    };
    let caller = req.extensions().get::<Caller>().cloned();
    let state = req.app_data::<web::Data<ApiState>>();
    let (held, watch) = match caller.as_ref().zip(state) {
        Some((caller, state)) => match state.held.hold(caller.key_id(), &bytes) {
            Ok(held) => (Some(held), Some(Watch::new(caller, state, &[]))),
            Err(problem) => {
                let mut refused = HttpResponse::from_error(problem);
                // A key that holds too much must not hold this connection as well.
                refused.head_mut().set_connection_type(ConnectionType::Close);
                return refused;
            }
        },
        // An answer without a key is in memory once for all.
        None => (None, None),
    };
    let size = bytes.len() as u64;
    let sending = Sending { held, watch, rest: bytes.clone(), bytes };
    answer.set_body(BoxBody::new(SizedStream::new(size, sending.into_stream())))
}

/// Answer that is being sent.
struct Sending {
    /// Dropped before the bytes, so that their address is free afterwards.
    #[expect(dead_code, reason = "held, not read")]
    held: Option<Arc<Held>>,
    watch: Option<Watch>,
    rest: Bytes,
    #[expect(dead_code, reason = "keeps the whole while its address counts")]
    bytes: Bytes,
}

impl Sending {
    /// Returns the pieces; an error, which closes the connection, once the key has ended.
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Ended>> {
        stream::try_unfold(self, |mut sending| async move {
            if sending.rest.is_empty() {
                return Ok(None);
            }
            if let Some(watch) = &mut sending.watch {
                watch.check_key().await?;
            }
            Ok(Some((next_piece(&mut sending.rest), sending)))
        })
    }
}
