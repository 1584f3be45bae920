//! Successful answer: JSON, written once, for one caller or for many.

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

use crate::api::answers::group::{GroupReads, Unread};
use crate::api::answers::needs::Needs;
use crate::problem::Problem;

/// Size of a usual page of messages, so that its buffer seldom grows.
const USUAL_BYTES: usize = 16 << 10;

/// JSON or other text, and the link to the next page. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    body: Bytes,
    media_type: &'static str,
    link: Option<HeaderValue>,
    /// Tag of the whole body, or of the part that identifies it. Computed once for all who share it.
    tag: Arc<OnceLock<EntityTag>>,
}

impl Answer {
    /// Writes one value.
    pub(crate) fn of<T: Serialize>(value: &T) -> Result<Self, Problem> {
        Self::linked(value, None)
    }

    /// Writes a part of a list.
    pub(crate) fn linked<T: Serialize>(value: &T, link: Option<String>) -> Result<Self, Problem> {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut body, value).map_err(Problem::internal)?;
        if body.capacity() > 2 * USUAL_BYTES {
            // It may be kept for a while, and a buffer that grew can be half empty.
            body.shrink_to_fit();
        }
        let link = link.map(HeaderValue::try_from).transpose().map_err(Problem::internal)?;
        Ok(Self { body: body.into(), media_type: "application/json", link, tag: Arc::default() })
    }

    /// Returns text of another media type.
    pub(crate) fn text(body: String, media_type: &'static str) -> Self {
        Self { body: body.into(), media_type, link: None, tag: Arc::default() }
    }

    /// Returns the same answer with the tag of a part of it: the rest may differ without a change.
    pub(crate) fn known_by<T: Serialize>(self, part: &T) -> Result<Self, Problem> {
        let part = serde_json::to_vec(part).map_err(Problem::internal)?;
        Ok(Self { tag: Arc::new(tag_of(&part).into()), ..self })
    }

    /// Answers with a tag of these bytes, or 304 to a client that has them. Keys see different rows, so
    /// shared caches must not store the answer. The tag is weak, because compression does not change
    /// it.
    pub(crate) fn tagged(self, req: &HttpRequest) -> HttpResponse {
        let tag = self.tag.get_or_init(|| tag_of(&self.body)).clone();
        let known = match IfNoneMatch::parse(req) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
            // A malformed header is ignored.
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

/// Reads in progress, shared by equal requests at the same time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SharedReads(GroupReads<Request, Result<Answer, Problem>>);

/// Everything that a shared answer depends on, beside the time of its read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    /// Path and query as they were sent: another spelling is another request.
    target: Option<PathAndQuery>,
    /// The agents that the caller may see.
    visible: Option<Vec<String>>,
    /// Changes that it must contain.
    needs: Needs,
}

impl SharedReads {
    /// Returns the answer of a read that begins after this call. Callers with the same request and the
    /// same visible agents share it. The caller must have checked the scope.
    pub(crate) async fn answer<R>(
        &self,
        req: &HttpRequest,
        visible: Option<&[String]>,
        needs: Needs,
        reading: impl Fn() -> R + Send + 'static,
    ) -> Result<Answer, Problem>
    where
        R: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let request = Request {
            target: req.uri().path_and_query().cloned(),
            visible: visible.map(<[_]>::to_vec),
            needs,
        };
        self.0.read(request, reading).await?
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
