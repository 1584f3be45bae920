//! `verbatim migrate`: migrates the database's schema, and prints the applied migrations.

use std::process::ExitCode;

use crate::config::{DatabaseArgs, DatabaseSettings};
use crate::postgres::{Database, migrate};

pub(super) async fn run(args: DatabaseArgs) -> anyhow::Result<ExitCode> {
    let settings = DatabaseSettings::resolve(&args)?;
    let database = Database::attach(&settings).await?;
    let migrated = migrate(&database.connector()).await;
    // Stops a server that was started for this, even after an error.
    let stopped = database.stop().await;
    let migrated = migrated?;
    stopped?;
    #[expect(clippy::print_stdout, reason = "the output of the command")]
    if migrated.applied.is_empty() {
        println!("The schema is up to date (version {}).", migrated.version);
    } else {
        println!("The schema is now at version {}. Applied:", migrated.version);
        for migration in &migrated.applied {
            println!("  {migration}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
