//! `verbatim manual`: writes a manual page for each command, for packages.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder to write to; created if it does not exist
    folder: PathBuf,
}

pub(super) fn run(args: &Args, command: clap::Command) -> anyhow::Result<ExitCode> {
    let folder = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("cannot create {folder}"))?;
    clap_mangen::generate_to(command, &args.folder)
        .with_context(|| format!("cannot write to {folder}"))?;
    Ok(ExitCode::SUCCESS)
}
