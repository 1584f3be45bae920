//! Results of the scenarios: a paragraph for each, and a table of all.

use std::fmt::Write as _;
use std::time::Duration;

use super::world::Report;

/// Reason why a scenario has not passed.
#[derive(Debug)]
pub(crate) enum Shortfall {
    /// The scenario failed.
    Failed(String),
    /// This machine cannot run the scenario.
    Skipped(String),
    /// The user has stopped the suite.
    Interrupted,
}

/// Result of one scenario.
#[derive(Debug)]
pub(crate) struct Line {
    name: String,
    seed: u64,
    outcome: Result<(), Shortfall>,
    report: Report,
    took: Duration,
}

impl Line {
    pub(crate) fn new(
        name: &str,
        seed: u64,
        outcome: Result<(), Shortfall>,
        report: Report,
        took: Duration,
    ) -> Self {
        Self { name: name.to_owned(), seed, outcome, report, took }
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.outcome, Err(Shortfall::Failed(_) | Shortfall::Interrupted))
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        matches!(self.outcome, Err(Shortfall::Interrupted))
    }

    /// Returns the result as a paragraph.
    pub(crate) fn summary(&self) -> String {
        let Report { figures, not_started, lost, doubled, drain, peak_memory, .. } = &self.report;
        let mut text = match &self.outcome {
            Ok(()) => "  passed".to_owned(),
            Err(Shortfall::Skipped(why)) => return format!("  SKIPPED: {why}"),
            Err(Shortfall::Interrupted) => return "  INTERRUPTED".to_owned(),
            Err(Shortfall::Failed(why)) => format!("  FAILED: {why}"),
        };
        let drain = drain.map_or_else(|| "not drained".to_owned(), seconds);
        let _ = write!(
            text,
            "\n  answered {}, refused {}, lost {lost}, doubled {doubled}, longest stall {}, \
             p50 {}, p99 {}, max {}, drain {drain}, memory {} MiB",
            figures.answered,
            figures.refused(),
            milliseconds(figures.longest_stall),
            milliseconds(figures.latency(0.5)),
            milliseconds(figures.latency(0.99)),
            milliseconds(figures.latency(1.0)),
            peak_memory >> 20,
        );
        if *not_started > 0 {
            let _ = write!(text, "\n  {not_started} faults did not start");
        }
        if figures.refused() > 0 {
            let _ = write!(text, "\n  refused: {:?} {:?}", figures.statuses, figures.misses);
        }
        text
    }
}

/// Returns the table of all scenarios.
pub(crate) fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max(8);
    let mut text = format!(
        "\n{:width$}  {:10}  {:7}  {:>6}  {:>7}  {:>8}  {:>7}  {:>4}  {:>7}  {:>9}  {:>8}  {:>8}  \
         {:>9}  {:>8}  {:>7}  {:>6}\n",
        "scenario",
        "seed",
        "outcome",
        "faults",
        "not had",
        "answered",
        "refused",
        "lost",
        "doubled",
        "stall",
        "p50",
        "p99",
        "max",
        "drain",
        "memory",
        "took",
    );
    for line in lines {
        let Report { figures, .. } = &line.report;
        let outcome = match &line.outcome {
            Ok(()) => "passed",
            Err(Shortfall::Failed(_) | Shortfall::Interrupted) => "FAILED",
            Err(Shortfall::Skipped(_)) => "skipped",
        };
        let _ = writeln!(
            text,
            "{:width$}  {:10}  {outcome:7}  {:>6}  {:>7}  {:>8}  {:>7}  {:>4}  {:>7}  {:>9}  {:>8}  {:>8}  \
             {:>9}  {:>8}  {:>7}  {:>6}",
            line.name,
            line.seed,
            line.report.faults,
            line.report.not_started,
            figures.answered,
            figures.refused(),
            line.report.lost,
            line.report.doubled,
            milliseconds(figures.longest_stall),
            milliseconds(figures.latency(0.5)),
            milliseconds(figures.latency(0.99)),
            milliseconds(figures.latency(1.0)),
            line.report.drain.map_or_else(|| "-".to_owned(), seconds),
            format!("{} MiB", line.report.peak_memory >> 20),
            format!("{} s", line.took.as_secs()),
        );
    }
    text.push('\n');
    for line in lines {
        for note in &line.report.notes {
            let _ = writeln!(text, "{}: {note}", line.name);
        }
        match &line.outcome {
            Ok(()) => {}
            Err(Shortfall::Failed(why)) => {
                let _ = writeln!(text, "{} FAILED: {why}", line.name);
            }
            Err(Shortfall::Interrupted) => {
                let _ = writeln!(text, "{} was interrupted", line.name);
            }
            Err(Shortfall::Skipped(why)) => {
                let _ = writeln!(text, "{} was skipped: {why}", line.name);
            }
        }
    }
    let count = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
    let _ = write!(
        text,
        "{} passed, {} failed, {} skipped; {} deliveries answered, {} lost, {} doubled",
        count(|line| line.outcome.is_ok()),
        count(Line::has_failed),
        count(|line| matches!(line.outcome, Err(Shortfall::Skipped(_)))),
        lines.iter().map(|line| line.report.figures.answered).sum::<u64>(),
        lines.iter().map(|line| line.report.lost).sum::<usize>(),
        lines.iter().map(|line| line.report.doubled).sum::<usize>(),
    );
    text
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
