//! Parses the command line, runs the command, prints the error, sets the exit status.

use std::process::ExitCode;

use verbatim::cli::Cli;

/// A delivery is allocated on one thread and freed on another, which is slow with the system's
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::read().and_then(Cli::run) {
        Ok(status) => status,
        Err(error) => {
            // `{:#}` prints the whole chain of causes on one line.
            #[expect(clippy::print_stderr, reason = "the error goes to the person who typed")]
            {
                eprintln!("verbatim: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
