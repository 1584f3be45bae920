//! Test helper: checks that code which parses untrusted text takes linear time.

use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Fragments that are slow for many parsers when they are repeated.
pub(crate) const STUMBLING: [&str; 24] = [
    "a", " ", "\n", "\r\n", "\\", "\"", "'", "\u{0}", "{\"a\":", "[", "]", "<", "&", "*_`", "#",
    "> ", "1. ", "=", "\u{FEFF}", "\u{2028}", "é", "电话", "🦊", "\\ud83d",
];

/// Repetitions of a fragment in the short text.
const REPEATED: usize = 4_000;
/// Factor between the lengths of the long and the short text. Linear work grows by this factor,
/// quadratic work by its square.
const GROWTH: u32 = 16;
/// Tolerated growth beyond linear: half of what quadratic work needs.
const SLACK: u32 = 8;
/// Runs for each measurement, of which the shortest counts: other programs use the machine, too.
const RUNS: usize = 7;
/// Shorter times are too short to measure, and count as this.
const LEAST: Duration = Duration::from_micros(200);

/// Returns the processor time of this thread. It excludes waiting for other threads and programs.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.unwrap_or_else(|error| panic!("{error}")).into()
}

/// Panics if `work` takes more than linear time on a text made of any of the fragments.
pub(crate) fn assert_linear<T>(work: impl Fn(&str) -> T) {
    for part in STUMBLING {
        let least = |repeated: usize| {
            let text = part.repeat(repeated);
            let once = |_| {
                let started = processor_time();
                black_box(work(black_box(&text)));
                processor_time().saturating_sub(started)
            };
            (0..RUNS).map(once).min().unwrap_or_default()
        };
        let (short, long) = (least(REPEATED), least(REPEATED * GROWTH as usize));
        let allowed = short.max(LEAST) * GROWTH * SLACK;
        assert!(long <= allowed, "{part:?}: {short:?}, and {long:?} for {GROWTH} times as much");
    }
}
