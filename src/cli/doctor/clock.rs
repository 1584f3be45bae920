//! The clock: whether it is kept right, and whether Postgres agrees.

use std::process::Stdio;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::process::Command;

use super::database::Asked;
use super::report::{Area, Report};

const AREA: Area = Area::Clock;

/// How long a program that tells of the clock may take.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// A difference that a synchronised clock does not have.
const DIFFERS: TimeDelta = TimeDelta::seconds(2);
/// Where signed timestamps count as stale; see `webhook/credentials.rs`.
const DIFFERS_MUCH: TimeDelta = TimeDelta::minutes(5);

pub(super) async fn check(asked: Option<&Asked>, report: &mut Report) {
    match is_synchronised().await {
        Some(true) => report.ok(AREA, "NTP", "synchronised"),
        Some(false) => report.warn(
            AREA,
            "NTP",
            "the clock is not synchronised",
            "`timedatectl set-ntp true`, or install chrony: received_at, partitions and strict \
             timestamps go by this clock",
        ),
        None => report.ok(AREA, "NTP", "not known: neither timedatectl nor chronyc tells"),
    }
    if let Some(asked) = asked {
        judge(asked.examined.clock_ahead, report);
    }
}

fn judge(ahead: TimeDelta, report: &mut Report) {
    let milliseconds = ahead.num_milliseconds();
    let way = if milliseconds < 0 { "behind" } else { "ahead of" };
    let says = format!("Postgres' clock is {} ms {way} ours", milliseconds.abs());
    let advice = "synchronise both machines' clocks: received_at is ours, and a database's own \
                  now() is compared to it in your queries";
    if ahead.abs() >= DIFFERS_MUCH {
        report.fail(AREA, "Postgres", says, advice);
    } else if ahead.abs() >= DIFFERS {
        report.warn(AREA, "Postgres", says, advice);
    } else {
        report.ok(AREA, "Postgres", says);
    }
}

/// As systemd or chrony see it; `None` where neither is asked in vain. (The kernel tells, too, but
/// only to calls that are `unsafe`.)
async fn is_synchronised() -> Option<bool> {
    let systemd = answer("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).await;
    match systemd.as_deref().map(str::trim) {
        Some("yes") => return Some(true),
        Some("no") => return Some(false),
        _ => {}
    }
    let chrony = answer("chronyc", &["-n", "tracking"]).await?;
    let leap = chrony.lines().find_map(|line| line.strip_prefix("Leap status"))?;
    Some(!leap.contains("Not synchronised"))
}

async fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let asked = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIME_LIMIT, asked).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ahead: TimeDelta) -> String {
        let mut report = Report::default();
        judge(ahead, &mut report);
        report.text()
    }

    #[test]
    fn a_clock_that_differs_is_told_by_how_much_and_which_way() {
        let near = said(TimeDelta::milliseconds(-30));
        assert!(near.contains("ok    Postgres"), "{near}");
        assert!(near.contains("Postgres' clock is 30 ms behind ours"), "{near}");
        assert!(said(TimeDelta::seconds(-3)).contains("warn  Postgres"));
        assert!(said(TimeDelta::hours(1)).contains("FAIL  Postgres"));
    }
}
