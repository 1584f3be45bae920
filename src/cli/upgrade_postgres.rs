//! `verbatim upgrade-postgres`: moves the private database to another major version of `PostgreSQL`.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseArgs, DatabaseSettings};
use crate::postgres::{remove_old_clusters, upgrade_cluster};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Major version to move to [default: the newest installed]
    #[arg(long, value_name = "MAJOR")]
    to: Option<u32>,
    /// Only remove old clusters that earlier upgrades kept
    #[arg(long, conflicts_with = "to")]
    remove_old: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = DatabaseSettings::resolve(&args.database)?;
    if args.remove_old {
        let removed = remove_old_clusters(&settings)?;
        if removed.is_empty() {
            print("There is no old cluster.");
        }
        for folder in removed {
            print(&format!("Removed {folder}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    });
    upgrade_cluster(&settings, args.to, stop, print).await?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    println!("{text}");
}
