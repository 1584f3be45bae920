//! JSON shape of a transcript.

use crate::api::views::message::Message;
use crate::api::views::session::Session;

/// A file of JSON, which is written a part at a time.
#[expect(dead_code, reason = "it stands in the document alone")]
#[derive(utoipa::ToSchema)]
pub(crate) struct Transcript<'a> {
    session: Session<'a>,
    /// The visit, where one was asked for; the figures of `session` are of all of it.
    #[schema(example = 1)]
    visit: Option<i64>,
    messages: Vec<Message<'a>>,
}
