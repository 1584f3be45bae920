//! The families of time series: their names, what they mean, and the buckets of the histograms.
//! docs/reference/logs-and-metrics.md describes each.

/// A family: one name, one meaning, several series that differ in their labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// What a family measures.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is at the moment.
    Gauge,
    /// How many values lie below each of these bounds.
    Histogram(&'static [f64]),
}

/// Answers, in seconds. A usual one takes half a millisecond; 25 and 50 ms are what we promise
/// under load; the inbox is given 3 s, and the sender waits for 10.
const ANSWERS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];
/// One commit, in seconds: from an SSD's sync to a disk that hangs, or a table that is locked.
const COMMITS: &[f64] =
    &[0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 3.0, 10.0, 60.0];
/// From the door to Postgres, in seconds: a batch's pace is 50 ms, and an outage may take hours.
const LAG: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0,
    86_400.0,
];
/// Deliveries at once: a group of the inbox and a batch of the drain have a thousand at the most,
/// and a batch goes over that by its last group.
const AT_ONCE: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

macro_rules! families {
    ($($constant:ident $kind:expr, $name:literal, $help:literal;)*) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: $kind, help: $help };)*
        /// All of them.
        pub(super) const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    WEBHOOK_ANSWERS Kind::Counter, "verbatim_webhook_answers_total",
        "Answers of the webhook by source and status";
    WEBHOOK_REFUSALS Kind::Counter, "verbatim_webhook_refusals_total",
        "Deliveries whose credentials were refused, by source and the check that failed";
    WEBHOOK_DURATION Kind::Histogram(ANSWERS), "verbatim_webhook_answer_duration_seconds",
        "From a delivery's head to its answer; the avatar waits for the one to room.join";
    LAST_DELIVERY Kind::Gauge, "verbatim_last_delivery_timestamp_seconds",
        "When the last delivery was taken, by kind; 0 before the first one of this process";

    INBOX_WRITABLE Kind::Gauge, "verbatim_inbox_writable",
        "1 while the inbox takes deliveries";
    INBOX_DEPTH Kind::Gauge, "verbatim_inbox_deliveries",
        "Deliveries in the inbox that are not yet in Postgres";
    INBOX_BYTES Kind::Gauge, "verbatim_inbox_bytes",
        "The room that they take in the inbox's file";
    INBOX_QUOTA Kind::Gauge, "verbatim_inbox_quota_bytes",
        "The room that they may take";
    INBOX_OLDEST Kind::Gauge, "verbatim_inbox_oldest_age_seconds",
        "Age of the oldest delivery that is not yet in Postgres; 0 where there is none";
    INBOX_GROUP Kind::Histogram(AT_ONCE), "verbatim_inbox_group_deliveries",
        "Deliveries that one commit of the inbox made durable";
    INBOX_COMMIT Kind::Histogram(COMMITS), "verbatim_inbox_commit_duration_seconds",
        "One commit of the inbox, its sync included; those that only forget count too";
    INBOX_FAILURES Kind::Counter, "verbatim_inbox_commit_failures_total",
        "Commits that the inbox's file refused";
    INBOX_REFUSALS Kind::Counter, "verbatim_inbox_refusals_total",
        "Deliveries that the inbox did not take, by reason; they go straight to Postgres";

    DELIVERIES Kind::Counter, "verbatim_deliveries_total",
        "Deliveries that Postgres has committed, by source, type and outcome";
    LAG_TO_POSTGRES Kind::Histogram(LAG), "verbatim_delivery_lag_seconds",
        "From a delivery's arrival to its commit in Postgres";
    BATCH Kind::Histogram(AT_ONCE), "verbatim_drain_batch_deliveries",
        "Deliveries that were taken to Postgres together, by way";
    BATCH_DURATION Kind::Histogram(COMMITS), "verbatim_drain_batch_duration_seconds",
        "Taking one batch to Postgres, by way; attempts that failed are not in it";
    DRAIN_FAILURES Kind::Counter, "verbatim_drain_failures_total",
        "Attempts that failed, by way and reason; the drain tries again for ever";

    POSTGRES_UP Kind::Gauge, "verbatim_postgres_up",
        "1 while Postgres answers";
    SCHEMA_CURRENT Kind::Gauge, "verbatim_schema_current",
        "1 once the database's schema is what this version needs";
    CONNECTIONS Kind::Gauge, "verbatim_postgres_connections",
        "Connections that the API reads through, by state";
    CONNECTIONS_LIMIT Kind::Gauge, "verbatim_postgres_connections_limit",
        "Connections that the API may read through at once";

    READS Kind::Counter, "verbatim_reads_total",
        "Answers that may be read from a standby, by the server that they were read from";
    READS_REPEATED Kind::Counter, "verbatim_reads_repeated_total",
        "Reads of the standby that failed there and went to the primary";
    REPLICA_USED Kind::Gauge, "verbatim_replica_used",
        "1 while answers are read from the standby; 0 also where none is configured";
    REPLICA_LAG Kind::Gauge, "verbatim_replica_lag_seconds",
        "How far the standby is behind the primary; 0 while that is not known";
    REPLICA_LAG_BYTES Kind::Gauge, "verbatim_replica_lag_bytes",
        "Log that the standby has not replayed; 0 while that is not known";

    SEARCH_LAG Kind::Gauge, "verbatim_search_lag_seconds",
        "Age of the oldest stored message that search does not find yet; 0 where there is none";
    SEARCH_LAG_ENTRIES Kind::Gauge, "verbatim_search_lag_entries",
        "Transactions of the drain whose messages search does not find yet";
    SEARCH_REBUILD Kind::Gauge, "verbatim_search_rebuild_entries",
        "Transactions of the drain that a rebuild of the search index has yet to reach";
    FIGURES_LAG Kind::Gauge, "verbatim_figures_lag_seconds",
        "Age of the oldest delivery that is stored and that figures do not reflect yet; 0 without any";
    FIGURES_LAG_ENTRIES Kind::Gauge, "verbatim_figures_lag_entries",
        "Transactions of the drain that figures do not reflect yet";

    HTTP_DURATION Kind::Histogram(ANSWERS), "verbatim_http_request_duration_seconds",
        "Answers other than the webhook's, by route, method and class of status";

    BUILD Kind::Gauge, "verbatim_build_info",
        "1, with the version as a label";
    START Kind::Gauge, "process_start_time_seconds",
        "When the service started, in seconds of Unix time";
    CPU Kind::Counter, "process_cpu_seconds_total",
        "Processor time in whole seconds, the system's share included";
    MEMORY Kind::Gauge, "process_resident_memory_bytes",
        "Resident memory";
    OPEN_FDS Kind::Gauge, "process_open_fds",
        "Open file descriptors";
    MAX_FDS Kind::Gauge, "process_max_fds",
        "The most that may be open";

    ALERTS_FIRING Kind::Gauge, "verbatim_alerts_firing",
        "Alerts that fire, as this service knows";
    ALERT_ATTEMPTS Kind::Counter, "verbatim_alert_notifications_total",
        "Attempts to send notifications of alerts, by outcome";
}
