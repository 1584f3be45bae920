//! Families of time series: names, help texts, and the buckets of histograms.
//! docs/reference/logs-and-metrics.md describes each.

/// Family: one name, one meaning, and several series that differ in their labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// Type of a family.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Value that only grows.
    Counter,
    /// Current value.
    Gauge,
    /// Numbers of values below each of these bounds.
    Histogram(&'static [f64]),
}

/// Answers, in seconds. Most take half a millisecond; 25 and 50 ms are the promised limits under
/// load; the inbox may take 3 s, and the sender waits for 10 s.
const ANSWERS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];
/// Commits, in seconds: from an SSD's sync to a disk that hangs, or a locked table.
const COMMITS: &[f64] =
    &[0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 3.0, 10.0, 60.0];
/// From arrival to Postgres, in seconds: batches are written about every 50 ms, and an outage may
/// take hours.
const LAG: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0,
    86_400.0,
];
/// Deliveries in one write: a group of the inbox has up to a thousand, and a batch of the drain may
/// exceed that by its last group.
const AT_ONCE: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

macro_rules! families {
    ($($constant:ident $kind:expr, $name:literal, $help:literal;)*) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: $kind, help: $help };)*
        /// All families.
        pub(super) const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    WEBHOOK_ANSWERS Kind::Counter, "verbatim_webhook_answers_total",
        "Answers of the webhook by source and status";
    WEBHOOK_REFUSALS Kind::Counter, "verbatim_webhook_refusals_total",
        "Deliveries rejected for their credentials, by source and failed check";
    WEBHOOK_DURATION Kind::Histogram(ANSWERS), "verbatim_webhook_answer_duration_seconds",
        "Time from a delivery's head to its answer; the avatar waits for the answer to room.join";
    LAST_DELIVERY Kind::Gauge, "verbatim_last_delivery_timestamp_seconds",
        "Time of the last accepted delivery, by kind; 0 before the first one of this process";

    INBOX_WRITABLE Kind::Gauge, "verbatim_inbox_writable",
        "1 while the inbox accepts deliveries";
    INBOX_DEPTH Kind::Gauge, "verbatim_inbox_deliveries",
        "Deliveries in the inbox that are not yet in Postgres";
    INBOX_BYTES Kind::Gauge, "verbatim_inbox_bytes",
        "Bytes of these deliveries in the inbox's file";
    INBOX_QUOTA Kind::Gauge, "verbatim_inbox_quota_bytes",
        "Limit of these bytes";
    INBOX_OLDEST Kind::Gauge, "verbatim_inbox_oldest_age_seconds",
        "Age of the oldest delivery that is not yet in Postgres; 0 if there is none";
    INBOX_GROUP Kind::Histogram(AT_ONCE), "verbatim_inbox_group_deliveries",
        "Deliveries in one commit of the inbox";
    INBOX_COMMIT Kind::Histogram(COMMITS), "verbatim_inbox_commit_duration_seconds",
        "Time of one commit of the inbox with its sync, including commits that only delete";
    INBOX_FAILURES Kind::Counter, "verbatim_inbox_commit_failures_total",
        "Failed commits of the inbox's file";
    INBOX_REFUSALS Kind::Counter, "verbatim_inbox_refusals_total",
        "Deliveries that the inbox rejected, by reason; they are written to Postgres directly";

    DELIVERIES Kind::Counter, "verbatim_deliveries_total",
        "Deliveries that Postgres has committed, by source, type and outcome";
    LAG_TO_POSTGRES Kind::Histogram(LAG), "verbatim_delivery_lag_seconds",
        "Time from a delivery's arrival to its commit in Postgres";
    BATCH Kind::Histogram(AT_ONCE), "verbatim_drain_batch_deliveries",
        "Deliveries in one batch to Postgres, by way";
    BATCH_DURATION Kind::Histogram(COMMITS), "verbatim_drain_batch_duration_seconds",
        "Time to write one batch to Postgres, by way, without failed attempts";
    DRAIN_FAILURES Kind::Counter, "verbatim_drain_failures_total",
        "Failed attempts, by way and reason; the drain retries without a limit";

    POSTGRES_UP Kind::Gauge, "verbatim_postgres_up",
        "1 while Postgres answers";
    SCHEMA_CURRENT Kind::Gauge, "verbatim_schema_current",
        "1 once the database has the schema of this version";
    CONNECTIONS Kind::Gauge, "verbatim_postgres_connections",
        "Connections of the read API to Postgres, by state";
    CONNECTIONS_LIMIT Kind::Gauge, "verbatim_postgres_connections_limit",
        "Limit of connections of the read API to Postgres";

    READS Kind::Counter, "verbatim_reads_total",
        "Answers that a standby could provide, by the server that was used";
    READS_REPEATED Kind::Counter, "verbatim_reads_repeated_total",
        "Reads that failed on the standby and were repeated on the primary";
    REPLICA_USED Kind::Gauge, "verbatim_replica_used",
        "1 while answers are read from the standby; 0 also where none is configured";
    REPLICA_LAG Kind::Gauge, "verbatim_replica_lag_seconds",
        "Lag of the standby behind the primary; 0 while unknown";
    REPLICA_LAG_BYTES Kind::Gauge, "verbatim_replica_lag_bytes",
        "Transaction log that the standby has not replayed; 0 while unknown";

    SEARCH_LAG Kind::Gauge, "verbatim_search_lag_seconds",
        "Age of the oldest stored message that search does not find yet; 0 if there is none";
    SEARCH_LAG_ENTRIES Kind::Gauge, "verbatim_search_lag_entries",
        "Transactions of the drain whose messages search does not find yet";
    SEARCH_REBUILD Kind::Gauge, "verbatim_search_rebuild_entries",
        "Transactions of the drain that a rebuild of the search index has yet to reach";
    FIGURES_LAG Kind::Gauge, "verbatim_figures_lag_seconds",
        "Age of the oldest stored delivery that figures do not include yet; 0 if there is none";
    FIGURES_LAG_ENTRIES Kind::Gauge, "verbatim_figures_lag_entries",
        "Transactions of the drain that figures do not include yet";

    HTTP_DURATION Kind::Histogram(ANSWERS), "verbatim_http_request_duration_seconds",
        "Time of answers except the webhook's, by route, method and status class";

    BUILD Kind::Gauge, "verbatim_build_info",
        "1, with the version as a label";
    START Kind::Gauge, "process_start_time_seconds",
        "Start time of the service, in seconds of Unix time";
    CPU Kind::Counter, "process_cpu_seconds_total",
        "User and system processor time in whole seconds";
    MEMORY Kind::Gauge, "process_resident_memory_bytes",
        "Resident memory";
    OPEN_FDS Kind::Gauge, "process_open_fds",
        "Open file descriptors";
    MAX_FDS Kind::Gauge, "process_max_fds",
        "Limit of open file descriptors";

    ALERTS_FIRING Kind::Gauge, "verbatim_alerts_firing",
        "Firing alerts known to this service";
    ALERT_ATTEMPTS Kind::Counter, "verbatim_alert_notifications_total",
        "Attempts to send notifications of alerts, by outcome";
}
