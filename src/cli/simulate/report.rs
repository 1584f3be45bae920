//! Counts and latencies of a run, and the report at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::HumanCount;

use crate::cli::sender::Answer;

/// Highest recorded latency, in microseconds: an hour. Longer ones count as this.
const LATENCY_MAX_US: u64 = 3_600_000_000;
/// Significant digits of a latency.
const LATENCY_DIGITS: u8 = 3;

/// Answers after which the run ends if all were rejections.
pub(super) const REJECTIONS_MAX: u64 = 20;

/// Counts and latencies of a run.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) sessions: u64,
    pub(super) attempted: u64,
    pub(super) answered: u64,
    pub(super) given_up: u64,
    /// True if the first answers were all 401, 403 or 404: the credentials or the URL are wrong.
    pub(super) all_rejected: bool,
    answers: BTreeMap<Answer, u64>,
    all_us: Histogram<u64>,
    joins_us: Histogram<u64>,
}

impl Tally {
    /// Returns zero counts.
    pub(super) fn new() -> anyhow::Result<Self> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, LATENCY_DIGITS)?;
        Ok(Self {
            sessions: 0,
            attempted: 0,
            answered: 0,
            given_up: 0,
            all_rejected: false,
            answers: BTreeMap::new(),
            all_us: histogram.clone(),
            joins_us: histogram,
        })
    }

    /// Records a request. Only answers count as latencies: a refused connection is fast, whatever
    /// the receiver's speed.
    pub(super) fn record(&mut self, answer: Answer, is_join: bool, latency: Duration) {
        *self.answers.entry(answer).or_default() += 1;
        let rejects = |answer: &Answer| matches!(answer, Answer::Status(401 | 403 | 404));
        self.all_rejected |= self.answers.keys().all(rejects)
            && self.answers.values().sum::<u64>() >= REJECTIONS_MAX;
        if !matches!(answer, Answer::Status(_)) {
            return;
        }
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MAX_US);
        self.all_us.saturating_record(micros);
        if is_join {
            self.joins_us.saturating_record(micros);
        }
    }
}

/// Finished run, to print.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) tally: &'a Tally,
    pub(super) elapsed: Duration,
    pub(super) seed: u64,
    pub(super) open_loop: bool,
    pub(super) interrupted: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tally, elapsed, seed, .. } = self;
        let seconds = elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for a person to read")]
        let rate = tally.answered as f64 / seconds.max(1e-9);
        if self.interrupted {
            writeln!(f, "interrupted; until then:")?;
        }
        writeln!(f, "{:<24}{:>12}", "sessions", count(tally.sessions))?;
        writeln!(f, "{:<24}{:>12}", "deliveries attempted", count(tally.attempted))?;
        writeln!(f, "{:<24}{:>12}", "  answered", count(tally.answered))?;
        writeln!(f, "{:<24}{:>12}", "  given up", count(tally.given_up))?;
        writeln!(f, "{:<24}{:>12}", "seconds", format!("{seconds:.2}"))?;
        writeln!(f, "{:<24}{:>12}", "answered a second", format!("{rate:.1}"))?;
        writeln!(f, "{:<24}{:>12}\n", "seed", seed)?;

        writeln!(f, "{:<24}{:>12}", "answer", "requests")?;
        for (answer, requests) in &tally.answers {
            writeln!(f, "  {answer:<22}{:>12}", count(*requests))?;
        }

        let from = if self.open_loop { "the scheduled time" } else { "sending" };
        writeln!(f, "\nlatency in ms, from {from} to the answer")?;
        write!(f, "{:<24}{:>12}", "", "requests")?;
        for column in ["p50", "p90", "p99", "p99.9", "max"] {
            write!(f, "{column:>11}")?;
        }
        writeln!(f)?;
        row(f, "all", &tally.all_us)?;
        row(f, "room.join", &tally.joins_us)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, latencies_us: &Histogram<u64>) -> fmt::Result {
    write!(f, "  {name:<22}{:>12}", count(latencies_us.len()))?;
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        if latencies_us.is_empty() {
            write!(f, "{:>11}", "-")?;
        } else {
            #[expect(clippy::cast_precision_loss, reason = "for a person to read")]
            let millis = latencies_us.value_at_quantile(quantile) as f64 / 1e3;
            write!(f, "{millis:>11.2}")?;
        }
    }
    writeln!(f)
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_latencies_and_counts() {
        let mut tally = Tally::new().unwrap();
        tally.sessions = 1_234;
        tally.attempted = 1_001;
        tally.answered = 1_000;
        tally.given_up = 1;
        for millis in 1..=1_000 {
            let latency = Duration::from_millis(millis);
            tally.record(Answer::Status(200), millis % 10 == 0, latency);
        }
        tally.record(Answer::Status(503), false, Duration::from_millis(1));
        tally.record(Answer::Refused, false, Duration::ZERO);
        tally.record(Answer::TimedOut, true, Duration::from_secs(30));
        let report = Report {
            tally: &tally,
            elapsed: Duration::from_secs(4),
            seed: 42,
            open_loop: true,
            interrupted: false,
        };
        insta::assert_snapshot!(report.to_string(), @r"
        sessions                       1,234
        deliveries attempted           1,001
          answered                     1,000
          given up                         1
        seconds                         4.00
        answered a second              250.0
        seed                              42

        answer                      requests
          200                          1,000
          503                              1
          connection refused               1
          timed out                        1

        latency in ms, from the scheduled time to the answer
                                    requests        p50        p90        p99      p99.9        max
          all                          1,001     500.22     900.10     990.21     999.42    1000.45
          room.join                      100     500.22     900.10     990.21    1000.45    1000.45
        ");
    }
}
