//! Stub.

use std::process::ExitCode;

use crate::config::ServeArgs;

pub(super) async fn run(_args: ServeArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
