//! Stub.

use std::process::ExitCode;

use crate::config::DatabaseArgs;

pub(super) async fn run(_args: DatabaseArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
