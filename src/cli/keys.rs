//! `verbatim keys`: creates, lists and revokes API keys.

use std::fmt::Write as _;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{DatabaseArgs, DatabaseSettings};
use crate::domain::DeliveryId;
use crate::postgres::{Database, read_pool};
use crate::store::key_changes::{Revocation, Revoked};
use crate::store::keys::{KeyHash, KeyRow, MAX_LIFETIME, NewKey, Scope, generate_key};
use crate::store::{Store, StoreError};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key, and print it to standard output
    ///
    /// The key is printed only once: the database stores its hash.
    Create(CreateArgs),
    /// List all keys
    List(DatabaseArgs),
    /// Revoke a key, and the keys that were created with it
    Revoke {
        /// ID of the key, as `keys list` prints it
        id: Uuid,
        /// Do not revoke the keys that were created with it
        #[arg(long)]
        keep_made: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Name that lists show
    #[arg(long)]
    name: String,
    /// Scopes of the key, comma-separated or repeated
    #[arg(long = "scope", value_enum, value_name = "SCOPE", required = true, num_args = 1.., value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// Agents whose data the key may access; repeatable [default: all agents]
    #[arg(long = "agent", value_name = "AGENT", num_args = 1..)]
    agents: Vec<String>,
    /// Lifetime of the key, such as 90d [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<std::time::Duration>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    match args.command {
        Command::Create(args) => create(args, &clock).await,
        Command::List(database) => list(database, &clock).await,
        Command::Revoke { id, keep_made, database } => {
            revoke(id, keep_made, database, &clock).await
        }
    }
}

async fn create(args: CreateArgs, clock: &Clock) -> anyhow::Result<ExitCode> {
    let now = clock.now();
    let expires_at = args.expires.map(|lifetime| expiry(now, lifetime)).transpose()?;
    let key = generate_key();
    let id = DeliveryId::new(now).0;
    let new = NewKey {
        id,
        name: &args.name,
        hash: KeyHash::of(&key),
        scopes: &args.scopes,
        agent_ids: (!args.agents.is_empty()).then_some(&args.agents),
        created_at: now,
        expires_at,
        made_by: None,
    };
    with_store(&args.database, async |store| store.insert_key(&new).await).await?;
    print(&key);
    print_hint(&format!("Created key {id}. It is printed above, and only this once."));
    Ok(ExitCode::SUCCESS)
}

async fn list(database: DatabaseArgs, clock: &Clock) -> anyhow::Result<ExitCode> {
    let keys = with_store(&database, async |store| store.list_keys().await).await?;
    print(table(&keys, clock.now()).trim_end());
    Ok(ExitCode::SUCCESS)
}

async fn revoke(
    id: Uuid,
    keep_made: bool,
    database: DatabaseArgs,
    clock: &Clock,
) -> anyhow::Result<ExitCode> {
    let wanted = Revocation { id, visible: None, caller: None, keep_made, at: clock.now() };
    let revoked = with_store(&database, async |store| store.revoke_key(&wanted).await).await?;
    let Revoked::Yes(keys) = revoked else {
        anyhow::bail!("no key {id}: list all with `verbatim keys list`");
    };
    let others = match keys - 1 {
        0 => String::new(),
        others => format!(" and {others} created with it"),
    };
    print_hint(&format!("Revoked key {id}{others}. A running service rejects it within seconds."));
    Ok(ExitCode::SUCCESS)
}

fn expiry(now: DateTime<Utc>, lifetime: std::time::Duration) -> anyhow::Result<DateTime<Utc>> {
    anyhow::ensure!(lifetime <= MAX_LIFETIME, "expires must be at most a hundred years");
    Ok(now + lifetime)
}

/// Runs `work` on the database. Stops a private server afterwards if this started it.
async fn with_store<T>(
    args: &DatabaseArgs,
    work: impl AsyncFnOnce(Store) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    with_store_of(&DatabaseSettings::resolve(args)?, work).await
}

/// Runs `work` on the database of these settings. Stops a private server afterwards if this started
/// it.
pub(super) async fn with_store_of<T>(
    settings: &DatabaseSettings,
    work: impl AsyncFnOnce(Store) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    let database = Database::attach(settings).await?;
    let pool = read_pool(database.connector());
    let outcome = work(Store::new(pool.clone())).await;
    // A private server that was started for this stops only when its connections are closed.
    pool.close().await;
    let stopped = database.stop().await;
    let outcome = outcome.map_err(explain)?;
    stopped?;
    Ok(outcome)
}

fn explain(error: StoreError) -> anyhow::Error {
    let hint = error.hint();
    hint.into_iter().fold(anyhow::Error::new(error), anyhow::Error::context)
}

/// Formats the keys as a table, each column as wide as its widest cell.
fn table(keys: &[KeyRow], now: DateTime<Utc>) -> String {
    let header =
        ["ID", "NAME", "SCOPES", "AGENTS", "CREATED", "EXPIRES", "LAST USED", "REVOKED", "MADE BY"]
            .map(str::to_owned);
    let rows: Vec<_> =
        std::iter::once(header).chain(keys.iter().map(|key| cells(key, now))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..9).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn cells(key: &KeyRow, now: DateTime<Utc>) -> [String; 9] {
    let time = |at: Option<DateTime<Utc>>, none: &str| {
        at.map_or_else(|| none.to_owned(), |at| at.format("%Y-%m-%d %H:%M").to_string())
    };
    let expired = key.expires_at.is_some_and(|at| at <= now);
    [
        key.id.to_string(),
        // A name may contain escape sequences of terminals.
        key.name.replace(char::is_control, " "),
        key.scopes.join(","),
        key.agent_ids
            .as_ref()
            .map_or_else(|| "all".into(), |ids| ids.join(",").replace(char::is_control, " ")),
        time(Some(key.created_at), ""),
        time(key.expires_at, "never") + if expired { " (expired)" } else { "" },
        time(key.last_used_at, "never"),
        time(key.revoked_at, "-"),
        key.made_by.map_or_else(|| "-".to_owned(), |maker| maker.to_string()),
    ]
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "hints are for a person, not for a pipe")]
fn print_hint(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_aligned_and_marks_expired_keys() {
        let at = |seconds: i64| DateTime::from_timestamp(1_790_607_253 + seconds, 0).unwrap();
        let key = KeyRow {
            id: Uuid::from_u128(1),
            name: "grüße\u{1b}[2J".into(),
            scopes: vec!["read".into(), "export".into()],
            agent_ids: None,
            created_at: at(0),
            expires_at: Some(at(60)),
            revoked_at: None,
            last_used_at: None,
            made_by: None,
        };
        insta::assert_snapshot!(table(&[key], at(60)), @r"
        ID                                    NAME       SCOPES       AGENTS  CREATED           EXPIRES                     LAST USED  REVOKED  MADE BY
        00000000-0000-0000-0000-000000000001  grüße [2J  read,export  all     2026-09-28 14:54  2026-09-28 14:55 (expired)  never      -        -
        ");
    }
}
