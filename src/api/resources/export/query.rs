//! Queries of exports: form of the file, and filters of its rows.

use serde::Deserialize;
use utoipa::IntoParams;

use super::encode::Format;
use crate::api::ApiState;
use crate::api::query::time::Time;
use crate::api::query::words::{OneOf, Word};
use crate::api::resources::session_words::{MessageCount, OpenedByWord, StatusWord};
use crate::store::export::ExportFilter;
use crate::store::messages::MessageFilter;
use crate::store::sessions::SessionFilter;

/// Name of a format.
type FormatWord = OneOf<Format>;
/// Name of a compression.
type PackingWord = OneOf<Packing>;

impl Word for Format {
    fn all() -> Vec<Self> {
        Self::ALL.map(|(_, format)| format).to_vec()
    }

    fn word(self) -> &'static str {
        self.extension()
    }
}

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = Packing, rename_all = "lowercase")]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Word for Packing {
    fn all() -> Vec<Self> {
        vec![Self::None, Self::Gzip, Self::Zstd]
    }

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Form of the file. It may change where an export is continued.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileQuery {
    /// Format of the file; `jsonl` by default.
    #[param(inline, example = "jsonl")]
    format: Option<FormatWord>,
    /// Compression of jsonl and csv. Parquet is compressed inside, and takes only `none`.
    #[param(inline, example = "none")]
    pub(super) compression: Option<PackingWord>,
    /// With a cursor in each row of jsonl and csv, to continue from. Parquet has none, and takes only
    /// `false`.
    #[param(example = false)]
    with_cursor: Option<bool>,
    /// Continue after the row with this cursor.
    #[param(example = "AZmaLD8LfVGcVTocjg8rZA")]
    pub(super) cursor: Option<String>,
}

impl FileQuery {
    /// Returns the format of the file.
    pub(super) fn format(&self) -> Format {
        self.format.map_or(Format::Jsonl, |OneOf(format)| format)
    }

    /// Returns true where each row has a cursor.
    pub(super) fn has_cursors(&self) -> bool {
        self.with_cursor.unwrap_or(false)
    }
}

/// Filters of exported messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageExportQuery {
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Delivered by this source.
    #[param(example = "default")]
    source: Option<String>,
    /// Only this role.
    #[param(example = "user")]
    role: Option<String>,
    /// Later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    after: Option<Time>,
    /// Earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    before: Option<Time>,
    /// Only this session.
    #[param(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
}

impl MessageExportQuery {
    /// Returns the filters that the query describes. `visible_of` narrows agents to those that the
    /// caller may see.
    pub(super) fn filters(
        self,
        visible_of: impl FnOnce(Vec<String>) -> Option<Vec<String>>,
    ) -> (ExportFilter, MessageFilter) {
        let sessions = SessionFilter {
            agents: visible_of(self.agent_id),
            source: self.source,
            ..SessionFilter::default()
        };
        let sessions = ExportFilter { sessions, session_id: self.session_id, spoken_after: None };
        let messages = MessageFilter {
            role: self.role,
            after: self.after.map(Time::utc),
            before: self.before.map(Time::utc),
            within: None,
        };
        (sessions, messages)
    }
}

/// Filters of exported sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionExportQuery {
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Delivered by this source.
    #[param(example = "default")]
    source: Option<String>,
    /// In this room.
    #[param(example = "room-5f3c1a")]
    room_name: Option<String>,
    /// Status at the start of the export.
    #[param(inline, example = "live")]
    status: Option<StatusWord>,
    /// First event.
    #[param(inline, example = "room.join")]
    opened_by: Option<OpenedByWord>,
    /// Started later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    started_after: Option<Time>,
    /// Started earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    started_before: Option<Time>,
    /// Last active later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    active_after: Option<Time>,
    /// Last active earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    active_before: Option<Time>,
    /// Least number of messages.
    #[param(inline, example = 2)]
    min_messages: Option<MessageCount>,
}

impl SessionExportQuery {
    /// Returns the filter that the query describes. `visible_of` narrows agents to those that the
    /// caller may see.
    pub(super) fn filter(
        self,
        state: &ApiState,
        visible_of: impl FnOnce(Vec<String>) -> Option<Vec<String>>,
    ) -> ExportFilter {
        let now = state.clock.now();
        let sessions = SessionFilter {
            agents: visible_of(self.agent_id),
            source: self.source,
            room_name: self.room_name,
            status: self.status.map(|OneOf(status)| status),
            live_since: state.silence.live_since(now),
            open_since: state.silence.open_since(now),
            opened_by: self.opened_by.map(|OneOf(event)| event.word()),
            started_after: self.started_after.map(Time::utc),
            started_before: self.started_before.map(Time::utc),
            active_after: self.active_after.map(Time::utc),
            active_before: self.active_before.map(Time::utc),
            min_messages: self.min_messages.map(MessageCount::get),
            ..SessionFilter::default()
        };
        ExportFilter { sessions, ..ExportFilter::default() }
    }
}
