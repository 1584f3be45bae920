//! Checks of the database: server, role, schema, connections, partitions.

use super::report::{Area, Report, chain};
use super::time_limit::TIME_LIMIT;
use crate::clock::Clock;
use crate::config::Settings;
use crate::jobs::partitions;
use crate::postgres::{
    self, Access, CONNECTIONS_OF_A_SERVICE, Connector, Examination, Migrations, Place, Pool,
    PrivateCluster,
};
use crate::store::Store;
use crate::store::survey::{COUNTED, DefaultPartitionRows};

const AREA: Area = Area::Database;

/// Database that answers, for further checks.
pub(super) struct Examined {
    pub(super) store: Store,
    pub(super) examination: Examination,
    pool: Pool,
}

impl Examined {
    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}

/// Checks the database. Returns `None` if it does not answer, or has no schema.
pub(super) async fn check(
    settings: &Settings,
    clock: &Clock,
    report: &mut Report,
) -> Option<Examined> {
    let place = match postgres::find(&settings.database) {
        Ok(place) => place,
        Err(error) => {
            let advice = "correct this: `serve` cannot start its private PostgreSQL otherwise. Or \
                          set DATABASE_URL to your own PostgreSQL";
            report.fail(AREA, "server", chain(&*error), advice);
            return None;
        }
    };
    let (connector, name) = match place {
        Place::External(connector) => {
            let options = connector.options();
            let name = format!("DATABASE_URL, {}:{}", options.get_host(), options.get_port());
            (connector, name)
        }
        Place::NotMade(server) => {
            report.ok(
                AREA,
                "server",
                format!("none yet; the first start creates one, with {server}"),
            );
            return None;
        }
        Place::Private(cluster) => (check_private(&cluster, report)?, "private".to_owned()),
    };
    let examined = tokio::time::timeout(TIME_LIMIT, postgres::examine(&connector, clock)).await;
    let examined = examined.map_err(anyhow::Error::from).and_then(|examined| examined);
    let examination = match examined {
        Ok(examination) => examination,
        Err(error) => {
            let advice = "check that the server runs, that its host and port can be reached from \
                          here (`psql \"$DATABASE_URL\"`), and that user and password are right. \
                          Meanwhile a running service stores deliveries in its inbox";
            report.fail(AREA, "server", format!("{name}: {}", chain(&*error)), advice);
            return None;
        }
    };
    check_server(&name, &examination, report);
    check_role(settings.migrate, &examination, report);
    check_schema(examination.migrations, report);
    check_connections(&examination, report);
    let pool = postgres::read_pool(connector);
    let database = Examined { store: Store::new(pool.clone()), examination, pool };
    if matches!(database.examination.migrations, Migrations::None) {
        database.close().await;
        return None;
    }
    check_partitions(&database, clock, report).await;
    Some(database)
}

/// Checks a private cluster. Returns its connector if its server runs.
fn check_private(cluster: &PrivateCluster, report: &mut Report) -> Option<Connector> {
    let PrivateCluster { folder, server, process, connector } = cluster;
    match process {
        Some(pid) => {
            let folder = folder.display();
            report.ok(AREA, "cluster", format!("private: {server}, process {pid}, in {folder}"));
            Some(connector.clone())
        }
        None => {
            report.warn(
                AREA,
                "cluster",
                format!("private: {server}, in {}, does not run", folder.display()),
                "start it with `verbatim serve`, and run doctor again to check its contents",
            );
            None
        }
    }
}

fn check_server(name: &str, found: &Examination, report: &mut Report) {
    let server = format!("{name}: PostgreSQL {}", found.version);
    if found.suits {
        report.ok(AREA, "server", server);
    } else {
        report.fail(
            AREA,
            "server",
            format!("{server}, but 15 or later is required"),
            "upgrade it with pg_upgrade, or restore a dump into a newer server",
        );
    }
    if found.encoding == "UTF8" {
        report.ok(AREA, "encoding", "UTF8");
    } else {
        report.fail(
            AREA,
            "encoding",
            format!("the encoding is {}, which cannot store every script", found.encoding),
            "create a database with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`, and \
             restore a dump of this one into it",
        );
    }
}

