//! A database for each test, copied from a template that is migrated once.

use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Environment variable with a database of a running cluster, on which others can be created.
const ADMIN_URL: &str = "TEST_DATABASE_URL";
/// Only one process at a time creates the template. No other program uses this number.
const TEMPLATE_LOCK: i64 = 0x7665_7262_6174_696d;

/// The database of one test, dropped with this value.
pub(crate) struct TestDatabase {
    admin: PgConnectOptions,
    admin_url: String,
    name: String,
    pool: PgPool,
    /// Dropped with this value.
    owned: bool,
}

impl TestDatabase {
    /// Creates a database with our schema and no rows.
    pub(crate) async fn create() -> Self {
        Self::create_on(&admin_url()).await
    }

    /// Creates one on another cluster.
    pub(crate) async fn create_on(admin_url: &str) -> Self {
        let template = async |admin: &_, connection: &mut _| template(admin, connection).await;
        Self::create_from(admin_url, template).await
    }

    /// Creates a database without our schema.
    pub(crate) async fn empty() -> Self {
        let template0 = async |_: &_, _: &mut _| "template0 ENCODING 'UTF8'".to_owned();
        Self::create_from(&admin_url(), template0).await
    }

    async fn create_from(
        admin_url: &str,
        choose: impl AsyncFnOnce(&PgConnectOptions, &mut PgConnection) -> String,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let admin: PgConnectOptions = admin_url.parse().expect("a Postgres URL");
        let mut connection =
            PgConnection::connect_with(&admin).await.expect("the test cluster runs: `make test`");
        let template = choose(&admin, &mut connection).await;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("verbatim_test_{}_{count}", std::process::id());
        run(&mut connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        run(&mut connection, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        connection.close().await.expect("closes");
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy_with(admin.clone().database(&name));
        Self { admin, admin_url: admin_url.to_owned(), name, pool, owned: true }
    }

    /// Returns the same database for another service. It is not dropped with that value.
    pub(crate) fn shared(&self) -> Self {
        let (admin, name, pool) = (self.admin.clone(), self.name.clone(), self.pool.clone());
        Self { admin, admin_url: self.admin_url.clone(), name, pool, owned: false }
    }

    /// Returns how to connect to it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        let admin = &*self.admin_url;
        let (head, query) = admin.split_once('?').map_or((admin, None), |(h, q)| (h, Some(q)));
        let (server, _) = head.rsplit_once('/').expect("the URL names a database");
        query.map_or_else(
            || format!("{server}/{}", self.name),
            |query| format!("{server}/{}?{query}", self.name),
        )
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns connections for the test.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

fn admin_url() -> String {
    std::env::var(ADMIN_URL).unwrap_or_else(|_| panic!("{ADMIN_URL} is not set: run `make test`"))
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A separate runtime, since the test's may have ended. A database that cannot be dropped is
        // dropped by the next process of the same number, or with the cluster.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                if let Ok(mut connection) = PgConnection::connect_with(&admin).await {
                    run(&mut connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                        .await;
                }
            });
        });
        let _ = dropped.join();
    }
}

/// Returns the migrated template, and creates it if it is missing. Its name is a hash of the
/// migrations, so that each state of them has its template.
async fn template(admin: &PgConnectOptions, connection: &mut PgConnection) -> String {
    let mut hash = Sha256::new();
    for migration in MIGRATOR.iter() {
        hash.update(migration.version.to_le_bytes());
        hash.update(&migration.checksum);
    }
    let name = format!("verbatim_template_{}", hex::encode(&hash.finalize()[..8]));
    if exists(connection, &name).await {
        return name;
    }
    run(connection, &format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
    if !exists(connection, &name).await {
        run(connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        run(connection, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
            .await;
        let mut inside = PgConnection::connect_with(&admin.clone().database(&name))
            .await
            .expect("connects to the template");
        MIGRATOR.run(&mut inside).await.expect("the migrations run");
        inside.close().await.expect("closes");
        // Complete only now: an incomplete template is created again.
        run(connection, &format!("ALTER DATABASE {name} IS_TEMPLATE true")).await;
    }
    run(connection, &format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})")).await;
    name
}

async fn exists(connection: &mut PgConnection, name: &str) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)",
    )
    .bind(name)
    .fetch_one(connection)
    .await
    .expect("the catalogue answers")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}
