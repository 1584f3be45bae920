//! What came last: a service that is well and hears nothing may not be the one that is delivered
//! to.

use chrono::{DateTime, TimeDelta, Utc};

use super::database::Asked;
use super::report::{Area, Report, chain};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::survey::{COUNTED, LoggedDelivery};

const AREA: Area = Area::Deliveries;

/// How far back a test is looked for, in days: beyond it, the answer would take its time.
const TEST_WITHIN_DAYS: i64 = 7;
/// How far back quarantine counts, in days.
const QUARANTINE_WITHIN_DAYS: i64 = 1;
/// How far ahead of our clock an arrival may lie; services that share a database may differ.
const FUTURE: TimeDelta = TimeDelta::seconds(5);

pub(super) async fn check(asked: &Asked, clock: &Clock, report: &mut Report) {
    let now = clock.now();
    let looked = async {
        check_last(asked.store.last_delivery().await?.as_ref(), now, report);
        let tests_since = now - TimeDelta::days(TEST_WITHIN_DAYS);
        check_test(asked.store.last_test_since(tests_since).await?.as_ref(), now, report);
        let quarantined_since = now - TimeDelta::days(QUARANTINE_WITHIN_DAYS);
        check_quarantine(asked.store.quarantined_since(quarantined_since).await?, report);
        Ok::<_, StoreError>(())
    };
    if let Err(error) = looked.await {
        report.warn(
            AREA,
            "log",
            format!("the log of deliveries cannot be read: {}", chain(&error)),
            "see database above; on a very large log the answer may have taken too long",
        );
    }
}

fn check_last(last: Option<&LoggedDelivery>, now: DateTime<Utc>, report: &mut Report) {
    let Some(last) = last else {
        report.warn(
            AREA,
            "last",
            "none came yet",
            "press Test in bitHuman's dashboard, or try `verbatim simulate --sessions 1`. The \
             sender needs an HTTPS address that leads to /webhook",
        );
        return;
    };
    let says = told(last, now);
    if last.received_at > now + FUTURE {
        report.warn(
            AREA,
            "last",
            format!("{says}: after our now"),
            "the clock of this machine, or of the service's, was set back: see clock. Nothing is \
             lost by it; lists show such deliveries first",
        );
    } else {
        report.ok(AREA, "last", says);
    }
}

fn check_test(test: Option<&LoggedDelivery>, now: DateTime<Utc>, report: &mut Report) {
    match test {
        Some(test) => report.ok(AREA, "last test", told(test, now)),
        None => report.ok(AREA, "last test", format!("none in {TEST_WITHIN_DAYS} days")),
    }
}

fn check_quarantine(count: i64, report: &mut Report) {
    if count == 0 {
        report.ok(AREA, "quarantine", format!("none in {QUARANTINE_WITHIN_DAYS} day"));
        return;
    }
    let more = if count < COUNTED { "" } else { "over " };
    report.warn(
        AREA,
        "quarantine",
        format!("{more}{count} could not be read or stored in {QUARANTINE_WITHIN_DAYS} day"),
        "`GET /v1/deliveries?outcome=quarantined` tells why; they are kept, and can be tried again \
         with a newer version",
    );
}

fn told(delivery: &LoggedDelivery, now: DateTime<Utc>) -> String {
    let LoggedDelivery { received_at, source, outcome } = delivery;
    let age = (now - received_at).num_seconds().max(0).unsigned_abs();
    let age = humantime::format_duration(std::time::Duration::from_secs(age));
    let at = received_at.format("%Y-%m-%d %H:%M:%S UTC");
    format!("{at} ({age} ago), source {source}, {outcome}")
}
