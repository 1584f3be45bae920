//! The search index: documents, the vocabulary, and how far the indexer has come. What a text is
//! made of is `search`'s business.

mod find;
mod forget;
mod index;
mod windows;

pub use find::{SearchFilter, SearchHit, SearchPage, SearchPlace};
pub use forget::{forget_messages, forget_sessions};
pub use index::{IndexStanding, Indexed, index_next, standing};
pub use windows::Window;

use sqlx::postgres::PgConnection;

/// Waits for the right to change documents and words, which is then held until the end of the
/// transaction: what is removed cannot come back with a batch that was read before.
async fn hold_index(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT seq FROM search_position FOR UPDATE").fetch_one(connection).await?;
    Ok(())
}
