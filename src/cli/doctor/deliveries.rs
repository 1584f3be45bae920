//! Checks of the last deliveries. If a healthy service receives none, they may go elsewhere.

use chrono::{DateTime, TimeDelta, Utc};

use super::database::Examined;
use super::report::{Area, Report, chain};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::survey::{COUNTED, LoggedDelivery};

const AREA: Area = Area::Deliveries;

/// Days in which a test is searched: more would take too long.
const TEST_WITHIN_DAYS: i64 = 7;
/// Days in which quarantined deliveries are counted.
const QUARANTINE_WITHIN_DAYS: i64 = 1;
/// Tolerance for arrivals after our time: clocks of services that share a database may differ.
const FUTURE: TimeDelta = TimeDelta::seconds(5);

pub(super) async fn check(database: &Examined, clock: &Clock, report: &mut Report) {
    let (store, now) = (&database.store, clock.now());
    let checks = async {
        check_last(store.last_delivery().await?.as_ref(), now, report);
        let tests_since = now - TimeDelta::days(TEST_WITHIN_DAYS);
        check_test(store.last_test_since(tests_since).await?.as_ref(), now, report);
        let quarantined_since = now - TimeDelta::days(QUARANTINE_WITHIN_DAYS);
        check_quarantine(store.quarantined_since(quarantined_since).await?, report);
        Ok::<_, StoreError>(())
    };
    if let Err(error) = checks.await {
        report.warn(
            AREA,
            "log",
            format!("cannot read the log of deliveries: {}", chain(&error)),
            "see database above. If the log is very large, the query may have taken too long",
        );
    }
}

fn check_last(last: Option<&LoggedDelivery>, now: DateTime<Utc>, report: &mut Report) {
    let Some(last) = last else {
        report.warn(
            AREA,
            "last",
            "none yet",
            "press Test in bitHuman's dashboard, or run `verbatim simulate --sessions 1`. bitHuman \
             needs an HTTPS address that leads to /webhook",
        );
        return;
    };
    let message = describe(last, now);
    if last.received_at > now + FUTURE {
        report.warn(
            AREA,
            "last",
            format!("{message}: in the future"),
            "the clock of this machine, or of the service's, was set back: see clock. Nothing is \
             lost; lists show such deliveries first",
        );
    } else {
        report.ok(AREA, "last", message);
    }
}

fn check_test(test: Option<&LoggedDelivery>, now: DateTime<Utc>, report: &mut Report) {
    match test {
        Some(test) => report.ok(AREA, "last test", describe(test, now)),
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
        "see the reasons with `GET /v1/deliveries?outcome=quarantined`. Nothing is lost: retry \
         them with a newer version",
    );
}

fn describe(delivery: &LoggedDelivery, now: DateTime<Utc>) -> String {
    let LoggedDelivery { received_at, source, outcome } = delivery;
    let age = (now - received_at).num_seconds().max(0).unsigned_abs();
    let age = humantime::format_duration(std::time::Duration::from_secs(age));
    let at = received_at.format("%Y-%m-%d %H:%M:%S UTC");
    format!("{at} ({age} ago), source {source}, {outcome}")
}
