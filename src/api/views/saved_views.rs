//! JSON shapes of `/v1/views`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::schema::{AnyOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::api::query::invalid::invalid;
use crate::api::query::json_body::read_object;
use crate::api::views::timestamp::Timestamp;
use crate::problem::{Code, Problem};
use crate::store::saved_views::ViewRow;

/// Longest name of a view, in characters.
const MAX_NAME: usize = 100;
/// Longest name of a place, in characters.
const MAX_PLACE: usize = 50;
/// Longest query as JSON, in bytes.
const MAX_QUERY: usize = 4 << 10;

/// Filters that were saved under a name.
#[derive(Serialize, ToSchema)]
pub(crate) struct View {
    /// Its name.
    #[schema(example = "kiosk, last week")]
    name: String,
    /// The place that it is for, as it was saved.
    #[schema(example = "conversations")]
    place: Option<String>,
    /// The filters, as they were saved.
    query: ViewQuery,
    /// When it was saved last.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    updated_at: Timestamp,
}

impl TryFrom<ViewRow> for View {
    type Error = Problem;

    fn try_from(row: ViewRow) -> Result<Self, Problem> {
        let query = serde_json::from_str(&row.query).map_err(Problem::internal)?;
        Ok(Self {
            name: row.name,
            place: row.place,
            query: ViewQuery(query),
            updated_at: Timestamp(row.updated_at),
        })
    }
}

/// Filters of a view, as a client writes them.
#[derive(Deserialize, Serialize)]
pub(crate) struct ViewQuery(Value);

impl ToSchema for ViewQuery {}

impl PartialSchema for ViewQuery {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build();
        let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object)).build();
        AnyOfBuilder::new()
            .item(text)
            .item(object)
            .description(Some(
                "Filters in the form of the client that saves them: a string, such as a URL's query, or \
                 an object; 4,096 bytes as JSON at the most.",
            ))
            .examples([json!("room_name=hall&silent=true"), json!({"room_name": "hall"})])
            .into()
    }
}

/// The request's body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewView)]
pub(crate) struct NewView {
    /// The place that the view is for, such as one of the page.
    #[schema(
        min_length = 1,
        max_length = 50,
        pattern = "^[^\\u0000]*$",
        example = "conversations"
    )]
    place: Option<String>,
    /// The filters. They are not checked.
    query: ViewQuery,
}

impl NewView {
    /// Reads a request's body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let view: Self = read_object(body).map_err(|error| {
            let detail = format!(
                "The body is JSON such as {{\"place\":\"conversations\",\"query\":\
                 {{\"room_name\":\"hall\"}}}}, and this is not: {error}."
            );
            Problem::new(Code::InvalidParameter, detail)
        })?;
        if view.place.as_ref().is_some_and(|place| !fits(place, MAX_PLACE)) {
            return Err(invalid("place", "has 1 to 50 characters, none of them U+0000"));
        }
        if !matches!(view.query.0, Value::String(_) | Value::Object(_)) {
            return Err(invalid("query", "is a string or an object"));
        }
        Ok(view)
    }

    /// Returns it as it is stored under a name.
    pub(crate) fn named(self, name: String, now: Timestamp) -> Result<ViewRow, Problem> {
        if !fits(&name, MAX_NAME) {
            return Err(invalid("name", "has 1 to 100 characters, none of them U+0000"));
        }
        let query = self.query.0.to_string();
        if query.len() > MAX_QUERY {
            return Err(invalid("query", "has 4096 bytes at the most, as JSON"));
        }
        Ok(ViewRow { name, place: self.place, query, updated_at: now.0 })
    }
}

fn fits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.contains('\0')
}
