//! For tests: holds what reads a stranger's text to linear time.

use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Parts of texts that scanners stumble over when they are repeated.
pub(crate) const STUMBLING: [&str; 24] = [
    "a", " ", "\n", "\r\n", "\\", "\"", "'", "\u{0}", "{\"a\":", "[", "]", "<", "&", "*_`", "#",
    "> ", "1. ", "=", "\u{FEFF}", "\u{2028}", "é", "电话", "🦊", "\\ud83d",
];

/// How often a part is repeated, at first.
const REPEATED: usize = 4_000;
/// How many times as often it is repeated then. Linear work takes as many times as long, and
/// quadratic work the square of it.
const GROWTH: u32 = 16;
/// How many times as much work it may be at that: half of quadratic.
const SLACK: u32 = 8;
/// A measure is the least of so many, since others use the machine, too.
const RUNS: usize = 7;
/// What is too short to be measured.
const LEAST: Duration = Duration::from_micros(200);

/// What this thread has had of a processor: others may keep it waiting for as long as they like.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.unwrap_or_else(|error| panic!("{error}")).into()
}

/// Panics where work on a text takes more than linear time, whichever part it consists of.
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
