//! The database: where it is, whether it answers, whether it suits, and what room it has.

use super::PATIENCE;
use super::report::{Area, Report, chain};
use crate::clock::Clock;
use crate::config::Settings;
use crate::jobs::partitions;
use crate::postgres::{
    self, Access, CONNECTIONS_OF_A_SERVICE, Connector, Examination, Migrations, Place, Pool,
    PrivateCluster,
};
use crate::store::Store;
use crate::store::survey::{COUNTED, Strays};

const AREA: Area = Area::Database;

/// A database that was asked, and can be asked more.
pub(super) struct Asked {
    pub(super) store: Store,
    pub(super) examined: Examination,
    pool: Pool,
}

impl Asked {
    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}

/// `None` where there is none to ask.
pub(super) async fn check(
    settings: &Settings,
    clock: &Clock,
    report: &mut Report,
) -> Option<Asked> {
    let place = match postgres::find(&settings.database) {
        Ok(place) => place,
        Err(error) => {
            let advice = "`serve` cannot start its private PostgreSQL before that is mended; or \
                          set DATABASE_URL to a PostgreSQL of yours";
            report.fail(AREA, "server", chain(&*error), advice);
            return None;
        }
    };
    let (connector, whose) = match place {
        Place::External(connector) => {
            let options = connector.options();
            let whose = format!("DATABASE_URL, {}:{}", options.get_host(), options.get_port());
            (connector, whose)
        }
        Place::NotMade(server) => {
            report.ok(
                AREA,
                "server",
                format!("none yet; the first start makes one, with {server}"),
            );
            return None;
        }
        Place::Private(cluster) => (check_private(&cluster, report)?, "private".to_owned()),
    };
    let asked = tokio::time::timeout(PATIENCE, postgres::examine(&connector, clock)).await;
    let examined = asked.map_err(anyhow::Error::from).and_then(|examined| examined);
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => {
            let advice = "see that the server runs, that its host and port can be reached from \
                          here (`psql \"$DATABASE_URL\"`), and that user and password are right. \
                          A running service keeps what arrives in its inbox meanwhile";
            report.fail(AREA, "server", format!("{whose}: {}", chain(&*error)), advice);
            return None;
        }
    };
    check_server(&whose, &examined, report);
    check_role(settings.migrate, &examined, report);
    check_schema(examined.migrations, report);
    check_connections(&examined, report);
    let pool = postgres::read_pool(connector);
    let asked = Asked { store: Store::new(pool.clone()), examined, pool };
    if matches!(asked.examined.migrations, Migrations::None) {
        asked.close().await;
        return None;
    }
    check_partitions(&asked, clock, report).await;
    Some(asked)
}

/// How to connect to a private cluster, where it runs.
fn check_private(cluster: &PrivateCluster, report: &mut Report) -> Option<Connector> {
    let PrivateCluster { folder, server, process, connector } = cluster;
    match process {
        Some(pid) => {
            let says = format!("private: {server} runs as process {pid} on {}", folder.display());
            report.ok(AREA, "cluster", says);
            Some(connector.clone())
        }
        None => {
            report.warn(
                AREA,
                "cluster",
                format!("private: {server}, on {}, does not run", folder.display()),
                "`verbatim serve` starts it. What is in it can be looked at then",
            );
            None
        }
    }
}

