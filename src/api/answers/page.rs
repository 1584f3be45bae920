//! Answers with a part of a list, and a link to the next.

use crate::api::views::page::Page;
use actix_web::http::Uri;
use serde::Serialize;

use crate::api::answers::answer::Answer;
use crate::problem::Problem;

/// Answers a body that is a part of a list, with a link to the next.
pub(crate) fn linked_answer<T: Serialize>(
    uri: &Uri,
    body: &T,
    next_cursor: Option<&str>,
) -> Result<Answer, Problem> {
    Answer::linked(body, next_cursor.map(|cursor| next_link(uri, "cursor", cursor)))
}

/// Answers a part of a list, with a link to the next.
pub(crate) fn answer<T: Serialize>(
    uri: &Uri,
    data: Vec<T>,
    next_cursor: Option<String>,
) -> Result<Answer, Problem> {
    let link = next_cursor.as_deref().map(|cursor| next_link(uri, "cursor", cursor));
    let has_more = next_cursor.is_some();
    Answer::linked(&Page { data, next_cursor, has_more }, link)
}

/// Answers a part of a list without an end: it always has a cursor, and a link only if there is more.
pub(crate) fn endless_answer<T: Serialize>(
    uri: &Uri,
    data: Vec<T>,
    after: String,
    has_more: bool,
) -> Result<Answer, Problem> {
    let link = has_more.then(|| next_link(uri, "after", &after));
    Answer::linked(&Page { data, next_cursor: Some(after), has_more }, link)
}

/// Returns a link with a query only. It is relative to the client's request, so it is valid behind a
/// proxy that adds a path.
pub(crate) fn next_link(uri: &Uri, name: &str, cursor: &str) -> String {
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty() && part.split('=').next() != Some(name));
    let mut link = "<?".to_owned();
    for part in kept {
        link.push_str(part);
        link.push('&');
    }
    link.push_str(name);
    link.push('=');
    link.push_str(cursor);
    link.push_str(">; rel=\"next\"");
    link
}
