//! An answer that went well: JSON, written once, for one caller or for many.

use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, Header as _, HeaderValue, IfNoneMatch, LINK,
};
use actix_web::http::uri::PathAndQuery;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Caller;
use super::group::{GroupReads, Unread};
use super::reads::Needs;
use crate::problem::Problem;

/// Room for a page of a usual conversation, so that writing it seldom grows the buffer.
const USUAL_BYTES: usize = 16 << 10;

/// JSON or other text, and the link to what follows it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    body: Bytes,
    media_type: &'static str,
    link: Option<HeaderValue>,
    /// Tag of all of it, or of the part by which it is known. Computed once for all who share it.
    tag: Arc<OnceLock<EntityTag>>,
}

impl Answer {
    /// One thing.
    pub(super) fn of<T: Serialize>(value: &T) -> Result<Self, Problem> {
        Self::linked(value, None)
    }

    /// A part of a list.
    pub(super) fn linked<T: Serialize>(value: &T, link: Option<String>) -> Result<Self, Problem> {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut body, value).map_err(Problem::internal)?;
        if body.capacity() > 2 * USUAL_BYTES {
            // It may be held for a while, and a buffer that grew has up to half to spare.
            body.shrink_to_fit();
        }
        let link = link.map(HeaderValue::try_from).transpose().map_err(Problem::internal)?;
        Ok(Self { body: body.into(), media_type: "application/json", link, tag: Arc::default() })
    }

    /// Text of another media type.
    pub(super) fn text(body: String, media_type: &'static str) -> Self {
        Self { body: body.into(), media_type, link: None, tag: Arc::default() }
    }

    /// The same, known by a part of it: the rest may differ where nothing has changed.
    pub(super) fn known_by<T: Serialize>(self, part: &T) -> Result<Self, Problem> {
        let part = serde_json::to_vec(part).map_err(Problem::internal)?;
        Ok(Self { tag: Arc::new(tag_of(&part).into()), ..self })
    }

    /// Answers with a tag of these bytes, and with 304 to somebody who has them. What a key may see
    /// differs from key to key, so nobody else may keep them. The tag is a weak one, since it is the
    /// same however the bytes are compressed.
    pub(super) fn tagged(self, req: &HttpRequest) -> HttpResponse {
        let tag = self.tag.get_or_init(|| tag_of(&self.body)).clone();
        let known = match IfNoneMatch::parse(req) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
            // A header that is malformed is as good as none.
            Err(_) => false,
        };
        let mut response = if known { HttpResponse::NotModified().finish() } else { self.into() };
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(tag.to_string()) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        response
    }
}

/// Returns the tag of some bytes.
fn tag_of(bytes: &[u8]) -> EntityTag {
    /// Enough of a SHA-256 that no two answers share a tag.
    const BYTES: usize = 16;
    let hash = Sha256::digest(bytes);
    EntityTag::new_weak(URL_SAFE_NO_PAD.encode(&hash[..BYTES]))
}

impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        let mut response = Self::Ok();
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static(answer.media_type)));
        if let Some(link) = answer.link {
            response.insert_header((LINK, link));
        }
        response.body(answer.body)
    }
}

/// Answers that are being read, for all who ask for the same at the same time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SharedReads(GroupReads<Question, Result<Answer, Problem>>);

/// All that a shared answer depends on, beside the time at which it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    /// As it was sent: spelt differently, the same is asked for apart.
    target: Option<PathAndQuery>,
    /// The agents that the caller may see.
    visible: Option<Vec<String>>,
    /// What it must have.
    needs: Needs,
}

impl SharedReads {
    /// Answers from a reading that begins after this call, and may be shared with others who ask
    /// the same and see the same. What the caller's key allows must have been checked before.
    pub(super) async fn answer<R>(
        &self,
        req: &HttpRequest,
        caller: &Caller,
        needs: Needs,
        reading: impl Fn() -> R + Send + 'static,
    ) -> Result<Answer, Problem>
    where
        R: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let question = Question {
            target: req.uri().path_and_query().cloned(),
            visible: caller.agents().map(<[_]>::to_vec),
            needs,
        };
        self.0.read(question, reading).await?
    }
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Died => Self::internal(unread),
            Unread::TooMany => Self::unavailable(unread),
        }
    }
}
