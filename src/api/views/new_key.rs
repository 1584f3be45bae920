//! JSON shape of the request for a key.

use crate::api::query::time::{MONTH_AND_DAY, TIME_OF_DAY};
use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::store::keys::Scope;

/// The request's body. An unknown member is rejected: a misspelt limit would make a key without it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub(crate) struct NewKeyBody {
    /// Name.
    #[schema(min_length = 1, max_length = 200, pattern = "^[^\\u0000]*$", example = "dashboard")]
    pub(crate) name: String,
    /// Scopes.
    #[schema(min_items = 1, example = json!(["read"]))]
    pub(crate) scopes: Vec<ScopeName>,
    /// Agents that it is bound to; without it, every agent.
    #[schema(min_items = 1, max_items = 1000, example = json!(["A80HVD8577"]))]
    pub(crate) agents: Option<Vec<AgentId>>,
    /// End of its validity: a duration from now, or a future time; without it, never.
    pub(crate) expires: Option<Expiry>,
}

/// Name of a scope, before it is checked.
#[derive(Deserialize)]
pub(crate) struct ScopeName(pub(crate) String);

/// ID of an agent, before it is checked.
#[derive(Deserialize)]
pub(crate) struct AgentId(pub(crate) String);

/// Lifetime of a key, before it is checked.
#[derive(Deserialize)]
pub(crate) struct Expiry(pub(crate) String);

impl ToSchema for ScopeName {}
impl ToSchema for AgentId {}
impl ToSchema for Expiry {}

impl PartialSchema for ScopeName {
    fn schema() -> RefOr<Schema> {
        text("Right of a key; `admin` includes all others.")
            .enum_values(Some(Scope::ALL.map(Scope::as_str)))
            .into()
    }
}

impl PartialSchema for AgentId {
    fn schema() -> RefOr<Schema> {
        text("An agent's id, of 512 bytes at the most.")
            .min_length(Some(1))
            .max_length(Some(512))
            .pattern(Some(r"^[^\u0000]*$"))
            .examples([json!("A80HVD8577")])
            .into()
    }
}

impl PartialSchema for Expiry {
    fn schema() -> RefOr<Schema> {
        let time = format!("20(2[7-9]|[3-9][0-9])-{MONTH_AND_DAY}({TIME_OF_DAY})?");
        text(
            "A duration from now such as `90d`, or a future date or time such as `2027-01-31`, which is \
             its beginning in UTC, or `2027-01-31T08:00:00Z`.",
        )
        .pattern(Some(format!("^([1-9][0-9]{{0,3}}(s|m|h|d)|{time})$")))
        .examples([json!("90d"), json!("2030-01-31T00:00:00Z")])
        .into()
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).description(Some(description))
}
