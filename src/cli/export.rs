//! `verbatim export`: everything that some filters let through, as a file.
//!
//! Rows come as JSON lines, each with the cursor of what follows it, and are kept beside the output
//! until all of them are there. So a connection that is cut, or a run that is ended, costs nothing
//! that has come; and the output is whole or not there. CSV and Parquet are made of them at the end,
//! since half a Parquet file cannot be gone on with.

mod convert;
mod download;
mod spool;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use reqwest::Url;

use super::api_key::ApiKey;
use super::http;
use crate::api::export::sheet::{LONGEST_CELL, SHORTEST_CELL, Sheet};
use download::Download;
use spool::Spool;

/// How often the progress bar shows that time passes.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Everything that was said
    Messages {
        #[command(flatten)]
        filters: MessageFilters,
        #[command(flatten)]
        common: Common,
    },
    /// Every conversation, without what was said
    Sessions {
        #[command(flatten)]
        filters: SessionFilters,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Where the API is, such as `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL", value_parser = http::parse_url)]
    url: Url,
    #[command(flatten)]
    key: ApiKey,
    /// PEM file with the certificates to trust, instead of the system's: for a service whose
    /// certificate is self-signed
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// What the file is to be
    #[arg(long, value_enum, default_value_t)]
    format: FileFormat,
    /// File to write; one that exists is replaced once everything is there. Until then the rows are
    /// in FILE.part
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    sheet: SheetArgs,
    /// The time zone of dates, and of times without an offset, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Go on with what an earlier run left in FILE.part
    #[arg(long)]
    resume: bool,
}

/// How CSV is written for those who open it in a spreadsheet.
#[derive(Clone, Debug, clap::Args)]
struct SheetArgs {
    /// For csv: begin with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    bom: bool,
    /// For csv: leave the text as it was said, also where a spreadsheet would take it for a formula
    #[arg(long)]
    no_formula_guard: bool,
    /// For csv: cut longer cells, and say so at their end. 32767 is what Excel takes
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(i64::from(SHORTEST_CELL)..=i64::from(LONGEST_CELL)))]
    max_cell_chars: Option<u32>,
}

impl SheetArgs {
    /// What they ask for, which is refused where the file is not CSV.
    fn wanted(&self, format: FileFormat) -> anyhow::Result<Sheet> {
        let sheet = Sheet {
            bom: self.bom,
            formula_guard: !self.no_formula_guard,
            max_cell_chars: self.max_cell_chars,
        };
        anyhow::ensure!(
            matches!(format, FileFormat::Csv) || sheet == Sheet::default(),
            "--bom, --no-formula-guard and --max-cell-chars are for --format csv"
        );
        Ok(sheet)
    }
}

/// The file's format.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum FileFormat {
    /// A JSON object a line
    #[default]
    Jsonl,
    /// With a header, RFC 4180; an apostrophe stands before what a spreadsheet would take for a
    /// formula, unless --no-formula-guard leaves it out
    Csv,
    /// Apache Parquet, compressed with zstd
    Parquet,
}

#[derive(Debug, clap::Args)]
struct MessageFilters {
    /// Only this agent's; repeatable
    #[arg(long = "agent-id", value_name = "ID")]
    agent_ids: Vec<String>,
    /// Only what this source delivered
    #[arg(long)]
    source: Option<String>,
    /// Only by this role, such as `user`
    #[arg(long)]
    role: Option<String>,
    /// Only later than this: a date, whose day is included, RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Only earlier than this
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Only of this session
    #[arg(long, value_name = "ID")]
    session_id: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SessionFilters {
    /// Only this agent's; repeatable
    #[arg(long = "agent-id", value_name = "ID")]
    agent_ids: Vec<String>,
    /// Only what this source delivered
    #[arg(long)]
    source: Option<String>,
    /// Only of this room
    #[arg(long)]
    room_name: Option<String>,
    /// Only those that are `live`, `idle` or `ended`
    #[arg(long)]
    status: Option<String>,
    /// Only those that were opened by `room.join` or `chat.push`
    #[arg(long, value_name = "EVENT")]
    opened_by: Option<String>,
    /// Only those that started later than this: a date, whose day is included, RFC 3339 or Unix
    /// seconds
    #[arg(long, value_name = "TIME")]
    started_after: Option<String>,
    /// Only those that started earlier than this
    #[arg(long, value_name = "TIME")]
    started_before: Option<String>,
    /// Only those that were last active later than this
    #[arg(long, value_name = "TIME")]
    active_after: Option<String>,
    /// Only those that were last active earlier than this
    #[arg(long, value_name = "TIME")]
    active_before: Option<String>,
    /// Only those with at least so many messages
    #[arg(long, value_name = "N")]
    min_messages: Option<u64>,
}

/// Names and values for a query.
type Query = Vec<(&'static str, String)>;

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
    let (name, mut query, common) = match args.what {
        What::Messages { filters, common } => ("messages", filters.query(), common),
        What::Sessions { filters, common } => ("sessions", filters.query(), common),
    };
    let Common { url, key, ca_file, format, output, sheet, tz, resume } = common;
    let sheet = sheet.wanted(format)?;
    query.extend(tz.map(|zone| ("tz", zone)));
    let client = http::client(&url, ca_file.as_deref())?;
    let download = Download::new(client, &url, name, &query, key.read()?)?;
    let mut spool = Spool::open(&output, download.question(), resume)?;
    let progress = progress_bar()?;
    let fetched = download.run(&mut spool, &progress).await;
    // Whatever came is kept, also when the rest does not.
    spool.save()?;
    fetched.with_context(|| {
        let (rows, part) = (HumanCount(spool.rows()), spool.path().display());
        format!("{rows} rows are in {part}; the same command with --resume goes on from there")
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

/// On standard error; indicatif hides it where that is no terminal.
fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "{elapsed_precise} {spinner} {human_pos} rows, {per_sec}, {msg}";
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template(style)?);
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    Ok(bar)
}

/// Shows what has come.
fn show(progress: &ProgressBar, spool: &Spool) {
    progress.set_position(spool.rows());
    progress.set_message(HumanBytes(spool.bytes()).to_string());
}
