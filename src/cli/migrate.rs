//! `verbatim migrate`: brings the database's schema up to date, and says what it did.

use std::process::ExitCode;

use crate::config::{DatabaseArgs, DatabaseSettings};
use crate::postgres::{Database, migrate};

pub(super) async fn run(args: DatabaseArgs) -> anyhow::Result<ExitCode> {
    let settings = DatabaseSettings::resolve(&args)?;
    let database = Database::attach(&settings).await?;
    let migrated = migrate(&database.connector()).await;
    // A server that was started for this is stopped whatever became of it.
    let stopped = database.stop().await;
    let migrated = migrated?;
    stopped?;
    #[expect(clippy::print_stdout, reason = "the answer to the person who asked")]
    if migrated.applied.is_empty() {
        println!("The schema is up to date (version {}).", migrated.version);
    } else {
        println!("The schema is now at version {}. Applied:", migrated.version);
        for what in &migrated.applied {
            println!("  {what}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
