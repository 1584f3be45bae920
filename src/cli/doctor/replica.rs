//! The standby that answers are read from, where one is configured.

use super::PATIENCE;
use super::report::{Area, Report, chain};
use crate::config::Settings;
use crate::jobs::replica::{ReplicaState, StandbyExamination, examine};
use crate::postgres::{self, Place};

const AREA: Area = Area::Database;
const CHECK: &str = "standby";

/// Looks at the standby. Where the primary cannot be found, that was reported before.
pub(super) async fn check(settings: &Settings, report: &mut Report) {
    let Some(replica) = &settings.replica else { return };
    let Ok(Place::External(primary)) = postgres::find(&settings.database) else { return };
    let standby = match postgres::standby(&replica.url) {
        Ok(standby) => standby,
        Err(error) => {
            report.fail(AREA, CHECK, chain(&*error), "`serve` does not start with this URL");
            return;
        }
    };
    let options = standby.options();
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let examined = tokio::time::timeout(PATIENCE, examine(&primary, &standby)).await;
    match examined.map_err(anyhow::Error::from).and_then(|examined| examined) {
        Ok(examined) => judge(&place, &examined, report),
        Err(error) => report.warn(
            AREA,
            CHECK,
            format!("{place}: {}", chain(&*error)),
            "answers are read from the primary meanwhile. See that the standby runs, and that host, \
             port, user and password in VERBATIM_READ_DATABASE_URL are right",
        ),
    }
}

fn judge(place: &str, found: &StandbyExamination, report: &mut Report) {
    let says = format!("{place} is {}", found.state.as_str().replace('_', " "));
    if let (Some(hint), true) = (found.state.hint(), found.state != ReplicaState::Used) {
        report.fail(AREA, CHECK, format!("{says}, so it is not read"), hint);
        return;
    }
    if found.unreadable_tables > 0 {
        report.fail(
            AREA,
            CHECK,
            format!("{place}: the role may not read {} tables", found.unreadable_tables),
            "on the primary: GRANT pg_read_all_data TO the role of VERBATIM_READ_DATABASE_URL",
        );
    } else if found.is_paused {
        report.warn(
            AREA,
            CHECK,
            format!("{place} does not replay: it is paused"),
            "on the standby: SELECT pg_wal_replay_resume()",
        );
    } else {
        let feedback = if found.has_feedback { "on" } else { "off" };
        let says = format!(
            "{place}: {} bytes behind, hot_standby_feedback is {feedback}",
            found.lag_bytes
        );
        report.ok(AREA, CHECK, says);
    }
}
