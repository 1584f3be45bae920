//! A read-only role on a test's database, as `verbatim readers` creates it.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use verbatim::postgres::read_pool;
use verbatim::store::Store;
use verbatim::store::readers::{NewReader, Password, ReaderName};

use super::database::TestDatabase;

/// Returns a name that no other test of this cluster uses.
pub(crate) fn reader_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("reader_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Creates a reader, and returns how it connects. The role remains until the cluster is deleted.
pub(crate) async fn reader(database: &TestDatabase, with_text: bool) -> PgConnectOptions {
    let name = reader_name();
    let pool = read_pool(database.options());
    let new = NewReader {
        name: &ReaderName::parse(&name).unwrap(),
        verifier: &Password::generate().verifier(),
        with_text,
        is_private: false,
    };
    Store::new(pool.clone()).create_reader(&new).await.unwrap();
    pool.close().await;
    // The test cluster requires no password.
    database.options().username(&name)
}

/// Connects as a reader.
pub(crate) async fn connect_as_reader(database: &TestDatabase, with_text: bool) -> PgConnection {
    reader(database, with_text).await.connect().await.unwrap()
}