fn check_server(whose: &str, found: &Examination, report: &mut Report) {
    let says = format!("{whose}: PostgreSQL {}", found.version);
    if found.suits {
        report.ok(AREA, "server", says);
    } else {
        report.fail(
            AREA,
            "server",
            format!("{says}, and 15 is the oldest that works"),
            "upgrade it with pg_upgrade, or dump it and restore into a newer one",
        );
    }
    if found.encoding == "UTF8" {
        report.ok(AREA, "encoding", "UTF8");
    } else {
        report.fail(
            AREA,
            "encoding",
            format!("its encoding is {}, which cannot keep every script", found.encoding),
            "make a database with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`, and \
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
            "it is a standby, or still replays its log: it takes no writes",
            "wait until it is done, or name the primary in DATABASE_URL",
        ),
        Access::ReadOnly => report.fail(
            AREA,
            "role",
            format!("{role} may only read: its transactions are read-only"),
            "see where default_transaction_read_only is set, for the role, the database or the \
             server; some providers set it when a disk is full",
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
            format!("{role} may not create tables, as migrations do"),
            format!(
                "as the owner: GRANT CREATE ON SCHEMA public TO {role}; or run `verbatim migrate` \
                 as the owner, and `serve --no-migrate`"
            ),
        ),
        Access::Writes { owns_tables: false, .. } => report.warn(
            AREA,
            "role",
            format!("{role} may write, but does not own the tables, so it makes no partitions"),
            format!(
                "as the owner: GRANT its role TO {role}; rows go to the default partitions \
                     meanwhile"
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
            "`verbatim serve` makes it, or `verbatim migrate`",
        ),
        Migrations::Hidden => report.fail(
            AREA,
            "schema",
            "this role may not read which migrations there are, which a start asks for",
            "as the owner: GRANT SELECT ON _sqlx_migrations TO this role",
        ),
        Migrations::Behind(missing) => report.warn(
            AREA,
            "schema",
            format!("{missing} migrations are pending"),
            "`verbatim serve` applies them when it starts; with --no-migrate run `verbatim \
             migrate`, for which a service of this version waits",
        ),
        Migrations::Newer(version) => report.fail(
            AREA,
            "schema",
            format!("version {version}, which this verbatim does not know: a newer one was here"),
            "run that verbatim or a newer one; `verbatim --version` tells which this is",
        ),
        Migrations::Altered(version) => report.fail(
            AREA,
            "schema",
            format!(
                "the migration {version} is not the one that this verbatim carries, or was \
                     applied in part"
            ),
            "run an unaltered verbatim, or restore the last backup",
        ),
    }
}

fn check_connections(found: &Examination, report: &mut Report) {
    let (free, max) = (found.free_connections, found.max_connections);
    let says =
        format!("{free} of {max} are free, and a service takes up to {CONNECTIONS_OF_A_SERVICE}");
    let advice = "raise max_connections, or let the database's other users have fewer";
    if free <= 0 {
        report.fail(AREA, "connections", format!("none of {max} is free"), advice);
    } else if free < CONNECTIONS_OF_A_SERVICE {
        report.warn(AREA, "connections", says, advice);
    } else {
        report.ok(AREA, "connections", says);
    }
}

async fn check_partitions(asked: &Asked, clock: &Clock, report: &mut Report) {
    match partitions::missing(&asked.pool, clock.now()).await {
        Ok(missing) if missing.is_empty() => {
            report.ok(AREA, "partitions", "made ahead of time");
        }
        Ok(missing) => report.warn(
            AREA,
            "partitions",
            format!("missing: {}", missing.join(", ")),
            "a running service makes them at its start and every hour: see its log for why it \
             does not. Rows go to the default partitions meanwhile, and are moved later",
        ),
        Err(error) => report.warn(
            AREA,
            "partitions",
            format!("they cannot be asked for: {}", chain(&error)),
            "see schema and role above",
        ),
    }
    match asked.store.strays().await {
        Ok(strays) => check_strays(strays, report),
        Err(error) => report.warn(
            AREA,
            "strays",
            format!("the default partitions cannot be read: {}", chain(&error)),
            "see schema and role above",
        ),
    }
}

/// Old messages have no month of their own, and belong to the default partition. Deliveries come
/// in on the day that it is, unless the job or the clock did not keep up.
fn check_strays(strays: Strays, report: &mut Report) {
    let Strays { messages, deliveries } = strays;
    let count = |rows: i64| if rows < COUNTED { rows.to_string() } else { format!("over {rows}") };
    let says = format!(
        "{} messages and {} deliveries lie in the default partitions",
        count(messages),
        count(deliveries)
    );
    if deliveries > 0 {
        report.warn(
            AREA,
            "strays",
            says,
            "deliveries came on days that had no partition, or under a clock that was wrong: see \
             partitions and clock",
        );
    } else if messages >= COUNTED {
        report.warn(
            AREA,
            "strays",
            says,
            "messages with old times were delivered. They are read as well as others; each \
             conversation costs a little more to find",
        );
    } else {
        report.ok(AREA, "strays", says);
    }
}
