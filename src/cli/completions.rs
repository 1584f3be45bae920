//! `verbatim completions`: prints completions for a shell.

use std::process::ExitCode;

use clap_complete::Shell;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell to print completions for
    #[arg(value_enum)]
    shell: Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "commands have one signature")]
pub(super) fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut command, "verbatim", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
