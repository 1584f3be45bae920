//! Checks of the standby, if one is configured.

use super::report::{Area, Report, chain};
use super::time_limit::TIME_LIMIT;
use crate::config::Settings;
use crate::jobs::replica::{ReplicaState, StandbyExamination, examine};
use crate::postgres::{self, Place};

const AREA: Area = Area::Database;
const CHECK: &str = "standby";

/// Checks the standby. A primary that cannot be found has been reported before.
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
    let examined = tokio::time::timeout(TIME_LIMIT, examine(&primary, &standby)).await;
    match examined.map_err(anyhow::Error::from).and_then(|examined| examined) {
        Ok(examined) => check_state(&place, &examined, report),
        Err(error) => report.warn(
            AREA,
            CHECK,
            format!("{place}: {}", chain(&*error)),
            "check that the standby runs, and host, port, user and password in \
             VERBATIM_READ_DATABASE_URL. Meanwhile the primary is read",
        ),
    }
}

fn check_state(place: &str, found: &StandbyExamination, report: &mut Report) {
    let state = found.state.as_str().replace('_', " ");
    if let (Some(hint), true) = (found.state.hint(), found.state != ReplicaState::Used) {
        report.fail(AREA, CHECK, format!("{place} is {state}, so it is not used"), hint);
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
            format!("{place} does not replay: replay is paused"),
            "on the standby: SELECT pg_wal_replay_resume()",
        );
    } else {
        let feedback = if found.has_feedback { "on" } else { "off" };
        let lag = found.lag_bytes;
        let message = format!("{place}: {lag} bytes behind, hot_standby_feedback is {feedback}");
        report.ok(AREA, CHECK, message);
    }
}
