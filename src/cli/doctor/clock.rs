//! Checks of the clock: synchronisation, and difference from Postgres' clock.

use std::process::Stdio;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::process::Command;

use super::database::Examined;
use super::report::{Area, Report};

const AREA: Area = Area::Clock;

/// Limit on the time of a program that reports the clock's state.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Difference that synchronised clocks do not have.
const WARN_DIFFERENCE: TimeDelta = TimeDelta::seconds(2);
/// Difference at which signed timestamps count as stale; see `webhook/credentials.rs`.
const FAIL_DIFFERENCE: TimeDelta = TimeDelta::minutes(5);

pub(super) async fn check(database: Option<&Examined>, report: &mut Report) {
    match is_synchronised().await {
        Some(true) => report.ok(AREA, "NTP", "synchronised"),
        Some(false) => report.warn(
            AREA,
            "NTP",
            "the clock is not synchronised",
            "run `timedatectl set-ntp true`, or install chrony: received_at, partitions and strict \
             timestamps depend on this clock",
        ),
        None => report.ok(AREA, "NTP", "unknown: neither timedatectl nor chronyc reports it"),
    }
    if let Some(database) = database {
        check_difference(database.examination.clock_ahead, report);
    }
}

fn check_difference(ahead: TimeDelta, report: &mut Report) {
    let milliseconds = ahead.num_milliseconds();
    let direction = if milliseconds < 0 { "behind" } else { "ahead of" };
    let message = format!("Postgres' clock is {} ms {direction} ours", milliseconds.abs());
    let advice = "synchronise the clocks of both machines: received_at has our time, and your \
                  queries compare it with the database's now()";
    if ahead.abs() >= FAIL_DIFFERENCE {
        report.fail(AREA, "Postgres", message, advice);
    } else if ahead.abs() >= WARN_DIFFERENCE {
        report.warn(AREA, "Postgres", message, advice);
    } else {
        report.ok(AREA, "Postgres", message);
    }
}

/// Returns the state that systemd or chrony report; `None` if neither does. (The kernel knows, too,
/// but its call is `unsafe`.)
async fn is_synchronised() -> Option<bool> {
    let systemd = output("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).await;
    match systemd.as_deref().map(str::trim) {
        Some("yes") => return Some(true),
        Some("no") => return Some(false),
        _ => {}
    }
    let chrony = output("chronyc", &["-n", "tracking"]).await?;
    let leap = chrony.lines().find_map(|line| line.strip_prefix("Leap status"))?;
    Some(!leap.contains("Not synchronised"))
}

async fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIME_LIMIT, run).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ahead: TimeDelta) -> String {
        let mut report = Report::default();
        check_difference(ahead, &mut report);
        report.text()
    }

    #[test]
    fn difference_is_reported_with_its_direction() {
        let near = text(TimeDelta::milliseconds(-30));
        assert!(near.contains("ok    Postgres"), "{near}");
        assert!(near.contains("Postgres' clock is 30 ms behind ours"), "{near}");
        assert!(text(TimeDelta::seconds(-3)).contains("warn  Postgres"));
        assert!(text(TimeDelta::hours(1)).contains("FAIL  Postgres"));
    }
}