fn check_role(migrates: bool, found: &Examination, report: &mut Report) {
    let role = &found.role;
    match found.access {
        Access::Standby => report.fail(
            AREA,
            "role",
            "the server is a standby, or still replays its log, so it cannot be written",
            "wait until the replay ends, or set DATABASE_URL to the primary",
        ),
        Access::ReadOnly => report.fail(
            AREA,
            "role",
            format!("{role} may only read: its transactions are read-only"),
            "find where default_transaction_read_only is set: for the role, the database or the \
             server. Some providers set it when a disk is full",
        ),
        Access::TooLittle => report.fail(
            AREA,
            "role",
            format!("{role} may not read and write every table"),
            format!(
                "as the owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public \
                 TO {role}"
            ),
        ),
        Access::Writes { may_create: false, .. } if migrates => report.fail(
            AREA,
            "role",
            format!("{role} may not create tables, which migrations need"),
            format!(
                "as the owner: GRANT CREATE ON SCHEMA public TO {role}; or run `verbatim migrate` \
                 as the owner, and `serve --no-migrate`"
            ),
        ),
        Access::Writes { owns_tables: false, .. } => report.warn(
            AREA,
            "role",
            format!("{role} may write, but does not own the tables, so it creates no partitions"),
            format!(
                "as the owner: GRANT its role TO {role}. Meanwhile rows go to default partitions"
            ),
        ),
        Access::Writes { .. } => report.ok(AREA, "role", format!("{role} may write")),
    }
}

fn check_schema(migrations: Migrations, report: &mut Report) {
    match migrations {
        Migrations::Current(version) => {
            report.ok(AREA, "schema", format!("up to date (version {version})"));
        }
        Migrations::None => report.warn(
            AREA,
            "schema",
            "none yet",
            "create it with `verbatim serve` or `verbatim migrate`",
        ),
        Migrations::Hidden => report.fail(
            AREA,
            "schema",
            "this role may not read which migrations were applied, so `serve` does not start",
            "as the owner: GRANT SELECT ON _sqlx_migrations TO this role",
        ),
        Migrations::Behind(missing) => report.warn(
            AREA,
            "schema",
            format!("{missing} migrations are pending"),
            "`verbatim serve` applies them when it starts. With --no-migrate, run `verbatim \
             migrate`: a service of this version waits for it",
        ),
        Migrations::Newer(version) => report.fail(
            AREA,
            "schema",
            format!("version {version} was created by a newer verbatim, and this one is too old"),
            "run that version or a newer one; `verbatim --version` prints this one",
        ),
        Migrations::Altered(version) => report.fail(
            AREA,
            "schema",
            format!("migration {version} is not the one of this verbatim, or is incomplete"),
            "run an unmodified verbatim, or restore the last backup",
        ),
    }
}

fn check_connections(found: &Examination, report: &mut Report) {
    let (free, max) = (found.free_connections, found.max_connections);
    let message =
        format!("{free} of {max} are free, and a service needs up to {CONNECTIONS_OF_A_SERVICE}");
    let advice = "raise max_connections, or limit the database's other users";
    if free <= 0 {
        report.fail(AREA, "connections", format!("none of {max} is free"), advice);
    } else if free < CONNECTIONS_OF_A_SERVICE {
        report.warn(AREA, "connections", message, advice);
    } else {
        report.ok(AREA, "connections", message);
    }
}

async fn check_partitions(database: &Examined, clock: &Clock, report: &mut Report) {
    match partitions::missing(&database.pool, clock.now()).await {
        Ok(missing) if missing.is_empty() => {
            report.ok(AREA, "partitions", "created ahead of time");
        }
        Ok(missing) => report.warn(
            AREA,
            "partitions",
            format!("missing: {}", missing.join(", ")),
            "a running service creates them at its start and every hour: see its log for errors. \
             Meanwhile rows go to the default partitions, and are moved later",
        ),
        Err(error) => report.warn(
            AREA,
            "partitions",
            format!("cannot list the partitions: {}", chain(&error)),
            "see schema and role above",
        ),
    }
    match database.store.strays().await {
        Ok(strays) => check_strays(strays, report),
        Err(error) => report.warn(
            AREA,
            "strays",
            format!("cannot read the default partitions: {}", chain(&error)),
            "see schema and role above",
        ),
    }
}

/// Checks the rows in the default partitions. Old messages belong there, since their months have no
/// partition. Deliveries do not, unless the job or the clock was late.
fn check_strays(strays: DefaultPartitionRows, report: &mut Report) {
    let DefaultPartitionRows { messages, deliveries } = strays;
    let count = |rows: i64| if rows < COUNTED { rows.to_string() } else { format!("over {rows}") };
    let message = format!(
        "{} messages and {} deliveries are in the default partitions",
        count(messages),
        count(deliveries)
    );
    if deliveries > 0 {
        report.warn(
            AREA,
            "strays",
            message,
            "deliveries arrived on days without a partition, or while the clock was wrong: see \
             partitions and clock",
        );
    } else if messages >= COUNTED {
        report.warn(
            AREA,
            "strays",
            message,
            "messages with old times were delivered. They can be read like others, but it takes a \
             little longer to find each conversation",
        );
    } else {
        report.ok(AREA, "strays", message);
    }
}
