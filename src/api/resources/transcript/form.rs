//! Form of a transcript: its query, read and checked.

use super::play::Names;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::query::invalid::invalid;
use crate::api::query::number::Whole;
use crate::api::query::words::{OneOf, Word};
use crate::api::query::zone::Zone;
use crate::api::resources::export::encode;
use crate::api::resources::export::sheet::{Sheet, SheetQuery};
use crate::api::resources::transcript::play::SpeakerName;
use crate::api::resources::visits::VisitNumber;
use crate::problem::Problem;

/// Longest name of a file, without its extension.
const MAX_NAME: usize = 80;

/// Format of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = TranscriptFormat, rename_all = "lowercase")]
pub(super) enum Format {
    /// For a person.
    Txt,
    /// For a person, as Markdown.
    Md,
    /// `{"session": …, "messages": […]}`.
    Json,
    /// A message a line.
    Jsonl,
    /// A message a row, below a header.
    Csv,
}

/// Name of a format.
type FormatWord = OneOf<Format>;

impl Word for Format {
    fn all() -> Vec<Self> {
        vec![Self::Txt, Self::Md, Self::Json, Self::Jsonl, Self::Csv]
    }

    fn word(self) -> &'static str {
        self.extension()
    }
}

/// Form of a transcript.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TranscriptQuery {
    /// Format of the file; `txt` by default.
    #[param(inline, example = "txt")]
    format: Option<FormatWord>,
    /// The IANA's name of a time zone for `txt`, `md` and `csv`, in any case; UTC by default. `csv`
    /// keeps its times in UTC and has a further column `local_time`. Rejected with `json` and `jsonl`,
    /// whose times are UTC.
    #[param(value_type = Option<String>, example = "Europe/Berlin")]
    tz: Option<Zone>,
    /// Only this visit.
    #[param(inline, example = 1)]
    visit: Option<VisitNumber>,
    /// Name of the user in `txt` and `md`; `User` by default.
    #[param(value_type = Option<String>, max_length = 100, example = "Visitor")]
    user_name: Option<SpeakerName>,
    /// Name of the assistant in `txt` and `md`; `Assistant` by default.
    #[param(value_type = Option<String>, max_length = 100, example = "Ada")]
    assistant_name: Option<SpeakerName>,
}

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Txt => "text/plain; charset=utf-8",
            Self::Md => "text/markdown; charset=utf-8",
            Self::Json => "application/json",
            Self::Jsonl => encode::Format::Jsonl.content_type(),
            Self::Csv => encode::Format::Csv.content_type(),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Requested file.
pub(super) struct Wanted {
    pub(super) format: Format,
    pub(super) zone: Option<Zone>,
    pub(super) names: Names,
    pub(super) visit: Option<i64>,
    pub(super) sheet: Sheet,
}

impl Wanted {
    /// Reads a query, and rejects parameters that do not apply to the format: a file whose times are not
    /// in the requested zone would be read wrongly.
    pub(super) fn of_query(query: TranscriptQuery, sheet: &SheetQuery) -> Result<Self, Problem> {
        let format = query.format.map_or(Format::Txt, |OneOf(format)| format);
        let zone = query.tz;
        if zone.is_some() && matches!(format, Format::Json | Format::Jsonl) {
            let what =
                "is for txt, md and csv; the times of json and jsonl are UTC, so leave it out";
            return Err(invalid("tz", what));
        }
        let names = Names::of_query(query.user_name, query.assistant_name);
        if let Some(name) = names.given().filter(|_| !matches!(format, Format::Txt | Format::Md)) {
            return Err(invalid(name, "is for txt and md; the other formats tell the role"));
        }
        let sheet = Sheet::of_query(sheet, format == Format::Csv)?;
        Ok(Self { format, zone, names, visit: query.visit.map(Whole::get), sheet })
    }

    /// Returns a file name that is valid on every system, with any ID of the sender.
    pub(super) fn file_name(&self, session_id: &str) -> String {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }
        };
        let name: String = session_id.chars().take(MAX_NAME).map(safe).collect();
        let visit = self.visit.map(|number| format!("-visit-{number}")).unwrap_or_default();
        let extension = self.format.extension();
        format!("attachment; filename=\"transcript-{name}{visit}.{extension}\"")
    }
}
