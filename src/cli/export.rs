//! `verbatim export`: writes all messages or sessions that match filters to a file.
//!
//! Rows arrive as JSON lines, each with the cursor of the next, and are stored beside the output
//! until all are there. So an interrupted export can be resumed, and the output is complete or
//! missing. CSV and Parquet are written at the end, since nothing can be appended to Parquet.

mod convert;
mod download;
mod spool;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use reqwest::Url;

use super::api_key::ApiKey;
use super::http;
use crate::api::resources::export::sheet::{MAX_CELL, SHORTEST_CELL, Sheet};
use convert::FileFormat;
use download::{Download, Query};
use spool::Spool;

/// Interval at which the progress bar is drawn.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    resource: Resource,
}

#[derive(Debug, clap::Subcommand)]
enum Resource {
    /// Export messages
    Messages {
        #[command(flatten)]
        filters: MessageFilters,
        #[command(flatten)]
        common: Common,
    },
    /// Export sessions, without their messages
    Sessions {
        #[command(flatten)]
        filters: SessionFilters,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// URL of the service, such as `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL", value_parser = http::parse_url)]
    url: Url,
    #[command(flatten)]
    key: ApiKey,
    /// PEM file with certificates to trust instead of the system's, for a service with a
    /// self-signed certificate
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Format of the file
    #[arg(long, value_enum, default_value_t)]
    format: FileFormat,
    /// File to write. An existing file is replaced when the export is complete; until then the rows
    /// are in FILE.part
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    sheet: SheetArgs,
    /// Time zone of dates, and of times without an offset, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Continue the interrupted export in FILE.part
    #[arg(long)]
    resume: bool,
}

/// Options of CSV for spreadsheets.
#[derive(Clone, Debug, clap::Args)]
struct SheetArgs {
    /// For csv: begin with a byte order mark, so that Excel detects UTF-8
    #[arg(long)]
    bom: bool,
    /// For csv: do not put an apostrophe before texts that a spreadsheet reads as formulas
    #[arg(long)]
    no_formula_guard: bool,
    /// For csv: cut longer cells, and mark the cut. Excel's limit is 32767
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(i64::from(SHORTEST_CELL)..=i64::from(MAX_CELL)))]
    max_cell_chars: Option<u32>,
}

impl SheetArgs {
    /// Returns the options. Rejects them for a format other than CSV.
    fn sheet(&self, format: FileFormat) -> anyhow::Result<Sheet> {
        let sheet = Sheet {
            bom: self.bom,
            formula_guard: !self.no_formula_guard,
            max_cell_chars: self.max_cell_chars,
        };
        anyhow::ensure!(
            matches!(format, FileFormat::Csv) || sheet == Sheet::default(),
            "--bom, --no-formula-guard and --max-cell-chars need --format csv"
        );
        Ok(sheet)
    }
}

#[derive(Debug, clap::Args)]
struct MessageFilters {
    /// Only messages of this agent; repeatable
    #[arg(long = "agent-id", value_name = "ID")]
    agent_ids: Vec<String>,
    /// Only messages from this source
    #[arg(long)]
    source: Option<String>,
    /// Only messages with this role, such as `user`
    #[arg(long)]
    role: Option<String>,
    /// Only messages after this: RFC 3339, Unix seconds, or a date, whose day is included
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Only messages before this
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Only messages of this session
    #[arg(long, value_name = "ID")]
    session_id: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SessionFilters {
    /// Only sessions of this agent; repeatable
    #[arg(long = "agent-id", value_name = "ID")]
    agent_ids: Vec<String>,
    /// Only sessions from this source
    #[arg(long)]
    source: Option<String>,
    /// Only sessions in this room
    #[arg(long)]
    room_name: Option<String>,
    /// Only sessions with this status: `live`, `idle` or `ended`
    #[arg(long)]
    status: Option<String>,
    /// Only sessions whose first event is `room.join` or `chat.push`
    #[arg(long, value_name = "EVENT")]
    opened_by: Option<String>,
    /// Only sessions that started after this: RFC 3339, Unix seconds, or a date, whose day is
    /// included
    #[arg(long, value_name = "TIME")]
    started_after: Option<String>,
    /// Only sessions that started before this
    #[arg(long, value_name = "TIME")]
    started_before: Option<String>,
    /// Only sessions that were last active after this
    #[arg(long, value_name = "TIME")]
    active_after: Option<String>,
    /// Only sessions that were last active before this
    #[arg(long, value_name = "TIME")]
    active_before: Option<String>,
    /// Only sessions with at least this number of messages
    #[arg(long, value_name = "N")]
    min_messages: Option<u64>,
}

fn query(
    agents: Vec<String>,
    others: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Query {
    let agents = agents.into_iter().map(|agent| ("agent_id", agent));
    let others = others.into_iter().filter_map(|(name, value)| Some((name, value?)));
    agents.chain(others).collect()
}

impl MessageFilters {
    fn query(self) -> Query {
        query(
            self.agent_ids,
            [
                ("source", self.source),
                ("role", self.role),
                ("after", self.after),
                ("before", self.before),
                ("session_id", self.session_id),
            ],
        )
    }
}

impl SessionFilters {
    fn query(self) -> Query {
        query(
            self.agent_ids,
            [
                ("source", self.source),
                ("room_name", self.room_name),
                ("status", self.status),
                ("opened_by", self.opened_by),
                ("started_after", self.started_after),
                ("started_before", self.started_before),
                ("active_after", self.active_after),
                ("active_before", self.active_before),
                ("min_messages", self.min_messages.map(|number| number.to_string())),
            ],
        )
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (name, mut query, common) = match args.resource {
        Resource::Messages { filters, common } => ("messages", filters.query(), common),
        Resource::Sessions { filters, common } => ("sessions", filters.query(), common),
    };
    let Common { url, key, ca_file, format, output, sheet, tz, resume } = common;
    let sheet = sheet.sheet(format)?;
    query.extend(tz.map(|zone| ("tz", zone)));
    let client = http::client(&url, ca_file.as_deref())?;
    let download = Download::new(client, &url, name, &query, key.read()?)?;
    let mut spool = Spool::open(&output, download.request(), resume)?;
    let progress = progress_bar()?;
    let fetched = download.run(&mut spool, &progress).await;
    // Received rows are kept, even if the rest failed.
    spool.save()?;
    fetched.with_context(|| {
        let (rows, part) = (HumanCount(spool.rows()), spool.path().display());
        format!("{rows} rows are in {part}: to continue, run the same command with --resume")
    })?;
    progress.set_message("writing the file");
    let rows = spool.rows();
    tokio::task::spawn_blocking(move || convert::finish(spool, format, sheet, name, &output))
        .await??;
    progress.finish_and_clear();
    let mut out = String::new();
    writeln!(out, "{name:<24}{:>12}", HumanCount(rows).to_string())?;
    std::io::stdout().write_all(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "{elapsed_precise} {spinner} {human_pos} rows, {per_sec}, {msg}";
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template(style)?);
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    Ok(bar)
}
