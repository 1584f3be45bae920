//! A database a test, copied from a template that has been migrated once.

use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Names a database, on a cluster that is running, from which others can be made.
const ADMIN_URL: &str = "TEST_DATABASE_URL";
/// One process at a time makes the template. The number is ours alone.
const TEMPLATE_LOCK: i64 = 0x7665_7262_6174_696d;

/// A database of a test's own. It is dropped with this value.
pub(crate) struct TestDatabase {
    admin: PgConnectOptions,
    admin_url: String,
    name: String,
    pool: PgPool,
    /// It is dropped with this value.
    owned: bool,
}

impl TestDatabase {
    /// An empty database with our schema.
    pub(crate) async fn create() -> Self {
        Self::create_on(&admin_url()).await
    }

    /// The same on another cluster.
    pub(crate) async fn create_on(admin_url: &str) -> Self {
        let template = async |admin: &_, connection: &mut _| template(admin, connection).await;
        Self::create_from(admin_url, template).await
    }

    /// A database without even that.
    pub(crate) async fn empty() -> Self {
        let template0 = async |_: &_, _: &mut _| "template0 ENCODING 'UTF8'".to_owned();
        Self::create_from(&admin_url(), template0).await
    }

    async fn create_from(
        admin_url: &str,
        choose: impl AsyncFnOnce(&PgConnectOptions, &mut PgConnection) -> String,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let admin: PgConnectOptions = admin_url.parse().expect("it is a Postgres URL");
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

    /// The same database, for another service on it. It stays when that value is dropped.
    pub(crate) fn shared(&self) -> Self {
        let (admin, name, pool) = (self.admin.clone(), self.name.clone(), self.pool.clone());
        Self { admin, admin_url: self.admin_url.clone(), name, pool, owned: false }
    }

    /// How to connect to it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    /// Its URL, for what is told by one.
    pub(crate) fn url(&self) -> String {
        let admin = &*self.admin_url;
        let (head, query) = admin.split_once('?').map_or((admin, None), |(h, q)| (h, Some(q)));
        let (server, _) = head.rsplit_once('/').expect("names a database");
        query.map_or_else(
            || format!("{server}/{}", self.name),
            |query| format!("{server}/{}?{query}", self.name),
        )
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Connections for the test itself.
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
        // A runtime of its own, since the test's may be gone. What fails to be dropped is dropped
        // by the next process of the same number, or with the cluster.
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

/// The migrated template, made by whoever comes first. Its name is a hash of the migrations, so
/// another state of them has another template.
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
        // Only now does it count: a template that was left half made is made again.
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
