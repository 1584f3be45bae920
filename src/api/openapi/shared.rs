//! What several routes can be asked, and what their parameters are made of. All of it stands in
//! the document alone: `params` reads what callers send.

#![expect(dead_code, reason = "it stands in the document alone")]

use serde_json::json;
use utoipa::openapi::schema::{AnyOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::domain::session::Status;
use crate::store::keys::Scope;

/// Every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Paging {
    /// Rows on a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Where the page begins: the `next_cursor` of the one before, whose filters have to stay.
    cursor: Option<String>,
    /// Which way the list runs.
    order: Option<String>,
}

/// Which session is meant, where several share the sender's id.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Selectors {
    /// The agent, where several share the session's id.
    #[param(rename = "agent_id")]
    agent: Option<String>,
    /// The source, where several delivered a session of this id.
    source: Option<String>,
}

/// What lists of sessions can be asked.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct SessionFilters {
    /// Delivered by this source.
    source: Option<String>,
    /// In this room.
    room_name: Option<String>,
    /// Where they stand now.
    status: Option<Status>,
    /// What they were first known by.
    opened_by: Option<String>,
    /// Started later than this.
    started_after: Option<Time>,
    /// Started earlier than this.
    started_before: Option<Time>,
    /// Last active later than this.
    active_after: Option<Time>,
    /// Last active earlier than this.
    active_before: Option<Time>,
    /// The zone of dates, and of times without an offset; UTC by default.
    tz: Option<String>,
    /// What orders the list. By `started`, `duration` or `messages` all sessions are looked through
    /// that the other filters let through.
    sort: Option<String>,
    /// With so many messages or more.
    #[param(minimum = 0)]
    min_messages: Option<i64>,
    /// With so many messages or fewer.
    #[param(minimum = 0)]
    max_messages: Option<i64>,
    /// So many seconds long or longer, as `duration_seconds` has it.
    #[param(minimum = 0, maximum = 3_153_600_000_i64)]
    min_duration: Option<i64>,
    /// So many seconds long or shorter.
    #[param(minimum = 0, maximum = 3_153_600_000_i64)]
    max_duration: Option<i64>,
    /// With a join or an assistant message, and without a user message, as `silent_sessions` counts
    /// them; `false` is all others.
    silent: Option<bool>,
    /// With a user message, as `engaged_sessions` counts them; `false` is all others.
    engaged: Option<bool>,
    /// With exactly one user turn, as `single_turn_sessions` counts them; `false` is all others.
    single_turn: Option<bool>,
    /// With one of these completeness flags; may repeat, or have commas between.
    flag: Vec<String>,
    /// What each session is shown with, separated by commas: `messages` are its first 200,
    /// `first_user_message` is the beginning of what its user said first, and `flags` names what
    /// speaks against its being complete.
    #[param(
        pattern = "^(messages|first_user_message|flags)(,(messages|first_user_message|flags)){0,2}$",
        example = "first_user_message,flags"
    )]
    include: Option<String>,
}

/// Whatever takes times.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct InZone {
    /// The zone of dates, and of times without an offset, by the IANA's name in any case; UTC by
    /// default.
    tz: Option<String>,
}

/// Whatever can be CSV.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ForSheets {
    /// For csv: begin with U+FEFF, by which Excel knows UTF-8.
    #[param(default = false)]
    bom: Option<bool>,
    /// For csv: put an apostrophe before each `=`, `+`, `-` and `@` with which a formula could begin,
    /// at the start of a cell and after a `;`, a tab or a line break in it. It cannot be undone: with
    /// `false` the text is as it was said.
    #[param(default = true)]
    formula_guard: Option<bool>,
    /// For csv: cut longer cells, at whose end it is said. 32767 is what Excel takes; emoji count as
    /// two. All of the text without it.
    #[param(minimum = 100, maximum = 67_108_864)]
    max_cell_chars: Option<u32>,
}

/// A time as callers send it.
pub(in crate::api) struct Time;
/// A key's lifetime as callers send it.
pub(in crate::api) struct Expiry;
/// An agent's id as callers send it.
pub(in crate::api) struct AgentId;
/// A scope as callers send it.
pub(in crate::api) struct ScopeName;
/// The filters of a saved view.
pub(in crate::api) struct ViewQuery;

/// The month and the day.
const MONTH_AND_DAY: &str = "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|\
    (0[13578]|1[02])-31)";
/// What follows the date.
const REST_OF_TIME: &str = "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?\
    (Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])";

impl ToSchema for Time {}
impl ToSchema for Expiry {}
impl ToSchema for AgentId {}
impl ToSchema for ScopeName {}
impl ToSchema for ViewQuery {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .pattern(Some(format!("^20[1-9][0-9]-{MONTH_AND_DAY}({REST_OF_TIME})?$")))
            .build();
        let seconds = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Number))
            .minimum(Some(1_262_304_000))
            .maximum(Some(4_102_444_799_u32))
            .build();
        AnyOfBuilder::new()
            .item(text)
            .item(seconds)
            .description(Some(
                "A date, RFC 3339, or Unix seconds; between 2010 and 2100. A date is the first \
                 instant of that day in `tz`, which `after` and `…_after` then include: from one \
                 date to the next is a day.",
            ))
            .examples([json!("2026-09-28T14:54:13Z"), json!("2026-09-28"), json!(1_790_607_253.5)])
            .into()
    }
}

impl PartialSchema for Expiry {
    fn schema() -> RefOr<Schema> {
        let time = format!("20(2[7-9]|[3-9][0-9])-{MONTH_AND_DAY}({REST_OF_TIME})?");
        text("A duration from now such as `90d`, or a date or time to come such as `2027-01-31`, which is \
          its beginning in UTC, or `2027-01-31T08:00:00Z`.")
            .pattern(Some(format!("^([1-9][0-9]{{0,3}}(s|m|h|d)|{time})$")))
            .examples([json!("90d"), json!("2030-01-31T00:00:00Z")])
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

impl PartialSchema for ScopeName {
    fn schema() -> RefOr<Schema> {
        text("What a key allows; `admin` is all of it.")
            .enum_values(Some(Scope::ALL.map(Scope::as_str)))
            .into()
    }
}

impl PartialSchema for ViewQuery {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build();
        let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object)).build();
        AnyOfBuilder::new()
            .item(text)
            .item(object)
            .description(Some(
                "Filters as whoever saves them writes them: a string, such as a URL's query, or an \
                 object; 4,096 bytes as JSON at the most.",
            ))
            .examples([json!("room_name=hall&silent=true"), json!({"room_name": "hall"})])
            .into()
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).description(Some(description))
}
