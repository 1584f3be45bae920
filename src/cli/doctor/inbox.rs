//! The inbox's file: its layout and health, and what waits in it.

use chrono::{DateTime, Utc};

use super::PATIENCE;
use super::report::{Area, Report, chain};
use crate::clock::Clock;
use crate::config::Settings;
use crate::inbox::{Examination, FileError, examine, set_aside};

const AREA: Area = Area::Inbox;

/// A running service takes what arrives to Postgres within milliseconds; in the file it stays for
/// about a second. What is older than this, in seconds, waits for something.
const WAITS_SECONDS: i64 = 60;
/// Beyond this part of its quota, in hundredths, somebody should know.
const FILLING_PERCENT: u64 = 80;

pub(super) async fn check(settings: &Settings, clock: &Clock, running: bool, report: &mut Report) {
    let path = settings.database.data_dir.join("inbox").join("inbox.sqlite");
    let place = path.display();
    let Ok(examined) = tokio::time::timeout(PATIENCE, examine(&path)).await else {
        report.warn(
            AREA,
            "file",
            format!("{place} was not read within {} s", PATIENCE.as_secs()),
            "ask again; where that does not help, the disk is slow or the file is huge: see disk",
        );
        return;
    };
    let aside = set_aside(&path);
    if aside > 0 {
        report.warn(
            AREA,
            "set aside",
            format!("{aside} damaged files lie beside {place}"),
            "what could be read of them has been brought over, or is being: see the service's log. \
             Look at the disk; remove them once nothing is missing",
        );
    }
    match examined {
        Ok(Some(found)) => {
            check_contents(&found, clock.now(), running, report);
            check_quota(&found, settings.inbox_quota_bytes, report);
        }
        Ok(None) => report.ok(AREA, "file", "none yet; the first start makes it"),
        Err(error) => {
            let advice = match &error {
                FileError::FromTheFuture(_) => {
                    "start the newer version again, and let it drain before going back"
                }
                _ => {
                    "if permission is missing, ask as the account that runs the service. A damaged \
                     file is set aside when the service starts, a new one takes its place, and \
                     what can still be read is brought over: restart it, and see its log"
                }
            };
            report.fail(AREA, "file", format!("{place}: {}", chain(&error)), advice);
        }
    }
}

fn check_contents(found: &Examination, now: DateTime<Utc>, running: bool, report: &mut Report) {
    let size = bytesize::ByteSize(found.bytes_on_disk).display();
    if found.damaged_bytes > 0 {
        report.fail(
            AREA,
            "file",
            format!(
                "whole as a file ({size}), but {} bytes of deliveries in it are damaged",
                found.damaged_bytes
            ),
            "something wrote to the file, or the disk loses data: look at the kernel's log. The \
             service drains what is whole",
        );
    } else {
        report.ok(AREA, "file", format!("whole ({size})"));
    }
    let age = found.oldest_at.map_or(0, |at| (now - at).num_seconds());
    let deliveries = found.deliveries;
    if deliveries == 0 {
        report.ok(AREA, "waiting", "nothing");
    } else if !running {
        report.warn(
            AREA,
            "waiting",
            format!(
                "{deliveries} deliveries, the oldest for {age} s, and no service that drains them"
            ),
            "start the service with this data folder: it takes them to Postgres. Do not remove \
             the folder before",
        );
    } else if age > WAITS_SECONDS {
        report.warn(
            AREA,
            "waiting",
            format!("{deliveries} deliveries, the oldest for {age} s"),
            "Postgres does not take them: see database below and the service's log. They are safe \
             here until the quota is reached",
        );
    } else {
        report.ok(AREA, "waiting", format!("{deliveries} deliveries, the oldest for {age} s"));
    }
}

fn check_quota(found: &Examination, quota: u64, report: &mut Report) {
    let (used, all) = (bytesize::ByteSize(found.bytes), bytesize::ByteSize(quota));
    let says = format!("{} of {} are used", used.display(), all.display());
    let percent = found.bytes.saturating_mul(100) / quota.max(1);
    let advice = "bring Postgres back, or raise --inbox-quota where the disk has room";
    if percent >= 100 {
        let says = format!("{says}: deliveries go straight to Postgres, or are answered 503");
        report.fail(AREA, "quota", says, advice);
    } else if percent >= FILLING_PERCENT {
        report.warn(AREA, "quota", says, advice);
    } else {
        report.ok(AREA, "quota", says);
    }
}
