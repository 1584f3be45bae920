//! JSON shapes of `/v1/views`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::openapi::ViewQuery;
use crate::api::params::invalid;
use crate::api::timestamp::Timestamp;
use crate::problem::{Code, Problem};
use crate::store::saved_views::ViewRow;

/// Longest name of a view, in characters.
const LONGEST_NAME: usize = 100;
/// Longest name of a place, in characters.
const LONGEST_PLACE: usize = 50;
/// Longest query as JSON, in bytes.
const LONGEST_QUERY: usize = 4 << 10;

/// Filters that were saved under a name.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct View {
    /// Its name.
    #[schema(example = "kiosk, last week")]
    name: String,
    /// The place that it is for, as it was saved.
    #[schema(example = "conversations")]
    place: Option<String>,
    /// The filters, as they were saved.
    #[schema(value_type = ViewQuery)]
    query: Value,
    /// When it was saved last.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    updated_at: Timestamp,
}

impl TryFrom<ViewRow> for View {
    type Error = Problem;

    fn try_from(row: ViewRow) -> Result<Self, Problem> {
        let query = serde_json::from_str(&row.query).map_err(Problem::internal)?;
        Ok(Self { name: row.name, place: row.place, query, updated_at: Timestamp(row.updated_at) })
    }
}

/// The request's body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewView)]
pub(in crate::api) struct NewView {
    /// The place that the view is for, such as one of the page.
    #[schema(
        min_length = 1,
        max_length = 50,
        pattern = "^[^\\u0000]*$",
        example = "conversations"
    )]
    place: Option<String>,
    /// The filters. They are not checked.
    #[schema(value_type = ViewQuery)]
    query: Value,
}

impl NewView {
    /// Reads a request's body.
    pub(in crate::api) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let view: Self = serde_json::from_slice(body).map_err(|error| {
            let detail = format!(
                "The body is JSON such as {{\"place\":\"conversations\",\"query\":\
                 {{\"room_name\":\"hall\"}}}}, and this is not: {error}."
            );
            Problem::new(Code::InvalidParameter, detail)
        })?;
        if view.place.as_ref().is_some_and(|place| !fits(place, LONGEST_PLACE)) {
            return Err(invalid("place", "has 1 to 50 characters, none of them U+0000"));
        }
        if !matches!(view.query, Value::String(_) | Value::Object(_)) {
            return Err(invalid("query", "is a string or an object"));
        }
        Ok(view)
    }

    /// Returns it as it is stored under a name.
    pub(in crate::api) fn named(self, name: String, now: Timestamp) -> Result<ViewRow, Problem> {
        if !fits(&name, LONGEST_NAME) {
            return Err(invalid("name", "has 1 to 100 characters, none of them U+0000"));
        }
        let query = self.query.to_string();
        if query.len() > LONGEST_QUERY {
            return Err(invalid("query", "has 4096 bytes at the most, as JSON"));
        }
        Ok(ViewRow { name, place: self.place, query, updated_at: now.0 })
    }
}

fn fits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.contains('\0')
}
