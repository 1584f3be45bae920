//! IDs in the paths of requests.

use std::borrow::Cow;

use actix_web::HttpRequest;

use super::pairs::decode;
use crate::problem::{Code, Problem};

/// Returns the ID in a path's third segment, as in `/v1/sessions/{session_id}/messages`.
///
/// Reads the path as it was sent, because the framework's decoding replaces bytes that are not UTF-8.
/// No stored ID has such bytes or U+0000.
pub(crate) fn path_id(req: &HttpRequest) -> Result<String, Problem> {
    const SEGMENT: usize = 3;
    let raw = req.uri().path().split('/').nth(SEGMENT).unwrap_or_default();
    decode(raw)
        .filter(|id| !id.contains('\0'))
        .map(Cow::into_owned)
        .ok_or_else(|| Problem::new(Code::NotFound, "No stored id holds such bytes."))
}
