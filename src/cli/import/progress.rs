//! Progress bar, and lines above it.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Interval at which the progress bar is drawn.
const TICK: Duration = Duration::from_millis(200);

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
pub(super) fn bar(bytes: Option<u64>) -> anyhow::Result<ProgressBar> {
    let (bar, style) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{elapsed_precise} {wide_bar} {bytes}/{total_bytes}, {eta} left, {msg}",
        ),
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {bytes}, {msg}"),
    };
    let bar = bar.with_style(ProgressStyle::with_template(style)?);
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    Ok(bar)
}

/// Prints a line on standard error, above the progress bar.
pub(super) fn report(progress: &ProgressBar, line: &str) {
    progress.suspend(|| {
        // Standard error may be closed.
        let _ = writeln!(std::io::stderr(), "{line}");
    });
}
