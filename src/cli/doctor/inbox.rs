//! Checks of the inbox's file: layout, damage, waiting deliveries, quota.

use chrono::{DateTime, Utc};

use super::report::{Area, Report, chain};
use super::time_limit::TIME_LIMIT;
use crate::clock::Clock;
use crate::config::Settings;
use crate::inbox::{Examination, FileError, examine, set_aside};

const AREA: Area = Area::Inbox;

/// Age in seconds at which a delivery counts as delayed. A running service writes it to Postgres
/// within milliseconds, and deletes it from the file after about a second.
const DELAYED_SECONDS: i64 = 60;
/// Use of the quota at which the check warns, in percent.
const WARN_PERCENT: u64 = 80;

pub(super) async fn check(settings: &Settings, clock: &Clock, running: bool, report: &mut Report) {
    let path = settings.database.inbox_file();
    let place = path.display();
    let Ok(examined) = tokio::time::timeout(TIME_LIMIT, examine(&path)).await else {
        report.warn(
            AREA,
            "file",
            format!("{place} was not read within {} s", TIME_LIMIT.as_secs()),
            "run doctor again. If this persists, the disk is slow or the file is very large: see \
             disk",
        );
        return;
    };
    let aside = set_aside(&path);
    if aside > 0 {
        report.warn(
            AREA,
            "set aside",
            format!("{aside} damaged files are beside {place}"),
            "the service has recovered their readable deliveries, or does so now: see its log. \
             Check the disk, and remove the files once nothing is missing",
        );
    }
    match examined {
        Ok(Some(found)) => {
            check_contents(&found, clock.now(), running, report);
            check_quota(&found, settings.inbox_quota_bytes, report);
        }
        Ok(None) => report.ok(AREA, "file", "none yet; the first start creates it"),
        Err(error) => {
            let advice = match &error {
                FileError::FromTheFuture(_) => {
                    "start the newer version again, and let it drain the inbox before you go back"
                }
                _ => {
                    "if permission is missing, run doctor as the account of the service. If the \
                     file is damaged, restart the service and see its log: it sets the file aside, \
                     creates a new one, and recovers what can be read"
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
                "the file is intact ({size}), but {} bytes of deliveries in it are damaged",
                found.damaged_bytes
            ),
            "another program wrote to the file, or the disk loses data: see the kernel's log. The \
             service drains the intact deliveries",
        );
    } else {
        report.ok(AREA, "file", format!("intact ({size})"));
    }
    let age = found.oldest_at.map_or(0, |at| (now - at).num_seconds());
    let deliveries = found.deliveries;
    if deliveries == 0 {
        report.ok(AREA, "waiting", "nothing");
    } else if !running {
        report.warn(
            AREA,
            "waiting",
            format!("{deliveries} deliveries, the oldest for {age} s, and no service drains them"),
            "start the service with this data folder, or run `verbatim drain`: it writes them to \
             Postgres. Do not remove the folder before",
        );
    } else if age > DELAYED_SECONDS {
        report.warn(
            AREA,
            "waiting",
            format!("{deliveries} deliveries, the oldest for {age} s"),
            "they cannot be written to Postgres: see database above and the service's log. They \
             are safe in the inbox, which accepts more until its quota is reached",
        );
    } else {
        report.ok(AREA, "waiting", format!("{deliveries} deliveries, the oldest for {age} s"));
    }
}

fn check_quota(found: &Examination, quota: u64, report: &mut Report) {
    let (used, all) = (bytesize::ByteSize(found.bytes), bytesize::ByteSize(quota));
    let message = format!("{} of {} used", used.display(), all.display());
    let percent = found.bytes.saturating_mul(100) / quota.max(1);
    let advice = "restore Postgres, or raise --inbox-quota if the disk has space";
    if percent >= 100 {
        let message = format!("{message}: deliveries go directly to Postgres, or are answered 503");
        report.fail(AREA, "quota", message, advice);
    } else if percent >= WARN_PERCENT {
        report.warn(AREA, "quota", message, advice);
    } else {
        report.ok(AREA, "quota", message);
    }
}
